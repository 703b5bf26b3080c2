"""`numasync watch`: what is played, and the complaints."""

import re
import sys

import numpy as np
import pytest
from gymnasium.spaces import Box, MultiDiscrete
from support.gym_envs import registered_env

from numasync.agent.agent import Agent, load
from numasync.cli import main
from numasync.config import make_config
from numasync.envs import make_env
from numasync.envs.observation import Observation
from numasync.runtime.jit import FLOAT
from numasync.tools import watch


def test_a_seed_repeats_an_episode(shown):
    first, second, other = (shown("--env", "CartPole-v1", "--seed", seed) for seed in (1, 1, 2))
    assert first == second != other
    assert shown("--env", "CartPole-v1") == first, "the default seed is 1"


def test_random_actions_are_all_actions(shown):
    lines = shown("--env", "CartPole-v1", "--seed", 3)
    assert {re.search(r"action (.)", line)[1] for line in lines[1:-1]} == {"0", "1"}


@pytest.mark.parametrize(
    ("algo", "options"),
    [
        ("a3c", dict(eval_greedy=False)),
        ("a3c", dict(eval_greedy=True)),
        ("one_step_q", dict(eval_epsilon=0.0)),
        ("one_step_q", dict(eval_epsilon=0.6)),
    ],
)
def test_an_agent_plays_as_it_is_scored(shown, agent_file, algo, options):
    path = agent_file("CartPole-v1", algo, seed=7, **options)
    agent = load(path)
    for seed in (7, 8):
        score = agent.evaluate(1, seed)["mean"]
        assert shown(path, "--seed", seed)[-1] == f"Score {score:g} after {score:g} steps"
    own = shown(path)
    assert own == shown(path, "--env", "CartPole-v1", "--seed", 7), "its own environment and seed"


def test_an_agent_plays_the_gymnasium_twin(shown, agent_file):
    lines = shown(agent_file("CartPole-v1"), "--env", "gymnasium:CartPole-v1", "--steps", 3)
    assert lines[-1] == "Score 3 after 3 steps"


