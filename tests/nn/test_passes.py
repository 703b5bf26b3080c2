"""Forward and backward of whole networks: against the reference, and against central differences in float64."""

import numpy as np
import pytest
from support.networks import NETWORKS, Segment, every_network
from support.numerics import assert_close, slope

from numasync.nn import reference
from numasync.nn.passes import copy_state, reset_state
from numasync.nn.table import OUT_AT

RELATIVE = 1e-6
SMALLEST_STEP = 1e-9


@every_network
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_backward_match_the_reference(name, dtype):
    segment = Segment(NETWORKS[name], 3, dtype)
    net, theta, obs = segment.net, segment.theta.astype(np.float64), segment.obs.astype(np.float64)
    segment.forward()
    layers = reference.network_forward(obs, theta, net)
    expected = dict(zip(segment.table[:, OUT_AT], layers))  # a relu takes the place of its input
    blocks = segment.blocks()
    assert blocks.keys() == expected.keys()
    for at, block in blocks.items():
        assert_close(block, expected[at].reshape(block.shape))

    gradient = reference.network_backward(segment.dout.astype(np.float64), layers, obs, theta, net)
    segment.backward(3)
    for parameter, view in net.views(segment.grad).items():
        assert_close(view, net.views(gradient)[parameter])
    twice = 2 * segment.grad
    segment.backward(3)
    assert_close(segment.grad, twice)  # added to, not written


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
    parameters = segment.net.views(everything)
    for measured in [parameters.pop(name) for name in list(parameters) if name.startswith("normalize")]:
        measured[:] = 0.0  # nothing is learned of it
    directions = [everything]
    for parameter in parameters:
        direction = np.zeros_like(grad)
        segment.net.views(direction)[parameter][:] = segment.net.views(everything)[parameter]
        directions.append(direction)

    def projected(theta):
        segment.theta = theta
        return np.sum(segment.forward() * segment.dout)

    theta, errors = segment.theta, []
    for direction in directions:
        segment.theta = theta
        expected = slope(projected, theta, direction, smooth_step(segment, direction))
        errors.append(abs(grad @ direction - expected) / abs(expected))
    return max(errors)


@every_network
def test_gradient(name):
    assert worst_slope_error(Segment(NETWORKS[name], 2, np.float64), 2) < RELATIVE


recurrent = pytest.mark.parametrize("name", ["lstm", "conv and lstm", "towers", "normalized towers"])


class TwoEpisodes(Segment):
    """A segment in which an episode ends before row 3."""

    def forward(self):
        super().forward(0, 3)
        reset_state(self.tape, self.table, 3, len(self.obs))
        return super().forward(3, len(self.obs))


@recurrent
def test_an_end_inside_a_segment_parts_two_episodes(name):
    segment = TwoEpisodes(NETWORKS[name], 5, np.float64)
    net, theta, obs = segment.net, segment.theta, segment.obs
    layers = reference.network_forward(obs, theta, net, begins=[3])
    assert_close(segment.forward(), layers[-1])
    gradient = reference.network_backward(segment.dout, layers, obs, theta, net, begins=[3])
    assert_close(segment.backward(5), gradient)


@recurrent
def test_gradient_with_an_end_inside_the_segment(name):
    assert worst_slope_error(TwoEpisodes(NETWORKS[name], 5, np.float64), 5) < RELATIVE


@recurrent
def test_a_segment_goes_on_from_the_states_that_are_copied(name):
    whole, first, second = (Segment(NETWORKS[name], 4, np.float64) for _ in range(3))
    expected = whole.forward()
    first.forward(0, 2)
    copy_state(second.tape, first.tape, first.table, 0, 2, 4)
    second.obs[:2] = whole.obs[2:]
    assert_close(second.forward(0, 2)[:2], expected[2:])


@pytest.mark.parametrize("name", ["mlp", "small", "lstm", "conv and lstm"])
def test_acting_row_by_row_fills_the_tape_of_one_batch(name):
    batch, acting = Segment(NETWORKS[name], 6, np.float32), Segment(NETWORKS[name], 6, np.float32)
    batch.forward()
    for t in range(6):
        acting.forward(t, t + 1)
        for block in acting.blocks().values():
            assert np.isfinite(block[: t + 1]).all() and np.isnan(block[t + 1 :]).all()
    written = np.isfinite(batch.tape)
    np.testing.assert_array_equal(np.isfinite(acting.tape), written)
    assert_close(acting.tape[written], batch.tape[written])


@pytest.mark.parametrize("name", ["mlp", "small", "conv and lstm"])
@pytest.mark.parametrize("n", [1, 3, 5])
def test_backward_over_a_part_of_the_rows(name, n):
    segment = Segment(NETWORKS[name], 6, np.float64)
    segment.forward()
    segment.obs[n:] = np.nan
    for block in segment.blocks().values():
        block[n:] = np.nan
    grad = segment.backward(n)
    net, theta, obs = segment.net, segment.theta, segment.obs[:n]
    layers = reference.network_forward(obs, theta, net)
    assert_close(grad, reference.network_backward(segment.dout[:n], layers, obs, theta, net))
