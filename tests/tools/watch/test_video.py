"""An episode as a video: its pictures, its speed, and what is left of it where writing fails."""

import re

import numpy as np
import pytest

from numasync.cli import main
from numasync.envs import make_env
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row
from numasync.tools import video
from numasync.tools.frames import COLOURS
from numasync.tools.video import make_even

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")

NEAR = 12  # what the encoder may change of a colour


def read_video(path):
    """The frames of a video as an array (frames, height, width, 3), and its frames per second."""
    frames = imageio_ffmpeg.read_frames(str(path))
    about = next(frames)
    width, height = about["size"]
    return np.array([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in frames]), about["fps"]


def colours_at(frames, row, column):
    return frames[:, row, column].astype(int)


def test_a_video_holds_the_episode_that_is_shown(shown, tmp_path):
    text = shown("--env", "Catch-v0", "--seed", 5)
    assert shown("--env", "Catch-v0", "--seed", 5, "--video", tmp_path / "catch.mp4") == text[-1:]
    frames, fps = read_video(tmp_path / "catch.mp4")
    assert (frames.shape, fps) == ((10, 640, 320, 3), 10)
    cells = frames[:, 32::64, 32::64].astype(int)
    for number in range(10):
        rows = text[11 * number : 11 * number + 10]
        wanted = np.array([[COLOURS[0] if cell == "1" else (0, 0, 0) for cell in row] for row in rows])
        assert abs(cells[number] - wanted).max() < NEAR
    assert [path.name for path in tmp_path.iterdir()] == ["catch.mp4"]


def test_what_an_environment_draws_is_in_the_video_and_its_score_stays(shown, tmp_path):
    text = shown("--env", "Drawn-v0", "--seed", 3)
    assert shown("--env", "Drawn-v0", "--seed", 3, "--video", tmp_path / "drawn.mp4") == text[-1:]
    frames, fps = read_video(tmp_path / "drawn.mp4")
    assert (frames.shape[1:], fps) == ((31 * 14, 47 * 14, 3), 30), "14 times as large, in real time"
    actions = [0, *map(int, re.findall(r"action (\d)", "\n".join(text)))]
    wanted = np.array([(8 * step, 80 * action, 200) for step, action in enumerate(actions)])
    assert abs(colours_at(frames, 200, 300) - wanted).max() < NEAR


def test_frames_per_second_can_be_chosen(shown, tmp_path):
    shown("--env", "Drawn-v0", "--fps", 120, "--video", tmp_path / "drawn.MP4")
    assert read_video(tmp_path / "drawn.MP4")[1] == 120


def test_an_odd_picture_gets_a_row_and_a_column():
    picture = np.arange(15 * 3, dtype=np.uint8).reshape(3, 5, 3)
    even = make_even(picture)
    assert even.shape == (4, 6, 3) and (even[:3, :5] == picture).all()
    assert (even[3] == even[2]).all() and (even[:, 5] == even[:, 4]).all()


@pytest.mark.parametrize("env_id", ["ALE/Pong-v5", "SpaceInvadersNoFrameskip-v4"])
def test_the_colour_screen_of_atari_keeps_in_step(env_id):
    """With sticky actions and no-ops, over several episodes."""
    plain, drawn = make_env(env_id), make_env(env_id)
    assert drawn.prepare_pictures()
    players = [(env, seed_row(3, 1), np.zeros((1, 84 * 84 * 4), FLOAT)) for env in (plain, drawn)]
    for env, rng, obs in players:
        env.on_reset(rng, obs[0])
    episodes = 0
    for action in np.random.default_rng(0).integers(0, plain.spec.n_actions, 1200):
        (first, second) = [env.on_step(action, rng, obs[0]) for env, rng, obs in players]
        assert first == second and (players[0][2] == players[1][2]).all()
        grey = drawn.spec.observation.decode(players[1][2][0])[:, :, -1]
        assert abs(luminance(drawn.picture()) - grey.mean()) < 2
        if first[1]:
            episodes += 1
            for env, rng, obs in players:
                env.on_reset(rng, obs[0])
    assert episodes > 0 and drawn.picture().shape == (210, 160, 3) and len(np.unique(drawn.picture())) > 5
    for env in (plain, drawn):
        env.close()


def luminance(picture):
    return float((picture @ np.array([0.299, 0.587, 0.114])).mean())


def test_a_video_of_atari_is_in_real_time(shown, tmp_path):
    text = shown("--env", "ALE/Pong-v5", "--steps", 8)
    assert shown("--env", "ALE/Pong-v5", "--steps", 8, "--video", tmp_path / "pong.mp4") == text[-1:]
    frames, fps = read_video(tmp_path / "pong.mp4")
    assert (frames.shape, fps) == ((9, 630, 480, 3), 15), "three times the screen; 4 of 60 frames a step"
    assert abs(colours_at(frames, 300, 240)[-1] - (144, 72, 17)).max() < NEAR


@pytest.mark.parametrize("fault", ["encoder", "disk"])
def test_a_video_is_replaced_whole(tmp_path, monkeypatch, capsys, fault):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    if fault == "encoder":
        monkeypatch.setattr(video, "QUALITY", "bad")
        says = f"numasync: {path} cannot be written: ffmpeg failed: "
    else:
        says = f"numasync: {path} cannot be written: No space left on device.\n"

        def full(path, write):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(video, "write_atomically", full)
    assert main(["watch", "--env", "Catch-v0", "--video", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(says) and err.count("\n") == 1
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1
