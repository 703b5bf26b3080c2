"""`numasync watch`: what it plays, how it shows it on a terminal and through a pipe, its GIFs and its complaints."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from numasync.agent.agent import Agent, load
from numasync.cli import main
from numasync.config import make_config
from numasync.envs import make_env
from numasync.envs.normalization import measure_normalization
from numasync.envs.observation import Observation
from numasync.runtime.jit import FLOAT
from numasync.tools import watch

BOARD_ROW = re.compile(r"^[.1-9]+$")


@pytest.fixture(autouse=True)
def no_terminal_settings(monkeypatch):
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def shown(capsys):
    """Runs `numasync watch ARGUMENTS` and returns the lines that it printed."""

    def run(*arguments):
        assert main(["watch", *map(str, arguments)]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out.splitlines()

    return run


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Lets what capsys puts in the place of stdout pass for a terminal, and keeps the seconds that were slept."""
    slept = []
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stdout: True)
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def agent_file(tmp_path):
    """Saves an agent that has learned nothing and returns its path."""

    def save(env_id, algo="a3c", **options):
        spec = make_env(env_id).spec
        path = tmp_path / "agent.npz"
        Agent(make_config(spec.family, env=env_id, algo=algo, **options), spec).save(path)
        return path

    return save


class Screen(gymnasium.Env):
    """Step n shows the grey value 50 n + 10, made of three unequal colours, and one white pixel."""

    observation_space = Box(0, 255, (40, 50, 3), np.uint8)
    action_space = Discrete(2)

    def picture(self):
        picture = np.zeros((40, 50, 3), np.uint8)
        picture[:] = np.array([0, 10, 20]) + 50 * self.steps
        picture[3, 7] = 255
        return picture

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return self.picture(), {}

    def step(self, action):
        self.steps += 1
        return self.picture(), 0.1, self.steps == 3, False, {}


@pytest.fixture(scope="module", autouse=True)
def screen():
    gymnasium.register("WatchedScreen-v0", entry_point=Screen)
    yield
    gymnasium.registry.pop("WatchedScreen-v0")


# --- Through a pipe


def test_a_board_is_printed_a_character_a_cell(shown):
    lines = shown("--env", "Catch-v0", "--seed", 4)
    assert len(lines) == 10 * 11 + 1, "ten frames of ten rows and a status line, and the summary"
    frames = [lines[i : i + 11] for i in range(0, 110, 11)]
    column = frames[0][0].index("1")
    for number, (*rows, status) in enumerate(frames):
        assert all(BOARD_ROW.match(row) and len(row) == 5 for row in rows)
        assert rows[number][column] == "1" and "1" in rows[9]
        assert status.startswith(f"step {number}  action ")
    assert frames[0][-1] == "step 0  action -  reward 0  score 0" and frames[0][9] == "..1.."
    caught = frames[-1][9].count("1") == 1
    assert lines[-1] == f"Score {1 if caught else -1} after 9 actions"
    assert frames[-1][-1].endswith("reward 1  score 1" if caught else "reward -1  score -1")


def test_a_vector_is_printed_a_line_a_step(shown):
    lines = shown("--env", "CartPole-v1", "--steps", 5)
    assert len(lines) == 7
    assert re.fullmatch(r"step 0  action -  reward 0  score 0  observation( -?[\d.e-]+){4}", lines[0])
    for step, line in enumerate(lines[1:-1], 1):
        wanted = rf"step {step}  action [01]  reward 1  score {step}  observation( -?[\d.e-]+){{4}}"
        assert re.fullmatch(wanted, line)
    assert lines[-1] == "Score 5 after 5 actions"


def test_a_discrete_observation_is_its_integer(shown):
    lines = shown("--env", "FrozenLake-v1", "--steps", 1)
    assert lines[0].endswith("observation 0") and re.search(r"observation [014]$", lines[1])
    assert lines[2] == "Score 0 after 1 action"


def test_bytes_are_shown_as_bytes():
    observation = Observation("vector", (3,), 1 / 255)
    obs = np.zeros(3, FLOAT)
    observation.encode(np.array([0, 77, 255], np.uint8), obs)
    assert watch.numbers(obs, observation) == "0 77 255"


