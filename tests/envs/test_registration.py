"""Environments of the user's own: what `register` refuses and how it says so, training on one, and docs/."""

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from support.runs import trained

import numasync
from numasync import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, InputError, WorkerError, choice, dense, relu, uniform
from numasync.config import PRESETS
from numasync.envs import JITTED, REGISTERED, make_env
from numasync.envs.jitted import pendulum
from numasync.envs.custom.compiling import compiled_copy, python_copy
from numasync.envs.custom.env_checker import Player, check_env, compare
from numasync.envs.custom.registration import checked_env
from numasync.envs.spec import FAMILIES, RESET_TYPE
from numasync.runtime.jit import DISABLED, kernel

compiler = pytest.mark.skipif(DISABLED, reason="needs the compiler")

DOCS = Path(__file__).parents[2] / "docs" / "your_own_environment.md"
PAGE = DOCS.read_text()
(SCRIPT,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
SHORT = dict(steps=300, final_eval_episodes=3, network=(dense(8), relu()))


@pytest.fixture(autouse=True)
def nothing_registered():
    yield
    REGISTERED.clear()


def one_sentence(message):
    return message.endswith(".") and ". " not in message and "\n" not in message


# --- A good environment, and what can be wrong with its functions

LIMIT = 7


def reset(state, rng, obs):
    state[:] = 0
    state[0] = choice(rng, 3)
    obs[:] = state


def step(state, action, rng, obs):
    state[0] += action - 1
    state[1] += 1
    obs[:] = state
    if abs(state[0]) > 3:
        return -1.0, TERMINATED
    return uniform(rng), TRUNCATED if state[1] == LIMIT else RUNNING


GOOD = dict(reset=reset, step=step, observation_shape=(2,), n_actions=3, state_size=2)


def register(env_id="Trial-v0", **changes):
    numasync.register(env_id, **{**GOOD, **changes})


def refusal(**changes):
    """What `register` says of the good environment with changes; it must leave nothing behind."""
    with pytest.raises(InputError) as refused:
        register(**changes)
    assert not REGISTERED
    return refused.value


def test_a_good_environment_is_known_by_its_id():
    register()
    env = make_env("Trial-v0")
    assert env.jitted and env.state_size == 2 and env.spec[:2] == ("Trial-v0", "classic") and env.spec.n_actions == 3
    assert env.spec.observation.kind == "vector" and env.spec.observation.shape == (2,)
    player = Player(env)
    player.reset()
    assert player.obs[0] in range(3) and player.obs[1] == 0 and 0 <= player.step(1)[0] < 1


@pytest.mark.parametrize(("shape", "kind"), [((4,), "vector"), ([5, 4], "image"), ((3, np.int64(4), 2), "image")])
@pytest.mark.parametrize("family", [None, "minatar"])
def test_shapes_and_families(shape, kind, family):
    def zeros(state, rng, obs):
        obs[:] = 0.0

    def zero(state, action, rng, obs):
        obs[:] = 0.0
        return 0.0, LIFE_LOST if action == 1 else RUNNING

    register(reset=zeros, step=zero, observation_shape=shape, state_size=0, family=family)
    spec = make_env("Trial-v0").spec
    assert spec.family == (family or ("classic" if kind == "vector" else "image"))
    assert (spec.observation.kind, spec.observation.shape) == (kind, tuple(shape))


def test_continuous_actions():
    # The built-in pendulum under another name: the same numbers in, the same parameters out.
    register(
        "Trial-v0",
        reset=pendulum.reset,
        step=pendulum.step,
        observation_shape=(3,),
        n_actions=1,
        state_size=3,
        bounds=(-2, 2),
    )
    spec = make_env("Trial-v0").spec
    assert spec == pendulum.PENDULUM.spec._replace(id="Trial-v0")
    options = dict(algo="a3c", network=(dense(8), relu()), steps=400, workers=2, deterministic=True, final_eval_episodes=1)
    own, ours = (numasync.train(env_id, **options) for env_id in ("Trial-v0", "Pendulum-v1"))
    np.testing.assert_allclose(own.theta, ours.theta, rtol=1e-3, atol=1e-5)


def test_every_family_has_a_preset():
    assert set(FAMILIES) == {family for family in PRESETS if isinstance(family, str)}


def three(state, action, rng):
    return 0.0, RUNNING


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(env_id=""), "The id is ''; it must be a text without a colon, such as 'Game-v0'."),
        (dict(env_id=3), "The id is 3; it must be"),
        (dict(env_id="game:Game-v0"), "The id is 'game:Game-v0'; it must be"),
        (dict(env_id="CartPole-v1"), "CartPole-v1 is an environment of numasync's own; choose another id."),
        (dict(reset=None), "reset is None; it must be a Python function."),
        (dict(step=print), "step is <built-in function print>; it must be a Python function."),
        (dict(step=three), "step takes ('state', 'action', 'rng'); it must take 4 arguments: state, action, rng, obs."),
        (dict(reset=step), "reset takes ('state', 'action', 'rng', 'obs'); it must take 3 arguments"),
        (dict(reset=lambda *arguments: None), "reset takes (); it must take 3 arguments"),
        (dict(observation_shape=2), "observation_shape is 2; it must be (n,), (height, width) or"),
        (dict(observation_shape=()), "observation_shape is (); it must be"),
        (dict(observation_shape=(2.0,)), "observation_shape is (2.0,); it must be"),
        (dict(observation_shape=(0, 3)), "observation_shape is (0, 3); it must be"),
        (dict(observation_shape=(1, 2, 3, 4)), "observation_shape is (1, 2, 3, 4); it must be"),
        (dict(n_actions=0), "n_actions is 0; it must be a whole number from 1 to 10000."),
        (dict(n_actions=2.0), "n_actions is 2.0; it must be"),
        (dict(bounds=(0, 1)), "bounds is (0, 1); it must be the lowest and the highest values of an action, 3 each."),
        (dict(bounds=([0, 0, 0], [1, 0, 1])), "bounds is ([0, 0, 0], [1, 0, 1]); it must be the lowest and"),
        (dict(bounds=([0, 0, 0], [1, float("nan"), 1])), "bounds is ([0, 0, 0], [1, nan, 1]); it must be"),
        (dict(bounds="low"), "bounds is 'low'; it must be"),
        (dict(n_actions=True), "n_actions is True; it must be"),
        (dict(state_size=-1), "state_size is -1; it must be a whole number from 0 to"),
        (
            dict(family="board"),
            "'board' is no family of presets; choose one of classic, image, minatar, atari, continuous.",
        ),
    ],
)
def test_arguments_that_are_refused(changes, says):
    message = str(refusal(**changes))
    assert message.startswith(says) and one_sentence(message)


