"""An episode as a GIF."""

import re

import numpy as np
import pytest

from numasync.agent.agent import Agent
from numasync.cli import main
from numasync.config import make_config
from numasync.envs import make_env
from numasync.envs.normalization import measure_normalization
from numasync.tools.frames import COLOURS


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
        colours = {".": (0, 0, 0), "1": COLOURS[0]}
        rows = text[11 * number : 11 * number + 10]
        assert (cells[:, 0, :, 0] == np.array([[colours[cell] for cell in row] for row in rows])).all()
    assert [path.name for path in tmp_path.iterdir()] == ["catch.gif"]


def test_a_gif_of_minatar(shown, tmp_path):
    shown("--env", "MinAtar/Breakout-v1", "--gif", tmp_path / "b.GIF", "--steps", 1)
    (first, _), image = gif_frames(tmp_path / "b.GIF")
    cells = first[12::24, 12::24]
    assert image.size == (240, 240) and image.info["duration"] == 100
    assert (cells[1:4] == COLOURS[3]).all(), "bricks"
    assert (cells[9, 4] == COLOURS[0]).all() and (cells[4:9] == 0).all(), "the paddle, and nothing above it"


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
        shown(tmp_path / f"{name}.npz", "--gif", tmp_path / f"{name}.gif")
    frames = [gif_frames(tmp_path / f"{name}.gif")[0] for name in ("plain", "measured")]
    assert len(frames[0]) == 4
    np.testing.assert_array_equal(*frames)
    text = [shown(tmp_path / f"{name}.npz") for name in ("plain", "measured")]
    assert [re.sub("action .", "", line) for line in text[0]] == [re.sub("action .", "", line) for line in text[1]]


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
