"""Gymnasium: spaces that are supported and refused, ends, seeds and actions."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from support.gym_envs import box, registered_env
from support.players import Player
from support.text import is_one_sentence

from numasync.envs import make_env
from numasync.envs.observation import Observation
from numasync.envs.python.gym import GymEnv
from numasync.envs.spec import RUNNING, TERMINATED, TRUNCATED
from numasync.errors import InputError
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row


@pytest.mark.parametrize(
    ("space", "family", "observation", "network_shape"),
    [
        (box((10, 12, 3), np.uint8), "image", Observation("image", (10, 12, 3), 1 / 255), (10, 12, 3)),
        (box((10, 12), np.uint8), "image", Observation("image", (10, 12), 1 / 255), (10, 12, 1)),
        (box((84, 84, 3), np.uint8), "atari", Observation("image", (84, 84, 3), 1 / 255), (84, 84, 3)),
        (box((128,), np.uint8), "classic", Observation("vector", (128,), 1 / 255), (128,)),
        (box((5,), np.int64, -9, 9), "classic", Observation("vector", (5,)), (5,)),
        (box((2, 3), np.float64, -1, 1), "classic", Observation("vector", (2, 3)), (6,)),
        (box((4,), np.float32, -1, 1), "classic", Observation("vector", (4,)), (4,)),
        (box((), np.float32, -1, 1), "classic", Observation("vector", ()), (1,)),
        (spaces.Discrete(4), "classic", Observation("discrete", (4,)), (4,)),
        (spaces.Discrete(4, start=7), "classic", Observation("discrete", (4,), start=7), (4,)),
    ],
)
def test_gymnasium_observation_spaces(space, family, observation, network_shape):
    with registered_env(space) as env_id:
        player = Player(make_env(env_id))
    assert player.spec[:5] == (env_id, family, observation, 2, None)
    assert player.spec.observation.network_shape == network_shape
    for play in (player.reset, lambda: player.step(0)[0]):
        obs, raw = play(), player.env.env.unwrapped.last
        player.spec.observation.check(raw)
        if observation.kind == "discrete":
            expected = np.eye(space.n)[raw - space.start]
        else:
            # Channels stay last, rows stay rows: the order of the array itself.
            expected = raw.astype(np.float64).ravel() * observation.scale
        np.testing.assert_allclose(obs, expected, rtol=1e-6)


WITHOUT_ALE = """
import sys

sys.modules["ale_py"] = None  # whoever imports it fails
import gymnasium
from numasync.envs import make_env
from numasync.envs.objects import as_env_id

car = "MountainCarContinuous-v0"
for env in (lambda: gymnasium.make(car), gymnasium.spec(car), car, "gymnasium:CartPole-v1"):
    make_env(as_env_id(env)).close()
