"""Wrong observations and rewards of Gymnasium's environments, and the messages about them."""

import fractions
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from support.gym_envs import box
from support.players import Player
from support.text import is_one_sentence

import numasync
from numasync import WorkerError, dense
from numasync.envs import make_env
from numasync.envs.python.space_checks import describe_space
from numasync.errors import InputError

FIVE = box((5,), np.float32, -1, 1)
PICTURE = box((10, 12, 3), np.uint8)
PARTS = spaces.Dict(a=box((2, 3), np.float32), b=spaces.Discrete(2))
PAIR = spaces.Tuple([spaces.Discrete(2), spaces.MultiBinary(2)])
SHORT = dict(workers=2, steps=200, final_eval_episodes=1, network=(dense(4),))


class Shows(gymnasium.Env):
    """Shows zeros at a reset and `shown` at a step, or at both."""

    action_space = spaces.Discrete(2)

    def __init__(self, space, shown, at_reset=False, reward=0.0):
        self.observation_space, self.shown, self.reward = space, shown, reward
        self.first = shown if at_reset else space.sample()

    def reset(self, seed=None, options=None):
        return self.first, {}

    def step(self, action):
        return self.shown, self.reward, False, False, {}


@pytest.fixture
def shows(monkeypatch):
    """Registers Shows-v0 with the arguments of `Shows`, and returns its id."""

    def register(*arguments, **more):
        spec = gymnasium.envs.registration.EnvSpec("Shows-v0", lambda: Shows(*arguments, **more))
        monkeypatch.setitem(gymnasium.registry, "Shows-v0", spec)
        return "Shows-v0"

    return register


BROKEN = [
    (FIVE, np.zeros(1), "its shape must be (5,), not (1,)"),
    (FIVE, np.zeros((5, 1), np.float32), "its shape must be (5,), not (5, 1)"),
    (FIVE, 0.5, "its shape must be (5,), not ()"),
    (FIVE, None, "it must hold numbers, not NoneType"),
    (FIVE, ["a"] * 5, "it must hold numbers, not list"),
    (FIVE, np.zeros(5, complex), "it must hold numbers, not ndarray of complex128"),
    (FIVE, [[1], [1, 2], 3, 4, 5], "it must be an array"),
    (FIVE, np.full(5, np.nan, np.float32), "finite float32 numbers, not nan"),
    (FIVE, np.full(5, 1e39), "finite float32 numbers, not inf"),
    (FIVE, np.full(5, 1e6), "1e+06 is far outside"),
    (PICTURE, np.zeros((3, 10, 12), np.uint8), "its shape must be (10, 12, 3), not (3, 10, 12)"),
    (PICTURE, np.full((10, 12, 3), 0.5), "its numbers must be whole (uint8), not 0.5"),
    (PICTURE, np.full((10, 12, 3), 300), "a number must lie from 0 to 255, not 300"),
    (PICTURE, np.full((10, 12, 3), -1), "a number must lie from 0 to 255, not -1"),
    (box((2,), np.int64, 0, 5), np.array([0, 6]), "a number must lie from 0 to 5, not 6"),
    (spaces.Discrete(4), 4, "a number must lie from 0 to 3, not 4"),
    (spaces.Discrete(4), -1, "a number must lie from 0 to 3, not -1"),
    (spaces.Discrete(4), 2.5, "its numbers must be whole (int64), not 2.5"),
    (spaces.Discrete(4), np.array([1]), "its shape must be (), not (1,)"),
    (spaces.MultiDiscrete([2, 3]), np.array([2, 0]), "a number must lie from 0 to 1, not 2"),
    (spaces.MultiDiscrete([2, 3]), np.array([0, -1]), "a number must lie from 0 to 2, not -1"),
    (spaces.MultiBinary(2), np.array([0, 2], np.int8), "a number must lie from 0 to 1, not 2"),
    (PARTS, {"a": np.zeros((3, 2), np.float32), "b": 1}, "in its part 'a', its shape must be (2, 3), not (3, 2)"),
    (PARTS, {"a": np.zeros((2, 3), np.float32)}, "its part 'b' is missing"),
    (PARTS, np.zeros(8), "it must be a dict, not ndarray"),
    (PAIR, (1, np.array([0, 2], np.int8)), "in its part 1, a number must lie from 0 to 1, not 2"),
    (PAIR, (1,), "it must be a tuple of 2 parts"),
]


@pytest.mark.parametrize("at_reset", [False, True])
@pytest.mark.parametrize(("space", "shown", "offence"), BROKEN)
def test_an_observation_that_breaks_its_space_is_named_with_its_space_and_its_value(
    shows, space, shown, offence, at_reset
):
    flatten = isinstance(space, (spaces.Dict, spaces.Tuple))
    player = Player(make_env(shows(space, shown, at_reset), flatten=flatten))
    with pytest.raises(InputError) as refusal:
        player.reset()
        player.step(0)
    message = str(refusal.value)
    call = "reset after step 0" if at_reset else "step 1"
    start = f"{call} of Shows-v0 returned an observation that is not in its space {describe_space(space)}: "
    assert message.startswith(start) and offence in message and is_one_sentence(message)


