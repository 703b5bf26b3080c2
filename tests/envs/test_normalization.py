"""Normalised observations: what is measured of screens, that an agent keeps it, and what is left alone."""

import dataclasses

import numpy as np
import pytest
from gymnasium import spaces
from support.gym_envs import box, registered_env
from support.observations import encode
from support.players import Player

import numasync
from numasync import dense, relu
from numasync.envs import make_env
from numasync.envs.normalization import SMALLEST_DEVIATION, measure_normalization
from numasync.envs.observation import Observation
from numasync.envs.python.bridge import PythonEnv
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, EnvSpec
from numasync.runtime.jit import FLOAT

STACK = Observation("frames", (2, 3, 4), 1 / 255)


ROOT_MEAN_SQUARE = np.sqrt(np.mean(np.arange(12) ** 2))  # of a screen of brightness 1


class Lantern(PythonEnv):
    """A screen of known brightness: pixel i of step n is i * bright[n % len(bright)].

    A stack has two frames, and the first is the negative of the last. An episode starts in full light, which no step
    shows. `ends` is a function that gives the end of step n.
    """

    def __init__(self, bright, ends=lambda n: TRUNCATED if n % 3 == 0 else RUNNING, observation=STACK):
        super().__init__(EnvSpec("Lantern", "atari", observation, 3))
        self.bright, self.ends, self.actions, self.resets = bright, ends, [], 0

    def screen(self, level):
        picture = level * np.arange(12, dtype=np.uint8)
        both = [255 - picture, picture] if self.spec.observation.kind == "frames" else picture
        return np.reshape(both, self.spec.observation.shape)

    def on_reset(self, rng, obs):
        self.resets += 1
        self.spec.observation.encode(self.screen(23), obs)

    def on_step(self, action, rng, obs):
        self.actions.append(action)
        self.spec.observation.encode(self.screen(self.bright[len(self.actions) % len(self.bright)]), obs)
        return 0.0, self.ends(len(self.actions))


@pytest.mark.parametrize("plain", [STACK, Observation("image", (3, 4), 1 / 255), Observation("image", (2, 2, 3), 0.01)])
@pytest.mark.parametrize("bright", [(2, 20), (4, 20, 20, 4, 12)], ids=str)
def test_each_pixel_of_a_screen_is_centred_and_all_are_scaled_alike(bright, plain):
    env = Lantern(bright, observation=plain)
    observation = measure_normalization(env, 1)
    assert observation == dataclasses.replace(plain, scale=observation.scale) and observation.is_screen
    pixels = np.outer(bright, np.arange(12))
    mean = pixels.mean(axis=0)
    assert observation.mean.dtype == FLOAT
    shape = (3, 4) if plain is STACK else plain.shape
    np.testing.assert_allclose(observation.mean, mean.reshape(shape), rtol=1e-5)
    deviation = np.sqrt(((pixels - mean) ** 2).mean())
    for level in (*bright, 23):
        screen = env.screen(level)
        expected = screen.reshape(-1, 12) - mean  # for both frames of a stack, although only the last one is measured
        np.testing.assert_allclose(encode(observation, screen), expected.T.ravel() / deviation, atol=1e-5)


@pytest.mark.parametrize("bright, deviation", [((8, 9), 255 * SMALLEST_DEVIATION), ((8, 12), 2 * ROOT_MEAN_SQUARE)])
def test_a_screen_on_which_little_moves_is_not_scaled_up_without_end(bright, deviation):
    assert ROOT_MEAN_SQUARE / 2 < 255 * SMALLEST_DEVIATION < 2 * ROOT_MEAN_SQUARE
    assert measure_normalization(Lantern(bright), 1).scale == pytest.approx(1 / deviation, rel=1e-5)


def test_a_thousand_random_actions_are_measured():
    env = Lantern((0, 20))
    measure_normalization(env, 1)
    assert len(env.actions) == 1_000 and env.resets == 1 + 333
    assert np.abs(np.bincount(env.actions, minlength=3) - 333).max() < 75  # five standard deviations
    again, other = Lantern((0, 20)), Lantern((0, 20))
    measure_normalization(again, 1), measure_normalization(other, 2)
    assert env.actions == again.actions != other.actions


