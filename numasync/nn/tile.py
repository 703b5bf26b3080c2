"""The register tile: the one loop that every product of this package runs in, written in LLVM's own language.

A compiler turns the plain triple loop of a product into vector instructions, but it keeps the sums in memory: each
multiply-add then costs a load and a store. Here a tile of C stays in the processor's registers for the whole sum. One
term of the sum loads a few vectors of B and multiplies them with one number of A in each row of the tile: 6 rows by 2
vectors of 16 floats are 12 multiply-adds, 192 products, for 8 loads and no store.

    tile_product              C += A B     vectors along the columns of C, one term of the sum at a time
    tile_product_transposed   C += A B^T   vectors along the sum, as both matrices lie; their lanes are added at the end

Each has a plain twin, three loops in Python, that says what it does: read those first. The tests compare the two, and
where Numba is switched off the twins run.
"""

from llvmlite import ir
from numba.core import cgutils, errors, types
from numba.extending import intrinsic

from numasync.jit import AVX512, DISABLED

# Floats in a vector: what fits one register.
LANES = 16 if AVX512 else 8

# Sums may be reordered and fused with products; NaN and infinity are kept: a part of jit.FASTMATH.
FLAGS = ("contract", "reassoc", "nsz")
LANE_NUMBER = ir.IntType(32)


def plain_product(rows, vectors, a, at, row, column, jump, runs, b, b_at, n, c, c_at):
    """C[i, j] += sum over s < runs and p < terms of A[i, s, p] B[s terms + p, j], for `rows` rows and LANES * `vectors`
    columns of C; terms = a run's share of B's rows. vectors = 0: for the columns that are left, fewer than LANES.

    A[i, s, p] = a[at + i * row + s * jump + p * column]: a matrix, its transpose, or the patches of an image, where a
    run is one row of a patch; runs divides the rows of B. b: (k, n), from column b_at on; c: (m, n), from its element
    number c_at on. All C-contiguous.
    """
    terms = b.shape[0] // runs
    width = vectors * LANES or n - b_at
    b_flat, c_flat = b.reshape(-1), c.reshape(-1)
    for i in range(rows):
        sums = c_flat[c_at + i * n : c_at + i * n + width]
        for s in range(runs):
            for p in range(terms):
                begin = b_at + (s * terms + p) * n
                sums += a[at + i * row + s * jump + p * column] * b_flat[begin : begin + width]


def plain_product_transposed(rows, a, i, b, j, c):
    """C += A B^T for `rows` rows of C from row i on and LANES / rows columns from column j on.

    a: (m, n); b: (k, n), n a multiple of LANES; c: (m, k), all C-contiguous.
    """
    for r in range(i, i + rows):
        for q in range(j, j + LANES // rows):
            c[r, q] += (a[r] * b[q]).sum()


class Emitter:
    """Writes vector instructions on arrays of one dtype where `builder` stands. Pointers are to single numbers.

    It runs while Numba compiles: a Python loop here writes its instructions again and again, one after the other;
    only `cgutils.for_range` makes a loop of the machine code. Nothing is computed yet: a value is a name of a result.
    """

    def __init__(self, context, builder, dtype):
        self.context = context
        self.builder = builder
        self.number = context.get_value_type(dtype)
        self.vector = ir.VectorType(self.number, LANES)
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
            ir.Constant(ir.VectorType(count.type, LANES), ir.Undefined), count, LANE_NUMBER(0)
        )
        counts = self.shuffle(counts, counts, [0] * LANES)
        lanes = ir.Constant(counts.type, list(range(LANES)))
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
        return self.shuffle(first, undefined, [0] * LANES)

    def zeros(self, count):
        """`count` vectors of zeros. LLVM turns these stack slots into registers."""
        slots = [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]
        for slot in slots:
            self.builder.store(zeros_of(self.vector), slot)
        return slots

    def multiply_add(self, slot, x, y):
        product = self.builder.fmul(x, y, flags=FLAGS)
        self.builder.store(self.builder.fadd(self.builder.load(slot), product, flags=FLAGS), slot)

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
def emitted_product(typing, rows, vectors, a, at, row, column, jump, runs, b, b_at, n, c, c_at):
    """`plain_product` with rows * vectors sums in registers. `rows` and `vectors` are written as literals."""
    check_operands(a, b, c, rows, vectors)
    n_rows, n_vectors = rows.literal_value, max(vectors.literal_value, 1)

    def emit(context, builder, signature, arguments):
        emitter = Emitter(context, builder, a.dtype)
        _, _, a_array, at, row, column, jump, runs, b_array, b_at, n, c_array, c_at = arguments
        a_data, c_data = emitter.array(a, a_array).data, emitter.array(c, c_array).data
        b_fields = emitter.array(b, b_array)
        terms = builder.sdiv(builder.extract_value(b_fields.shape, 0), runs)
        if vectors.literal_value == 0:
            emitter.use_lanes(builder.sub(n, b_at))
        tile = [(r, v) for r in range(n_rows) for v in range(n_vectors)]
        sums = emitter.zeros(len(tile))
        a_rows = [emitter.at(a_data, emitter.offset(at, (r, row))) for r in range(n_rows)]
        with cgutils.for_range(builder, runs) as run, cgutils.for_range(builder, terms) as term:
            in_a = emitter.offset(builder.mul(run.index, jump), (term.index, column))
            in_b = emitter.offset(b_at, (emitter.offset(term.index, (run.index, terms)), n))
            xs = [emitter.load(emitter.at(b_fields.data, emitter.offset(in_b, (v, LANES)))) for v in range(n_vectors)]
            ys = [emitter.broadcast(emitter.at(a_row, in_a)) for a_row in a_rows]
            for slot, (r, v) in zip(sums, tile):
                emitter.multiply_add(slot, ys[r], xs[v])
        for slot, (r, v) in zip(sums, tile):
            emitter.add_to(builder.load(slot), emitter.at(c_data, emitter.offset(c_at, (r, n), (v, LANES))))
        return context.get_dummy_value()

    integer = types.intp
    strides_and_runs = (integer,) * 5
    return types.none(rows, vectors, a, *strides_and_runs, b, integer, integer, c, integer), emit


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
tile_product_transposed = plain_product_transposed if DISABLED else emitted_product_transposed
