"""The builder: how theta is laid out and drawn, what cannot be built, and copies of a network."""

import copy
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from support.networks import NETWORKS, Segment

from numasync.errors import InputError
from numasync.nn.architectures import ARCHITECTURES
from numasync.nn.network import network
from numasync.nn.spec import Layer, conv, dense, heads, lstm, relu, towers


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
        # The builder makes it, for towers: a user cannot know where its inputs lie.
        ((6,), [dense(2), Layer("concat", (1, 0))], "'concat' is no layer"),
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


def run_python(source, given=b""):
    """Run a script in a new process, and return what it prints."""
    process = subprocess.run([sys.executable, "-c", source], input=given, capture_output=True, check=True)
    return process.stdout.decode().strip()


@pytest.mark.parametrize("name", ["linear", "small", "towers"])
def test_a_copy_of_a_network_computes_the_same(name):
    expected = Segment(NETWORKS[name], 3, np.float32).forward()  # after it the network has a table
    for copied in (copy.deepcopy(NETWORKS[name]), pickle.loads(pickle.dumps(NETWORKS[name]))):
        assert copied.names == NETWORKS[name].names and copied.layers == NETWORKS[name].layers
        np.testing.assert_array_equal(Segment(copied, 3, np.float32).forward(), expected)


USE_PICKLE = """
import pickle, sys
import numpy as np
from support.networks import Segment
print(Segment(pickle.load(sys.stdin.buffer), 3, np.float32).forward().tolist())
"""


def test_a_network_is_sent_to_another_process(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    net = NETWORKS["towers"]
    expected = Segment(net, 3, np.float32).forward()
    assert json.loads(run_python(USE_PICKLE, pickle.dumps(net))) == expected.tolist()


USE_DENSE = """
import numpy as np
from numasync.nn.layers import KINDS, conv, lstm
from numasync.nn.network import network
from numasync.nn.passes import backward, forward
from numasync.nn.products import conv_products
from numasync.nn.spec import dense, heads, relu

net = network((4,), dense(8), relu(), heads(2))
theta, obs, tape = net.initial(1), np.ones((3, 4), np.float32), net.tape(3)
forward(tape, obs, theta, net.table, 0, 3)
backward(tape.copy(), np.zeros_like(theta), tape, obs, theta, np.zeros(net.n_work, np.float32), net.table, 3)
print(*[name for name, kind in KINDS.items() if kind.forward.signatures or kind.backward.signatures])
inner = conv.conv_forward, conv_products.patches_matmul, conv_products.cover_2x2, lstm.lstm_forward, lstm.lstm_cell
print([kernel.__name__ for kernel in inner if kernel.signatures or kernel.part.signatures])
"""


@pytest.mark.compiled
def test_kinds_of_layers_that_a_network_does_not_use_are_not_compiled(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    assert run_python(USE_DENSE).splitlines() == ["dense heads relu", "[]"]
