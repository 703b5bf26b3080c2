"""The register tiles of a convolution whose patches overlap: a number of the image is loaded once for all patches that
hold it. What a tile is, see `tile.py`.

Where the kernel is twice or three times as wide as its stride, the image falls into cells, `stride` lines high and
`stride` columns wide, and a patch is a square of 2 x 2 or 3 x 3 cells. A cell then lies in 4 or 9 patches, at another
place in each. Both tiles keep sums for several places at once, and load what is in the cell once for all of them:

    tile_convolution           Y = b + X W   the sums of neighbouring patches, from the top of the image to its bottom
    tile_convolution_weights   dW += X^T dY  the sums of a few numbers in a line of a cell, over all cells of the image

`across` and `down` say how many places beside and above each other share a load: as many as a patch is cells wide, or 1
down, which needs fewer registers. As in `tile.py`, each tile has a plain twin that says what it does.

The image is flat: number p = (column, channel) of line y is x[at + y line + p]. A patch begins `step` = stride *
channels numbers after the one beside it. geometry: (line, step, stride, kernel_size). out: (out_height, out_width,
filters), the shape of Y. In w, number p of a patch's line ky is row ky across step + p.
"""

import functools

from numba.core import cgutils, types
from numba.extending import intrinsic

from numasync.nn.products.codegen import LANES, Emitter
from numasync.nn.products.tile import check_operands
from numasync.runtime.jit import DISABLED

# Patches whose addresses are told from one pointer: one for each would need more registers than there are.
NEIGHBOURS = 6


def plain_convolution(rows, across, down, x, at, geometry, w, bias, j, y, y_at, out):
    """Y[oy, ox, q] = b[j + q] + sum over (ky, p) of X[oy stride + ky, ox step + p] W[ky, p, j + q] for all oy, for
    ox < rows and q < LANES.

    w: (kernel_size * across * step, filters); bias: (filters,). Y[oy, ox, q] = y[y_at + (oy out_width + ox) filters +
    q]; x and y: flat. across * stride is kernel_size; so is down * stride, or down is 1.
    """
    line, step, stride, kernel_size = geometry
    out_height, out_width, filters = out
    for oy in range(out_height):
        for ox in range(rows):
            begin = y_at + (oy * out_width + ox) * filters
            sums = y[begin : begin + LANES]
            sums[:] = bias[j : j + LANES]
            for ky in range(kernel_size):
                for p in range(across * step):
                    number = x[at + (oy * stride + ky) * line + ox * step + p]
                    sums += number * w[ky * across * step + p, j : j + LANES]


def plain_convolution_weights(rows, across, down, x, at, geometry, dy, dy_at, out, dw, dw_at):
    """dW[d stride, o step + p, q] += sum over all (oy, ox) of X[(oy + d) stride, (ox + o) step + p] dY[oy, ox, q] for
    d < down, o < across, p < rows and q < LANES: the share of the line and the p that `at` and `dw_at` stand for.

    dY[oy, ox, q] = dy[dy_at + (oy out_width + ox) filters + q], dW[ky, p, q] = dw[dw_at + (ky across step + p)
    filters + q]; all flat. out_width >= across.
    """
    line, step, stride, _ = geometry
    out_height, out_width, filters = out
    for d in range(down):
        for p in [o * step + i for o in range(across) for i in range(rows)]:
            begin = dw_at + (d * stride * across * step + p) * filters
            sums = dw[begin : begin + LANES]
            for oy in range(out_height):
                for ox in range(out_width):
                    dy_begin = dy_at + (oy * out_width + ox) * filters
                    sums += x[at + (oy + d) * stride * line + ox * step + p] * dy[dy_begin : dy_begin + LANES]


