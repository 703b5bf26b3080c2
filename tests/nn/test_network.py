"""Whole networks: against the twin, against central differences in float64, and how theta and the tape are laid out."""

import json

from support import naive
import numpy as np
import pytest

from numasync.errors import InputError
from numasync.nn.network import (
    ARCHITECTURES,
    OUT_AT,
    OUT_SIZE,
    Layer,
    backward,
    block_rows,
    conv,
    copy_state,
    dense,
    forward,
    heads,
    lstm,
    network,
    outputs_of,
    relu,
    reset_state,
    towers,
)
from numasync.runtime.jit import DISABLED, python_source

RELATIVE = 1e-6
SMALLEST_STEP = 1e-9

NETWORKS = {
    "linear": network((5,), heads(3)),
    "mlp": network((4,), *ARCHITECTURES["mlp"], heads(2, 1)),
    "small": network((8, 7, 2), conv(5, 3, 2), relu(), conv(4, 2), relu(), dense(9), relu(), heads(3, 1)),
    "lstm": network((5,), lstm(6), heads(3, 1)),
    "conv and lstm": network((6, 7, 2), conv(5, 3, 2), relu(), dense(9), relu(), lstm(4), lstm(5), heads(3, 1)),
    "towers": network((5,), towers((dense(7), relu(), heads(3, 1)), (lstm(4), dense(6), relu(), heads(1)))),
    "minatar": network((10, 10, 4), *ARCHITECTURES["minatar"], heads(3, 1)),
    "nips": network((84, 84, 4), *ARCHITECTURES["nips"], heads(4, 1)),  # the paper's network for A3C on Breakout
    "nature": network((84, 84, 4), *ARCHITECTURES["nature"], heads(4)),
}
heavy = pytest.mark.skipif(DISABLED, reason="takes minutes interpreted")
every_network = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=heavy if name in ("minatar", "nips", "nature") else ()) for name in NETWORKS]
)


class Segment:
    """Parameters, observations and output gradients of `rows` rows, and the arrays that the kernels write."""

    def __init__(self, name, rows, dtype):
        self.net = NETWORKS[name]
        generator = np.random.default_rng(8)
        self.theta = self.net.initial(1).astype(dtype)
        self.obs = generator.standard_normal((rows, self.net.n_inputs)).astype(dtype)
        self.dout = generator.standard_normal((rows, self.net.n_outputs)).astype(dtype)
        self.tape, self.dtape = self.net.tape(rows, dtype), self.net.tape(rows, dtype)
        self.tape[:] = self.dtape[:] = np.nan  # whoever reads before writing shows
        reset_state(self.net.table, self.tape, 0, rows)
        self.grad = np.zeros_like(self.theta)
        self.work = np.full(self.net.n_work, np.nan, dtype)

    def forward(self, first=0, last=None):
        forward(self.net.table, self.theta, self.obs, self.tape, first, len(self.obs) if last is None else last)
        return self.outputs(self.tape)

    def backward(self, n):
        self.outputs(self.dtape)[:n] = self.dout[:n]
        backward(self.net.table, self.theta, self.obs, self.tape, self.dtape, self.grad, self.work, n)
        return self.grad

    def outputs(self, tape):
        return python_source(outputs_of)(self.net.table, tape, len(self.obs))

    def blocks(self):
        """The tape as {begin of a block: the block}."""
        columns = self.net.table[:, [OUT_AT, OUT_SIZE]]
        rows = len(self.obs)
        return {at: python_source(block_rows)(self.tape, rows, at, size, 0, rows) for at, size in columns}


@every_network
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_backward_match_the_twin(name, dtype):
    segment = Segment(name, 3, dtype)
    net, theta, obs = segment.net, segment.theta.astype(np.float64), segment.obs.astype(np.float64)
    segment.forward()
    layers = naive.network_forward(net, theta, obs)
    expected = dict(zip(net.table[:, OUT_AT], layers))  # a relu takes the place of its input
    blocks = segment.blocks()
    assert blocks.keys() == expected.keys()
    for at, block in blocks.items():
        naive.assert_close(block, expected[at].reshape(block.shape))

    gradient = naive.network_backward(net, theta, obs, layers, segment.dout.astype(np.float64))
    segment.backward(3)
    for parameter, view in net.views(segment.grad).items():
        naive.assert_close(view, net.views(gradient)[parameter])
    twice = 2 * segment.grad
    segment.backward(3)
    naive.assert_close(segment.grad, twice)  # added to, not written


