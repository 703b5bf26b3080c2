"""The tiles of a layer with a few units, such as the heads: fewer than a vector has numbers.

The weights of a unit do not lie side by side, and a vector along the units would be mostly empty. So these tiles take W
as it lies, flat. A *group* is the weights of LANES inputs. It fills `units` vectors:

    three units, vectors of four numbers    w00 w01 w02 w10 | w11 w12 w20 w21 | w22 w30 w31 w32
    meets the inputs                        x0  x0  x0  x1  | x1  x1  x2  x2  | x2  x3  x3  x3
    belongs to the units                     0   1   2   0  |  1   2   0   1  |  2   0   1   2

Where a number stands in both patterns is known to the compiler: hence code for each number of units.

    tile_narrow       Y  += X W
    tile_narrow_tn    dW += X^T dY
    tile_narrow_nt    dX  = dY W^T

They do the whole groups. As in `tile.py`, each has a reference version that says what it does.
"""

from numasync.nn.products.codegen import FLAGS, LANE_NUMBER, CodeGenerator, zeros_of
from numasync.nn.products.tile import check_operands
from numasync.runtime.jit import DISABLED
from numasync.runtime.numba_names import cgutils, intrinsic, types
from numasync.runtime.vectors import LANES

# There is code for this number of units at most.
MOST_UNITS = min(LANES - 1, 7)


def reference_narrow(y, x, w):
    """Y += X W over the whole groups of inputs. y: (rows, units); x: (rows, inputs); w: (inputs, units)."""
    whole = len(w) - len(w) % LANES
    y += x[:, :whole] @ w[:whole]


def reference_narrow_tn(dw, x, dy):
    """dW += X^T dY for the whole groups of inputs. dw: (inputs, units); x: (rows, inputs); dy: (rows, units)."""
    whole = len(dw) - len(dw) % LANES
    dw[:whole] += x[:, :whole].T @ dy


def reference_narrow_nt(dx, dy, w):
    """dX = dY W^T for the whole groups of inputs. dx: (rows, inputs); dy: (rows, units); w: (inputs, units)."""
    whole = len(w) - len(w) % LANES
    dx[:, :whole] = dy @ w[:whole].T


