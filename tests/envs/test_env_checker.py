"""Environments of the user's own: mistakes that are found in random play."""

import re

import numpy as np
import pytest
from support.custom_envs import compiler, refusal, register, reset, step
from support.text import is_one_sentence

from numasync import LIFE_LOST, RUNNING, InputError, choice, uniform
from numasync.envs import JITTED, REGISTERED, make_env
from numasync.envs.custom.compiling import copy_to_python
from numasync.envs.custom.env_checker import CheckedEnv, check_env, compare
from numasync.envs.custom.registration import check_and_compile
from numasync.runtime.jit import DISABLED, kernel


def beyond(state, action, rng, obs):
    obs[2] = 1.0
    return 0.0, RUNNING


def helped(state, action, rng, obs):
    obs[:] = 0.0
    far_beyond(state)
    return 0.0, RUNNING


@kernel
def far_beyond(state):
    """Compiled, and so without a check: the checker must interpret it, or the process would crash."""
    for i in range(1_000_000_000):
        state[i * 1_000_000] = 1.0


def only_action_two(state, action, rng, obs):
    obs[:] = 0.0
    return (1.0, RUNNING) if action < 2 else (1 // (action - 2), RUNNING)


def missing(state, action, rng, obs):
    obs[0] = nothing_of_that_name  # noqa: F821
    return 0.0, RUNNING


def broadcast(state, rng, obs):
    obs[:] = np.zeros(3)


def endless(state, action, rng, obs):
    return endless(state, action, rng, obs)


@pytest.mark.parametrize(
    ("changes", "says", "cause"),
    [
        (dict(step=beyond), "step of Trial-v0 failed with IndexError at line {}", IndexError),
        (dict(step=helped), "step of Trial-v0 failed with IndexError at line {}", IndexError),
        (dict(step=only_action_two), "step of Trial-v0 failed with ZeroDivisionError at line {}", ZeroDivisionError),
        (dict(step=missing), "step of Trial-v0 failed with NameError at line {}", NameError),
        (dict(step=endless), "step of Trial-v0 failed with RecursionError at line {}", RecursionError),
        (dict(reset=broadcast), "reset of Trial-v0 failed with ValueError at line {}", ValueError),
        (dict(state_size=0), "reset of Trial-v0 failed with IndexError at line {}", IndexError),
    ],
)
def test_exceptions(changes, says, cause):
    error = refusal(**changes)
    message = str(error)
    line = re.search(r"at line (\d+) of (?:test_env_checker|custom_envs)\.py: .", message)
    assert message.startswith(says.format(line and line[1])) and is_one_sentence(message)
    assert isinstance(error.__cause__, cause)


def test_the_line_is_that_of_the_mistake():
    line = beyond.__code__.co_firstlineno + 1
    assert f"at line {line} of test_env_checker.py: index 2 is out of bounds" in str(refusal(step=beyond))
    line = far_beyond.py_func.__code__.co_firstlineno + 4 if not DISABLED else far_beyond.__code__.co_firstlineno + 4
    assert f"at line {line} of" in str(refusal(step=helped))


def returns(result, at=None):
    """A step that returns `result`, only for the action `at` where that is given."""

    def step(state, action, rng, obs):
        obs[:] = 0.0
        return result if at is None or action == at else (0.0, RUNNING)

    return step


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (None, "returns None; it must return two values, reward and end."),
        (0.0, "returns 0.0; it must return two values"),
        ((0.0, RUNNING, {}), "returns (0.0, 0, {}); it must return two values"),
        ([0.0, RUNNING], "returns [0.0, 0]; it must return two values"),
        (("1", RUNNING), "returns the reward '1'; it must be a finite number."),
        ((None, RUNNING), "returns the reward None; it must be a finite number."),
        ((True, RUNNING), "returns the reward True; it must be a finite number."),
        ((1j, RUNNING), "returns the reward 1j; it must be a finite number."),
        ((float("nan"), RUNNING), "returns the reward nan; it must be a finite number."),
        ((float("-inf"), RUNNING), "returns the reward -inf; it must be a finite number."),
        ((1e300, RUNNING), "returns the reward 1e+300; it must be a finite number."),
        ((np.zeros(1), RUNNING), "returns the reward array([0.]); it must be a finite number."),
        ((0.0, 4), "returns 4 as its end; it must be numasync.RUNNING, TERMINATED, TRUNCATED or LIFE_LOST."),
        ((0.0, -1), "returns -1 as its end; it must be"),
        ((0.0, 1.0), "returns 1.0 as its end; it must be"),
        ((0.0, True), "returns True as its end; it must be"),
        ((0.0, None), "returns None as its end; it must be"),
    ],
)
@pytest.mark.parametrize("at", [None, 2])
def test_results_of_step_that_are_refused(result, says, at):
    message = str(refusal(step=returns(result, at)))
    assert message.startswith(f"step of Trial-v0 {says}") and is_one_sentence(message)


@pytest.mark.parametrize("result", [(1, RUNNING), (np.float32(1.0), np.int32(0)), (np.int8(1), np.uint8(0))])
def test_other_numbers_are_converted(result):
    register(step=returns(result))
    assert CheckedEnv(make_env("Trial-v0")).step(0) == (1.0, RUNNING)