def test_an_id_is_registered_once():
    register()
    with pytest.raises(InputError, match=r"^Trial-v0 is registered already; choose another id") as refused:
        register()
    assert "del numasync.envs.REGISTERED['Trial-v0']" in str(refused.value)
    del REGISTERED["Trial-v0"]
    register()


def beyond(state, action, rng, obs):
    obs[2] = 1.0
    return 0.0, RUNNING


def helped(state, action, rng, obs):
    obs[:] = 0.0
    far_beyond(state)
    return 0.0, RUNNING


@kernel
def far_beyond(state):
    """Compiled, and so without a check: it must be interpreted in the rehearsal, or the process would crash."""
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
)  # fmt: skip
def test_exceptions(changes, says, cause):
    error = refusal(**changes)
    message = str(error)
    line = re.search(r"at line (\d+) of test_registration\.py: .", message)
    assert message.startswith(says.format(line and line[1])) and one_sentence(message)
    assert isinstance(error.__cause__, cause)


def test_the_line_is_that_of_the_mistake():
    line = beyond.__code__.co_firstlineno + 1
    assert f"at line {line} of test_registration.py: index 2 is out of bounds" in str(refusal(step=beyond))
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
    assert message.startswith(f"step of Trial-v0 {says}") and one_sentence(message)


@pytest.mark.parametrize("result", [(1, RUNNING), (np.float32(1.0), np.int32(0)), (np.int8(1), np.uint8(0))])
def test_other_numbers_are_converted(result):
    register(step=returns(result))
    assert Player(make_env("Trial-v0")).step(0) == (1.0, RUNNING)


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


# --- What must repeat

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
    assert one_sentence(message)


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
    assert one_sentence(message)


def test_what_a_reset_need_not_clear():
    def scratch(state, rng, obs):
        state[0] = uniform(rng)
        obs[:] = 0.0

    def overwritten(state, action, rng, obs):
        state[1] = 2.0 * state[0]
        obs[:] = state
        return 0.0, RUNNING

    register(reset=scratch, step=overwritten)


