"""Agents whose actions are several integers: predict, evaluation, files, and the policy of one integer."""

import dataclasses
import json

import numpy as np
import pytest
from gymnasium import spaces
from support.gym_envs import box, registered_env

import numasync
from numasync import InputError, dense, lstm, relu
from numasync.agent.agent import Agent
from numasync.agent.description import parse_spec
from numasync.config import make_config
from numasync.envs import make_env
from numasync.envs.jitted.catch import CATCH

LAYERS = (dense(16), relu())
OBS = np.array([0.5, -0.5], np.float32)
SPACES = [
    spaces.MultiDiscrete([3, 2]),
    spaces.MultiDiscrete(np.array([[2, 3], [1, 4]]), start=np.array([[0, 5], [1, -1]])),
    spaces.MultiBinary((2, 2)),
]


def agent_of(space, network=LAYERS, **options):
    """An untrained agent of an environment with this space of actions."""
    with registered_env(box((2,), np.float32, -1, 1), space) as env_id:
        spec = make_env(env_id).spec
    return Agent(make_config("classic", algo="a3c", env=env_id, network=network, **options), spec)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_predict_gives_actions_that_the_space_contains(space):
    agent = agent_of(space)
    for greedy in (True, False):
        actions = [agent.predict(OBS, greedy=greedy) for _ in range(100)]
        assert all(space.contains(action) and action.dtype == space.dtype for action in actions)
        assert len({action.tobytes() for action in actions}) > 1 - greedy
    assert not np.shares_memory(actions[0], actions[1])


def test_a_greedy_action_has_the_highest_logit_of_each_integer():
    agent = agent_of(spaces.MultiDiscrete([3, 2], start=[10, -5]))
    assert agent.network.n_outputs == 3 + 2 + 1
    agent.theta[:] = 0
    bias = agent.network.views(agent.theta)["heads.bias"]
    bias[:] = 0, 2, 1, 0, 3, 100
    assert agent.predict(OBS).tolist() == [11, -4]
    bias[:] = 1, 0, 5, 4, 3, 100
    assert agent.predict(OBS).tolist() == [12, -5]


def test_sampled_integers_have_the_probabilities_of_their_own_logits():
    agent = agent_of(spaces.MultiDiscrete([3, 2]), separate_value=True)
    agent.theta[:] = 0
    agent.network.views(agent.theta)["tower1.heads.bias"][:] = np.log([1, 2, 1, 3, 1])
    drawn = np.array([agent.predict(OBS, greedy=False) for _ in range(4000)])
    joint = np.bincount(2 * drawn[:, 0] + drawn[:, 1], minlength=6) / 4000
    np.testing.assert_allclose(joint, np.outer([0.25, 0.5, 0.25], [0.75, 0.25]).ravel(), atol=0.04)


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("network", [LAYERS, (*LAYERS, lstm(4))], ids=["feedforward", "lstm"])
def test_an_agent_is_saved_and_loaded_and_scores_the_same(space, network, tmp_path):
    agent = agent_of(space, network)
    agent.save(tmp_path / "agent.npz")
    loaded = numasync.load(tmp_path / "agent.npz")
    assert (loaded.spec, loaded.config) == (agent.spec, agent.config)
    np.testing.assert_array_equal(loaded.predict(OBS), agent.predict(OBS))
    with registered_env(box((2,), np.float32, -1, 1), space):
        assert loaded.evaluate(2) == agent.evaluate(2)


@pytest.mark.parametrize(
    ("says", "changes"),
    [
        ("nvec is 3; it must be a list of 2 to 2 numbers", dict(nvec=3)),
        ("nvec is [3]; it must be a list of 2 to 2 numbers", dict(nvec=[3])),
        ("A number of nvec is 0", dict(nvec=[3, 0])),
        ("A number of nvec is 2.0", dict(nvec=[3, 2.0])),
        ("A number of nvec is 1000000000", dict(nvec=[3, 10**9])),
        ("it has both bounds and nvec", dict(bounds=[[0, 0], [1, 1]])),
        ("action_start is [1]; it must be a list of 2 to 2 numbers", dict(action_start=[1])),
        ("action_start is 0.5", dict(action_start=[0, 0.5])),
        ("action_start is [10, -5]", dict(nvec=None)),
        ("action_shape is (3,)", dict(action_shape=[3])),
    ],
)
def test_what_a_file_says_of_several_integers_is_checked(says, changes):
    spec = agent_of(spaces.MultiDiscrete([3, 2], start=[10, -5])).spec
    given = json.loads(json.dumps({**spec._asdict(), "observation": dataclasses.asdict(spec.observation)}))
    del given["observation"]["mean"]
    assert parse_spec(given) == spec
    with pytest.raises(InputError) as refused:
        parse_spec({**given, **changes})
    assert str(refused.value).startswith(says)


def test_an_agent_is_refused_where_its_environment_has_other_integers():
    agent = agent_of(spaces.MultiDiscrete([3, 2]))
    space = spaces.MultiDiscrete([2, 3])
    says = r"are \(2,\), \(2, 3\), None; the agent expects \(2,\), \(3, 2\), None\.$"
    with registered_env(box((2,), np.float32, -1, 1), space), pytest.raises(InputError, match=says):
        agent.evaluate(1)


def test_q_methods_are_refused_in_one_sentence():
    with registered_env(box((2,), np.float32, -1, 1), spaces.MultiBinary(2)):
        says = "^Sample-v0 has actions of several integers, and nstep_q needs one integer; choose a3c.$"
        with pytest.raises(InputError, match=says):
            numasync.train("Sample-v0", "nstep_q", steps=10)


def test_one_integer_learns_and_plays_as_a_discrete_action_bit_for_bit():
    play = CATCH.step

    def step(state, action, rng, obs):
        return play(state, action[0], rng, obs)

    shape, size = CATCH.spec.observation.shape, CATCH.state_size
    numasync.register("One-v0", CATCH.reset, step, shape, (3,), size)
    options = dict(network=(*LAYERS, lstm(4)), steps=2_000, seed=4, workers=3, deterministic=True)
    try:
        one, discrete = (
            numasync.train(env_id, "a3c", eval_greedy=False, final_eval_episodes=5, **options)
            for env_id in ("One-v0", "Catch-v0")
        )
    finally:
        del numasync.envs.REGISTERED["One-v0"]
    np.testing.assert_array_equal(one.theta, discrete.theta)
    assert one.result["evaluation"] == discrete.result["evaluation"]