def smooth_step(segment, direction):
    """A step along `direction` at either end of which the same units are on: in between, the network is a polynomial.

    Without this a relu that switches off inside the step would be measured, which has nothing to do with the gradient.
    """
    theta, step = segment.theta, 1e-6
    while step > SMALLEST_STEP:
        on = []
        for shift in (-step, 0, step):
            segment.theta = theta + shift * direction
            segment.forward()
            on.append(segment.tape > 0)
        if (on[0] == on[1]).all() and (on[1] == on[2]).all():
            return step
        step /= 4
    raise AssertionError("no step without a kink: take another seed")


def worst_slope_error(segment, rows):
    """The largest relative error of a slope: along all parameters at once, and along each named one by itself."""
    segment.forward()
    grad = segment.backward(rows)
    generator = np.random.default_rng(9)
    everything = generator.standard_normal(grad.size)
    directions = [everything]
    for parameter in segment.net.views(grad):
        direction = np.zeros_like(grad)
        segment.net.views(direction)[parameter][:] = segment.net.views(everything)[parameter]
        directions.append(direction)

    def projected(theta):
        segment.theta = theta
        return np.sum(segment.forward() * segment.dout)

    theta, errors = segment.theta, []
    for direction in directions:
        segment.theta = theta
        expected = naive.slope(projected, theta, direction, smooth_step(segment, direction))
        errors.append(abs(grad @ direction - expected) / abs(expected))
    return max(errors)


@every_network
def test_gradient(name):
    assert worst_slope_error(Segment(name, 2, np.float64), 2) < RELATIVE


recurrent = pytest.mark.parametrize("name", ["lstm", "conv and lstm", "towers"])


class TwoEpisodes(Segment):
    """A segment in which an episode ends before row 3."""

    def forward(self):
        super().forward(0, 3)
        reset_state(self.net.table, self.tape, 3, len(self.obs))
        return super().forward(3, len(self.obs))


@recurrent
def test_an_end_inside_a_segment_parts_two_episodes(name):
    segment = TwoEpisodes(name, 5, np.float64)
    layers = naive.network_forward(segment.net, segment.theta, segment.obs, begins=[3])
    naive.assert_close(segment.forward(), layers[-1])
    gradient = naive.network_backward(segment.net, segment.theta, segment.obs, layers, segment.dout, begins=[3])
    naive.assert_close(segment.backward(5), gradient)


@recurrent
def test_gradient_with_an_end_inside_the_segment(name):
    assert worst_slope_error(TwoEpisodes(name, 5, np.float64), 5) < RELATIVE


@recurrent
def test_a_segment_goes_on_from_the_states_that_are_carried(name):
    whole, first, second = (Segment(name, 4, np.float64) for _ in range(3))
    expected = whole.forward()
    first.forward(0, 2)
    copy_state(first.net.table, first.tape, 2, second.tape, 0, 4)
    second.obs[:2] = whole.obs[2:]
    naive.assert_close(second.forward(0, 2)[:2], expected[2:])


@pytest.mark.parametrize("name", ["mlp", "small", "lstm", "conv and lstm"])
def test_acting_row_by_row_fills_the_tape_of_one_batch(name):
    batch, acting = Segment(name, 6, np.float32), Segment(name, 6, np.float32)
    batch.forward()
    for t in range(6):
        acting.forward(t, t + 1)
        for block in acting.blocks().values():
            assert np.isfinite(block[: t + 1]).all() and np.isnan(block[t + 1 :]).all()
    naive.assert_close(acting.tape, batch.tape)


@pytest.mark.parametrize("name", ["mlp", "small", "conv and lstm"])
@pytest.mark.parametrize("n", [1, 3, 5])
def test_backward_over_a_part_of_the_rows(name, n):
    segment = Segment(name, 6, np.float64)
    segment.forward()
    segment.obs[n:] = np.nan
    for block in segment.blocks().values():
        block[n:] = np.nan
    grad = segment.backward(n)
    net, obs = segment.net, segment.obs[:n]
    layers = naive.network_forward(net, segment.theta, obs)
    naive.assert_close(grad, naive.network_backward(net, segment.theta, obs, layers, segment.dout[:n]))


@pytest.mark.parametrize("sizes, count", [((4, 1), 677_429), ((4,), 677_172)])
def test_parameters_of_the_papers_network(sizes, count):
    # 677,429 is with the policy's four logits and the value; four Q values alone are 257 fewer.
    assert network((84, 84, 4), *ARCHITECTURES["nips"], heads(*sizes)).n_parameters == count