# --- Compilation


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
    assert sentence.startswith("step of Trial-v0 cannot be compiled") and one_sentence(sentence), sentence
    assert f": {says}" in sentence, sentence
    if line:
        assert f", at line {step.__code__.co_firstlineno + line} of test_registration.py: " in sentence
    assert str(error.__cause__).strip() == original and len(original) >= len(says)


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
    assert message.startswith("Trial-v0 gives another reward compiled than as plain Python; ") and one_sentence(message)


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
def test_our_own_environments_pass_the_rehearsal(env_id):
    env = JITTED[env_id]
    check_env(env._replace(reset=python_copy(env.reset), step=python_copy(env.step)))


@compiler
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Catch-v0", "MinAtar/Breakout-v0", "Pendulum-v1"])
def test_our_own_environments_pass_every_check(env_id):
    assert checked_env(JITTED[env_id]).spec.id == env_id


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

    copy = python_copy(reset)
    assert copy is not reset and type(copy) is types.FunctionType
    helpers = dict(zip(copy.__code__.co_freevars, copy.__closure__))
    assert type(helpers["helper"].cell_contents) is types.FunctionType
    assert copy.__globals__["uniform"] is uniform
    state, obs = np.array([0.0, 3.0]), np.zeros(1, np.float32)
    copy(state, np.ones(4, np.uint64), obs)
    assert state[0] == 5.0 and helpers["helper"].cell_contents is not helper
    assert python_copy(even)(10) and not python_copy(even)(7)
    if not DISABLED:
        state[0] = 0.0
        compiled_copy(reset, RESET_TYPE, "reset")(state, np.ones(4, np.uint64), obs)
        assert state[0] == 5.0


def test_decorated_functions_and_functions_without_a_file():
    register("Decorated-v0", reset=kernel(reset), step=kernel(step))
    names = dict(vars(numasync))
    exec(
        "def reset(state, rng, obs):\n    obs[0] = 0\n\ndef step(state, action, rng, obs):\n    obs[0] = side(action)\n"
        "    return 0, RUNNING\n\ndef side(action):\n    return action - 1",
        names,
    )
    numasync.register("Typed-v0", names["reset"], names["step"], (1,), 3, 0)
    player = Player(make_env("Typed-v0"))
    assert player.step(2) == (0.0, RUNNING) and player.obs[0] == 1.0


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
        numasync.train("Trial-v0", **{**SHORT, "steps": 100_000}, workers=2)
    assert isinstance(failed.value.__cause__, error)


# --- Training, checkpoints, the command line and docs/


@pytest.mark.parametrize("algo", ["one_step_sarsa", "a3c"])
def test_training_repeats_itself(algo):
    register()
    thetas = [trained("Trial-v0", algo, **SHORT, workers=3, deterministic=True).theta for _ in range(2)]
    np.testing.assert_array_equal(*thetas)


def test_an_agent_outlives_the_registration(tmp_path):
    register()
    agent = numasync.train("Trial-v0", out=tmp_path / "run", workers=2, **SHORT)
    scores = agent.evaluate(5)
    REGISTERED.clear()
    agent = numasync.load(tmp_path / "run" / "checkpoint.npz")
    assert agent.predict(np.zeros(2)) in range(3)
    with pytest.raises(InputError, match="'Trial-v0' is no environment .* must be registered first") as refused:
        agent.evaluate(5)
    assert "\n" not in str(refused.value)
    register()
    assert agent.evaluate(5) == scores


@pytest.mark.parametrize("changes", [dict(n_actions=4), dict(observation_shape=(3,), state_size=3)])
def test_an_agent_does_not_play_another_environment_of_the_same_id(changes):
    register()
    agent = numasync.train("Trial-v0", **SHORT, workers=1)
    REGISTERED.clear()
    register(**changes)
    with pytest.raises(InputError, match="^Trial-v0 is not what the agent was trained on: ") as refused:
        agent.evaluate(5)
    assert one_sentence(str(refused.value))


def load_script(script, name):
    """Run a script as the module `name`, not as __main__."""
    exec(compile(script, f"{name}.py", "exec"), {"__name__": name})


