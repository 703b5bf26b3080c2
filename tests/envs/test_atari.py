"""Atari: ALE on real games."""

import gymnasium
import numpy as np
import pytest
from support.players import Player
from support.runs import trained
from support.text import is_one_sentence

import numasync.envs.python.atari
from numasync.algorithms import ALGORITHMS
from numasync.envs import make_env
from numasync.envs.normalization import SMALLEST_DEVIATION, measure_normalization
from numasync.envs.observation import Observation
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED
from numasync.errors import InputError
from numasync.runtime.jit import DISABLED, FLOAT
from numasync.runtime.rng import seed_row

atari = pytest.mark.skipif(DISABLED, reason="the interpreted encoder takes too long")


def blank_frames(obs):
    return int((obs.reshape(84, 84, 4).max((0, 1)) == 0).sum())


@pytest.fixture
def short_episodes(monkeypatch):
    """Episodes of 200 frames: 50 actions."""
    for env_id in ("ALE/Pong-v5", "PongNoFrameskip-v4"):
        monkeypatch.setitem(gymnasium.spec(env_id).kwargs, "max_num_frames_per_episode", 200)


@atari
def test_atari_spec_and_encoding():
    player = Player(make_env("ALE/Pong-v5"))
    assert player.spec[:5] == ("ALE/Pong-v5", "atari", Observation("frames", (4, 84, 84), 1 / 255), 6, None)
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
    observation = measure_normalization(env, 1)
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


@pytest.fixture
def own_pong(monkeypatch):
    """Registers OwnPong-v0 with settings, and returns its id."""

    def register(more, **settings):
        spec = gymnasium.envs.registration.EnvSpec("OwnPong-v0", "ale_py.env:AtariEnv", **more)
        spec.kwargs.update({"game": "pong", **settings})
        monkeypatch.setitem(gymnasium.registry, "OwnPong-v0", spec)
        return "OwnPong-v0"

    return register


@pytest.mark.parametrize(
    "setting",
    [
        dict(mode=1.5),
        dict(difficulty="hard"),
        dict(full_action_space=2),
        dict(continuous=True),
        dict(obs_type="ram"),
        dict(sound_obs=True),
        dict(render_mode="human"),
        dict(frameskip=(2, 5)),
        dict(frameskip=0),
        dict(repeat_action_probability=1.5),
        dict(max_num_frames_per_episode=-1),
        dict(colour="red"),
    ],
    ids=str,
)
def test_a_setting_of_an_atari_id_that_cannot_be_honoured_is_refused_by_name(own_pong, setting):
    (text,) = [f"{name}={value!r}" for name, value in setting.items()]
    with pytest.raises(InputError) as refusal:
        make_env(own_pong({}, **setting))
    message = str(refusal.value)
    assert message.startswith(f"OwnPong-v0 has {text}, but ") and is_one_sentence(message)


def test_a_game_that_ale_does_not_have_is_refused(own_pong):
    with pytest.raises(InputError, match="^OwnPong-v0 has settings that ALE refuses: nosuch"):
        make_env(own_pong({}, game="nosuch"))


def test_wrappers_that_are_registered_with_an_atari_id_are_refused(own_pong):
    wrapper = gymnasium.envs.registration.WrapperSpec("Mirror", "mirror:Mirror", None)
    with pytest.raises(InputError, match="^OwnPong-v0 has the wrapper Mirror, but "):
        make_env(own_pong(dict(additional_wrappers=(wrapper,))))


@atari
@pytest.mark.parametrize(
    ("limit", "settings", "steps"),
    [
        (20, {}, 20),
        (20, dict(frameskip=4), 20),
        (18, dict(frameskip=1), 5),
        (None, dict(max_num_frames_per_episode=80), 20),
        (None, dict(max_num_frames_per_episode=60, frameskip=3), 20),
    ],
    ids=str,
)
def test_time_limits_and_the_frame_skip_of_an_atari_id_are_honoured(own_pong, monkeypatch, limit, settings, steps):
    monkeypatch.setattr(numasync.envs.python.atari, "NO_OPS", 1)
    player = Player(make_env(own_pong(dict(max_episode_steps=limit), **settings)))
    for _ in range(2):
        player.reset()
        ends = [player.step(0)[2]]
        while ends[-1] == RUNNING:
            ends.append(player.step(0)[2])
        assert ends[-1] == TRUNCATED and len(ends) in (steps, steps - 1)
        assert limit is None or len(ends) == steps
    player.env.close()


def test_the_other_settings_of_an_atari_id_reach_ale(own_pong, monkeypatch):
    given, made = [], numasync.envs.python.atari.AtariVectorEnv
    monkeypatch.setattr(numasync.envs.python.atari, "AtariVectorEnv", lambda **all: given.append(all) or made(**all))
    env = make_env(own_pong({}, full_action_space=True, mode=None, obs_type="grayscale"))
    assert env.spec.n_actions == 18
    env.close()
    assert given[0]["repeat_action_probability"] == 0.25, "as in Gymnasium, where nothing is said"
    make_env(own_pong({}, repeat_action_probability=0.5)).close()
    assert given[1]["repeat_action_probability"] == 0.5


@atari
@pytest.mark.parametrize("env_id", ["PongNoFrameskip-v4", "ALE/Breakout-v5"])
def test_a_game_that_is_restored_goes_on_as_it_would_have(monkeypatch, env_id):
    monkeypatch.setattr("numasync.envs.python.atari.STEPS_OF_A_SEED", 120)
    env, rng, obs = make_env(env_id), seed_row(1, 0), np.zeros(84 * 84 * 4, FLOAT)
    actions = np.random.default_rng(0).integers(env.spec.n_actions, size=1500).tolist()

    def play(env, actions, rng, obs):
        seen = []
        for action in actions:
            reward, end = env.on_step(action, rng, obs)
            if end in (TERMINATED, TRUNCATED):
                env.on_reset(rng, obs)
            seen.append((obs.tobytes(), float(reward), end, env.seed, rng.tobytes()))
        return seen

    env.keep_history()
    env.on_reset(rng, obs)
    first = env.seed
    play(env, actions[:1000], rng, obs)
    saved, rng_then, obs_then = env.save(), rng.copy(), obs.copy()
    expected = play(env, actions[1000:], rng, obs)
    again, found = make_env(env_id), np.zeros_like(obs)
    again.keep_history()
    again.restore(saved, found)
    np.testing.assert_array_equal(found, obs_then)
    assert play(again, actions[1000:], rng_then, found) == expected
    assert ("Pong" in env_id) or saved[0] != first, "an episode of Breakout is short, so there was a new seed"
    env.close()
    again.close()


@atari
def test_a_game_that_need_not_be_saved_keeps_no_history():
    env, obs = make_env("PongNoFrameskip-v4"), np.zeros(84 * 84 * 4, FLOAT)
    env.on_reset(seed_row(1, 0), obs)
    env.on_step(2, None, obs)
    assert env.history is None and env.save() is None
    env.close()