"""


def test_only_a_game_of_ale_and_an_unknown_id_import_ale():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", WITHOUT_ALE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_gymnasium_ends_actions_and_seeds():
    with registered_env(box((3,), np.float32, -1, 1), spaces.Discrete(3, start=5)) as env_id:
        player, again, other = Player(make_env(env_id), 1), Player(make_env(env_id), 1), Player(make_env(env_id), 2)
    starts = [[p.reset().tolist() for _ in range(3)] for p in (player, again, other)]
    assert starts[0] == starts[1] != starts[2] and starts[0][0] != starts[0][1]
    assert player.spec.n_actions == 3
    steps = [player.step(i % 3) for i in range(6)]
    assert [end for *_, end in steps] == [RUNNING, TRUNCATED, RUNNING, TERMINATED, RUNNING, TERMINATED]
    assert {reward for _, reward, _ in steps} == {1.5}
    assert player.env.env.unwrapped.actions == [5, 6, 7, 5, 6, 7]
    player.env.close()
    assert player.env.env.unwrapped.closed


def test_frozen_lake_is_one_hot():
    player = Player(make_env("FrozenLake-v1"))
    assert player.spec[1:5] == ("classic", Observation("discrete", (16,)), 4, None)
    np.testing.assert_array_equal(player.reset(), np.eye(16)[0])
    for action in (0, 1, 2):
        obs, _, _ = player.step(action)
        np.testing.assert_array_equal(obs, np.eye(16)[player.env.env.unwrapped.s])


def test_gymnasiums_own_cartpole_by_its_module():
    assert make_env("CartPole-v1").jitted
    player = Player(make_env("gymnasium:CartPole-v1"))
    assert isinstance(player.env, GymEnv) and not player.env.jitted
    assert player.spec == ("gymnasium:CartPole-v1", *make_env("CartPole-v1").spec[1:])
    assert np.abs(player.reset()).max() <= 0.05
    ends = [player.step(0)[2]]
    while ends[-1] == RUNNING:
        ends.append(player.step(0)[2])
    # A cart that is only pushed left drops its pole after 8 to 11 steps.
    assert ends[-1] == TERMINATED and 8 <= len(ends) <= 11


@pytest.mark.parametrize(
    ("observation", "action", "named"),
    [
        (spaces.Dict(a=spaces.Discrete(2)), None, "Dict observations"),
        (spaces.Tuple([spaces.Discrete(2)]), None, "Tuple observations"),
        (spaces.Text(3), None, "Text observations"),
        (spaces.Discrete(2), spaces.Tuple([spaces.Discrete(2)]), "Tuple actions"),
        (spaces.Discrete(2), spaces.Dict(a=spaces.Discrete(2)), "Dict actions"),
    ],
)
def test_spaces_that_are_refused(observation, action, named):
    with registered_env(observation, action) as env_id, pytest.raises(InputError) as refusal:
        make_env(env_id)
    message = str(refusal.value)
    assert message.startswith(f"Sample-v0 has {named}, which are not supported") and is_one_sentence(message)


def test_multi_discrete_and_multi_binary_observations():
    space = spaces.MultiDiscrete(np.array([[2, 3], [1, 4]]), start=np.array([[0, 5], [1, -1]]))
    with registered_env(space) as env_id:
        spec = make_env(env_id).spec
    assert spec[1:3] == ("classic", Observation("multi_discrete", (2, 3, 1, 4), start=(0, 5, 1, -1)))
    assert spec.observation.network_shape == (10,)
    obs = np.full(10, np.nan, FLOAT)
    spec.observation.encode(np.array([[1, 7], [1, 0]]), obs)
    np.testing.assert_array_equal(obs, [0, 1, 0, 0, 1, 1, 0, 1, 0, 0])
    spec.observation.check(np.array([[1, 7], [1, 0]]))
    for wrong in ([[2, 7], [1, 0]], [[1, 4], [1, 0]], [1, 7, 1], 3):
        with pytest.raises(InputError, match="it must be 4 integers"):
            spec.observation.check(np.array(wrong))
    with registered_env(spaces.MultiBinary((2, 3))) as env_id:
        player = Player(make_env(env_id))
        assert player.spec[1:3] == ("classic", Observation("vector", (2, 3)))
        assert set(player.reset()) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("space", "inputs"),
    [
        (spaces.Dict(a=spaces.Discrete(3), b=spaces.Box(-1, 1, (2, 2))), 7),
        (spaces.Tuple([spaces.MultiBinary(4), spaces.Discrete(2)]), 6),
    ],
)
def test_dict_and_tuple_are_flattened_where_the_user_asks(space, inputs):
    with registered_env(space) as env_id:
        with pytest.raises(InputError, match="flatten=True"):
            make_env(env_id)
        env = make_env(env_id, flatten=True)
        assert env.spec.observation == Observation("vector", (inputs,), flattened=True)
        again = make_env(env_id, observation=env.spec.observation)
        assert again.spec == env.spec, "as an agent's own evaluation makes it"
        assert np.isfinite(Player(again).reset()).all()


def test_continuous_actions_are_clipped_when_they_are_executed():
    space = spaces.Box(np.array([[-1, -np.inf], [0, -2]], np.float32), np.array([[1, np.inf], [3, 2]], np.float32))
    with registered_env(box((2,), np.float32), space) as env_id:
        player = Player(make_env(env_id))
    bounds = ((-1.0, -np.inf, 0.0, -2.0), (1.0, np.inf, 3.0, 2.0))
    assert player.spec[1:5] == ("continuous", Observation("vector", (2,)), 4, bounds) and player.spec.continuous
    assert (player.spec.action_shape, player.spec.action_dtype) == ((2, 2), "float32")
    executed = []
    player.env.env.step = lambda action: (executed.append(action), (np.zeros(2), 0.0, False, False, {}))[1]
    player.reset()
    drawn = np.array([-3, 1e6, 1, 2.5], FLOAT)
    player.step(drawn)
    np.testing.assert_array_equal(executed, [[[-1, 1e6], [1, 2]]])
    assert executed[0].dtype == np.float32 and drawn[0] == -3, "the learner keeps what was drawn"


MULTI_DISCRETE = spaces.MultiDiscrete(np.array([[2, 3], [1, 4]]), start=np.array([[0, 5], [1, -1]]))


@pytest.mark.parametrize(
    ("space", "nvec", "played", "expected"),
    [
        (spaces.MultiDiscrete([3, 2]), (3, 2), [2, 0], [2, 0]),
        (spaces.MultiDiscrete([3, 2], dtype=np.int32, start=[-1, 7]), (3, 2), [2, 0], [1, 7]),
        (MULTI_DISCRETE, (2, 3, 1, 4), [1, 2, 0, 3], [[1, 7], [1, 2]]),
        (spaces.MultiBinary(3), (2, 2, 2), [0, 1, 1], [0, 1, 1]),
        (spaces.MultiBinary((2, 2)), (2, 2, 2, 2), [0, 1, 1, 0], [[0, 1], [1, 0]]),
    ],
    ids=str,
)
def test_actions_of_several_integers_are_played_as_their_space_contains_them(space, nvec, played, expected):
    with registered_env(box((2,), np.float32), space) as env_id:
        player = Player(make_env(env_id))
        assert make_env(env_id).spec == player.spec
    spec, rng = player.spec, seed_row(3)
    assert (spec.family, spec.n_actions, spec.nvec, spec.bounds) == ("classic", len(nvec), nvec, None)
    assert spec.multi_discrete and not spec.continuous
    player.reset()
    drawn = np.array(played)
    for action in (drawn, *(spec.random_action(rng) for _ in range(20))):
        player.step(action)
    actions = player.env.env.unwrapped.actions
    np.testing.assert_array_equal(actions[0], expected)
    assert all(space.contains(action) and action.dtype == space.dtype for action in actions)
    assert drawn.tolist() == played and not np.shares_memory(drawn, actions[0])


@pytest.mark.filterwarnings("ignore:.*out of date")
@pytest.mark.parametrize(
    "env_id", ["NoSuch-v0", "CartPole-v99", "ALE/NoSuch-v5", "no_module:CartPole-v1", "Hopper-v3", "!", ""]
)
def test_unknown_ids_are_refused(env_id):
    with pytest.raises(InputError) as refusal:
        make_env(env_id)
    message = str(refusal.value)
    assert message.startswith(f"{env_id!r} is no environment") and "\n" not in message


def test_what_a_constructor_raises_is_said_in_one_sentence(monkeypatch):
    def broken():
        raise TypeError("no screen\nwas given")

    monkeypatch.setitem(gymnasium.registry, "Broken-v0", gymnasium.envs.registration.EnvSpec("Broken-v0", broken))
    with pytest.raises(InputError, match="can make: TypeError: no screen was given"):
        make_env("Broken-v0")
