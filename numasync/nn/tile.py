"""The register tile: the loop that every product of this package runs in, written in LLVM's own language.

A compiler turns the plain triple loop of a product into vector instructions, but it keeps the sums in memory: each
multiply-add then costs a load and a store. Here a tile of C stays in the processor's registers for the whole sum. One
term of the sum loads a few vectors of B and multiplies them with one number of A in each row of the tile: 6 rows by 2
vectors of 16 floats are 12 multiply-adds, 192 products, for 8 loads and no store.

    tile_product              C += A B     vectors along the columns of C, one term of the sum at a time
    tile_product_transposed   C += A B^T   vectors along the sum, as both matrices lie; their lanes are added at the end
    tile_sparse_row           C += A B     for one row of A in which many numbers are zero

Each has a plain twin, three loops in Python, that says what it does: read those first. The tests compare the two, and
where Numba is switched off the twins run.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, errors, types
from numba.extending import intrinsic

from numasync.jit import AVX512, DISABLED

# Floats in a vector: what fits one register.
LANES = 16 if AVX512 else 8

# Lanes of the short vector that takes columns which fill no whole one; a longer one would load from two cache lines.
NARROW = 4

# A sum that waits for its last multiply-add takes one term in about four cycles, in which a processor could do eight:
# where a tile has fewer sums than that, each is cut into chains, every so many terms one, that are added at the end.
ENOUGH_SUMS = 8

# Sums may be reordered and fused with products; NaN and infinity are kept: a part of jit.FASTMATH.
FLAGS = ("contract", "reassoc", "nsz")
LANE_NUMBER = ir.IntType(32)


def plain_product(rows, vectors, a, at, row, column, jump, runs, b, j, c, c_at, pitch):
    """C[i, q] += sum over s < runs and p < terms of A[i, s, p] B[s terms + p, j + q], for `rows` rows and LANES *
    `vectors` columns of C; terms = a run's share of B's rows. vectors = 0: for the columns that B has from j on, NARROW
    of them at most.

    A[i, s, p] = a[at + i * row + s * jump + p * column]: a matrix, its transpose, or the patches of an image, where a
    run is one row of a patch; runs divides the rows of B. b: (k, n). C[i, q] = c[c_at + i * pitch + q]. a and c: flat.
    """
    terms = b.shape[0] // runs
    width = vectors * LANES or min(NARROW, b.shape[1] - j)
    for i in range(rows):
        sums = c[c_at + i * pitch : c_at + i * pitch + width]
        for s in range(runs):
            for p in range(terms):
                sums += a[at + i * row + s * jump + p * column] * b[s * terms + p, j : j + width]


def plain_product_transposed(rows, a, i, b, j, c):
    """C += A B^T for `rows` rows of C from row i on and LANES / rows columns from column j on.

    a: (m, n); b: (k, n), n a multiple of LANES; c: (m, k), all C-contiguous.
    """
    for r in range(i, i + rows):
        for q in range(j, j + LANES // rows):
            c[r, q] += (a[r] * b[q]).sum()


def plain_sparse_row(vectors, a, b, j, c):
    """C[q] += sum over p of a[p] B[p, j + q], for LANES * `vectors` columns; rows of B that meet a zero are not read.

    a: (k,); b: (k, n); c: C, from its column j on. All C-contiguous.
    """
    width = vectors * LANES
    for p in np.flatnonzero(a):
        c[:width] += a[p] * b[p, j : j + width]


class Emitter:
    """Writes vector instructions on arrays of one dtype where `builder` stands. Pointers are to single numbers.

    It runs while Numba compiles: a Python loop here writes its instructions again and again, one after the other;
    only `cgutils.for_range` makes a loop of the machine code. Nothing is computed yet: a value is a name of a result.
    """

    def __init__(self, context, builder, dtype, lanes=LANES):
        self.context = context
        self.builder = builder
        self.number = context.get_value_type(dtype)
        self.lanes = lanes
        self.vector = ir.VectorType(self.number, lanes)
        self.align = context.get_abi_sizeof(self.number)
        self.mask = None

    def array(self, array_type, value):
        """The fields of an array: data, shape, strides, ..."""
        return self.context.make_array(array_type)(self.context, self.builder, value)

    def offset(self, start, *steps):
        """start + the sum of all count * size: offset(at, (r, row)) is at + r * row. Each may be a Python int."""
        for count, size in steps:
            count = ir.Constant(start.type, count) if isinstance(count, int) else count
            size = ir.Constant(start.type, size) if isinstance(size, int) else size
            start = self.builder.add(start, self.builder.mul(count, size))
        return start

    def at(self, data, index):
        return self.builder.gep(data, [index])

    def apart(self, pointer):
        """The pointer, without LLVM seeing where it comes from. It sees that rows lie equally far apart and would compute
        each row's address from that of the row before: as many additions in a row, for every term of the sum."""
        kind = ir.FunctionType(pointer.type, [pointer.type])
        return self.builder.asm(kind, "", "=r,0", [pointer], side_effect=False)

    def load(self, pointer, vector=None):
        vector = vector or self.vector
        pointer = self.builder.bitcast(pointer, vector.as_pointer())
        if self.mask is None:
            return self.builder.load(pointer, align=self.align)
        return self.masked("load", vector, pointer, ir.Constant(LANE_NUMBER, self.align), self.mask, zeros_of(vector))

    def store(self, value, pointer):
        pointer = self.builder.bitcast(pointer, value.type.as_pointer())
        if self.mask is None:
            self.builder.store(value, pointer, align=self.align)
        else:
            self.masked("store", ir.VoidType(), value, pointer, ir.Constant(LANE_NUMBER, self.align), self.mask)

    def use_lanes(self, count):
        """From here on load and store only the first `count` lanes of a vector; the others are neither read, but 0,
        nor written."""
        counts = self.builder.insert_element(
            ir.Constant(ir.VectorType(count.type, self.lanes), ir.Undefined), count, LANE_NUMBER(0)
        )
        counts = self.shuffle(counts, counts, [0] * self.lanes)
        lanes = ir.Constant(counts.type, list(range(self.lanes)))
        self.mask = self.builder.icmp_signed("<", lanes, counts)

    def masked(self, what, result, *arguments):
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        name = f"llvm.masked.{what}.{type_name(self.vector)}.p0{type_name(self.vector)}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)

    def add_to(self, value, pointer):
        self.store(self.builder.fadd(self.load(pointer, value.type), value, flags=FLAGS), pointer)

    def shuffle(self, x, y, lanes):
        """A vector of the given lanes of x (from 0 on) and y (from LANES on)."""
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(LANE_NUMBER, len(lanes)), lanes))

    def broadcast(self, pointer):
        """One number in every lane."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, self.builder.load(pointer), ir.Constant(LANE_NUMBER, 0))
        return self.shuffle(first, undefined, [0] * self.lanes)

    def zeros(self, count):
        """`count` vectors of zeros. LLVM turns these stack slots into registers."""
        slots = [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]
        for slot in slots:
            self.builder.store(zeros_of(self.vector), slot)
        return slots

    def multiply_add(self, slot, x, y):
        product = self.builder.fmul(x, y, flags=FLAGS)
        self.builder.store(self.builder.fadd(self.builder.load(slot), product, flags=FLAGS), slot)

    def for_each(self, count, chains, body):
        """body(i, chain) for i = 0 .. count - 1 in loops of the machine code, `chains` of them side by side; those that
        are left over belong to chain 0."""
        whole = self.builder.sub(count, self.builder.srem(count, ir.Constant(count.type, chains)))
        for start, stop, step in ((ir.Constant(count.type, 0), whole, chains), (whole, count, 1))[: min(chains, 2)]:
            with cgutils.for_range_slice(self.builder, start, stop, ir.Constant(count.type, step)) as (i, _):
                for chain in range(step):
                    body(self.offset(i, (chain, 1)), chain)

    def for_each_nonzero(self, data, count, body):
        """body(i) for those i < count whose number in `data` is not 0: a bit a lane of each vector, and a loop over the
        bits that are set. The last numbers, which fill no vector, are not tested."""
        builder, zero, one = self.builder, ir.Constant(count.type, 0), ir.Constant(count.type, 1)
        whole = builder.sub(count, builder.srem(count, ir.Constant(count.type, LANES)))
        left = cgutils.alloca_once(builder, count.type)
        with cgutils.for_range_slice(builder, zero, whole, ir.Constant(count.type, LANES)) as (i, _):
            lanes = builder.fcmp_unordered("!=", self.load(self.at(data, i)), zeros_of(self.vector))
            bits = builder.bitcast(lanes, ir.IntType(LANES))
            builder.store(builder.zext(bits, count.type), left)
            test, work, done = (
                builder.append_basic_block(name) for name in ("nonzero", "nonzero.work", "nonzero.done")
            )
            builder.branch(test)
            builder.position_at_end(test)
            builder.cbranch(builder.icmp_unsigned("!=", builder.load(left), zero), work, done)
            builder.position_at_end(work)
            bits = builder.load(left)
            body(builder.add(i, builder.cttz(bits, ir.Constant(ir.IntType(1), 1))))
            builder.store(builder.and_(bits, builder.sub(bits, one)), left)
            builder.branch(test)
            builder.position_at_end(done)
        with cgutils.for_range_slice(builder, whole, count, one) as (i, _):
            body(i)

    def total(self, vectors):
        """The sum of vectors, added in pairs."""
        while len(vectors) > 1:
            pairs = zip(vectors[::2], vectors[1::2])
            odd = vectors[len(vectors) // 2 * 2 :]
            vectors = [self.builder.fadd(x, y, flags=FLAGS) for x, y in pairs] + odd
        return vectors[0]

    def lane_sums(self, vectors):
        """One vector whose lane i is the sum over the lanes of vectors[i], of LANES vectors: a tree of additions.

        While n vectors are left, each holds LANES / n of the sums, and each sum as n numbers still to be added.
        Two neighbours become one: the first halves of all these groups, plus the second halves.
        """
        while len(vectors) > 1:
            parts = len(vectors)
            halves = [begin + i for begin in range(0, 2 * LANES, parts) for i in range(parts // 2)]
            others = [lane + parts // 2 for lane in halves]
            vectors = [
                self.builder.fadd(self.shuffle(x, y, halves), self.shuffle(x, y, others), flags=FLAGS)
                for x, y in zip(vectors[::2], vectors[1::2])
            ]
        return vectors[0]


def zeros_of(vector):
    return ir.Constant(vector, [0.0] * vector.count)


def type_name(vector):
    """As LLVM names a vector in the names of its functions: v16f32."""
    return f"v{vector.count}f{32 if vector.element == ir.FloatType() else 64}"


def check_operands(a, b, c, *literals):
    """Pointers know nothing of layouts and dtypes: what a tile cannot multiply is refused when it is compiled."""
    arrays = all(isinstance(x, types.Array) and x.layout == "C" and isinstance(x.dtype, types.Float) for x in (a, b, c))
    if not arrays or not a.dtype == b.dtype == c.dtype:
        raise errors.TypingError(f"A tile takes C-contiguous arrays of one float dtype, not {a}, {b} and {c}.")
    if not all(isinstance(literal, types.IntegerLiteral) for literal in literals):
        raise errors.TypingError("The rows and vectors of a tile are written as literals.")


@intrinsic(prefer_literal=True)
def emitted_product(typing, rows, vectors, a, at, row, column, jump, runs, b, j, c, c_at, pitch):
    """`plain_product` with its sums in registers. `rows` and `vectors` are written as literals."""
    check_operands(a, b, c, rows, vectors)
    n_rows, n_vectors = rows.literal_value, max(vectors.literal_value, 1)
    tile = [(r, v) for r in range(n_rows) for v in range(n_vectors)]
    chains = max(ENOUGH_SUMS // len(tile), 1)

    def emit(context, builder, signature, arguments):
        emitter = Emitter(context, builder, a.dtype, LANES if vectors.literal_value else NARROW)
        _, _, a_array, at, row, column, jump, runs, b_array, j, c_array, c_at, pitch = arguments
        a_data, c_data = emitter.array(a, a_array).data, emitter.array(c, c_array).data
        b_fields = emitter.array(b, b_array)
        k, n = cgutils.unpack_tuple(builder, b_fields.shape, 2)
        terms = builder.sdiv(k, runs)
        if vectors.literal_value == 0:
            emitter.use_lanes(builder.sub(n, j))
        sums = [emitter.zeros(len(tile)) for _ in range(chains)]
        a_rows = [emitter.apart(emitter.at(a_data, emitter.offset(at, (r, row)))) for r in range(n_rows)]

        def add_term(run, term, slots):
            in_a = emitter.offset(builder.mul(run, jump), (term, column))
            in_b = emitter.offset(j, (emitter.offset(term, (run, terms)), n))
            xs = [emitter.load(emitter.at(b_fields.data, emitter.offset(in_b, (v, LANES)))) for v in range(n_vectors)]
            ys = [emitter.broadcast(emitter.at(a_row, in_a)) for a_row in a_rows]
            for slot, (r, v) in zip(slots, tile):
                emitter.multiply_add(slot, ys[r], xs[v])

        with cgutils.for_range(builder, runs) as run:
            emitter.for_each(terms, chains, lambda term, chain: add_term(run.index, term, sums[chain]))
        for slots, (r, v) in zip(zip(*sums), tile):
            total = emitter.total([builder.load(slot) for slot in slots])
            emitter.add_to(total, emitter.at(c_data, emitter.offset(c_at, (r, pitch), (v, LANES))))
        return context.get_dummy_value()

    integer = types.intp
    return types.none(rows, vectors, a, *(integer,) * 5, b, integer, c, integer, integer), emit


@intrinsic(prefer_literal=True)
def emitted_sparse_row(typing, vectors, a, b, j, c):
    """`plain_sparse_row` with its sums in registers. `vectors` is written as a literal."""
    check_operands(a, b, c, vectors)

    def emit(context, builder, signature, arguments):
        emitter = Emitter(context, builder, a.dtype)
        _, a_array, b_array, j, c_array = arguments
        a_data, c_data = emitter.array(a, a_array).data, emitter.array(c, c_array).data
        b_fields = emitter.array(b, b_array)
        k, n = cgutils.unpack_tuple(builder, b_fields.shape, 2)
        sums = emitter.zeros(vectors.literal_value)

        def add_term(p):
            x = emitter.broadcast(emitter.at(a_data, p))
            in_b = emitter.offset(j, (p, n))
            for v, slot in enumerate(sums):
                emitter.multiply_add(slot, x, emitter.load(emitter.at(b_fields.data, emitter.offset(in_b, (v, LANES)))))

        emitter.for_each_nonzero(a_data, k, add_term)
        for v, slot in enumerate(sums):
            emitter.add_to(builder.load(slot), emitter.at(c_data, ir.Constant(k.type, v * LANES)))
        return context.get_dummy_value()

    return types.none(vectors, a, b, types.intp, c), emit


@intrinsic(prefer_literal=True)
def emitted_product_transposed(typing, rows, a, i, b, j, c):
    """`plain_product_transposed` with its LANES sums, each of LANES lanes, in registers. `rows` is a literal."""
    check_operands(a, b, c, rows)
    a_count, b_count = rows.literal_value, LANES // rows.literal_value

    def emit(context, builder, signature, arguments):
        emitter = Emitter(context, builder, a.dtype)
        _, a_array, i, b_array, j, c_array = arguments
        a_fields, b_fields, c_fields = (emitter.array(*pair) for pair in ((a, a_array), (b, b_array), (c, c_array)))
        n, k = builder.extract_value(a_fields.shape, 1), builder.extract_value(c_fields.shape, 1)
        a_rows = [emitter.at(a_fields.data, emitter.offset(builder.mul(i, n), (r, n))) for r in range(a_count)]
        b_rows = [emitter.at(b_fields.data, emitter.offset(builder.mul(j, n), (q, n))) for q in range(b_count)]
        sums = emitter.zeros(LANES)
        with cgutils.for_range_slice(builder, ir.Constant(n.type, 0), n, ir.Constant(n.type, LANES)) as (p, _):
            xs = [emitter.load(emitter.at(pointer, p)) for pointer in a_rows]
            ys = [emitter.load(emitter.at(pointer, p)) for pointer in b_rows]
            for slot, (x, y) in zip(sums, [(x, y) for x in xs for y in ys]):
                emitter.multiply_add(slot, x, y)
        total = emitter.lane_sums([builder.load(slot) for slot in sums])
        for r in range(a_count):
            share = emitter.shuffle(total, total, list(range(r * b_count, (r + 1) * b_count)))
            emitter.add_to(share, emitter.at(c_fields.data, emitter.offset(j, (i, k), (r, k))))
        return context.get_dummy_value()

    return types.none(rows, a, types.intp, b, types.intp, c), emit


tile_product = plain_product if DISABLED else emitted_product
tile_sparse_row = plain_sparse_row if DISABLED else emitted_sparse_row
tile_product_transposed = plain_product_transposed if DISABLED else emitted_product_transposed
