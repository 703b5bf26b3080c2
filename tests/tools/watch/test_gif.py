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
from numasync.tools.gif import make_page

PONG_GROUND = (144, 72, 17)


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
    assert (image.size, len(frames), image.info["loop"], image.info["duration"]) == ((160, 320), 10, 0, 50)
    for number, frame in enumerate(frames):
        cells = frame.reshape(10, 32, 5, 32, 3)
        assert (cells == cells[:, :1, :, :1]).all(), "whole cells of 32 pixels"
        colours = {".": (0, 0, 0), "1": COLOURS[0]}
        rows = text[11 * number : 11 * number + 10]
        assert (cells[:, 0, :, 0] == np.array([[colours[cell] for cell in row] for row in rows])).all()
    assert [path.name for path in tmp_path.iterdir()] == ["catch.gif"]


def test_a_gif_of_minatar(shown, tmp_path):
    shown("--env", "MinAtar/Breakout-v1", "--gif", tmp_path / "b.GIF", "--steps", 1)
    (first, _), image = gif_frames(tmp_path / "b.GIF")
    cells = first[16::32, 16::32]
    assert image.size == (320, 320) and image.info["duration"] == 100
    assert (cells[1:4] == COLOURS[3]).all(), "bricks"
    assert (cells[9, 4] == COLOURS[0]).all() and (cells[4:9] == 0).all(), "the paddle, and nothing above it"


def test_a_gif_of_a_screen_has_its_colours(shown, tmp_path):
    shown("--env", "WatchedScreen-v0", "--gif", tmp_path / "screen.gif")
    frames, image = gif_frames(tmp_path / "screen.gif")
    assert (image.size, len(frames)) == ((300, 240), 4)
    for number, frame in enumerate(frames):
        assert (frame[18:24, 42:48] == 255).all() and (frame[24:] == 50 * number + np.array([0, 10, 20])).all()


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


def test_a_gif_of_atari_is_the_whole_screen_in_colour(shown, tmp_path):
    shown("--env", "ALE/Pong-v5", "--gif", tmp_path / "pong.gif", "--steps", 12)
    frames, image = gif_frames(tmp_path / "pong.gif")
    assert image.size == (320, 420) and len(frames) > 3
    assert (frames[-1][200, 100] == PONG_GROUND).all() and len(np.unique(frames[-1].reshape(-1, 3), axis=0)) > 3


def test_a_picture_of_many_colours_is_close(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    rows, columns = np.mgrid[:40, :30]
    picture = np.stack([rows * 6, columns * 8, rows * 0 + 100], axis=2).astype(np.uint8)
    page = np.array(make_page(picture, Image).convert("RGB")).astype(int)
    assert page.shape == (320, 240, 3) and abs(page[::8, ::8] - picture).mean() < 10


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
