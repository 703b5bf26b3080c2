"""Environments of the user's own: arguments of `register`, training, checkpoints and modules."""

import numpy as np
import pytest
from support.custom_envs import refusal, register, reset, step
from support.runs import trained
from support.text import is_one_sentence

import numasync
from numasync import LIFE_LOST, RUNNING, TERMINATED, InputError, dense, relu
from numasync.config import PRESETS
from numasync.envs import REGISTERED, make_env
from numasync.envs.custom.env_checker import CheckedEnv, check_env
from numasync.envs.jitted import pendulum
from numasync.envs.spec import FAMILIES, EnvSpec, JittedEnv
from numasync.runtime.jit import kernel

SHORT = dict(steps=300, final_eval_episodes=3, network=(dense(8), relu()))


def test_a_good_environment_is_known_by_its_id():
    register()
    env = make_env("Trial-v0")
    assert env.jitted and env.state_size == 2 and env.spec[:2] == ("Trial-v0", "classic") and env.spec.n_actions == 3
    assert env.spec.observation.kind == "vector" and env.spec.observation.shape == (2,)
    player = CheckedEnv(env)
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
    options = dict(
        algo="a3c", network=(dense(8), relu()), steps=400, workers=2, deterministic=True, final_eval_episodes=1
    )
    own, ours = (numasync.train(env_id, **options) for env_id in ("Trial-v0", "Pendulum-v1"))
    np.testing.assert_allclose(own.theta, ours.theta, rtol=1e-3, atol=1e-5)


def test_a_function_gets_actions_in_its_own_units_and_within_its_bounds():
    # Its reward tells the action; an action beyond the bounds would end as NaN.
    def zeros(state, rng, obs):
        obs[0] = 0.0

    def tell(state, action, rng, obs):
        obs[0] = 0.0
        if action[0] < 100 or action[0] > 300 or action[1] < -1:
            return 1e30, TERMINATED
        return float(action[0]), TERMINATED

    register(
        reset=zeros, step=tell, observation_shape=(1,), n_actions=2, state_size=0, bounds=([100, -1], [300, np.inf])
    )
    options = dict(network=(dense(8), relu()), steps=64, workers=1, final_eval_episodes=20, lr=1e-6)
    agent = numasync.train("Trial-v0", "a3c", eval_greedy=False, **options)
    for scores in (agent.result["training"], agent.result["evaluation"]):
        assert 150 < scores["mean"] < 250
    assert 100 <= agent.result["evaluation"]["min"] < agent.result["evaluation"]["max"] <= 300
    assert 150 < agent.predict(np.zeros(1))[0] < 250


def test_a_function_gets_several_integers_and_may_change_them():
    # Its reward tells the action. What it writes into the action must not reach the learner.
    def zeros(state, rng, obs):
        obs[0] = 0.0

    def tell(state, action, rng, obs):
        obs[0] = 0.0
        reward = 1.0 if action[0] == 2 and action[1] == 0 else 0.0
        action[:] = 0
        return reward, TERMINATED

    register(reset=zeros, step=tell, observation_shape=(1,), n_actions=[3, np.int64(2)], state_size=0)
    spec = make_env("Trial-v0").spec
    assert (spec.family, spec.n_actions, spec.nvec, spec.action_dtype) == ("classic", 2, (3, 2), "int64")
    agent = numasync.train(
        "Trial-v0", "a3c", network=(dense(8), relu()), steps=4_000, deterministic=True, final_eval_episodes=1
    )
    action = agent.predict(np.zeros(1))
    assert action.tolist() == [2, 0] and action.dtype == np.int64
    assert agent.result["evaluation"]["mean"] == 1


def test_every_value_of_several_integers_is_played_when_an_environment_is_checked():
    played = []

    def keep(state, action, rng, obs):
        obs[:] = 0.0
        played.append(action.tolist())
        return 0.0, RUNNING

    def zeros(state, rng, obs):
        obs[:] = 0.0

    observation = make_env("CartPole-v1").spec.observation
    spec = EnvSpec("Trial-v0", "classic", observation, 3, nvec=(2, 300, 1))
    check_env(JittedEnv(spec, zeros, keep, 0))
    for j, n in enumerate(spec.nvec):
        assert {action[j] for action in played} == set(range(n))


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
        (dict(observation_shape=(2.5,)), "observation_shape is (2.5,); it must be"),
        (dict(observation_shape=(0, 3)), "observation_shape is (0, 3); it must be"),
        (dict(observation_shape=(1, 2, 3, 4)), "observation_shape is (1, 2, 3, 4); it must be"),
        (dict(n_actions=0), "n_actions is 0; it must be a whole number from 1 to 10000."),
        (dict(n_actions=2.5), "n_actions is 2.5; it must be"),
        (dict(n_actions=()), "The numbers of n_actions sum to 0; they must sum to 1 to 10000."),
        (dict(n_actions=(9_999, 2)), "The numbers of n_actions sum to 10001; they must sum to"),
        (dict(n_actions=(3, 0)), "A number of n_actions is 0; it must be a whole number from 1 to 10000."),
        (dict(n_actions=(3, 2), bounds=(0, 1)), "n_actions is (3, 2); with bounds it must be how many numbers"),
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
    assert message.startswith(says) and is_one_sentence(message)


def test_an_id_is_registered_once():
    register()
    with pytest.raises(InputError, match=r"^Trial-v0 is registered already; choose another id") as refused:
        register()
    assert "del numasync.envs.REGISTERED['Trial-v0']" in str(refused.value)
    del REGISTERED["Trial-v0"]
    register()


def test_decorated_functions_and_functions_without_a_file():
    register("Decorated-v0", reset=kernel(reset), step=kernel(step))
    names = dict(vars(numasync))
    exec(
        "def reset(state, rng, obs):\n    obs[0] = 0\n\ndef step(state, action, rng, obs):\n    obs[0] = side(action)\n"
        "    return 0, RUNNING\n\ndef side(action):\n    return action - 1",
        names,
    )
    numasync.register("Typed-v0", names["reset"], names["step"], (1,), 3, 0)
    player = CheckedEnv(make_env("Typed-v0"))
    assert player.step(2) == (0.0, RUNNING) and player.obs[0] == 1.0


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
    assert is_one_sentence(str(refused.value))


def test_gymnasiums_own_stays_gymnasiums():
    register("FrozenLake-v1")
    assert make_env("FrozenLake-v1").jitted and not make_env("gymnasium:FrozenLake-v1").jitted
