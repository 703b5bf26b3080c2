"""The tiles of a product whose A and C have one row: acting, where one observation passes through a layer.

Each number of B is used once, so that reading B takes all the time.

    tile_row                C += A B    any row
    tile_sparse_row         C += A B    without reading the rows of B that meet a zero
    tile_sparse_row_part    C += A B    the same for some of the columns, with the sums in registers

The last is the quickest where the registers hold all columns. As in `tile.py`, each has a reference version.
"""

import numpy as np

from numasync.nn.products.codegen import FLAGS, CodeGenerator
from numasync.nn.products.tile import check_operands
from numasync.runtime.jit import DISABLED
from numasync.runtime.numba_names import cgutils, intrinsic, types
from numasync.runtime.vectors import LANES

# Rows of B that are taken at a time where A has one row: a power of 2.
ROWS = 4

# What is brought from the memory at once: a cache line of most processors, or half of one.
FETCHED_BYTES = 64


def reference_row(c, a, b):
    """C[q] += sum over p of a[p] B[p, q], for the columns that fill whole vectors.

    c: (n,); a: (k,); b: (k, n). All C-contiguous. A sparse row does not read the rows of B that meet a zero.
    """
    whole = c.size - c.size % LANES
    for p in np.flatnonzero(a):
        c[:whole] += a[p] * b[p, :whole]


def reference_row_part(c, a, b, vectors, j):
    """C[q] += sum over p of a[p] B[p, j + q], for LANES * `vectors` columns. Rows that meet a zero are not read.

    c: C from its column j on. a: (k,); b: (k, n). All C-contiguous.
    """
    width = vectors * LANES
    for p in np.flatnonzero(a):
        c[:width] += a[p] * b[p, j : j + width]


class RowProduct:
    """The code of C += A B where A and C are one row: some rows of B at a time, columns that fill whole vectors."""

    def __init__(self, context, builder, kinds, arrays):
        self.builder, self.code = builder, CodeGenerator(context, builder, kinds[0].dtype)
        c, a, b = (self.code.array(*pair) for pair in zip(kinds, arrays, strict=True))
        self.c, self.a, self.b = c.data, a.data, b.data
        self.k, self.n = cgutils.unpack_tuple(builder, b.shape, 2)
        self.whole = builder.sub(self.n, builder.srem(self.n, self.n.type(LANES)))

    def at(self, p, j):
        return self.code.at(self.b, self.code.offset(j, (p, self.n)))

    def fetch(self, p):
        """Have a row of B brought from the memory."""
        line = self.n.type(FETCHED_BYTES // self.code.align)
        with cgutils.for_range_slice(self.builder, self.n.type(0), self.whole, line) as (j, _):
            self.code.fetch(self.at(p, j))

    def add(self, numbers, next_numbers=()):
        """Add a[p] B[p] to C for each p of `numbers`. C is loaded and stored once.

        next_numbers: the rows of B to bring from the memory meanwhile.
        """
        code, builder = self.code, self.builder
        xs = [code.broadcast(code.at(self.a, p)) for p in numbers]
        with cgutils.for_range_slice(builder, self.n.type(0), self.whole, self.n.type(LANES)) as (j, _):
            total = code.load(code.at(self.c, j))
            for p, x in zip(numbers, xs, strict=True):
                total = builder.fadd(total, builder.fmul(x, code.load(self.at(p, j)), flags=FLAGS), flags=FLAGS)
            for p in next_numbers:
                code.fetch(self.at(p, j))
            code.store(total, code.at(self.c, j))


@intrinsic
def vector_row(typing, c, a, b):
    """`reference_row`, ROWS rows of B at a time. The rows after the next ones come from the memory meanwhile."""
    check_operands(c, a, b)

    def emit(context, builder, signature, arguments):
        product = RowProduct(context, builder, (c, a, b), arguments)
        offset, number = product.code.offset, product.n.type
        whole = builder.sub(product.k, builder.srem(product.k, number(ROWS)))
        with cgutils.for_range_slice(builder, number(0), whole, number(ROWS)) as (p, _):
            numbers = [offset(p, (r, 1)) for r in range(3 * ROWS)]
            product.add(numbers[:ROWS], numbers[2 * ROWS :])
        with cgutils.for_range_slice(builder, whole, product.k, number(1)) as (p, _):
            product.add([p])
        return context.get_dummy_value()

    return types.none(c, a, b), emit


@intrinsic
def vector_sparse_row(typing, c, a, b):
    """`reference_row` without the rows of B that meet a zero.

    A ring buffer holds the numbers of 2 ROWS rows. The products of ROWS rows are added while the memory fetches the
    next ROWS rows.
    """
    check_operands(c, a, b)

    def emit(context, builder, signature, arguments):
        product = RowProduct(context, builder, (c, a, b), arguments)
        code, number = product.code, product.n.type
        ring = cgutils.alloca_once(builder, number, size=2 * ROWS)
        found = cgutils.alloca_once_value(builder, number(0))

        def place(i):
            return code.at(ring, builder.and_(i, number(2 * ROWS - 1)))

        def take(p):
            builder.store(p, place(builder.load(found)))
            product.fetch(p)
            now = builder.add(builder.load(found), number(1))
            builder.store(now, found)
            full = builder.icmp_signed("==", builder.and_(now, number(ROWS - 1)), number(0))
            with builder.if_then(builder.and_(full, builder.icmp_signed(">", now, number(ROWS)))):
                product.add([builder.load(place(code.offset(now, (r, 1)))) for r in range(ROWS)])

        code.for_each_nonzero(product.a, product.k, take)
        end = builder.load(found)
        begin = builder.mul(builder.sub(builder.sdiv(end, number(ROWS)), number(1)), number(ROWS))
        begin = builder.select(builder.icmp_signed("<", begin, number(0)), number(0), begin)
        with cgutils.for_range_slice(builder, begin, end, number(1)) as (i, _):
            product.add([builder.load(place(i))])
        return context.get_dummy_value()

    return types.none(c, a, b), emit


@intrinsic(prefer_literal=True)
def vector_sparse_row_part(typing, c, a, b, vectors, j):
    """`reference_row_part` with its sums in registers. `vectors` is written as a literal."""
    check_operands(c, a, b, vectors)

    def emit(context, builder, signature, arguments):
        code = CodeGenerator(context, builder, a.dtype)
        c_array, a_array, b_array, _, j = arguments
        a_data, c_data = code.array(a, a_array).data, code.array(c, c_array).data
        b_fields = code.array(b, b_array)
        k, n = cgutils.unpack_tuple(builder, b_fields.shape, 2)
        sums = code.zeros(vectors.literal_value)

        def add_term(p):
            x = code.broadcast(code.at(a_data, p))
            row = code.load_row(b_fields.data, code.offset(j, (p, n)), len(sums))
            for slot, y in zip(sums, row, strict=True):
                code.multiply_add(slot, x, y)

        code.for_each_nonzero(a_data, k, add_term)
        for v, slot in enumerate(sums):
            code.add_to(builder.load(slot), code.at(c_data, k.type(v * LANES)))
        return context.get_dummy_value()

    return types.none(c, a, b, vectors, types.intp), emit


tile_row = reference_row if DISABLED else vector_row
tile_sparse_row = reference_row if DISABLED else vector_sparse_row
tile_sparse_row_part = reference_row_part if DISABLED else vector_sparse_row_part