def for_each_cell(emitter, patches, places, body, turn=1):
    """body(cell, wanted) for each of the patches + places - 1 cells that this many neighbouring patches lie on. wanted:
    the places that the cell has in them; a cell at an end lies in fewer patches. patches >= places - 1. turn: how many
    cells a turn of the loop has."""
    builder, first = emitter.builder, patches.type(places - 1)
    for i in range(places - 1):
        body(patches.type(i), range(i + 1))
    middle = builder.sub(patches, first)
    emitter.for_each(middle, turn, lambda i, _: body(builder.add(i, first), range(places)))
    for i in range(places - 1):
        body(builder.add(patches, patches.type(i)), range(i + 1, places))


def move_on(emitter, sums, bias):
    """The next row of cells lies one place further down in all patches: their sums change places, and those of patches
    that begin there begin."""
    for slots, above in zip(sums[:0:-1], sums[-2::-1]):
        for slot, other in zip(slots, above):
            emitter.builder.store(emitter.builder.load(other), slot)
    emitter.fill(sums[0], bias)


@intrinsic(prefer_literal=True)
def emitted_convolution(typing, rows, across, down, x, at, geometry, w, bias, j, y, y_at, out):
    """`plain_convolution` with its sums in registers. `rows`, `across` and `down` are written as literals."""
    check_operands(x, w, y, rows, across, down)
    check_operands(x, w, bias)
    n_rows, n_across, n_down = rows.literal_value, across.literal_value, down.literal_value

    def emit(context, builder, signature, arguments):
        emitter = Emitter(context, builder, x.dtype)
        _, _, _, x_array, at, geometry, w_array, bias_array, j, y_array, y_at, out = arguments
        line, step, stride, kernel_size = cgutils.unpack_tuple(builder, geometry, 4)
        out_height, out_width, filters = cgutils.unpack_tuple(builder, out, 3)
        x_data, w_data, y_data = (emitter.array(*a).data for a in ((x, x_array), (w, w_array), (y, y_array)))
        none, terms = at.type(0), builder.mul(step, at.type(n_across))
        lines = stride if n_down > 1 else kernel_size
        # sums[d][r]: of patch r in the row of patches that has the present row of cells at its place d.
        sums = [emitter.zeros(n_rows) for _ in range(n_down)]
        b = emitter.load(emitter.at(emitter.array(bias, bias_array).data, j))
        emitter.fill(sums[0], b)

        def add_row_of_cells(row, downs):
            with cgutils.for_range(builder, lines) as of_row:
                y_of_line = emitter.offset(of_row.index, (row, stride))
                x_line = emitter.apart(emitter.at(x_data, emitter.offset(at, (y_of_line, line))))
                w_lines = {}
                for d in downs:
                    w_row = builder.mul(emitter.offset(of_row.index, (d, lines)), terms)
                    w_lines[d] = emitter.apart(emitter.at(w_data, emitter.offset(j, (w_row, filters))))
                with cgutils.for_range(builder, step) as p:
                    add_term(x_line, w_lines, p.index)
            if n_down - 1 in downs:
                store_y(builder.sub(row, row.type(n_down - 1)))
            move_on(emitter, sums, b)

        def add_term(x_line, w_lines, p):
            """Number p of a line of each cell, at all places that the cell has in patches."""
            ws = {}
            for d, w_line in w_lines.items():
                for o in range(n_across):
                    ws[d, o] = emitter.load(emitter.at(w_line, builder.mul(emitter.offset(p, (o, step)), filters)))
            for i in range(n_rows + n_across - 1):
                if i % NEIGHBOURS == 0:
                    pointer = emitter.apart(emitter.at(x_line, emitter.offset(p, (i, step))))
                number = emitter.broadcast(emitter.at(pointer, emitter.offset(none, (i % NEIGHBOURS, step))))
                for o in range(max(i - n_rows + 1, 0), min(i + 1, n_across)):
                    for d in w_lines:
                        emitter.multiply_add(sums[d][i - o], number, ws[d, o])

        def store_y(oy):
            """The last of their rows of cells is done."""
            for r, slot in enumerate(sums[-1]):
                position = emitter.offset(none, (oy, out_width), (r, none.type(1)))
                emitter.store(builder.load(slot), emitter.at(y_data, emitter.offset(y_at, (position, filters))))

        for_each_cell(emitter, out_height, n_down, add_row_of_cells)
        return context.get_dummy_value()

    n = types.intp
    return types.none(rows, across, down, x, n, types.UniTuple(n, 4), w, bias, n, y, n, types.UniTuple(n, 3)), emit


