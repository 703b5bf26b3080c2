"""Arguments of the public interface: wrong ones get one sentence, and numbers of other libraries are numbers."""

from fractions import Fraction

import numpy as np
import pytest

import numasync
from numasync import Config, InputError, conv, dense, heads, lstm, network, relu, towers
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs import make_env
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.tools.human_scores import human_normalized

LAYERS = (dense(4), relu())
OBS = np.zeros(4)


@pytest.fixture(scope="module")
def agent():
    return Agent(make_config("classic", network=LAYERS), CARTPOLE.spec)


@pytest.fixture(scope="module")
def net():
    return network((4,), *LAYERS, heads(2))


def refusal(call):
    """Make a call that must be refused, and return the sentence."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable() and message.endswith("."), message
    return message


@pytest.mark.parametrize("path", [None, 3, b"x.npz", "a\0b", ["x.npz"]])
def test_a_path_that_is_none_is_refused(agent, tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: numasync.load(path),
        lambda: agent.save(path),
        lambda: numasync.plot([path], "curves"),
        lambda: numasync.plot(["run"], path),
    ):
        assert refusal(call).endswith("it must be a path, a text or a pathlib.Path.")
    if path is not None:
        for call in (
            lambda: numasync.train(out=path),
            lambda: numasync.study("lr", out=path),
            lambda: numasync.watch("Catch-v0", gif=path),
        ):
            assert refusal(call).endswith("it must be a path, a text or a pathlib.Path.")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["missing/agent.npz", ".", "x" * 300])
def test_where_an_agent_cannot_be_saved_a_sentence_says_so(agent, tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    refusal(lambda: agent.save(path))
    with pytest.raises(OSError):
        agent.save(path)
    assert not list(tmp_path.iterdir())


def test_a_name_that_breaks_the_line_is_shown_with_escapes(agent):
    assert refusal(lambda: numasync.load("a\nb")).startswith("There is no file a\\nb;")
    assert refusal(lambda: numasync.load("\udc80")).startswith("There is no file \\udc80;")
    assert refusal(lambda: agent.evaluate(env="a\nb")).endswith("it cannot play a\\nb.")
    refusal(lambda: make_env("a\0b\n"))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: network((4,), "dense"), "layers is ('dense',); it must be a tuple of layers"),
        (lambda: network((4,)), "layers is (); it must be a tuple of layers"),
        (lambda: network(4, dense(2)), "input_shape is 4; it must be (n,) or (height, width, channels)"),
        (lambda: network("123", dense(2)), "input_shape is '123'; it must be"),
        (lambda: network((4.5,), dense(2)), "A size of input_shape is 4.5; it must be a whole number from 1"),
        (lambda: network((0,), dense(2)), "A size of input_shape is 0; it must be a whole number from 1"),
        (lambda: network((4,), dense(10**9)), "The network has 5000000000 parameters; it can have 268435456 at most."),
        (lambda: network((2**20, 2**20, 1), conv(1, 1, 2**10)), "The network has 1099511627776 inputs; it can have"),
        (lambda: dense("3"), "dense('3',) has a size that is no whole number"),
        (lambda: dense(True), "dense(True,) has a size that is no whole number"),
        (lambda: conv(2, 10**30), "conv(2, 1000000000000000000000000000000, 1) has a size that is no whole number"),
        (lambda: lstm(np.zeros(2)), "lstm(array([0., 0.]),) has a size that is no whole number"),
        (lambda: heads(2, None), "heads(2, None) has a size that is no whole number"),
        (lambda: towers(dense(2), LAYERS), "The first tower is Layer(kind='dense', sizes=(2,)); it must be a tuple"),
        (lambda: towers(LAYERS, ()), "The second tower is (); it must be a tuple of layers"),
        (lambda: towers(LAYERS, [3]), "The second tower is [3]; it must be a tuple of layers"),
        (lambda: numasync.register(["a"], print, print, (2,), 2, 0), "The id is ['a']; it must be a text"),
        (lambda: numasync.register("a\nb", print, print, (2,), 2, 0), "The id is 'a\\nb'; it must be a text"),
        (lambda: numasync.register("A-v0", [1], print, (2,), 2, 0), "reset is [1]; it must be a Python function."),
        (lambda: numasync.study(["lr"]), "['lr'] is no study; choose one of optimizers, lr, threads."),
        (lambda: numasync.study("lr", executor=3), "executor is 3; it must be an executor, with the submit of"),
        (lambda: numasync.study("lr", verbose="yes"), "verbose is 'yes'; it must be True or False."),
        (lambda: numasync.study("lr", algos=[["a3c"]]), "['a3c'] is no algo; choose one of"),
        (lambda: numasync.study("lr", env=3), "env is 3; it must be a string."),
        (lambda: numasync.study("lr", out=""), "out is ''; it must be the path of a folder."),
        (lambda: numasync.plot("runs/a", "curves"), "folders is 'runs/a'; it must be a list of the folders of runs."),
        (lambda: numasync.plot(None, "curves"), "folders is None; it must be a list of the folders of runs."),
        (lambda: numasync.plot(["run"], "curves", of=["training"]), "['training'] is nothing to draw; choose one of"),
        (lambda: numasync.plot(["run"], "curves", window=2.5), "window is 2.5; it must be a whole number from 1"),
        (lambda: numasync.watch(3), "env_id is 3; it must be an id such as 'CartPole-v1', an EnvSpec"),
        (lambda: numasync.watch("Catch-v0", "pong-a3c"), "agent is 'pong-a3c'; it must be an Agent."),
        (lambda: numasync.watch("Catch-v0", fps="10"), "fps is '10'; it must be a whole number from 1 to 50."),
        (lambda: numasync.warmup(3), "env is 3; it must be an id such as 'CartPole-v1', an EnvSpec"),
        (lambda: numasync.warmup(()), "env is (); it must be an environment, or a list of environments."),
        (lambda: numasync.warmup(["CartPole-v1", 3]), "env is 3; it must be an id such as 'CartPole-v1', an EnvSpec"),
        (lambda: numasync.warmup(verbose=1), "verbose is 1; it must be True or False."),
        (lambda: numasync.train(3), "env is 3; it must be an id such as 'CartPole-v1', an EnvSpec"),
        (lambda: numasync.train(None), "env is None; it must be an id such as 'CartPole-v1', an EnvSpec"),
        (lambda: numasync.train("x" * 10_000), "env is 'xxx"),
        (lambda: numasync.train(algo=["a3c"]), "['a3c'] is no algo; choose one of one_step_q"),
        (lambda: numasync.train(verbose=1), "verbose is 1; it must be True or False."),
        (lambda: numasync.train(out=""), "out is ''; it must be the path of a folder."),
        (lambda: Config(steps="many"), "steps is 'many'; it must be a whole number from 1"),
        (lambda: Agent("config", CARTPOLE.spec), "config is 'config'; it must be a Config."),
        (lambda: Agent(Config(), "CartPole-v1"), "spec is 'CartPole-v1'; it must be an EnvSpec."),
        (
            lambda: Agent(Config(network=(*LAYERS, heads(2, 1))), CARTPOLE.spec),
            "network has heads(2, 1); give the hidden",
        ),
        (lambda: make_env(3), "env_id is 3; it must be a string."),
        (lambda: make_env("CartPole-v1", env_kwargs=3), "env_kwargs is 3; it must be a dict with texts as keys"),
        (
            lambda: make_env("CartPole-v1", channels=3),
            "3 is no place of the channels; choose one of auto, first, last.",
        ),
        (lambda: make_env("CartPole-v1", flatten=3), "flatten is 3; it must be True or False."),
        (lambda: make_env("CartPole-v1", observation=3), "observation is 3; it must be an Observation."),
        (lambda: human_normalized("Pong-v4", "high"), "score is 'high'; it must be a number or an array of numbers."),
        (lambda: human_normalized(3, 1.0), "3 is none of the 57 Atari games"),
    ],
)
def test_a_wrong_argument_gets_one_sentence(call, says):
    assert refusal(call).startswith(says)


@pytest.mark.parametrize(
    ("method", "arguments", "says"),
    [
        ("predict", (None,), "The observation is None; it must be an array of shape (4,) or a batch of them."),
        ("predict", ("text",), "The observation is 'text'; it must be"),
        ("predict", ([[1], [2, 3]],), "The observation is [[1], [2, 3]]; it must be"),
        ("predict", (np.zeros(4, complex),), "The observation is array("),
        (
            "predict",
            (np.zeros(3),),
            "The observation, of shape (3,), does not fit; it must be an array of shape (4,) or a batch of them.",
        ),
        ("predict", (OBS, "yes"), "greedy is 'yes'; it must be True or False."),
        ("evaluate", ("ten",), "episodes is 'ten'; it must be a whole number from 1"),
        ("evaluate", (1, [3]), "seed is [3]; it must be a whole number from 0"),
        ("evaluate", (1, 1, 3), "env is 3; it must be an id such as 'CartPole-v1', an EnvSpec"),
        ("evaluate", (1, 1, None, 3), "on_progress is 3; it must be a function, or None."),
        ("check_env", (None,), "env is None; it must be a string."),
        ("save", ("agent.npz", "half"), "half is 'half'; it must be True or False."),
    ],
)
def test_a_wrong_argument_of_an_agent_gets_one_sentence(agent, method, arguments, says):
    assert refusal(lambda: getattr(agent, method)(*arguments)).startswith(says)


@pytest.mark.parametrize(
    ("method", "arguments", "says"),
    [
        ("views", (None,), "theta is None; it must be an array of numbers of shape (30,)."),
        ("views", (np.zeros(29),), "theta is array("),
        ("initial", ("1",), "seed is '1'; it must be a whole number from 0"),
        ("initial", (-1,), "seed is -1; it must be a whole number from 0"),
        ("initial", (None,), "seed is None; it must be a whole number from 0"),
        ("tape", (0,), "capacity is 0; it must be a whole number from 1"),
        ("tape", (2**50,), "A tape for 1125899906842624 steps needs more memory than there is."),
        ("tape", (1, "int8"), "dtype is 'int8'; it must be float32 or float64."),
        ("table_for", (object,), "dtype is <class 'object'>; it must be float32 or float64."),
    ],
)
def test_a_wrong_argument_of_a_network_gets_one_sentence(net, method, arguments, says):
    assert refusal(lambda: getattr(net, method)(*arguments)).startswith(says)


def test_python_itself_says_which_argument_is_missing_or_unknown(agent):
    for call in (lambda: conv(3), lambda: agent.predict(), lambda: numasync.load("a", "b", "c"), lambda: relu(1)):
        with pytest.raises(TypeError) as caught:
            call()
        assert not isinstance(caught.value, InputError)


def test_numbers_of_other_libraries_are_sizes():
    for three in (3.0, np.int64(3), np.array(3), Fraction(3)):
        assert dense(three) == dense(3) and conv(three, three, three) == conv(3, 3, 3) and heads(three) == heads(3)
        assert type(dense(three).sizes[0]) is int
        assert network((three,), dense(three)).n_parameters == network(np.array([3]), dense(3)).n_parameters == 12
        assert network((3,), dense(2)).tape(three).size == network((3,), dense(2)).tape(3).size


def test_numbers_of_other_libraries_are_arguments_of_an_agent(agent):
    expected = agent.evaluate(3, seed=5)
    assert agent.evaluate(np.int64(3), seed=np.array(5)) == agent.evaluate(3.0, seed=5.0) == expected
    np.testing.assert_array_equal(agent.network.initial(np.uint8(3)), agent.network.initial(3.0))


def test_a_run_takes_whole_numbers_that_are_floats():
    options = dict(network=LAYERS, steps=1e2, workers=np.array(2), seed=3.0, final_eval_episodes=1.0)
    config = numasync.train("CartPole-v1", deterministic=True, **options).config
    assert (config.steps, config.workers, config.seed) == (100, 2, 3)
    assert type(config.steps) is type(config.workers) is type(config.seed) is int


@pytest.mark.parametrize("score", [3.0, 3, np.float32(3), np.array(3.0), Fraction(3), [3.0], np.array([3.0])])
def test_a_score_is_a_number_or_numbers(score):
    assert human_normalized("Pong-v4", score) == pytest.approx(100 * (3 + 20.7) / (14.6 + 20.7))
