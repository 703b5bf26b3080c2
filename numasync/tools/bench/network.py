"""Whole networks: forward on one row and on a segment, backward on a segment, with everything between the products."""

import numpy as np

from numasync.nn.network import IN_AT, KIND, RELU, forward
from numasync.runtime.jit import FLOAT
from numasync.tools.bench.contest import Contest, contests, numbers, repeated
from numasync.tools.bench.layers import backward_dots, forward_dots
from numasync.tools.bench.repeated import repeat_backward, repeat_forward
from numasync.tools.bench.subjects import networks


def measure(options):
    return contests([entry for name, (net, rows) in networks().items() for entry in passes(name, net, rows)], options)


def passes(name, net, segment):
    """The Contests of one network; both of its backward's tapes are filled by a forward."""
    products = [row for row in net.table.tolist() if row[KIND] != RELU]
    theta, obs = net.initial(1), numbers(segment, net.n_inputs)
    tape = net.tape(segment)
    dtape = numbers(tape.size)
    forward(net.table, theta, obs, tape, 0, segment)
    for rows in (1, segment):
        dots = [dot for row in products for dot in forward_dots(row, rows)]
        ours = repeated(repeat_forward, net.table, theta, obs, tape, 0, rows)
        yield Contest({"network": name, "pass": "forward", "rows": rows}, ours, dots)
    dots = [dot for row in products for dot in backward_dots(row, segment, row[IN_AT] >= 0)]
    grad, work = np.zeros_like(theta), np.zeros(net.n_work, FLOAT)
    ours = repeated(repeat_backward, net.table, theta, obs, tape, dtape, grad, work, segment)
    yield Contest({"network": name, "pass": "backward", "rows": segment}, ours, dots)