def test_the_option_agent_is_accepted_with_a_warning(shown, agent_file, capsys):
    path = str(agent_file("CartPole-v1"))
    lines = shown(path, "--steps", 3)
    assert main(["watch", "--agent", path, "--steps", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == lines and err == "numasync: numasync watch --agent AGENT is now numasync watch AGENT.\n"


def test_an_agent_sees_the_screen_as_it_did_in_training(shown, tmp_path):
    env = make_env("WatchedScreen-v0")
    env.close()
    mean = np.full((40, 50, 3), 255, FLOAT)
    mean[5, 9] = 85
    for given, actions in ((None, "111"), (mean, "001")):
        observation = Observation("image", (40, 50, 3), 1 / 50, mean=given)
        config = make_config("image", algo="one_step_q", env=env.spec.id, network=(), eval_epsilon=0.0)
        agent = Agent(config, env.spec._replace(observation=observation))
        # Action 1 where one pixel is brighter than its mean: from the grey value 85 on.
        agent.theta[:] = 0
        agent.network.views(agent.theta)["heads.weight"].reshape(40, 50, 3, 2)[5, 9, :, 1] = 1
        agent.save(tmp_path / "agent.npz")
        lines = shown(tmp_path / "agent.npz")
        assert "".join(re.findall(r"action (\d)", "\n".join(lines))) == actions


def test_a_continuous_action_is_shown_in_the_units_of_the_environment(shown, tmp_path):
    config = make_config("continuous", algo="a3c", env="Pendulum-v1", network=(), separate_value=False)
    agent = Agent(config, make_env("Pendulum-v1").spec)
    agent.theta[:] = 0
    agent.network.views(agent.theta)["heads.bias"][0] = 0.25
    agent.save(tmp_path / "agent.npz")
    lines = shown(tmp_path / "agent.npz", "--steps", 3)
    assert sum("action [0.5]" in line for line in lines) == 3


def test_an_action_of_several_integers_is_shown(shown, tmp_path):
    with registered_env(Box(-1, 1, (2,)), MultiDiscrete([3, 2])) as env_id:
        agent = Agent(make_config("classic", algo="a3c", env=env_id, network=()), make_env(env_id).spec)
        agent.theta[:] = 0
        agent.network.views(agent.theta)["heads.bias"][:] = 0, 0, 1, 1, 0, 0
        agent.save(tmp_path / "agent.npz")
        assert sum("action [2 0]" in line for line in shown(tmp_path / "agent.npz", "--steps", 2)) == 2
        assert sum("action [" in line for line in shown("--env", env_id, "--steps", 2)) == 2


def test_rewards_add_up_without_noise(shown):
    assert shown("--env", "WatchedScreen-v0")[-1] == "Score 0.3 after 3 steps"


def played(*arguments):
    """In the place of `watch.play_frames`: fails as soon as a frame is asked for."""
    yield pytest.fail("played")


@pytest.fixture
def complaint(capsys, monkeypatch, tmp_path):
    """Runs `numasync watch ARGUMENTS`, which must be refused before anything is played, and returns the sentence."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(watch, "play_frames", played)

    def run(*arguments):
        before = sorted(tmp_path.rglob("*"))
        try:
            code = main(["watch", *map(str, arguments)])
        except SystemExit as error:
            code = error.code
        captured = capsys.readouterr()
        assert (code, captured.out) == (2, "") and sorted(tmp_path.rglob("*")) == before
        assert re.fullmatch(r"numasync.+[.?]\n", captured.err), "one sentence on one line"
        return captured.err

    return run


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("", "give an AGENT, --env ID or both"),
        ("--env Nope-v0", "'Nope-v0' is no environment"),
        ("missing.npz", "no file missing.npz"),
        ("--env Catch-v0 --steps 0", "steps is 0; it must be a whole number from 1"),
        ("--env Catch-v0 --steps many", "--steps: invalid int value: 'many'"),
        ("--env Catch-v0 --fps 0", "fps is 0; it must be a whole number from 1 to 50"),
        ("--env Catch-v0 --fps 51", "fps is 51"),
        ("--env Catch-v0 --seed -1", "seed is -1"),
        ("--env Catch-v0 --gif", "--gif: expected one argument"),
        ("--env Catch-v0 --gif catch.png", "catch.png does not end in .gif"),
        ("--env Catch-v0 --gif none/catch.gif", "There is no folder none"),
        ("--env Catch-v0 --gif folder.gif", "folder.gif is a directory"),
        ("--env CartPole-v1 --gif cart.gif", "CartPole-v1 has no picture to write"),
        ("--env CartPole-v1 --video cart.mp4", "CartPole-v1 has no picture to write"),
        ("--env Catch-v0 --video catch.gif", "catch.gif does not end in .mp4"),
        ("--env Catch-v0 --video none/catch.mp4", "There is no folder none"),
        ("--env Catch-v0 --video folder.mp4", "folder.mp4 is a directory"),
        ("--env Catch-v0 --video a.mp4 --gif a.gif", "--gif: not allowed with argument --video"),
        ("--env Catch-v0 --video a.mp4 --fps 241", "fps is 241; it must be a whole number from 1 to 240"),
        ("--env NoPicture-v0 --video a.mp4", "NoPicture-v0 cannot be drawn: the paint is missing."),
        ("--env WrongPicture-v0 --gif a.gif", "WrongPicture-v0 draws float64 of shape (2, 2); it must be uint8"),
        ("--env Catch-v0 --episodes 3", "unrecognized arguments: --episodes;"),
    ],
)
def test_bad_input_gets_one_sentence_and_plays_nothing(complaint, tmp_path, arguments, says):
    (tmp_path / "folder.gif").mkdir()
    (tmp_path / "folder.mp4").mkdir()
    assert says in complaint(*arguments.split())


def test_an_agent_plays_only_its_own_game(complaint, agent_file):
    assert "trained on Catch-v0; it cannot play CartPole-v1" in complaint(
        agent_file("Catch-v0"), "--env", "CartPole-v1"
    )


def test_an_environment_that_has_changed_is_refused(complaint, tmp_path):
    spec = make_env("Catch-v0").spec._replace(id="WatchedScreen-v0")
    Agent(make_config("image", env=spec.id), spec).save(tmp_path / "agent.npz")
    says = "action bounds are (40, 50, 3), 2, None; the agent expects (10, 5, 1), 3, None."
    assert says in complaint("agent.npz")


def test_without_ffmpeg_a_video_is_refused(complaint, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert 'pip install "numasync[video]"' in complaint("--env", "Catch-v0", "--video", "catch.mp4")


def test_without_pillow_a_gif_is_refused(complaint, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert 'pip install "numasync[gif]"' in complaint("--env", "Catch-v0", "--gif", "catch.gif")
