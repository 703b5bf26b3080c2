"""The register tiles of a convolution whose patches overlap.

A number of the image is loaded once for all patches that hold it. `tile.py` says what a tile is.

Where the kernel is two or three strides wide, the image falls into cells, `stride` lines high and `stride` columns
wide, and a patch is a square of 2 x 2 or 3 x 3 cells. A cell then lies in 4 or 9 patches, at another place in each.
Both tiles keep sums for several places at once, and load a number of the cell once for all of them:

    tile_conv           Y = b + P W   the sums of neighbouring patches, from the top of the image to its bottom
    tile_conv_weights   dW += P^T dY  the sums of a few numbers in a line of a cell, over all cells of the image

cells_x and cells_y are the places beside and above each other that share a load: the cells in a line of a patch, or 1
for cells_y, which needs fewer registers. As in `tile.py`, each tile has a reference version that says what it does.

The image is flat: number p = (column, channel) of line y is x[at + y line + p]. A patch begins `step` = stride *
channels numbers after its left neighbour. geometry: (line, step, stride, kernel_size). out: (out_height, out_width,
filters), the shape of Y. In w, number p of a patch's line ky is row ky cells_x step + p.
"""

import functools

from numasync.nn.products.codegen import CodeGenerator
from numasync.nn.products.tile import check_operands
from numasync.runtime.jit import DISABLED
from numasync.runtime.numba_names import cgutils, intrinsic, types
from numasync.runtime.vectors import LANES

# Patches with addresses relative to one pointer. A pointer for each patch would need more registers than there are.
NEIGHBOURS = 6


def reference_conv(y, x, w, bias, rows, cells_x, cells_y, y_at, x_at, j, geometry, out):
    """Y[oy, ox, q] = b[j + q] + sum over (ky, p) of X[oy stride + ky, ox step + p] W[ky, p, j + q].

    For all oy, for ox < rows and q < LANES.
    Y[oy, ox, q] = y[y_at + (oy out_width + ox) filters + q]; y and x: flat.
    w: (kernel_size * cells_x * step, filters); bias: (filters,).
    cells_x * stride is kernel_size. cells_y * stride is kernel_size too, or cells_y is 1.
    """
    line, step, stride, kernel_size = geometry
    out_height, out_width, filters = out
    for oy in range(out_height):
        for ox in range(rows):
            begin = y_at + (oy * out_width + ox) * filters
            sums = y[begin : begin + LANES]
            sums[:] = bias[j : j + LANES]
            for ky in range(kernel_size):
                for p in range(cells_x * step):
                    number = x[x_at + (oy * stride + ky) * line + ox * step + p]
                    sums += number * w[ky * cells_x * step + p, j : j + LANES]


def reference_conv_weights(dw, x, dy, rows, cells_x, cells_y, dw_at, x_at, dy_at, geometry, out):
    """dW[d stride, o step + p, q] += sum over all (oy, ox) of X[(oy + d) stride, (ox + o) step + p] dY[oy, ox, q].

    For d < cells_y, o < cells_x, p < rows and q < LANES: the share of the line and the p that x_at and dw_at name.
    dW[ky, p, q] = dw[dw_at + (ky cells_x step + p) filters + q].
    dY[oy, ox, q] = dy[dy_at + (oy out_width + ox) filters + q]. All arrays are flat. out_width >= cells_x.
    """
    line, step, stride, _ = geometry
    out_height, out_width, filters = out
    for d in range(cells_y):
        for p in [o * step + i for o in range(cells_x) for i in range(rows)]:
            begin = dw_at + (d * stride * cells_x * step + p) * filters
            sums = dw[begin : begin + LANES]
            for oy in range(out_height):
                for ox in range(out_width):
                    dy_begin = dy_at + (oy * out_width + ox) * filters
                    sums += x[x_at + (oy + d) * stride * line + ox * step + p] * dy[dy_begin : dy_begin + LANES]


