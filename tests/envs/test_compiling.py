"""Environments of the user's own: copies of functions, and what the compiler refuses."""

import os
import types

import numpy as np
import pytest
from support.custom_envs import compiler, refusal, register
from support.text import is_one_sentence

import numasync
from numasync import RUNNING, WorkerError, dense, relu, uniform
from numasync.envs.custom.compiling import copy_to_kernel, copy_to_python
from numasync.envs.spec import RESET_TYPE
from numasync.runtime.jit import DISABLED, kernel

MEMORY = np.zeros(1)


class Thing:
    x = 1.0


def uses_a_class(state, action, rng, obs):
    obs[:] = Thing.x
    return 0.0, RUNNING


def opens_a_file(state, action, rng, obs):
    with open(os.devnull) as file:
        obs[:] = len(file.read())
    return 0.0, RUNNING


def sets_a_global(state, action, rng, obs):
    global COUNT
    COUNT = 1
    obs[:] = 0.0
    return 0.0, RUNNING


def writes_a_constant(state, action, rng, obs):
    MEMORY[0] = 3.0
    obs[:] = 0.0
    return 0.0, RUNNING


def may_return_nothing(state, action, rng, obs):
    obs[:] = 0.0
    if action < 5:
        return 0.0, RUNNING


def mixes(state, action, rng, obs):
    obs[:] = 0.0
    obs[0] = len("left" if action == 0 else (1, 2))
    return 0.0, RUNNING


@compiler
@pytest.mark.parametrize(
    ("step", "line", "says"),
    [
        (uses_a_class, 1, "Untyped global name 'Thing': Cannot determine Numba type of <class 'type'>"),
        (opens_a_file, None, "The 'with (context manager) as (variable):' construct is not supported"),
        (sets_a_global, None, "Use of unsupported opcode (STORE_GLOBAL) found"),
        (writes_a_constant, 1, "Cannot modify readonly array of type: readonly array(float64, 1d, C)"),
        (may_return_nothing, 2, "it can return none, and must return reward and end"),
        (mixes, 2, "Cannot unify"),
    ],
)
def test_compile_errors_are_one_sentence_with_the_original_below(step, line, says):
    error = refusal(step=step)
    sentence, original = str(error).split("\n\n", 1)
    assert sentence.startswith("step of Trial-v0 cannot be compiled") and is_one_sentence(sentence), sentence
    assert f": {says}" in sentence, sentence
    if line:
        assert f", at line {step.__code__.co_firstlineno + line} of test_compiling.py: " in sentence
    assert str(error.__cause__).strip() == original and len(original) >= len(says)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def test_copies_reach_helpers_closures_and_cycles():
    offset = 2

    @kernel
    def helper(state):
        state[0] = inner(state) + offset

    def inner(state):
        return state[1]

    def reset(state, rng, obs):
        helper(state)
        obs[0] = uniform(rng)

    copy = copy_to_python(reset)
    assert copy is not reset and type(copy) is types.FunctionType
    helpers = dict(zip(copy.__code__.co_freevars, copy.__closure__))
    assert type(helpers["helper"].cell_contents) is types.FunctionType
    assert copy.__globals__["uniform"] is uniform
    state, obs = np.array([0.0, 3.0]), np.zeros(1, np.float32)
    copy(state, np.ones(4, np.uint64), obs)
    assert state[0] == 5.0 and helpers["helper"].cell_contents is not helper
    assert copy_to_python(even)(10) and not copy_to_python(even)(7)
    if not DISABLED:
        state[0] = 0.0
        copy_to_kernel(reset, RESET_TYPE, "reset")(state, np.ones(4, np.uint64), obs)
        assert state[0] == 5.0


@compiler
@pytest.mark.parametrize(
    ("late", "error"),
    [("obs[int(state[1])] = 0", IndexError), ("obs[0] = 1 // int(state[1] - 10000)", ZeroDivisionError)],
)
def test_a_mistake_that_random_play_does_not_reach_is_no_crash(late, error):
    names = dict(vars(numasync))
    exec(
        "def reset(state, rng, obs):\n    state[:] = 0\n    obs[:] = 0\n\n"
        "def step(state, action, rng, obs):\n    state[1] += 1\n    obs[:] = 0\n"
        f"    if state[1] == 10000:\n        {late}\n    return 0.0, RUNNING",
        names,
    )
    register(reset=names["reset"], step=names["step"])
    with pytest.raises(WorkerError) as failed:
        numasync.train("Trial-v0", steps=100_000, final_eval_episodes=3, network=(dense(8), relu()), workers=2)
    assert isinstance(failed.value.__cause__, error)
