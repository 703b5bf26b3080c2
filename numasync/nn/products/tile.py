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
from numba.core import cgutils, errors, types
from numba.extending import intrinsic

from numasync.nn.products.codegen import LANES, Emitter
from numasync.runtime.jit import DISABLED

# Lanes of the short vector that takes columns which fill no whole one; a longer one would load from two cache lines.
NARROW = 4

# A sum that waits for its last multiply-add takes one term in about four cycles, in which a processor could do eight:
# where a tile has fewer sums than that, each is cut into chains, every so many terms one, that are added at the end.
ENOUGH_SUMS = 8


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


def check_operands(a, b, c, *literals):
    """Pointers know nothing of layouts and dtypes: what a tile cannot multiply is refused when it is compiled."""
    arrays = all(isinstance(x, types.Array) and x.layout == "C" and isinstance(x.dtype, types.Float) for x in (a, b, c))
    if not arrays or not a.dtype == b.dtype == c.dtype:
        raise errors.TypingError(f"A tile takes C-contiguous arrays of one float dtype, not {a}, {b} and {c}.")
    if not all(isinstance(literal, types.IntegerLiteral) for literal in literals):
        raise errors.TypingError("The sizes of a tile are written as literals.")


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
        sums = [dict(zip(tile, emitter.zeros(len(tile)))) for _ in range(chains)]
        a_rows = [emitter.apart(emitter.at(a_data, emitter.offset(at, (r, row)))) for r in range(n_rows)]

        def add_term(run, term, slots):
            in_a = emitter.offset(builder.mul(run, jump), (term, column))
            xs = emitter.load_row(b_fields.data, emitter.offset(j, (emitter.offset(term, (run, terms)), n)), n_vectors)
            for r, pointer in enumerate(a_rows):
                y = emitter.broadcast(emitter.at(pointer, in_a))
                for v, x in enumerate(xs):
                    emitter.multiply_add(slots[r, v], y, x)

        with cgutils.for_range(builder, runs) as run:
            emitter.for_each(terms, chains, lambda term, chain: add_term(run.index, term, sums[chain]))
        for r, v in tile:
            total = emitter.total([builder.load(slots[r, v]) for slots in sums])
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
            for slot, y in zip(sums, emitter.load_row(b_fields.data, emitter.offset(j, (p, n)), len(sums))):
                emitter.multiply_add(slot, x, y)

        emitter.for_each_nonzero(a_data, k, add_term)
        for v, slot in enumerate(sums):
            emitter.add_to(builder.load(slot), emitter.at(c_data, k.type(v * LANES)))
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
        with cgutils.for_range_slice(builder, n.type(0), n, n.type(LANES)) as (p, _):
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
