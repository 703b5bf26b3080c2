"""The register tile: the loop that every product of this package runs in, written in LLVM's own language.

A compiler turns the three loops of a product into vector instructions, but it keeps the sums in memory: each
multiply-add then costs a load and a store. Here a tile of C stays in the processor's registers for the whole sum. One
term of the sum loads a few vectors of B and multiplies them with one number of A in each row of the tile. 6 rows by 2
vectors of 16 floats are 12 multiply-adds, which is 192 products, for 8 loads and no store.

    tile_product      C += A B     vectors along the columns of C, one term of the sum at a time
    tile_product_nt   C += A B^T   vectors along the sum, as both matrices lie; their lanes are added at the end

Each tile has a reference version in Python, three loops that say what it does: read those first. The tests compare the
two. Where Numba is switched off, the reference versions run.
"""

from numasync.nn.products.codegen import CodeGenerator
from numasync.runtime.jit import DISABLED
from numasync.runtime.numba_names import cgutils, errors, intrinsic, types
from numasync.runtime.vectors import LANES

# Lanes of the short vector for columns that fill no whole vector. A longer one would load from two cache lines.
NARROW = 4

# A multiply-add on one sum can follow the last one after about four cycles, and a processor could do eight in that
# time. A tile with fewer sums cuts each sum into chains, which are added at the end.
ENOUGH_SUMS = 8


def reference_product(c, a, b, rows, vectors, c_at, a_at, j, strides, ldc):
    """C[i, q] += sum over s < n_runs and p < terms of A[i, s, p] B[s terms + p, j + q].

    i < rows; q < LANES * vectors. vectors = 0 stands for the columns of B from j on, NARROW at most.
    terms = the rows of B / n_runs.
    C[i, q] = c[c_at + i ldc + q]; c: flat.
    A[i, s, p] = a[a_at + i row_stride + s run_stride + p col_stride]; a: flat. A is a matrix, its transpose, or the
        patches of an image, where a run is one line of a patch.
    b: (k, n). strides: (row_stride, col_stride, run_stride, n_runs); n_runs divides k.
    """
    row_stride, col_stride, run_stride, n_runs = strides
    terms = b.shape[0] // n_runs
    width = vectors * LANES or min(NARROW, b.shape[1] - j)
    for i in range(rows):
        sums = c[c_at + i * ldc : c_at + i * ldc + width]
        for s in range(n_runs):
            for p in range(terms):
                sums += a[a_at + i * row_stride + s * run_stride + p * col_stride] * b[s * terms + p, j : j + width]