def test_a_screen_is_printed_in_shades_and_made_to_fit(shown):
    lines = shown("--env", "WatchedScreen-v0", "--steps", 1)
    assert len(lines) == 2 * 21 + 1, "40 x 50 becomes 20 x 25"
    rows = lines[:20]
    assert {len(row) for row in rows} == {25} and rows[1] == "   @" + 21 * " ", "the one bright pixel is kept"
    assert lines[21 + 19] == 25 * watch.GREY_CHARACTERS[60]


def test_rewards_add_up_without_noise(shown):
    assert shown("--env", "WatchedScreen-v0")[-1] == "Score 0.3 after 3 actions"


# --- What is played


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
        assert shown("--agent", path, "--seed", seed)[-1] == f"Score {score:g} after {score:g} actions"
    own = shown("--agent", path)
    assert own == shown("--agent", path, "--env", "CartPole-v1", "--seed", 7), "its own environment and seed"


def test_an_agent_plays_the_gymnasium_twin(shown, agent_file):
    lines = shown("--agent", agent_file("CartPole-v1"), "--env", "gymnasium:CartPole-v1", "--steps", 3)
    assert lines[-1] == "Score 3 after 3 actions"


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
        lines = shown("--agent", tmp_path / "agent.npz")
        assert "".join(re.findall(r"action (\d)", "\n".join(lines))) == actions


# --- On a terminal

CELL = re.compile(r"\x1b\[48;2;(\d+);(\d+);(\d+)m  ")


def coloured_rows(text):
    """The colours of each line of a terminal that has any."""
    rows = [CELL.findall(line) for line in text.split("\n")]
    return [[tuple(map(int, cell)) for cell in row] for row in rows if row]