def test_reset_must_return_nothing():
    def gymnasiums(state, rng, obs):
        obs[:] = 0.0
        return obs, {}

    message = str(refusal(reset=gymnasiums))
    assert message.startswith("reset of Trial-v0 returns (array(") and message.endswith("return nothing.")


def unwritten(state, rng, obs):
    obs[0] = 0.0


def another(state, rng, obs):
    obs = np.zeros(2)  # noqa: F841


def read(state, action, rng, obs):
    obs[:] = obs + 1.0
    return 0.0, RUNNING


def infinite(state, action, rng, obs):
    obs[:] = 0.0
    obs[1] = 1e300 if action == 1 else 0.0
    return 0.0, RUNNING


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(reset=unwritten), "reset of Trial-v0 leaves nan in obs[1]"),
        (dict(reset=another), "reset of Trial-v0 leaves nan in obs[0]"),
        (dict(step=read), "step of Trial-v0 leaves nan in obs[0]"),
        (dict(step=infinite), "step of Trial-v0 leaves inf in obs[1]"),
    ],
)
def test_observations_that_are_refused(changes, says):
    must = "; it must write a finite number into each of its 2 elements, which hold nothing before."
    assert str(refusal(**changes)) == says + must


@pytest.mark.parametrize("array", ["state", "rng", "obs"])
def test_a_write_beyond_the_ends_is_seen(array):
    def outside(state, action, rng, obs):
        obs[:] = 0.0
        dict(state=state, rng=rng, obs=obs)[array].base[3] = 1
        return 0.0, RUNNING

    assert str(refusal(step=outside)) == f"step of Trial-v0 writes beyond the ends of {array}."


MEMORY = np.zeros(1)


def numpys(state, action, rng, obs):
    obs[:] = np.random.random()
    return 0.0, RUNNING


def numpys_reset(state, rng, obs):
    state[:] = 0.0
    obs[:] = np.random.random()


def remembers(state, action, rng, obs):
    MEMORY[0] += 1
    obs[:] = 0.0
    return MEMORY[0], RUNNING


@pytest.mark.parametrize("changes", [dict(step=numpys), dict(reset=numpys_reset), dict(step=remembers)])
def test_what_does_not_repeat_itself(changes):
    message = str(refusal(**changes))
    assert message.startswith("Trial-v0 does not repeat itself from the same rng; draw random numbers with")
    assert is_one_sentence(message)


def forgets_the_clock(state, rng, obs):
    state[0] = choice(rng, 3)
    obs[:] = 0.0


def forgets_the_place(state, rng, obs):
    state[1] = 0.0
    obs[:] = state


def resets_once(state, rng, obs):
    if state[1] == 0.0:
        state[0] = 1.0
    obs[:] = 0.0


@pytest.mark.parametrize("reset", [forgets_the_clock, forgets_the_place, resets_once])
def test_a_reset_that_does_not_reset(reset):
    message = str(refusal(reset=reset))
    assert message.startswith("reset of Trial-v0 leaves something of the last episode in state; ")
    assert is_one_sentence(message)


def test_what_a_reset_need_not_clear():
    def scratch(state, rng, obs):
        state[0] = uniform(rng)
        obs[:] = 0.0

    def overwritten(state, action, rng, obs):
        state[1] = 2.0 * state[0]
        obs[:] = state
        return 0.0, RUNNING

    register(reset=scratch, step=overwritten)


@compiler
def test_a_compiled_environment_that_does_otherwise():
    # Compiled, an integer has 64 bits; the plain Python one grows.
    def grows(state, action, rng, obs):
        number = 3
        for _ in range(40):
            number *= 3
        obs[:] = 0.0
        return number % 7, RUNNING

    message = str(refusal(step=grows))
    assert message.startswith("Trial-v0 gives another reward compiled than as plain Python; ") and is_one_sentence(
        message
    )


@compiler
@pytest.mark.parametrize("what", ["reward", "end", "observation", "state", "rng"])
def test_compare_sees_every_difference(what):
    def other(state, action, rng, obs):
        reward, end = step(state, action, rng, obs)
        if what == "rng":
            uniform(rng)
        state[0] += what == "state"
        obs[1] += what == "observation"
        return reward + (what == "reward"), LIFE_LOST if what == "end" and end == RUNNING else end

    register()
    env = REGISTERED["Trial-v0"]
    plain = env._replace(reset=reset, step=step)
    compare(plain, env, [1] * 50)
    with pytest.raises(InputError, match=f"^Trial-v0 gives another {what} compiled"):
        compare(plain, env._replace(step=other), [1] * 50)


@pytest.mark.parametrize("env_id", JITTED)
def test_our_own_environments_pass_the_checks_in_python(env_id):
    env = JITTED[env_id]
    check_env(env._replace(reset=copy_to_python(env.reset), step=copy_to_python(env.step)))


@compiler
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Catch-v0", "MinAtar/Breakout-v0", "Pendulum-v1"])
def test_our_own_environments_pass_every_check(env_id):
    assert check_and_compile(JITTED[env_id]).spec.id == env_id
