"""Games of ALE in a mode and at a difficulty of the user's choice, and keywords of other games of ALE."""

import numpy as np
import pytest
from ale_py.vector_env import AtariVectorEnv

import numasync
import numasync.envs.python.single_game as single_game
from numasync import dense
from numasync.envs import make_env
from numasync.envs.python.single_game import SingleGame, area_weights, shrink
from numasync.envs.spec import RUNNING
from numasync.runtime.jit import DISABLED, FLOAT
from numasync.runtime.rng import seed_row

atari = pytest.mark.skipif(DISABLED, reason="the interpreted encoder takes too long")

SETTINGS = dict(repeat_action_probability=0.25, full_action_space=False, max_num_frames_per_episode=2_000, frameskip=4)


@atari
@pytest.mark.parametrize("game", ["pong", "breakout", "carnival"])
def test_a_game_is_the_game_of_the_vector_interface(game, monkeypatch):
    """Where both start without no-ops. The two round a few pixels in another way."""
    monkeypatch.setattr(single_game, "NO_OPS", 1)
    theirs = AtariVectorEnv(game, 1, num_threads=1, noop_max=1, reward_clipping=False, **SETTINGS)
    ours, rng, ends = SingleGame(game, None, None, **SETTINGS), np.random.default_rng(0), 0
    assert ours.single_action_space == theirs.single_action_space
    (expected, lives), (found, our_lives) = theirs.reset(seed=5), ours.reset(5)
    other = [0]
    for _ in range(600):
        other.append(int((found != expected).sum()))
        assert np.abs(found.astype(int) - expected).max() <= 1 and our_lives["lives"] == lives["lives"]
        action = rng.integers(theirs.single_action_space.n, size=1)
        expected, *end, lives = theirs.step(action)
        found, *our_end, our_lives = ours.step(action)
        assert [part[0] for part in our_end] == [part[0] for part in end]
        if end[1][0] or end[2][0]:
            ends += 1
            (expected, lives), (found, our_lives) = theirs.reset(), ours.reset()
    assert ends > 0 and np.mean(other) < 28, "of 28,224 pixels"


def test_a_pixel_is_the_mean_of_the_pixels_that_lie_in_it():
    weights = [area_weights(*sizes) for sizes in ((5, 2), (4, 2))]
    np.testing.assert_allclose(weights[0][1], np.array([[2, 2, 1], [1, 2, 2]]) / 5)
    assert weights[0][0].tolist() == [0, 2] and weights[1][0].tolist() == [0, 2]
    picture, out = np.arange(20, dtype=np.uint8).reshape(5, 4) * 12, np.zeros((2, 2), np.uint8)
    shrink(out, picture, *weights[0], *weights[1])
    tall = np.repeat(np.repeat(picture.astype(float), 2, axis=0), 1, axis=1)
    np.testing.assert_array_equal(out, np.rint(tall.reshape(2, 5, 2, 2).mean(axis=(1, 3))))
    for size in (210, 214, 230, 250, 160):
        np.testing.assert_allclose(area_weights(size, 84)[1].sum(axis=1), 1, rtol=1e-6)


def play(env, steps=150, seed=1):
    rng, obs, actions = seed_row(seed, 0), np.zeros(84 * 84 * 4, FLOAT), np.random.default_rng(0)
    env.on_reset(rng, obs)
    seen = [obs.copy()]
    for action in actions.integers(env.spec.n_actions, size=steps):
        _, end = env.on_step(action, rng, obs)
        seen.append(obs.copy())
        if end != RUNNING:
            env.on_reset(rng, obs)
    env.close()
    return np.array(seen)


@atari
def test_a_mode_and_a_difficulty_change_the_game():
    plain, *others = (
        play(make_env("ALE/Breakout-v5", env_kwargs=kwargs))
        for kwargs in ({"mode": 0}, {"mode": 0}, {"mode": 12}, {"difficulty": 1})
    )
    np.testing.assert_array_equal(plain, others[0])
    assert not np.array_equal(plain, others[1]) and not np.array_equal(plain, others[2])


@atari
def test_other_keywords_of_a_game_leave_it_to_the_vector_interface():
    env = make_env("ALE/Pong-v5", env_kwargs={"repeat_action_probability": 0.0, "full_action_space": True})
    assert isinstance(env.env, AtariVectorEnv) and env.spec.n_actions == 18
    env.close()
    assert make_env("ALE/Pong-v5", env_kwargs={"max_episode_steps": 7}).settings.steps == 7
    assert make_env("PongNoFrameskip-v4", env_kwargs={"frameskip": 3, "max_episode_steps": 7}).settings.steps == 7


@atari
def test_a_game_in_a_mode_goes_on_from_where_it_was_saved():
    first, second, rng, obs = *(make_env("ALE/Pong-v5", env_kwargs={"mode": 1}) for _ in range(2)), seed_row(1, 0), []
    obs, again = np.zeros((2, 84 * 84 * 4), FLOAT)
    first.keep_history()
    first.on_reset(rng, obs)
    for action in np.random.default_rng(0).integers(6, size=80):
        first.on_step(action, rng, obs)
    second.keep_history()
    second.restore(first.save(), again)
    np.testing.assert_array_equal(obs, again)
    for env, row in ((first, obs), (second, again)):
        env.on_step(2, rng, row)
    np.testing.assert_array_equal(obs, again)


@pytest.mark.compiled
def test_an_agent_learns_and_is_evaluated_in_its_mode(tmp_path):
    options = dict(steps=80, workers=2, final_eval_episodes=1, network=(dense(4),), normalize=False)
    kwargs = {"mode": 1, "difficulty": 1, "max_episode_steps": 30}
    agent = numasync.train("ALE/Pong-v5", env_kwargs=kwargs, out=tmp_path / "run", deterministic=True, **options)
    assert agent.spec.env_kwargs == kwargs and numasync.load(tmp_path / "run" / "checkpoint.npz").spec == agent.spec
    assert numasync.load(tmp_path / "run" / "checkpoint.npz").evaluate(1) == agent.result["evaluation"]
    assert numasync.resume(tmp_path / "run", steps=120).result["steps"] >= 120
