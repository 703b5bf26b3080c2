"""Measure whole networks: forward on one row and on a segment, and backward on a segment."""

from collections.abc import Iterator

import numpy as np

from numasync.nn.network import Network
from numasync.nn.passes import forward
from numasync.nn.table import IN_AT, WEIGHT_ROWS
from numasync.runtime.jit import FLOAT
from numasync.tools.bench.comparison import Comparison, compare, random_array, repeat
from numasync.tools.bench.layers import backward_products, forward_products
from numasync.tools.bench.repeated import repeat_backward, repeat_forward
from numasync.tools.bench.section import Options, Section
from numasync.tools.bench.workloads import make_networks


def measure(options: Options) -> Section:
    """Compare the passes of each network with NumPy's products. Ours include all work between the products."""
    networks = make_networks().items()
    return compare([c for name, (net, rows) in networks for c in network_comparisons(name, net, rows)], options)


def network_comparisons(name: str, net: Network, segment: int) -> Iterator[Comparison]:
    """Yield the Comparisons of one network. A forward fills the tape that backward reads.

    name     the network's name in the table of results
    net      the network
    segment  the rows of a segment
    """
    layers = [row for row in net.rows if row[WEIGHT_ROWS] > 0]
    theta, obs = net.initial(1), random_array(segment, net.n_inputs)
    tape = net.tape(segment)
    dtape = random_array(tape.size)
    forward(tape, obs, theta, net.table, 0, segment)
    for rows in (1, segment):
        products = [operands for row in layers for operands in forward_products(row, rows)]
        ours = repeat(repeat_forward, tape, obs, theta, net.table, 0, rows)
        yield Comparison({"network": name, "pass": "forward", "rows": rows}, ours, products)
    products = [operands for row in layers for operands in backward_products(row, segment, row[IN_AT] >= 0)]
    grad, work = np.zeros_like(theta), np.zeros(net.n_work, FLOAT)
    ours = repeat(repeat_backward, dtape, grad, tape, obs, theta, work, net.table, segment)
    yield Comparison({"network": name, "pass": "backward", "rows": segment}, ours, products)