@intrinsic(prefer_literal=True)
def emitted_convolution_weights(typing, rows, across, down, x, at, geometry, dy, dy_at, out, dw, dw_at):
    """`plain_convolution_weights` with its sums in registers. `rows`, `across` and `down` are written as literals."""
    check_operands(x, dy, dw, rows, across, down)
    n_rows, n_across, n_down = rows.literal_value, across.literal_value, down.literal_value
    all_places = [(d, o) for d in range(n_down) for o in range(n_across)]
    tile = [(d, o, i) for d, o in all_places for i in range(n_rows)]

    def emit(context, builder, signature, arguments):
        emitter = Emitter(context, builder, x.dtype)
        _, _, _, x_array, at, geometry, dy_array, dy_at, out, dw_array, dw_at = arguments
        line, step, stride, _ = cgutils.unpack_tuple(builder, geometry, 4)
        out_height, out_width, filters = cgutils.unpack_tuple(builder, out, 3)
        x_data, dy_data, dw_data = (emitter.array(*a).data for a in ((x, x_array), (dy, dy_array), (dw, dw_array)))
        none = at.type(0)
        sums = dict(zip(tile, emitter.zeros(len(tile))))
        # last[d, o]: dY of the patch that had the last cell at place (d, o).
        last = dict(zip(all_places, emitter.zeros(len(all_places))))

        def add_row_of_cells(row, downs):
            x_row = emitter.apart(emitter.at(x_data, emitter.offset(at, (row, builder.mul(stride, line)))))
            dy_rows = {}
            for d in downs:
                position = builder.mul(builder.sub(row, row.type(d)), out_width)
                dy_rows[d] = emitter.apart(emitter.at(dy_data, emitter.offset(dy_at, (position, filters))))
            # As many cells in a turn as are in a row of a patch: its dY then stays in one register from cell to cell.
            add = functools.partial(add_cell, x_row, dy_rows)
            for_each_cell(emitter, out_width, n_across, add, turn=n_across)

        def add_cell(x_row, dy_rows, cell, places):
            """Some numbers of a cell, at these places in the patches of these rows."""
            pointer = emitter.apart(emitter.at(x_row, builder.mul(cell, step)))
            dys = {(d, o): dy_of_patch(dy_rows, cell, d, o) for d in dy_rows for o in places}
            for place, vector in dys.items():
                builder.store(vector, last[place])
            for i in range(n_rows):
                number = emitter.broadcast(emitter.at(pointer, none.type(i)))
                for d, o in dys:
                    emitter.multiply_add(sums[d, o, i], number, dys[d, o])

        def dy_of_patch(dy_rows, cell, d, o):
            """dY of the patch that has the cell at place (d, o): it had the cell before at place o - 1."""
            if o > 0:
                return builder.load(last[d, o - 1])
            return emitter.load(emitter.at(dy_rows[d], builder.mul(cell, filters)))

        for_each_cell(emitter, out_height, n_down, add_row_of_cells)
        terms = builder.mul(step, none.type(n_across))
        for d, o, i in tile:
            row = emitter.offset(none.type(i), (builder.mul(stride, none.type(d)), terms), (o, step))
            to = emitter.at(dw_data, emitter.offset(dw_at, (row, filters)))
            emitter.add_to(builder.load(sums[d, o, i]), to)
        return context.get_dummy_value()

    n = types.intp
    return types.none(rows, across, down, x, n, types.UniTuple(n, 4), dy, n, types.UniTuple(n, 3), dw, n), emit


tile_convolution = plain_convolution if DISABLED else emitted_convolution
tile_convolution_weights = plain_convolution_weights if DISABLED else emitted_convolution_weights