def test_a_board_is_redrawn_in_place_in_colour(terminal, capsys):
    assert main(["watch", "--env", "Catch-v0", "--fps", "20"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(watch.HIDE_CURSOR) and out.count(watch.SHOW_CURSOR) == 1
    assert out.count("\x1b[11A") == 9, "up ten rows and the status line, before every frame but the first"
    assert re.search(r"Score -?1 after 9 actions\n$", out)
    rows = coloured_rows(out)
    assert len(rows) == 100 and {len(row) for row in rows} == {5}
    assert rows[9] == [(0, 0, 0), (0, 0, 0), watch.COLOURS[0], (0, 0, 0), (0, 0, 0)]
    assert terminal == [1 / 20] * 10


def test_a_vector_is_redrawn_in_two_lines(terminal, capsys):
    assert main(["watch", "--env", "CartPole-v1", "--steps", "3"]) == 0
    out = capsys.readouterr().out
    assert out.count("\x1b[2A") == 3 and not coloured_rows(out)
    assert terminal == [1 / 10] * 4


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_without_colour_gets_plain_text_at_the_same_pace(terminal, shown, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    lines = shown("--env", "Catch-v0")
    assert "\x1b" not in "".join(lines) and len(lines) == 111
    assert len(terminal) == 10


def test_a_pipe_is_not_waited_for(shown, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("slept"))
    assert len(shown("--env", "Catch-v0")) == 111


def test_a_screen_is_made_to_fit_the_terminal(terminal, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")
    assert main(["watch", "--env", "WatchedScreen-v0", "--steps", "1"]) == 0
    out = capsys.readouterr().out
    rows = coloured_rows(out)
    assert len(rows) == 2 * 14 and {len(row) for row in rows} == {17}, "40 x 50 in blocks of 3 x 3"
    assert rows[1][2] == (255, 255, 255) and rows[0][0] == (10, 10, 10) and rows[14][0] == (60, 60, 60)
    assert all(len(line) < 60 for line in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", out).split("\n"))


def test_shrinking_keeps_the_highest_value_of_each_block():
    cells = np.arange(35, dtype=np.uint8).reshape(5, 7)
    assert (watch.shrink(cells, 5, 7) == cells).all() and (watch.shrink(cells, 9, 9) == cells).all()
    assert watch.shrink(cells, 3, 7).tolist() == [[8, 10, 12, 13], [22, 24, 26, 27], [29, 31, 33, 34]]
    assert watch.shrink(cells, 0, 0).tolist() == [[34]], "the smallest of terminals"


def test_the_highest_channel_decides():
    observation = Observation("image", (2, 2, 12))
    obs = np.zeros((2, 2, 12), FLOAT)
    obs[0, 0, [0, 3]] = 1
    obs[0, 1, 0] = obs[1, 0, 11] = 1
    board = watch.pixels(obs.reshape(-1), observation)
    assert board.tolist() == [[4, 1], [12, 0]]
    colours = watch.BOARD_PALETTE[board].tolist()
    assert colours == [[list(watch.COLOURS[3]), list(watch.COLOURS[0])], [list(watch.COLOURS[1]), [0, 0, 0]]]
    assert [watch.BOARD_CHARACTERS[i] for i in (0, 1, 9, 10, 12)] == [".", "1", "9", "a", "c"]


def test_of_a_stack_the_last_frame_is_shown():
    observation = Observation("frames", (4, 3, 2), 1 / 255)
    frames = np.arange(24, dtype=np.uint8).reshape(4, 3, 2) * 10
    obs = np.zeros(24, FLOAT)
    observation.encode(frames, obs)
    assert (watch.pixels(obs, observation) == frames[-1]).all()


def listen_to_ctrl_c():
    """A test run in the background of a shell ignores SIGINT, and its children would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_with_the_cursor_shown(tmp_path):
    """In a real terminal, a process of its own."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "numasync", "watch", "--env", "Catch-v0", "--fps", "1"]
    streams = dict(stdin=follower, stdout=follower, stderr=follower, cwd=tmp_path)
    process = subprocess.Popen(command, preexec_fn=listen_to_ctrl_c, **streams)
    os.close(follower)
    seen = b""
    try:
        while b"step 0" not in seen:
            seen += os.read(leader, 4096)
        process.send_signal(signal.SIGINT)
        # Where every writer of a pseudo-terminal has gone, reading it is an error.
        with contextlib.suppress(OSError):
            while more := os.read(leader, 4096):
                seen += more
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert seen.startswith(watch.HIDE_CURSOR.encode()) and b"Traceback" not in seen
    assert seen.rstrip().endswith(watch.SHOW_CURSOR.encode() + b"numasync: stopped.")


# --- GIFs


def gif_frames(path):
    """The frames of a GIF as arrays (height, width, 3), and the file as Pillow opened it."""
    Image = pytest.importorskip("PIL.Image")
    image = Image.open(path)
    frames = []
    for number in range(image.n_frames):
        image.seek(number)
        frames.append(np.array(image.convert("RGB")))
    return frames, image


def test_a_gif_holds_the_episode(shown, tmp_path):
    text = shown("--env", "Catch-v0", "--seed", 5)
    lines = shown("--env", "Catch-v0", "--seed", 5, "--gif", tmp_path / "catch.gif", "--fps", 20)
    assert lines == text[-1:], "nothing is shown but the summary"
    frames, image = gif_frames(tmp_path / "catch.gif")
    assert (image.size, len(frames), image.info["loop"], image.info["duration"]) == ((120, 240), 10, 0, 50)
    for number, frame in enumerate(frames):
        cells = frame.reshape(10, 24, 5, 24, 3)
        assert (cells == cells[:, :1, :, :1]).all(), "whole cells of 24 pixels"
        colours = {".": (0, 0, 0), "1": watch.COLOURS[0]}
        rows = text[11 * number : 11 * number + 10]
        assert (cells[:, 0, :, 0] == np.array([[colours[cell] for cell in row] for row in rows])).all()
    assert [path.name for path in tmp_path.iterdir()] == ["catch.gif"]


def test_a_gif_of_minatar(shown, tmp_path):
    shown("--env", "MinAtar/Breakout-v1", "--gif", tmp_path / "b.GIF", "--steps", 1)
    (first, _), image = gif_frames(tmp_path / "b.GIF")
    cells = first[12::24, 12::24]
    assert image.size == (240, 240) and image.info["duration"] == 100
    assert (cells[1:4] == watch.COLOURS[3]).all(), "bricks"
    assert (cells[9, 4] == watch.COLOURS[0]).all() and (cells[4:9] == 0).all(), "the paddle, and nothing above it"


def test_a_gif_of_a_screen_is_grey(shown, tmp_path):
    shown("--env", "WatchedScreen-v0", "--gif", tmp_path / "screen.gif")
    frames, image = gif_frames(tmp_path / "screen.gif")
    assert (image.size, len(frames)) == ((250, 200), 4)
    for number, frame in enumerate(frames):
        assert (frame[15:20, 35:40] == 255).all() and (frame[20:] == 50 * number + 10).all()


def test_a_normalised_screen_looks_as_it_did(shown, tmp_path):
    env = make_env("WatchedScreen-v0")
    plain, measured = env.spec.observation, measure_normalization(env, 1)
    env.close()
    assert measured.is_screen and measured.mean.min() > 0 and measured.scale > 2 * plain.scale
    for name, observation in (("plain", plain), ("measured", measured)):
        agent = Agent(make_config("image", env=env.spec.id), env.spec._replace(observation=observation))
        agent.save(tmp_path / f"{name}.npz")
        shown("--agent", tmp_path / f"{name}.npz", "--gif", tmp_path / f"{name}.gif")
    frames = [gif_frames(tmp_path / f"{name}.gif")[0] for name in ("plain", "measured")]
    assert len(frames[0]) == 4
    np.testing.assert_array_equal(*frames)
    text = [shown("--agent", tmp_path / f"{name}.npz") for name in ("plain", "measured")]
    assert [re.sub("action .", "", line) for line in text[0]] == [re.sub("action .", "", line) for line in text[1]]


def test_every_byte_of_a_normalised_screen_is_shown_as_it_is():
    mean = np.random.default_rng(0).uniform(0, 255, (16, 16)).astype(FLOAT)
    observation = Observation("image", (16, 16), 0.0123, mean=mean)
    raw, obs = np.arange(256, dtype=np.uint8).reshape(16, 16), np.zeros(256, FLOAT)
    observation.encode(raw, obs)
    np.testing.assert_array_equal(watch.pixels(obs, observation), raw)


def test_a_gif_of_atari_is_three_times_the_frame(shown, tmp_path):
    shown("--env", "ALE/Pong-v5", "--gif", tmp_path / "pong.gif", "--steps", 12)
    frames, image = gif_frames(tmp_path / "pong.gif")
    assert image.size == (252, 252) and len(frames) > 3
    assert (frames[-1] == frames[-1][:, :, :1]).all() and len(np.unique(frames[-1])) > 3


def test_a_gif_is_replaced_whole(shown, tmp_path, monkeypatch, capsys):
    Image = pytest.importorskip("PIL.Image")
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")

    def full(picture, file, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full)
        assert main(["watch", "--env", "Catch-v0", "--gif", str(path)]) == 2
    assert capsys.readouterr().err == f"numasync: {path} cannot be written: No space left on device.\n"
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1
    shown("--env", "Catch-v0", "--gif", path)
    assert len(gif_frames(path)[0]) == 10


# --- Bad input


def played(*arguments):
    """In the place of `watch.frames`: fails as soon as a frame is asked for."""
    yield pytest.fail("played")


@pytest.fixture
def complaint(capsys, monkeypatch, tmp_path):
    """Runs `numasync watch ARGUMENTS`, which must be refused before anything is played, and returns the sentence."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(watch, "frames", played)

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
        ("", "give --env ID, --agent FILE or both"),
        ("--env Nope-v0", "'Nope-v0' is no environment"),
        ("--agent missing.npz", "no file missing.npz"),
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
        ("--env FrozenLake-v1 --gif lake.gif", "FrozenLake-v1 has no picture to write"),
        ("--env Catch-v0 --episodes 3", "unrecognized arguments: --episodes 3"),
    ],
)
def test_bad_input_gets_one_sentence_and_plays_nothing(complaint, tmp_path, arguments, says):
    (tmp_path / "folder.gif").mkdir()
    assert says in complaint(*arguments.split())


def test_an_agent_plays_only_its_own_game(complaint, agent_file):
    assert "trained on Catch-v0; it cannot play CartPole-v1" in complaint(
        "--agent", agent_file("Catch-v0"), "--env", "CartPole-v1"
    )


def test_an_environment_that_has_changed_is_refused(complaint, tmp_path):
    spec = make_env("Catch-v0").spec._replace(id="WatchedScreen-v0")
    Agent(make_config("image", env=spec.id), spec).save(tmp_path / "agent.npz")
    says = "bounds of actions are (40, 50, 3), 2, None; the agent knows (10, 5, 1), 3, None."
    assert says in complaint("--agent", "agent.npz")


def test_without_pillow_a_gif_is_refused(complaint, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert 'pip install "numasync[gif]"' in complaint("--env", "Catch-v0", "--gif", "catch.gif")