def for_each_cell(code, patches, places, body, turn=1):
    """Write body(cell, places of the cell) for each of the patches + places - 1 cells that neighbouring patches lie on.

    A cell at an end lies in fewer patches. patches >= places - 1. turn: cells a turn of the loop.
    """
    builder, first = code.builder, patches.type(places - 1)
    for i in range(places - 1):
        body(patches.type(i), range(i + 1))
    middle = builder.sub(patches, first)
    code.for_each(middle, turn, lambda i, _: body(builder.add(i, first), range(places)))
    for i in range(places - 1):
        body(builder.add(patches, patches.type(i)), range(i + 1, places))


def move_on(code, sums, bias):
    """Go on to the next row of cells, which lies one place further down in all patches.

    The sums of the patches change places, and the patches that begin here get new sums.
    """
    for slots, above in zip(sums[:0:-1], sums[-2::-1], strict=True):
        for slot, other in zip(slots, above, strict=True):
            code.builder.store(code.builder.load(other), slot)
    code.fill(sums[0], bias)


@intrinsic(prefer_literal=True)
def vector_conv(typing, y, x, w, bias, rows, cells_x, cells_y, y_at, x_at, j, geometry, out):
    """`reference_conv` with its sums in registers. `rows`, `cells_x` and `cells_y` are written as literals."""
    check_operands(y, x, w, rows, cells_x, cells_y)
    check_operands(bias, x, w)
    n_rows, n_x, n_y = rows.literal_value, cells_x.literal_value, cells_y.literal_value

    def emit(context, builder, signature, arguments):
        code = CodeGenerator(context, builder, x.dtype)
        y_array, x_array, w_array, bias_array, _, _, _, y_at, x_at, j, geometry, out = arguments
        line, step, stride, kernel_size = cgutils.unpack_tuple(builder, geometry, 4)
        out_height, out_width, filters = cgutils.unpack_tuple(builder, out, 3)
        x_data, w_data, y_data = (code.array(*a).data for a in ((x, x_array), (w, w_array), (y, y_array)))
        none, terms = x_at.type(0), builder.mul(step, x_at.type(n_x))
        lines = stride if n_y > 1 else kernel_size
        # sums[d][r]: for patch r in the row of patches that has the present row of cells at its place d.
        sums = [code.zeros(n_rows) for _ in range(n_y)]
        b = code.load(code.at(code.array(bias, bias_array).data, j))
        code.fill(sums[0], b)

        def add_row_of_cells(row, downs):
            with cgutils.for_range(builder, lines) as of_row:
                y_of_line = code.offset(of_row.index, (row, stride))
                x_line = code.opaque_pointer(code.at(x_data, code.offset(x_at, (y_of_line, line))))
                w_lines = {}
                for d in downs:
                    w_row = builder.mul(code.offset(of_row.index, (d, lines)), terms)
                    w_lines[d] = code.opaque_pointer(code.at(w_data, code.offset(j, (w_row, filters))))
                with cgutils.for_range(builder, step) as p:
                    add_term(x_line, w_lines, p.index)
            if n_y - 1 in downs:
                store_y(builder.sub(row, row.type(n_y - 1)))
            move_on(code, sums, b)

        def add_term(x_line, w_lines, p):
            """Number p of a line of each cell, at all places that the cell has in patches."""
            ws = {}
            for d, w_line in w_lines.items():
                for o in range(n_x):
                    ws[d, o] = code.load(code.at(w_line, builder.mul(code.offset(p, (o, step)), filters)))
            for i in range(n_rows + n_x - 1):
                if i % NEIGHBOURS == 0:
                    pointer = code.opaque_pointer(code.at(x_line, code.offset(p, (i, step))))
                number = code.broadcast(code.at(pointer, code.offset(none, (i % NEIGHBOURS, step))))
                for o in range(max(i - n_rows + 1, 0), min(i + 1, n_x)):
                    for d in w_lines:
                        code.multiply_add(sums[d][i - o], number, ws[d, o])

        def store_y(oy):
            """Store the sums whose rows of cells are all done."""
            for r, slot in enumerate(sums[-1]):
                position = code.offset(none, (oy, out_width), (r, none.type(1)))
                code.store(builder.load(slot), code.at(y_data, code.offset(y_at, (position, filters))))

        for_each_cell(code, out_height, n_y, add_row_of_cells)
        return context.get_dummy_value()

    n = types.intp
    sizes = types.UniTuple(n, 4), types.UniTuple(n, 3)
    return types.none(y, x, w, bias, rows, cells_x, cells_y, n, n, n, *sizes), emit


