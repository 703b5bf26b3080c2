"""Environments: Catch in lockstep with its rules, Gymnasium's spaces, ALE on real games."""

import contextlib
import dataclasses
import gc
import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from support.players import Player
from support.runs import trained

import numasync
import numasync.envs.python.atari
from numasync import dense, relu
from numasync.algorithms import ALGORITHMS
from numasync.envs import make_env
from numasync.envs.jitted import catch, recall
from numasync.envs.normalization import SMALLEST_DEVIATION, normalized
from numasync.envs.observation import Observation
from numasync.envs.python.bridge import OPEN_ENVS, PythonEnv
from numasync.envs.python.gym import GymEnv
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, EnvSpec
from numasync.errors import InputError
from numasync.runtime.jit import DISABLED, FLOAT
from numasync.runtime.rng import seed_row

# --- Jitted environments; test_classic.py and test_minatar.py have more


class CatchTwin:
    """The rules of Catch in plain Python."""

    def __init__(self, ball_column):
        self.ball, self.paddle = [0, ball_column], 2

    def board(self):
        board = [[0.0] * 5 for _ in range(10)]
        board[self.ball[0]][self.ball[1]] = board[9][self.paddle] = 1.0
        return board

    def step(self, action):
        left, right = action == 0 and self.paddle > 0, action == 2 and self.paddle < 4
        self.paddle += right - left
        self.ball[0] += 1
        if self.ball[0] < 9:
            return 0.0, RUNNING
        return (1.0 if self.paddle == self.ball[1] else -1.0), TERMINATED


def test_catch_steps_in_lockstep_with_its_rules():
    player, rng = Player(make_env("Catch-v0")), np.random.default_rng(0)
    columns, scores = [], []
    for _ in range(500):
        obs = player.reset().reshape(10, 5)
        columns.append(int(obs[0].argmax()))
        twin, end = CatchTwin(columns[-1]), RUNNING
        while end == RUNNING:
            np.testing.assert_array_equal(obs, twin.board())
            action = int(rng.integers(3))
            obs, reward, end = player.step(action)
            obs = obs.reshape(10, 5)
            assert (reward, end) == twin.step(action)
        np.testing.assert_array_equal(obs, twin.board())
        scores.append(reward)
    # Each column is equally likely: 100 of 500, standard deviation 9.
    assert np.abs(np.bincount(columns, minlength=5) - 100).max() < 45
    assert set(scores) == {1.0, -1.0} and catch.ROWS == 10


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Catch-v0"])
def test_jitted_environments_repeat_from_their_random_row(env_id):
    players = [Player(make_env(env_id), seed) for seed in (1, 1, 2)]
    starts = [[player.reset().tolist() for _ in range(20)] for player in players]
    assert starts[0] == starts[1] != starts[2]


def test_players_of_a_jitted_environment_have_states_of_their_own():
    env = make_env("CartPole-v1")
    one, other = env.new_state(), env.new_state()
    assert one.tolist() == other.tolist() == [0.0] * 5 and not np.shares_memory(one, other)


# --- Environments in Python


class Counting(PythonEnv):
    """Counts its steps up from the number with which it begins, and shows them with the action."""

    def __init__(self, first=0):
        super().__init__(EnvSpec("Counting", "classic", Observation("vector", (2,)), 3))
        self.first = first

    def restart(self, rng, obs):
        self.n = self.first
        obs[:] = self.n, -1

    def play(self, action, rng, obs):
        self.n += 1
        obs[:] = self.n, action
        return np.float32(self.n) / 2, np.int64(TRUNCATED if self.n % 2 else RUNNING)


def test_the_kernels_of_environments_in_python_find_each_its_own():
    players = [Player(Counting(first)) for first in (10, 20)]
    assert players[0].env.step is players[1].env.step
    assert [player.reset().tolist() for player in players] == [[10, -1], [20, -1]]
    for n in (1, 2):
        for player, first in zip(players, (10, 20)):
            obs, reward, end = player.step(2)
            assert (obs.tolist(), reward, end) == ([first + n, 2], (first + n) / 2, TRUNCATED if n == 1 else RUNNING)