@pytest.mark.parametrize(
    ("space", "shown"),
    [
        (FIVE, np.zeros(5)),
        (FIVE, [0, 1, 0, 0.5, 1]),
        (FIVE, np.array([True, False, True, True, True])),
        (PICTURE, np.full((10, 12, 3), 255)),
        (PICTURE, np.full((10, 12, 3), 255.0)),
        (spaces.Discrete(4), np.array(3)),
        (spaces.Discrete(4), 3.0),
        (spaces.Discrete(4, start=-2), np.int8(-2)),
        (spaces.MultiDiscrete([2, 3]), [1, 2]),
        (spaces.MultiBinary(2), np.array([True, False])),
        (box((2,), np.float32, -np.inf, np.inf), np.array([3e38, -3e38])),
    ],
)
def test_what_is_another_type_and_the_same_numbers_is_taken(shows, space, shown):
    player = Player(make_env(shows(space, shown)))
    player.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(player.step(0)[0]).all()


def test_real_numbers_a_little_outside_their_bounds_are_a_warning_once(shows):
    player = Player(make_env(shows(FIVE, np.full(5, 1.5, np.float32))))
    player.reset()
    with pytest.warns(UserWarning, match=r"Shows-v0 leaves the bounds of its space Box\(-1\.0, 1\.0") as warned:
        player.step(0), player.step(0)
    assert len(warned) == 1


@pytest.mark.parametrize("at_reset", [False, True])
def test_training_ends_at_the_first_observation_that_breaks_its_space(shows, at_reset):
    with pytest.raises(WorkerError, match=r"^Worker \d failed: .* of Shows-v0 .*Box.* must be \(5,\), not \(1,\)"):
        numasync.train(shows(FIVE, np.zeros(1), at_reset), **SHORT)


@pytest.mark.parametrize(
    ("reward", "value"),
    [
        (np.array([1.5]), 1.5),
        (np.array([[2]]), 2.0),
        (np.array(3), 3.0),
        (np.float32(0.5), 0.5),
        (np.int8(-1), -1.0),
        (True, 1.0),
        (np.True_, 1.0),
        ([4], 4.0),
        (fractions.Fraction(1, 4), 0.25),
    ],
)
def test_a_reward_is_one_number_of_any_library(shows, reward, value):
    player = Player(make_env(shows(FIVE, np.zeros(5), reward=reward)))
    player.reset()
    assert player.step(0)[1] == value


@pytest.mark.parametrize(
    "reward", [None, "1.0", np.zeros(2), 1j, np.nan, np.inf, np.array([-np.inf]), {}, np.array([])]
)
def test_what_is_not_one_finite_number_is_no_reward(shows, reward):
    player = Player(make_env(shows(FIVE, np.zeros(5), reward=reward)))
    player.reset()
    with pytest.raises(InputError, match=r"^step 1 of Shows-v0 returned the reward .*, which must be one finite"):
        player.step(0)


@pytest.mark.parametrize(
    ("name", "result", "number"), [("reset", np.zeros(2), "two"), ("step", (0, 0, False, {}), "five")]
)
def test_the_results_of_the_old_gym_are_named(shows, monkeypatch, name, result, number):
    env_id = shows(FIVE, np.zeros(5))
    monkeypatch.setattr(Shows, name, lambda *_, **__: result)
    player = Player(make_env(env_id))
    with pytest.raises(InputError, match=rf"{name}.* of Shows-v0 must return a tuple of {number}: observation"):
        player.reset()
        player.step(0)


class Mission(spaces.Space):
    """A space of the user's own, which Gymnasium cannot flatten."""

    def __init__(self):
        super().__init__((), str)

    def sample(self):
        return "go"

    def __repr__(self):
        return "Mission()"


@pytest.mark.parametrize(
    ("space", "part"),
    [
        (spaces.Dict(image=PICTURE, mission=Mission()), "its part 'mission' is Mission()"),
        (spaces.Tuple([spaces.Discrete(2), spaces.Sequence(FIVE)]), "its part 1 is Sequence"),
        (spaces.Dict(a=spaces.Dict(b=spaces.Graph(FIVE, None))), "its part 'b' is Graph"),
        (Mission(), "it is Mission()"),
    ],
)
def test_what_cannot_be_flattened_is_named(shows, space, part):
    with pytest.raises(InputError) as refusal:
        make_env(shows(space, None), flatten=True)
    message = str(refusal.value)
    assert message.startswith("Shows-v0 has the observation space ") and part in message and is_one_sentence(message)