def test_the_example_is_short_and_its_environment_is_registered():
    assert len(SCRIPT.splitlines()) < 40
    load_script(SCRIPT, "gaps")
    env = REGISTERED["Gaps-v0"]
    assert env.spec.family == "classic" and env.spec.n_actions == 3
    player, passed = Player(env), 0
    player.reset()
    for n in range(200):
        # Straight to the gap, the second row of five.
        lane, gap = player.obs[:5].argmax(), player.obs[5:10].argmax()
        reward, end = player.step(int(np.sign(gap - lane)) + 1)
        passed += reward
        assert end == (TRUNCATED if n == 199 else RUNNING)
    assert passed == 50


MISTAKES = [
    ("    look(state, obs)\n    return", "    look(state, obs)\n    obs[11] = 1\n    return"),
    ("obs[:] = 0\n", "obs = [0.0] * 11\n"),
    ("return reward, end", "return reward, end, {}"),
    ("return reward, end", "return reward, end == TERMINATED"),
    ("LANES // 2, 0", "LANES // 2, state[PASSED]"),
    ("choice(rng, LANES)", "__import__('numpy').random.randint(LANES)"),
    ("    look(state, obs)\n    return", "    look(state, obs)\n    obs[0] = float(open('/dev/null').read() == '')\n    return"),
]  # fmt: skip
SENTENCES = re.findall(r"^\|.*\| ((?:step|reset|Gaps-v0) .*\.) \|$", PAGE, re.M)


@compiler
@pytest.mark.parametrize(("mistake", "sentence"), list(zip(MISTAKES, SENTENCES, strict=True)))
def test_the_sentences_of_the_page_are_true(mistake, sentence):
    with pytest.raises(InputError) as refused:
        load_script(SCRIPT.replace(*mistake), "gaps")
    assert str(refused.value).split("\n\n")[0] == sentence


@pytest.fixture
def folder(tmp_path):
    """A folder with the page's script as gaps.py, and modules that fail."""
    (tmp_path / "gaps.py").write_text(SCRIPT)
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "unfinished.py").write_text("def step(")
    return tmp_path


def run(folder, *command):
    arguments = [sys.executable, *map(str, command)]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=240)


@compiler
def test_the_script_of_the_page_learns_as_printed(folder):
    done = run(folder, "gaps.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert float(re.search(r"'mean': ([\d.]+)", done.stdout)[1]) >= 40


@compiler
def test_the_command_lines_of_the_page(folder):
    # As the installed command: the current folder is not on the path.
    program = ("-c", "import sys; sys.path.pop(0); from numasync.cli import main; sys.exit(main())")
    (block,) = re.findall(r"^```bash\n(.*?)^```", PAGE, re.M | re.S)
    script, *lines = [line.split() for line in block.splitlines()]
    assert script == ["python", "gaps.py"] and len(lines) == 2
    for name, *arguments in lines:
        done = run(folder, *program, *arguments)
        assert name == "numasync" and (done.returncode, done.stderr) == (0, "")
        assert float(re.search(r"Evaluation over 100 episodes: mean ([\d.]+)", done.stdout)[1]) >= 40
    agent = numasync.load(folder / "run" / "checkpoint.npz")
    assert agent.spec.id == "gaps:Gaps-v0" and agent.predict(np.zeros(11)) in range(3)
    # Registered under its bare id, the environment is the agent's own too.
    load_script(SCRIPT, "gaps")
    assert agent.evaluate(3, env="Gaps-v0")["episodes"] == 3


@pytest.mark.parametrize(
    ("env_id", "says"),
    [
        ("broken:Game-v0", "The module broken cannot be imported: ModuleNotFoundError: No module named 'a_module_that"),
        ("unfinished:Game-v0", "The module unfinished cannot be imported: SyntaxError: "),
        (
            "no_such_module:Game-v0",
            "'no_such_module:Game-v0' is no environment that Gymnasium can make: No module named",
        ),
        ("gaps:Game-v0", "'gaps:Game-v0' is no environment that Gymnasium can make: "),
        (":Game-v0", "':Game-v0' is no environment that Gymnasium can make: "),
    ],
)
def test_modules_that_register_nothing(folder, monkeypatch, env_id, says):
    monkeypatch.chdir(folder)
    path = sys.path[:]
    with pytest.raises(InputError) as refused:
        make_env(env_id)
    assert str(refused.value).startswith(says) and "\n" not in str(refused.value) and sys.path == path
    sys.modules.pop("gaps", None)


def test_gymnasiums_own_stays_gymnasiums():
    register("FrozenLake-v1")
    assert make_env("FrozenLake-v1").jitted and not make_env("gymnasium:FrozenLake-v1").jitted