def test_slots_are_freed_by_close_and_not_used_again():
    envs = [Counting() for _ in range(3)]
    slots = [int(env.new_state()[0]) for env in envs]
    assert len(set(slots)) == 3 and all(OPEN_ENVS[slot] is env for slot, env in zip(slots, envs))
    envs[1].close()
    envs[1].close()
    assert [slot in OPEN_ENVS for slot in slots] == [True, False, True]
    assert Counting().new_state()[0] > max(slots)


def test_an_environment_that_nobody_knows_any_more_goes_without_being_closed():
    player = Player(Counting())
    player.reset(), player.step(1)
    slot = player.env.slot
    del player
    gc.collect()
    assert slot not in OPEN_ENVS


def test_an_environment_that_is_refused_has_no_slot():
    open_before = set(OPEN_ENVS)
    with registered(spaces.Dict(a=spaces.Discrete(2))) as env_id, pytest.raises(InputError):
        make_env(env_id)
    assert set(OPEN_ENVS) <= open_before


@pytest.mark.parametrize(("result", "error"), [(None, TypeError), (("much", 0), ValueError), ((1.0, 0, 0), ValueError)])
def test_a_step_that_returns_something_else_raises(result, error):
    env = Counting()
    env.play = lambda *arguments: result
    with pytest.raises(error):
        Player(env).step(0)


@pytest.mark.skipif(DISABLED, reason="nothing is compiled")
def test_the_kernels_compile_without_a_warning_and_only_where_they_are_needed(tmp_path):
    code = """if True:
        import sys, warnings, numba
        warnings.simplefilter("error", numba.NumbaWarning)
        from numasync.envs import make_env
        make_env("Catch-v0")
        assert "numasync.envs.python.bridge" not in sys.modules
        env = make_env("gymnasium:CartPole-v1")
        print(*[sum(kernel.stats.cache_hits.values()) for kernel in (env.reset, env.step)])"""
    folder = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMASYNC_CACHE": "1"}
    command, options = [sys.executable, "-c", code], dict(env=os.environ | folder, text=True)
    assert [subprocess.check_output(command, **options).split() for _ in range(2)] == [["0", "0"], ["1", "1"]]


# --- Gymnasium


