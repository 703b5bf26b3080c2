"""The layer that normalises observations: against the reference, and what becomes of bad numbers."""

import numpy as np
import pytest
from support.networks import NETWORKS, Segment
from support.numerics import assert_close, drawer

from numasync import InputError
from numasync.nn import reference
from numasync.nn.layers.normalize import normalize_forward
from numasync.nn.network import Network, network
from numasync.nn.spec import Layer, dense, heads


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalized_numbers_match_the_reference(dtype):
    draw = drawer(dtype)
    x, moments = 30 * draw(6, 9), np.abs(draw(2, 9)) + dtype(0.1)
    y = np.full_like(x, np.nan)
    normalize_forward(y, x, moments)
    expected = reference.normalize(x.astype(np.float64), moments.astype(np.float64))
    assert_close(y, expected)
    assert (y == 10).any() and (y == -10).any() and (np.abs(y) < 10).any()


def test_numbers_of_normalized_inputs_by_hand():
    moments = np.array([[1.0, -2.0, 0.0, 0.0, 5.0, 0.0], [2.0, 0.5, 1.0, 1.0, 1e-4, 1.0]], np.float32)
    x, y = np.array([[5.0, -3.0, np.inf, -3e38, 5.0, np.nan]], np.float32), np.zeros((1, 6), np.float32)
    normalize_forward(y, x, moments)
    np.testing.assert_array_equal(y, [[2.0, -2.0, 10.0, -10.0, 0.0, np.nan]])


def test_before_anything_is_measured_numbers_stay_as_they_are():
    net = NETWORKS["normalized"]
    theta, obs = net.initial(1), drawer(np.float32)(3, 5)
    views = net.views(theta)
    assert list(views)[:2] == ["normalize.moments", "normalize.counts"] and net.names[0] == "normalize"
    np.testing.assert_array_equal(views["normalize.moments"], [[0] * 5, [1] * 5])
    np.testing.assert_array_equal(views["normalize.counts"], [0] * 5)
    plain = network((5,), *net.layers)
    outputs = reference.network_forward(obs, theta, net)
    np.testing.assert_array_equal(outputs[0], obs)
    np.testing.assert_array_equal(outputs[-1], reference.network_forward(obs, theta[15:], plain)[-1])
    assert net.n_parameters == plain.n_parameters + 15 and net.n_outputs == plain.n_outputs


@pytest.mark.parametrize("name", ["normalized", "normalized towers"])
def test_mean_and_deviation_get_no_gradient(name):
    segment = Segment(NETWORKS[name], 3, np.float64)
    segment.forward()
    gradient = segment.net.views(segment.backward(3))
    assert not any(gradient.pop(key).any() for key in ("normalize.moments", "normalize.counts"))
    assert all(view.any() for view in gradient.values())


def test_a_copy_of_a_network_normalizes_too():
    function, arguments = NETWORKS["normalized towers"].__reduce__()
    copy = function(*arguments)
    assert copy.normalize and copy.names == NETWORKS["normalized towers"].names


def test_users_do_not_write_the_layer():
    with pytest.raises(InputError, match="^'normalize' is no layer"):
        network((5,), Layer("normalize"), heads(2))
    with pytest.raises(InputError, match="^normalize is 'yes'; it must be"):
        Network((5,), (dense(2),), "yes")
