"""Networks of every kind of layer, and a segment played on one, with the arrays that the kernels write."""

from typing import Any

import numpy as np
import pytest

from numasync.nn.architectures import ARCHITECTURES
from numasync.nn.network import Network, network
from numasync.nn.passes import backward, forward, outputs_of, reset_state
from numasync.nn.spec import conv, dense, heads, lstm, relu, towers
from numasync.nn.table import OUT_AT, OUT_SIZE, block_rows
from numasync.runtime.jit import python_source

NETWORKS = {
    "linear": network((5,), heads(3)),
    "mlp": network((4,), *ARCHITECTURES["mlp"], heads(2, 1)),
    "small": network((8, 7, 2), conv(5, 3, 2), relu(), conv(4, 2), relu(), dense(9), relu(), heads(3, 1)),
    "lstm": network((5,), lstm(6), heads(3, 1)),
    "conv and lstm": network((6, 7, 2), conv(5, 3, 2), relu(), dense(9), relu(), lstm(4), lstm(5), heads(3, 1)),
    "towers": network((5,), towers((dense(7), relu(), heads(3, 1)), (lstm(4), dense(6), relu(), heads(1)))),
    "normalized": network((5,), dense(7), relu(), heads(3, 1), normalize=True),
    "normalized towers": network((5,), towers((dense(7), heads(3, 1)), (lstm(4), heads(1))), normalize=True),
    "minatar": network((10, 10, 4), *ARCHITECTURES["minatar"], heads(3, 1)),
    "nips": network((84, 84, 4), *ARCHITECTURES["nips"], heads(4, 1)),  # the paper's network for A3C on Breakout
    "nature": network((84, 84, 4), *ARCHITECTURES["nature"], heads(4)),
}
# Minutes where they are interpreted.
HEAVY = ("minatar", "nips", "nature")

every_network = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.compiled if name in HEAVY else ()) for name in NETWORKS]
)


class Segment:
    """Parameters, observations and gradients of the outputs of `rows` rows, and the arrays that the kernels write."""

    def __init__(self, net: Network, rows: int, dtype: Any) -> None:
        self.net = net
        generator = np.random.default_rng(8)
        self.table = self.net.table_for(dtype)
        self.theta = self.net.initial(1).astype(dtype)
        if net.normalize:
            self.net.views(self.theta)["normalize.moments"][:] = generator.uniform(0.5, 2.0, (2, net.n_inputs))
        self.obs = generator.standard_normal((rows, self.net.n_inputs)).astype(dtype)
        self.dout = generator.standard_normal((rows, self.net.n_outputs)).astype(dtype)
        self.tape, self.dtape = self.net.tape(rows, dtype), self.net.tape(rows, dtype)
        self.tape[:] = self.dtape[:] = np.nan  # whoever reads before writing shows
        reset_state(self.tape, self.table, 0, rows)
        self.grad = np.zeros_like(self.theta)
        self.work = np.full(self.net.n_work, np.nan, dtype)

    def forward(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Fill rows first..last-1 of the tape; return the outputs, a copy of all rows."""
        forward(self.tape, self.obs, self.theta, self.table, first, len(self.obs) if last is None else last)
        return self.outputs(self.tape).copy()

    def backward(self, n: int) -> np.ndarray:
        """Add the gradient of rows 0..n-1, and return it."""
        self.outputs(self.dtape)[:n] = self.dout[:n]
        backward(self.dtape, self.grad, self.tape, self.obs, self.theta, self.work, self.table, n)
        return self.grad

    def outputs(self, tape: np.ndarray) -> np.ndarray:
        """Return the block of the network's outputs: a view that does not keep the tape alive."""
        return python_source(outputs_of)(tape, self.table, len(self.obs))

    def blocks(self) -> dict[int, np.ndarray]:
        """Return the outputs of the layers on the tape as {begin of a block: the block}."""
        columns = self.table[:, [OUT_AT, OUT_SIZE]]
        rows = len(self.obs)
        return {at: python_source(block_rows)(self.tape, rows, at, size, 0, rows) for at, size in columns}