def test_views_have_the_papers_shapes():
    net = NETWORKS["nips"]
    assert {name: view.shape for name, view in net.views(np.zeros(net.n_parameters)).items()} == {
        "conv1.weight": (8, 8, 4, 16),
        "conv1.bias": (16,),
        "conv2.weight": (4, 4, 16, 32),
        "conv2.bias": (32,),
        "dense1.weight": (9 * 9 * 32, 256),
        "dense1.bias": (256,),
        "heads.weight": (256, 5),
        "heads.bias": (5,),
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_views_cover_theta_exactly_once(name):
    net = NETWORKS[name]
    theta = np.zeros(net.n_parameters, np.float32)
    for view in net.views(theta).values():
        view += 1  # through the view: it aliases theta
    np.testing.assert_array_equal(theta, 1)


def test_a_cell_remembers_at_first():
    net = NETWORKS["lstm"]
    bias = net.views(net.initial(1))["lstm1.bias"]
    np.testing.assert_array_equal(bias[6:12], 1)
    others = np.delete(bias, range(6, 12))
    assert np.abs(others).max() < 1 / np.sqrt(5 + 6) and len(set(others)) == 18


@pytest.mark.parametrize("name", ["small", "nips"])
def test_initial_is_uniform_within_the_fan_in(name):
    net = NETWORKS[name]
    theta = net.initial(3)
    assert theta.dtype == np.float32 and theta.shape == (net.n_parameters,)
    named = net.views(theta)
    for parameter, view in named.items():
        fan_in = np.prod(named[parameter.replace("bias", "weight")].shape[:-1])
        bound = 1 / np.sqrt(fan_in)
        assert np.abs(view).max() <= np.float32(bound)
        if view.size > 1000:
            assert np.abs(view).max() > 0.98 * bound
            assert abs(view.mean()) < 5 * bound / np.sqrt(3 * view.size)
            assert view.std() == pytest.approx(bound / np.sqrt(3), rel=5 / np.sqrt(view.size))


def test_initial_depends_on_the_seed_alone():
    net = NETWORKS["small"]
    np.testing.assert_array_equal(net.initial(3), net.initial(3))
    np.testing.assert_array_equal(net.initial(3), net.initial(np.random.SeedSequence(3)))
    assert not np.isin(net.initial(3), net.initial(4)).any()


def test_names_and_sizes():
    net = NETWORKS["small"]
    assert net.names == ["conv1", "relu", "conv2", "relu", "dense1", "relu", "heads"]
    assert (net.n_inputs, net.n_outputs, net.width) == (8 * 7 * 2, 4, 3 * 3 * 5 + 2 * 2 * 4 + 9 + 4)


@pytest.mark.parametrize(
    "shape, layers, message",
    [
        ((6,), [conv(4, 3)], "height, width, channels"),
        ((5, 5, 1), [dense(4), relu(), conv(4, 3)], "height, width, channels"),
        ((6,), [relu(), heads(2)], "cannot be the first layer"),
        ((4, 9, 1), [conv(4, 5)], "at least as large"),
        ((9, 4, 1), [conv(4, 5)], "at least as large"),
        ((9, 9, 1), [conv(4, 5), conv(4, 6)], "at least as large"),
        ((9, 9, 1), [conv(0, 3)], "below 1"),
        ((9, 9, 1), [conv(4, 0)], "below 1"),
        ((9, 9, 1), [conv(4, 3, stride=0)], "below 1"),
        ((9, 9, 1), [conv(4, 3, stride=-1)], "below 1"),
        ((6,), [dense(0)], "below 1"),
        ((6,), [heads(2, -1)], "below 1"),
        ((6,), [lstm(0)], "below 1"),
        ((6,), [towers([heads(2)], [heads(1)]), relu()], "no layer can stand before or behind"),
        ((6,), [dense(2), towers([heads(2)], [heads(1)])], "no layer can stand before or behind"),
        ((6,), [Layer("pool", (2,))], "'pool' is no layer"),
    ],
)
def test_what_cannot_be_built_says_why(shape, layers, message):
    with pytest.raises(InputError, match=message):
        network(shape, *layers)


@pytest.mark.parametrize("size", [2.5, "2", None, (2,), True])
@pytest.mark.parametrize("layer", [dense, lstm, heads, lambda size: conv(size, 3), lambda size: conv(4, 3, size)])
def test_sizes_are_whole_numbers(layer, size):
    with pytest.raises(InputError, match="has a size that is no whole number"):
        layer(size)


def test_a_size_may_be_numpys():
    size = np.int64(2)
    assert [dense(size), conv(size, size, size), heads(size)] == [dense(2), conv(2, 2, 2), heads(2)]
    assert json.dumps([dense(size).sizes, conv(size, size).sizes, lstm(size).sizes]) == "[[2], [2, 2, 1], [2]]"