@pytest.mark.parametrize("end, resets", [(LIFE_LOST, 1), (RUNNING, 1), (TERMINATED, 1_001)])
def test_a_lost_life_does_not_begin_an_episode_while_it_is_measured(end, resets):
    env = Lantern((0, 20), lambda n: end)
    measure_normalization(env, 1)
    assert env.resets == resets


@pytest.mark.parametrize("level", [0, 7])
def test_a_screen_that_never_changes_becomes_zeros_and_stays_a_screen(level):
    env = Lantern((level,))
    observation = measure_normalization(env, 1)
    assert observation.is_screen
    np.testing.assert_allclose(observation.mean.ravel(), level * np.arange(12), rtol=1e-6)
    frames = encode(observation, env.screen(level)).reshape(3, 4, 2)
    np.testing.assert_allclose(frames[:, :, 1], 0, atol=1e-5)


@pytest.mark.parametrize("env_id", ["Catch-v0", "MinAtar/Breakout-v1", "FrozenLake-v1"])
def test_boards_and_one_hots_stay_as_they_are(env_id):
    env = make_env(env_id)
    assert measure_normalization(env, 1) is env.spec.observation
    env.close()


@pytest.mark.parametrize("space", [box((128,), np.uint8), box((2, 3), np.float32), spaces.MultiBinary(4)], ids=str)
def test_vectors_are_left_to_the_run(space):
    with registered_env(space) as env_id:
        env = make_env(env_id)
    plain = env.spec.observation
    assert measure_normalization(env, 1) == dataclasses.replace(plain, normalized=True) != plain
    assert env.env.unwrapped.actions == []


def test_an_environment_in_python_takes_over_the_scale_and_the_mean_alone():
    mean = np.arange(6, dtype=FLOAT).reshape(2, 3)
    given = Observation("frames", (9, 9, 9), 0.5, start=3, mean=mean)
    with registered_env(box((2, 3), np.uint8)) as env_id:
        player = Player(make_env(env_id, observation=given))
    assert player.spec[:5] == (env_id, "image", Observation("image", (2, 3), 0.5), 2, None)
    assert player.spec.observation.mean is mean
    for play in (player.reset, lambda: player.step(0)[0]):
        np.testing.assert_array_equal(play(), 0.5 * (player.env.env.unwrapped.last - mean).ravel())
    jitted = make_env("Catch-v0")
    assert make_env("Catch-v0", observation=given).spec == jitted.spec and jitted.spec.observation.mean is None


def test_an_agent_keeps_the_measure_of_its_screen(tmp_path):
    options = dict(
        network=(dense(4), relu()), steps=50, workers=1, final_eval_episodes=2, seed=5, terminal_on_life_loss=False
    )
    with registered_env(box((36, 36), np.uint8)) as env_id:
        plain = numasync.train(env_id, normalize=False, **options)
        agent = numasync.train(env_id, normalize=True, out=tmp_path / "run", **options)
        env = make_env(env_id)
        copy = numasync.load(tmp_path / "run" / "checkpoint.npz", env=env_id)
        assert copy.evaluate(2) == agent.result["evaluation"]
    assert plain.spec.observation == env.spec.observation and plain.spec.observation.mean is None
    measured = measure_normalization(env, 5)
    assert copy.spec == agent.spec == env.spec._replace(observation=measured) != env.spec
    for observation in (agent.spec.observation, copy.spec.observation):
        assert observation.mean.dtype == FLOAT
        np.testing.assert_array_equal(observation.mean, measured.mean)
    # Each byte is equally likely: mean 127.5, deviation 73.9.
    darkest, brightest = (encode(measured, np.full((36, 36), level)) for level in (0, 255))
    assert darkest.mean() == pytest.approx(-1.725, abs=0.01) and brightest.mean() == pytest.approx(1.725, abs=0.01)
    # The mean of a thousand of a pixel is off by 2.3, a thirtieth of the deviation.
    assert darkest.std() == pytest.approx(1 / 31.6, rel=0.1)