class Any(gymnasium.Env):
    """Samples of a space, with ends at steps 2 (truncated), 4 (terminated) and 6 (both); keeps its actions."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space
        self.actions, self.closed = [], False

    def reset(self, seed=None, options=None):
        self.observation_space.seed(seed)
        self.last = self.observation_space.sample()
        return self.last, {}

    def step(self, action):
        self.actions.append(action)
        self.last = self.observation_space.sample()
        return self.last, np.float32(1.5), len(self.actions) in (4, 6), len(self.actions) in (2, 6), {}

    def close(self):
        self.closed = True


@contextlib.contextmanager
def registered(observation_space, action_space=None):
    """The id of an Any environment, registered for the length of a with statement."""
    action_space = action_space or spaces.Discrete(2)
    gymnasium.register("Any-v0", entry_point=lambda **_: Any(observation_space, action_space))
    try:
        yield "Any-v0"
    finally:
        del gymnasium.registry["Any-v0"]


def box(shape, dtype, low=0, high=255):
    return spaces.Box(low, high, shape, dtype)


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
    with registered(space) as env_id:
        player = Player(make_env(env_id))
    assert player.spec == (env_id, family, observation, 2, None)
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


def test_gymnasium_ends_actions_and_seeds():
    with registered(box((3,), np.float32, -1, 1), spaces.Discrete(3, start=5)) as env_id:
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
    assert player.spec[1:] == ("classic", Observation("discrete", (16,)), 4, None)
    np.testing.assert_array_equal(player.reset(), np.eye(16)[0])
    for action in (0, 1, 2):
        obs, _, end = player.step(action)
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
        (spaces.Discrete(2), spaces.MultiDiscrete([2, 3]), "MultiDiscrete actions"),
    ],
)
def test_spaces_that_are_refused(observation, action, named):
    with registered(observation, action) as env_id, pytest.raises(InputError) as refusal:
        make_env(env_id)
    message = str(refusal.value)
    assert message.startswith(f"Any-v0 has {named}, which are not supported") and one_sentence(message)


def test_recall_asks_for_the_cue_when_it_is_gone():
    player, cues = Player(make_env("Recall-v0")), set()
    for episode in range(20):
        cue, asked = player.reset()
        assert asked == 0
        answer = episode % 2
        for i in range(recall.DELAY):
            (seen, asked), reward, end = player.step(i % 2)
            assert (seen, asked, reward, end) == (0, i == recall.DELAY - 1, 0, RUNNING)
        _, reward, end = player.step(answer)
        assert (reward, end) == (1 if cue == 2 * answer - 1 else -1, TERMINATED)
        cues.add((cue, reward))
    assert cues == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


def test_random_actions():
    rng, spec = seed_row(1), make_env("Acrobot-v1").spec
    drawn = [spec.random_action(rng) for _ in range(3000)]
    assert {type(action) for action in drawn} == {int}
    assert np.abs(np.bincount(drawn, minlength=3) - 1000).max() < 5 * np.sqrt(1000 * 2 / 3)
    bounded = spec._replace(n_actions=3, bounds=((-2.0, -np.inf, 0.5), (4.0, np.inf, 0.5)))
    drawn = np.array([bounded.random_action(rng) for _ in range(3000)])
    assert drawn.dtype == FLOAT and drawn.shape == (3000, 3)
    np.testing.assert_allclose(drawn.min(0), [-2, -1, 0.5], atol=0.02)
    np.testing.assert_allclose(drawn.max(0), [4, 1, 0.5], atol=0.02)
    assert np.abs(drawn.mean(0) - [1, 0, 0.5]).max() < 5 * np.sqrt(3 / 3000)
    half = spec._replace(n_actions=4, bounds=((5.0, -np.inf, -3.0, -np.inf), (np.inf, -4.0, np.inf, 2.0)))
    np.testing.assert_array_equal(half.finite_bounds, [[5, -5, -3, -1], [6, -4, 1, 2]])


def test_multi_discrete_and_multi_binary_observations():
    space = spaces.MultiDiscrete(np.array([[2, 3], [1, 4]]), start=np.array([[0, 5], [1, -1]]))
    with registered(space) as env_id:
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
    with registered(spaces.MultiBinary((2, 3))) as env_id:
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
    with registered(space) as env_id:
        with pytest.raises(InputError, match="flatten=True"):
            make_env(env_id)
        env = make_env(env_id, flatten=True)
        assert env.spec.observation == Observation("vector", (inputs,), flattened=True)
        again = make_env(env_id, observation=env.spec.observation)
        assert again.spec == env.spec, "as an agent's own evaluation makes it"
        assert np.isfinite(Player(again).reset()).all()


def test_continuous_actions_are_clipped_when_they_are_executed():
    space = spaces.Box(np.array([[-1, -np.inf], [0, -2]], np.float32), np.array([[1, np.inf], [3, 2]], np.float32))
    with registered(box((2,), np.float32), space) as env_id:
        player = Player(make_env(env_id))
    bounds = ((-1.0, -np.inf, 0.0, -2.0), (1.0, np.inf, 3.0, 2.0))
    assert player.spec[1:] == ("continuous", Observation("vector", (2,)), 4, bounds) and player.spec.continuous
    executed = []
    player.env.env.step = lambda action: (executed.append(action), (np.zeros(2), 0.0, False, False, {}))[1]
    player.reset()
    drawn = np.array([-3, 1e6, 1, 2.5], FLOAT)
    player.step(drawn)
    np.testing.assert_array_equal(executed, [[[-1, 1e6], [1, 2]]])
    assert executed[0].dtype == np.float32 and drawn[0] == -3, "the learner keeps what was drawn"


@pytest.mark.filterwarnings("ignore:.*out of date")
@pytest.mark.parametrize(
    "env_id", ["NoSuch-v0", "CartPole-v99", "ALE/NoSuch-v5", "no_module:CartPole-v1", "Hopper-v3", "!", ""]
)
def test_unknown_ids_are_refused(env_id):
    with pytest.raises(InputError) as refusal:
        make_env(env_id)
    message = str(refusal.value)
    assert message.startswith(f"{env_id!r} is no environment that Gymnasium can make: ") and "\n" not in message


def test_what_a_constructor_raises_is_said_in_one_sentence(monkeypatch):
    def broken():
        raise TypeError("no screen\nwas given")

    monkeypatch.setitem(gymnasium.registry, "Broken-v0", gymnasium.envs.registration.EnvSpec("Broken-v0", broken))
    with pytest.raises(InputError, match="can make: TypeError: no screen was given"):
        make_env("Broken-v0")


def one_sentence(message):
    return message.endswith(".") and ". " not in message and "\n" not in message


# --- Observation


RAW = {
    Observation("vector", (3,)): np.array([1, 2, 3]),
    Observation("vector", (2, 2), 0.5): np.array([[1.0, 2.0], [3.0, 4.0]]),
    Observation("image", (2, 2)): np.array([[1, 2], [3, 4]], np.uint8),
    Observation("frames", (2, 1, 3), 0.5): np.array([[[2, 4, 6]], [[8, 10, 12]]], np.uint8),
    Observation("discrete", (3,), start=-1): np.int64(1),
    Observation("image", (1, 2), 0.5, mean=FLOAT([[2, 10]])): np.array([[4, 8]], np.uint8),
    Observation("image", (1, 2, 2), 2.0, mean=FLOAT([[[0, 1], [2, 3]]])): np.array([[[1, 1], [0, 5]]], np.uint8),
    Observation("frames", (2, 1, 2), 0.5, mean=FLOAT([[2, 6]])): np.array([[[2, 8]], [[6, 4]]], np.uint8),
}
ENCODED = [
    [1, 2, 3], [0.5, 1, 1.5, 2], [1, 2, 3, 4], [1, 4, 2, 5, 3, 6], [0, 0, 1], [1, -1], [2, 0, -4, 4], [0, 2, 1, -1],
]  # fmt: skip


def encoded(observation, raw):
    out = np.full(int(np.prod(observation.network_shape)), np.nan, FLOAT)
    observation.encode(raw, out)
    return out


@pytest.mark.parametrize(("observation", "wanted"), list(zip(RAW, ENCODED)))
def test_observation_encodes(observation, wanted):
    observation.check(RAW[observation])
    np.testing.assert_array_equal(encoded(observation, RAW[observation]), wanted)


@pytest.mark.parametrize("observation", [o for o in RAW if o.kind != "discrete"])
def test_observation_decodes_what_it_encodes(observation):
    out = encoded(observation, RAW[observation])
    raw = RAW[observation].transpose(1, 2, 0) if observation.kind == "frames" else RAW[observation]
    np.testing.assert_array_equal(observation.decode(out), raw.reshape(observation.network_shape))


def test_a_blank_frame_of_a_stack_is_zeros_and_not_less_than_the_mean():
    mean = np.full((2, 3), 100, FLOAT)
    observation = Observation("frames", (4, 2, 3), 0.5, mean=mean)
    frames = np.zeros((4, 2, 3), np.uint8)
    frames[2, 1, 2], frames[3] = 120, 40
    out = encoded(observation, frames).reshape(2, 3, 4)
    assert (out[:, :, :2] == 0).all() and (out[:, :, 3] == -30).all()
    assert out[1, 2, 2] == 10 and (out[:, :, 2].ravel()[:-1] == -50).all()


@pytest.mark.parametrize(("observation", "screen"), [
    (Observation("frames", (4, 84, 84), 1 / 255), True), (Observation("image", (84, 84, 3), 1 / 255), True),
    (Observation("image", (84, 84), 0.02), True), (Observation("image", (10, 5)), False),
    (Observation("vector", (128,), 1 / 255), False), (Observation("discrete", (3,)), False),
])  # fmt: skip
def test_a_screen_is_a_picture_of_bytes(observation, screen):
    assert observation.is_screen == screen


@pytest.mark.parametrize(
    ("observation", "raw"),
    [(o, np.zeros((*o.shape, 1))) for o in RAW if o.kind != "discrete"]
    + [(o, 0.0) for o in RAW if o.kind != "discrete"]
    + [(Observation("discrete", (3,), start=-1), raw) for raw in (-2, 2, [0], np.zeros(3))],
)
def test_observation_refuses(observation, raw):
    with pytest.raises(InputError) as refusal:
        observation.check(raw)
    assert one_sentence(str(refusal.value)) and "must be" in str(refusal.value)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8])
def test_frames_of_any_number_and_layout(channels):
    shape = (channels, 7, 37)
    rng = np.random.default_rng(channels)
    frames, mean = rng.integers(0, 256, shape).astype(np.uint8), rng.uniform(0, 255, shape[1:]).astype(FLOAT)
    for observation, less in (
        (Observation("frames", shape, 0.01), 0),
        (Observation("frames", shape, 0.01, mean=mean), mean),
    ):
        expected = (frames - FLOAT(less)).transpose(1, 2, 0).ravel() * FLOAT(0.01)
        for layout in (frames, frames.astype(FLOAT), np.asfortranarray(frames), frames.repeat(2, axis=2)[:, :, ::2]):
            np.testing.assert_array_equal(encoded(observation, layout), expected)


# --- Normalised screens


STACK = Observation("frames", (2, 3, 4), 1 / 255)
ROOT_MEAN_SQUARE = np.sqrt(np.mean(np.arange(12) ** 2))  # of a screen of brightness 1


class Lantern(PythonEnv):
    """Pixel i of the screen of step n is i times bright[n % len(bright)]; in a stack it is the last of two frames, and
    the first is its negative. An episode ends as `ends` says, and begins in full light, which no step shows."""

    def __init__(self, bright, ends=lambda n: TRUNCATED if n % 3 == 0 else RUNNING, observation=STACK):
        super().__init__(EnvSpec("Lantern", "atari", observation, 3))
        self.bright, self.ends, self.actions, self.resets = bright, ends, [], 0

    def screen(self, level):
        picture = level * np.arange(12, dtype=np.uint8)
        both = [255 - picture, picture] if self.spec.observation.kind == "frames" else picture
        return np.reshape(both, self.spec.observation.shape)

    def restart(self, rng, obs):
        self.resets += 1
        self.spec.observation.encode(self.screen(23), obs)

    def play(self, action, rng, obs):
        self.actions.append(action)
        self.spec.observation.encode(self.screen(self.bright[len(self.actions) % len(self.bright)]), obs)
        return 0.0, self.ends(len(self.actions))


@pytest.mark.parametrize("plain", [STACK, Observation("image", (3, 4), 1 / 255), Observation("image", (2, 2, 3), 0.01)])
@pytest.mark.parametrize("bright", [(2, 20), (4, 20, 20, 4, 12)], ids=str)
def test_each_pixel_of_a_screen_is_centred_and_all_are_scaled_alike(bright, plain):
    env = Lantern(bright, observation=plain)
    observation = normalized(env, 1)
    assert observation == dataclasses.replace(plain, scale=observation.scale) and observation.is_screen
    pixels = np.outer(bright, np.arange(12))
    mean = pixels.mean(axis=0)
    assert observation.mean.dtype == FLOAT
    shape = (3, 4) if plain is STACK else plain.shape
    np.testing.assert_allclose(observation.mean, mean.reshape(shape), rtol=1e-5)
    deviation = np.sqrt(((pixels - mean) ** 2).mean())
    for level in (*bright, 23):
        screen = env.screen(level)
        wanted = screen.reshape(-1, 12) - mean  # of both frames of a stack, though the last alone is measured
        np.testing.assert_allclose(encoded(observation, screen), wanted.T.ravel() / deviation, atol=1e-5)


@pytest.mark.parametrize("bright, deviation", [((8, 9), 255 * SMALLEST_DEVIATION), ((8, 12), 2 * ROOT_MEAN_SQUARE)])
def test_a_screen_on_which_little_moves_is_not_scaled_up_without_end(bright, deviation):
    assert ROOT_MEAN_SQUARE / 2 < 255 * SMALLEST_DEVIATION < 2 * ROOT_MEAN_SQUARE
    assert normalized(Lantern(bright), 1).scale == pytest.approx(1 / deviation, rel=1e-5)


def test_a_thousand_random_actions_are_measured():
    env = Lantern((0, 20))
    normalized(env, 1)
    assert len(env.actions) == 1_000 and env.resets == 1 + 333
    assert np.abs(np.bincount(env.actions, minlength=3) - 333).max() < 75  # five standard deviations
    again, other = Lantern((0, 20)), Lantern((0, 20))
    normalized(again, 1), normalized(other, 2)
    assert env.actions == again.actions != other.actions


@pytest.mark.parametrize("end, resets", [(LIFE_LOST, 1), (RUNNING, 1), (TERMINATED, 1_001)])
def test_a_lost_life_does_not_begin_an_episode_while_it_is_measured(end, resets):
    env = Lantern((0, 20), lambda n: end)
    normalized(env, 1)
    assert env.resets == resets


@pytest.mark.parametrize("level", [0, 7])
def test_a_screen_that_never_changes_becomes_zeros_and_stays_a_screen(level):
    env = Lantern((level,))
    observation = normalized(env, 1)
    assert observation.is_screen
    np.testing.assert_allclose(observation.mean.ravel(), level * np.arange(12), rtol=1e-6)
    frames = encoded(observation, env.screen(level)).reshape(3, 4, 2)
    np.testing.assert_allclose(frames[:, :, 1], 0, atol=1e-5)


@pytest.mark.parametrize("env_id", ["Catch-v0", "MinAtar/Breakout-v1", "CartPole-v1", "FrozenLake-v1"])
def test_what_is_no_screen_stays_as_it_is(env_id):
    env = make_env(env_id)
    assert normalized(env, 1) is env.spec.observation
    env.close()


def test_the_bytes_of_a_console_stay_as_they_are():
    with registered(box((128,), np.uint8)) as env_id:
        env = make_env(env_id)
    assert normalized(env, 1) is env.spec.observation and env.env.unwrapped.actions == []


def test_an_environment_in_python_takes_over_the_scale_and_the_mean_alone():
    mean = np.arange(6, dtype=FLOAT).reshape(2, 3)
    given = Observation("frames", (9, 9, 9), 0.5, start=3, mean=mean)
    with registered(box((2, 3), np.uint8)) as env_id:
        player = Player(make_env(env_id, observation=given))
    assert player.spec == (env_id, "image", Observation("image", (2, 3), 0.5), 2, None)
    assert player.spec.observation.mean is mean
    for play in (player.reset, lambda: player.step(0)[0]):
        np.testing.assert_array_equal(play(), 0.5 * (player.env.env.unwrapped.last - mean).ravel())
    jitted = make_env("Catch-v0")
    assert make_env("Catch-v0", observation=given).spec == jitted.spec and jitted.spec.observation.mean is None


def test_an_agent_keeps_the_measure_of_its_screen(tmp_path):
    options = dict(network=(dense(4), relu()), steps=50, workers=1, final_eval_episodes=2, seed=5, terminal_on_life_loss=False)
    with registered(box((36, 36), np.uint8)) as env_id:
        plain = numasync.train(env_id, normalize=False, **options)
        agent = numasync.train(env_id, normalize=True, out=tmp_path / "run", **options)
        env = make_env(env_id)
        copy = numasync.load(tmp_path / "run" / "checkpoint.npz", env=env_id)
        assert copy.evaluate(2) == agent.result["evaluation"]
    assert plain.spec.observation == env.spec.observation and plain.spec.observation.mean is None
    measured = normalized(env, 5)
    assert copy.spec == agent.spec == env.spec._replace(observation=measured) != env.spec
    for observation in (agent.spec.observation, copy.spec.observation):
        assert observation.mean.dtype == FLOAT
        np.testing.assert_array_equal(observation.mean, measured.mean)
    # Each byte is equally likely: mean 127.5, deviation 73.9.
    darkest, brightest = (encoded(measured, np.full((36, 36), level)) for level in (0, 255))
    assert darkest.mean() == pytest.approx(-1.725, abs=0.01) and brightest.mean() == pytest.approx(1.725, abs=0.01)
    # The mean of a thousand of a pixel is off by 2.3, a thirtieth of the deviation.
    assert darkest.std() == pytest.approx(1 / 31.6, rel=0.1)


# --- Atari

atari = pytest.mark.skipif(DISABLED, reason="the interpreted encoder takes too long")


def blank_frames(obs):
    return int((obs.reshape(84, 84, 4).max((0, 1)) == 0).sum())


@pytest.fixture
def short_episodes(monkeypatch):
    """Episodes of 200 frames: 50 actions."""
    monkeypatch.setattr(numasync.envs.python.atari, "MAX_FRAMES", 200)


@atari
def test_atari_spec_and_encoding():
    player = Player(make_env("ALE/Pong-v5"))
    assert player.spec == ("ALE/Pong-v5", "atari", Observation("frames", (4, 84, 84), 1 / 255), 6, None)
    assert player.spec.observation.network_shape == (84, 84, 4)
    player.reset()
    for action in (2, 3, 2, 3, 2):
        player.env.action[0] = action
        raw, *_ = player.env.env.step(player.env.action)
    obs = np.full(84 * 84 * 4, np.nan, FLOAT)
    player.spec.observation.encode(raw[0], obs)
    np.testing.assert_allclose(obs.reshape(84, 84, 4), raw[0].transpose(1, 2, 0) / 255, rtol=1e-6)
    assert 0 <= obs.min() < 0.5 < obs.max() <= 1
    player.env.close()


@atari
@pytest.mark.parametrize(("env_id", "game_id"), [("ALE/Pong", "ALE/Pong-v5"), ("ale_py:ALE/Pong-v5", "ALE/Pong-v5")])
def test_atari_ids(env_id, game_id):
    assert numasync.envs.python.atari.atari_id(env_id) == game_id
    env = make_env(env_id)
    assert env.spec[:2] == (env_id, "atari")
    env.close()


@pytest.mark.parametrize("env_id", ["CartPole-v1", "gymnasium:CartPole-v1", "NoSuch-v0", "!"])
def test_ids_that_are_not_ataris(env_id):
    assert numasync.envs.python.atari.atari_id(env_id) is None


@atari
def test_atari_repeats_from_its_random_row(short_episodes):
    actions = np.random.default_rng(0).integers(6, size=120)

    def history(env_id, seed):
        player = Player(make_env(env_id), seed)
        seen = [player.reset()]
        for action in actions:
            obs, reward, end = player.step(action)
            seen += [obs, reward, end] + ([player.reset()] if end != RUNNING else [])
        player.env.close()
        return np.concatenate([np.ravel(x) for x in seen])

    for env_id in ("PongNoFrameskip-v4", "ALE/Pong-v5"):
        first = history(env_id, 1)
        np.testing.assert_array_equal(first, history(env_id, 1))
        assert not np.array_equal(first, history(env_id, 2))


@atari
@pytest.mark.parametrize(("env_id", "sticky"), [("PongNoFrameskip-v4", False), ("ALE/Pong-v5", True)])
def test_sticky_actions_are_as_the_id_says(env_id, sticky):
    # The same 40 actions after many resets: without sticky actions only the 1 to 30 no-ops make a difference.
    player, results = Player(make_env(env_id)), set()
    actions = np.random.default_rng(0).integers(6, size=40)
    for _ in range(50):
        player.reset()
        results.add([player.step(action)[0].tobytes() for action in actions][-1])
    assert len(results) > 1
    assert (len(results) > 30) == sticky


@atari
def test_atari_truncates_and_starts_afresh(short_episodes):
    player = Player(make_env("ALE/Pong-v5"))
    for _ in range(3):
        # A fresh start: three frames of the stack are still blank, and each step brings one more.
        assert blank_frames(player.reset()) == 3
        steps = [player.step(2) for _ in range(50)]
        assert [blank_frames(obs) for obs, *_ in steps[:4]] == [2, 1, 0, 0]
        # The last observation is the old episode's own, and no step goes to a transition between two episodes.
        assert blank_frames(steps[-1][0]) == 0
        assert [end for *_, end in steps] == [RUNNING] * 49 + [TRUNCATED]
    player.env.close()


@atari
@pytest.mark.parametrize("terminal_on_life_loss", [True, False])
def test_breakout_lives(terminal_on_life_loss):
    player, rng = Player(make_env("ALE/Breakout-v5", terminal_on_life_loss)), np.random.default_rng(0)
    assert blank_frames(player.reset()) == 3
    ends = []
    while not ends or ends[-1] in (RUNNING, LIFE_LOST):
        obs, _, end = player.step(rng.integers(4))
        # A lost life does not start anything afresh.
        assert len(ends) < 3 or blank_frames(obs) == 0
        ends.append(end)
    # Five lives: four are lost on the way, the fifth ends the game.
    assert ends[-1] == TERMINATED and ends.count(LIFE_LOST) == (4 if terminal_on_life_loss else 0)
    player.reset()
    assert player.env.lives == 5 and player.step(0)[2] == RUNNING
    player.env.close()


@atari
def test_atari_rewards_are_the_games_own():
    player, rng = Player(make_env("ALE/Assault-v5")), np.random.default_rng(0)
    player.reset()
    assert {player.step(rng.integers(7))[1] for _ in range(200)} == {0.0, 21.0}
    player.env.close()


@atari
def test_a_real_game_is_normalised():
    env = make_env("ALE/Pong-v5")
    observation = normalized(env, 1)
    env.close()
    assert observation.scale == pytest.approx(1 / (255 * SMALLEST_DEVIATION)), "in Pong little moves"
    assert observation.mean.shape == (84, 84) and observation.mean.dtype == FLOAT
    player, rng = Player(make_env("ALE/Pong-v5", observation=observation), 2), np.random.default_rng(0)
    player.reset()
    screens = np.array([player.step(rng.integers(6))[0].reshape(84, 84, 4)[:, :, -1] for _ in range(300)])
    player.env.close()
    assert np.mean(screens) == pytest.approx(0, abs=0.05) and 0.1 < np.std(screens) < 1
    assert np.median(np.abs(screens.mean(axis=0))) < 0.01, "most pixels never change"


@atari
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_training_on_a_real_game(algo):
    trainer = trained("ALE/Pong-v5", algo, steps=300, workers=2, target_interval=100, final_eval_episodes=1)
    assert 300 <= trainer.steps < 300 + 2 * trainer.config.t_max and trainer.shared.steps[:, 0].min() > 0
    assert np.isfinite(trainer.theta).all()
    assert not np.array_equal(trainer.theta, trainer.network.initial(trainer.config.seed))
    assert trainer.network.input_shape == (84, 84, 4)