@intrinsic(prefer_literal=True)
def vector_conv_weights(typing, dw, x, dy, rows, cells_x, cells_y, dw_at, x_at, dy_at, geometry, out):
    """`reference_conv_weights` with its sums in registers. `rows`, `cells_x` and `cells_y` are literals."""
    check_operands(dw, x, dy, rows, cells_x, cells_y)
    n_rows, n_x, n_y = rows.literal_value, cells_x.literal_value, cells_y.literal_value
    all_places = [(d, o) for d in range(n_y) for o in range(n_x)]
    tile = [(d, o, i) for d, o in all_places for i in range(n_rows)]

    def emit(context, builder, signature, arguments):
        code = CodeGenerator(context, builder, x.dtype)
        dw_array, x_array, dy_array, _, _, _, dw_at, x_at, dy_at, geometry, out = arguments
        line, step, stride, _ = cgutils.unpack_tuple(builder, geometry, 4)
        out_height, out_width, filters = cgutils.unpack_tuple(builder, out, 3)
        x_data, dy_data, dw_data = (code.array(*a).data for a in ((x, x_array), (dy, dy_array), (dw, dw_array)))
        none = x_at.type(0)
        sums = dict(zip(tile, code.zeros(len(tile)), strict=True))
        # last[d, o]: dY of the patch that had the last cell at place (d, o).
        last = dict(zip(all_places, code.zeros(len(all_places)), strict=True))

        def add_row_of_cells(row, downs):
            x_row = code.opaque_pointer(code.at(x_data, code.offset(x_at, (row, builder.mul(stride, line)))))
            dy_rows = {}
            for d in downs:
                position = builder.mul(builder.sub(row, row.type(d)), out_width)
                dy_rows[d] = code.opaque_pointer(code.at(dy_data, code.offset(dy_at, (position, filters))))
            # A turn has the cells of a patch's line: its dY then stays in one register from cell to cell.
            add = functools.partial(add_cell, x_row, dy_rows)
            for_each_cell(code, out_width, n_x, add, turn=n_x)

        def add_cell(x_row, dy_rows, cell, places):
            """Some numbers of a cell, at these places in the patches of these rows."""
            pointer = code.opaque_pointer(code.at(x_row, builder.mul(cell, step)))
            dys = {(d, o): dy_of_patch(dy_rows, cell, d, o) for d in dy_rows for o in places}
            for place, vector in dys.items():
                builder.store(vector, last[place])
            for i in range(n_rows):
                number = code.broadcast(code.at(pointer, none.type(i)))
                for d, o in dys:
                    code.multiply_add(sums[d, o, i], number, dys[d, o])

        def dy_of_patch(dy_rows, cell, d, o):
            """dY of the patch that has the cell at place (d, o): it had the cell before at place o - 1."""
            if o > 0:
                return builder.load(last[d, o - 1])
            return code.load(code.at(dy_rows[d], builder.mul(cell, filters)))

        for_each_cell(code, out_height, n_y, add_row_of_cells)
        terms = builder.mul(step, none.type(n_x))
        for d, o, i in tile:
            row = code.offset(none.type(i), (builder.mul(stride, none.type(d)), terms), (o, step))
            to = code.at(dw_data, code.offset(dw_at, (row, filters)))
            code.add_to(builder.load(sums[d, o, i]), to)
        return context.get_dummy_value()

    n = types.intp
    return types.none(dw, x, dy, rows, cells_x, cells_y, n, n, n, types.UniTuple(n, 4), types.UniTuple(n, 3)), emit


tile_conv = reference_conv if DISABLED else vector_conv
tile_conv_weights = reference_conv_weights if DISABLED else vector_conv_weights