def reference_product_nt(c, a, b, rows, i, j):
    """C += A B^T for `rows` rows of C from row i on and LANES / rows columns from column j on.

    c: (m, k); a: (m, n); b: (k, n), n a multiple of LANES, all C-contiguous.
    """
    for r in range(i, i + rows):
        for q in range(j, j + LANES // rows):
            c[r, q] += (a[r] * b[q]).sum()


def check_operands(c, a, b, *literals):
    """Refuse, at compilation, what a tile cannot multiply: pointers know nothing of layouts and dtypes."""
    arrays = all(isinstance(x, types.Array) and x.layout == "C" and isinstance(x.dtype, types.Float) for x in (a, b, c))
    if not arrays or not a.dtype == b.dtype == c.dtype:
        raise errors.TypingError(f"A tile takes C-contiguous arrays of one float dtype, not {a}, {b} and {c}.")
    if not all(isinstance(literal, types.IntegerLiteral) for literal in literals):
        raise errors.TypingError("The sizes of a tile are written as literals.")


@intrinsic(prefer_literal=True)
def vector_product(typing, c, a, b, rows, vectors, c_at, a_at, j, strides, ldc):
    """`reference_product` with its sums in registers. `rows` and `vectors` are written as literals."""
    check_operands(c, a, b, rows, vectors)
    n_rows, n_vectors = rows.literal_value, max(vectors.literal_value, 1)
    tile = [(r, v) for r in range(n_rows) for v in range(n_vectors)]
    chains = max(ENOUGH_SUMS // len(tile), 1)

    def emit(context, builder, signature, arguments):
        code = CodeGenerator(context, builder, a.dtype, LANES if vectors.literal_value else NARROW)
        c_array, a_array, b_array, _, _, c_at, a_at, j, strides, ldc = arguments
        row_stride, col_stride, run_stride, n_runs = cgutils.unpack_tuple(builder, strides, 4)
        a_data, c_data = code.array(a, a_array).data, code.array(c, c_array).data
        b_fields = code.array(b, b_array)
        k, n = cgutils.unpack_tuple(builder, b_fields.shape, 2)
        terms = code.quotient(k, n_runs)
        if vectors.literal_value == 0:
            code.use_lanes(builder.sub(n, j))
        sums = [dict(zip(tile, code.zeros(len(tile)), strict=True)) for _ in range(chains)]
        a_rows = [code.opaque_pointer(code.at(a_data, code.offset(a_at, (r, row_stride)))) for r in range(n_rows)]

        def add_term(run, term, slots):
            in_a = code.offset(builder.mul(run, run_stride), (term, col_stride))
            xs = code.load_row(b_fields.data, code.offset(j, (code.offset(term, (run, terms)), n)), n_vectors)
            for r, pointer in enumerate(a_rows):
                y = code.broadcast(code.at(pointer, in_a))
                for v, x in enumerate(xs):
                    code.multiply_add(slots[r, v], y, x)

        with cgutils.for_range(builder, n_runs) as run:
            code.for_each(terms, chains, lambda term, chain: add_term(run.index, term, sums[chain]))
        for r, v in tile:
            total = code.total([builder.load(slots[r, v]) for slots in sums])
            code.add_to(total, code.at(c_data, code.offset(c_at, (r, ldc), (v, LANES))))
        return context.get_dummy_value()

    n = types.intp
    return types.none(c, a, b, rows, vectors, n, n, n, types.UniTuple(n, 4), n), emit


@intrinsic(prefer_literal=True)
def vector_product_nt(typing, c, a, b, rows, i, j):
    """`reference_product_nt` with its LANES sums, each of LANES lanes, in registers. `rows` is a literal."""
    check_operands(c, a, b, rows)
    a_count, b_count = rows.literal_value, LANES // rows.literal_value

    def emit(context, builder, signature, arguments):
        code = CodeGenerator(context, builder, a.dtype)
        c_array, a_array, b_array, _, i, j = arguments
        a_fields, b_fields, c_fields = (code.array(*pair) for pair in ((a, a_array), (b, b_array), (c, c_array)))
        n, k = builder.extract_value(a_fields.shape, 1), builder.extract_value(c_fields.shape, 1)
        a_rows = [code.at(a_fields.data, code.offset(builder.mul(i, n), (r, n))) for r in range(a_count)]
        b_rows = [code.at(b_fields.data, code.offset(builder.mul(j, n), (q, n))) for q in range(b_count)]
        sums = code.zeros(LANES)
        with cgutils.for_range_slice(builder, n.type(0), n, n.type(LANES)) as (p, _):
            xs = [code.load(code.at(pointer, p)) for pointer in a_rows]
            ys = [code.load(code.at(pointer, p)) for pointer in b_rows]
            for slot, (x, y) in zip(sums, [(x, y) for x in xs for y in ys], strict=True):
                code.multiply_add(slot, x, y)
        total = code.lane_sums([builder.load(slot) for slot in sums])
        for r in range(a_count):
            share = code.shuffle(total, total, list(range(r * b_count, (r + 1) * b_count)))
            code.add_to(share, code.at(c_fields.data, code.offset(j, (i, k), (r, k))))
        return context.get_dummy_value()

    return types.none(c, a, b, rows, types.intp, types.intp), emit


tile_product = reference_product if DISABLED else vector_product
tile_product_nt = reference_product_nt if DISABLED else vector_product_nt