class NarrowTile:
    """The code of a narrow tile for one number of units. inputs: an LLVM value."""

    def __init__(self, code, units, inputs):
        self.code, self.builder, self.units, self.inputs = code, code.builder, units, inputs
        self.lanes = [[v * LANES + lane for lane in range(LANES)] for v in range(units)]

    def groups(self):
        """Loop over the first input of each whole group."""
        number = self.inputs.type
        whole = self.builder.sub(self.inputs, self.builder.srem(self.inputs, number(LANES)))
        return cgutils.for_range_slice(self.builder, number(0), whole, number(LANES))

    def weights_at(self, w, i):
        """Return the addresses of the vectors of the group that begins with input i."""
        begin = self.builder.mul(i, i.type(self.units))
        return [self.code.at(w, self.code.offset(begin, (v, LANES))) for v in range(self.units)]

    def over_inputs(self, x):
        """Return the vectors that meet a group's, out of a vector of inputs."""
        return [self.code.shuffle(x, x, [lane // self.units for lane in lanes]) for lanes in self.lanes]

    def over_units(self, data, at):
        """Return the vectors that meet a group's, out of the numbers of the units, which begin at `at`."""
        row = zeros_of(self.code.vector)
        for u in range(self.units):
            number = self.builder.load(self.code.at(data, self.code.offset(at, (u, 1))))
            row = self.builder.insert_element(row, number, LANE_NUMBER(u))
        return [self.code.shuffle(row, row, [lane % self.units for lane in lanes]) for lanes in self.lanes]

    def sums_of_units(self, vectors):
        """Return a vector whose lane u is the sum of the numbers of unit u in a group."""
        total, nothing = zeros_of(self.code.vector), zeros_of(self.code.vector)
        for vector, lanes in zip(vectors, self.lanes, strict=True):
            of_unit = [[i for i, lane in enumerate(lanes) if lane % self.units == u] for u in range(self.units)]
            for turn in range(max(map(len, of_unit))):
                places = [places[turn] if turn < len(places) else LANES for places in of_unit]
                moved = self.code.shuffle(vector, nothing, places + [LANES] * (LANES - self.units))
                total = self.builder.fadd(total, moved, flags=FLAGS)
        return total

    def unit_of(self, vectors, u):
        """Return the weights of unit u, in the order of the inputs, out of the vectors of a group."""
        places = [divmod(i * self.units + u, LANES) for i in range(LANES)]
        found = self.code.shuffle(vectors[0], vectors[0], [lane for _, lane in places])
        for v, vector in enumerate(vectors[1:], 1):
            taken = [LANES + lane if place == v else i for i, (place, lane) in enumerate(places)]
            found = self.code.shuffle(found, vector, taken)
        return found


def emit_product(tile, rows, y, x, w):
    """Write `reference_narrow`: the sums of a row stay in registers."""
    code, builder = tile.code, tile.builder
    with cgutils.for_range(builder, rows) as row:
        sums = code.zeros(tile.units)
        with tile.groups() as (i, _):
            xs = tile.over_inputs(code.load(code.at(x, code.offset(i, (row.index, tile.inputs)))))
            for slot, inputs, weights in zip(sums, xs, tile.weights_at(w, i), strict=True):
                code.multiply_add(slot, inputs, code.load(weights))
        total = tile.sums_of_units([builder.load(slot) for slot in sums])
        for u in range(tile.units):
            place = code.at(y, code.offset(rows.type(u), (row.index, rows.type(tile.units))))
            of_unit = builder.extract_element(total, LANE_NUMBER(u))
            builder.store(builder.fadd(builder.load(place), of_unit, flags=FLAGS), place)


def emit_product_tn(tile, rows, dw, x, dy):
    """Write `reference_narrow_tn`, a row at a time."""
    code, builder = tile.code, tile.builder
    with cgutils.for_range(builder, rows) as row:
        ds = tile.over_units(dy, builder.mul(row.index, rows.type(tile.units)))
        with tile.groups() as (i, _):
            xs = tile.over_inputs(code.load(code.at(x, code.offset(i, (row.index, tile.inputs)))))
            for d, inputs, weights in zip(ds, xs, tile.weights_at(dw, i), strict=True):
                code.add_to(builder.fmul(d, inputs, flags=FLAGS), weights)


def emit_product_nt(tile, rows, dx, dy, w):
    """Write `reference_narrow_nt`: the weights of a group are sorted by their units once, for all rows."""
    code, builder = tile.code, tile.builder
    with tile.groups() as (i, _):
        vectors = [code.load(pointer) for pointer in tile.weights_at(w, i)]
        weights = [tile.unit_of(vectors, u) for u in range(tile.units)]
        with cgutils.for_range(builder, rows) as row:
            total = zeros_of(code.vector)
            for u, of_unit in enumerate(weights):
                d = code.broadcast(code.at(dy, code.offset(rows.type(u), (row.index, rows.type(tile.units)))))
                total = builder.fadd(total, builder.fmul(d, of_unit, flags=FLAGS), flags=FLAGS)
            code.store(total, code.at(dx, code.offset(i, (row.index, tile.inputs))))


def for_units(builder, units, emit):
    """Write emit(u) for each u from 1 to MOST_UNITS, and run the code for u = units."""
    after = builder.append_basic_block("units.after")
    switch = builder.switch(units, after)
    for u in range(1, MOST_UNITS + 1):
        block = builder.append_basic_block(f"units.{u}")
        switch.add_case(units.type(u), block)
        builder.position_at_end(block)
        emit(u)
        builder.branch(after)
    builder.position_at_end(after)


def make_tile(emit_for_units, sizes):
    """Return the intrinsic of three matrices out of its code for one number of units.

    emit_for_units(tile, rows, first, second, third): the last three point to the numbers of the matrices
    sizes(*shapes) -> (rows, inputs, units)
    """

    @intrinsic
    def tile(typing, first, second, third):
        check_operands(first, second, third)

        def emit(context, builder, signature, arguments):
            code = CodeGenerator(context, builder, first.dtype)
            arrays = [code.array(kind, value) for kind, value in zip(signature.args, arguments, strict=True)]
            rows, inputs, units = sizes(*(cgutils.unpack_tuple(builder, array.shape, 2) for array in arrays))
            pointers = [array.data for array in arrays]
            for_units(builder, units, lambda u: emit_for_units(NarrowTile(code, u, inputs), rows, *pointers))
            return context.get_dummy_value()

        return types.none(first, second, third), emit

    return tile


vector_narrow = make_tile(emit_product, lambda y, x, w: (y[0], x[1], y[1]))
vector_narrow_tn = make_tile(emit_product_tn, lambda dw, x, dy: (x[0], *dw))
vector_narrow_nt = make_tile(emit_product_nt, lambda dx, dy, w: (*dx, dy[1]))

tile_narrow = reference_narrow if DISABLED else vector_narrow
tile_narrow_tn = reference_narrow_tn if DISABLED else vector_narrow_tn
tile_narrow_nt = reference_narrow_nt if DISABLED else vector_narrow_nt
