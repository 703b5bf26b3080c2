"""An episode through a pipe, and on a terminal."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest
from support.processes import listen_to_ctrl_c

from numasync.cli import main
from numasync.tools.frames import COLOURS, GREY_CHARACTERS
from numasync.tools.terminal import HIDE_CURSOR, SHOW_CURSOR

BOARD_ROW = re.compile(r"^[.1-9]+$")


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
    assert lines[-1] == f"Score {1 if caught else -1} after 9 steps"
    assert frames[-1][-1].endswith("reward 1  score 1" if caught else "reward -1  score -1")


def test_a_vector_is_printed_a_line_a_step(shown):
    lines = shown("--env", "CartPole-v1", "--steps", 5)
    assert len(lines) == 7
    assert re.fullmatch(r"step 0  action -  reward 0  score 0  observation( -?[\d.e-]+){4}", lines[0])
    for step, line in enumerate(lines[1:-1], 1):
        wanted = rf"step {step}  action [01]  reward 1  score {step}  observation( -?[\d.e-]+){{4}}"
        assert re.fullmatch(wanted, line)
    assert lines[-1] == "Score 5 after 5 steps"


def test_a_discrete_observation_is_its_integer(shown):
    lines = shown("--env", "FrozenLake-v1", "--steps", 1)
    assert lines[0].endswith("observation 0") and re.search(r"observation [014]$", lines[1])
    assert lines[2] == "Score 0 after 1 step"


def test_a_screen_is_printed_in_shades_and_made_to_fit(shown):
    lines = shown("--env", "WatchedScreen-v0", "--steps", 1)
    assert len(lines) == 2 * 21 + 1, "40 x 50 becomes 20 x 25"
    rows = lines[:20]
    assert {len(row) for row in rows} == {25} and rows[1] == "   @" + 21 * " ", "the one bright pixel is kept"
    assert lines[21 + 19] == 25 * GREY_CHARACTERS[60]


CELL = re.compile(r"\x1b\[48;2;(\d+);(\d+);(\d+)m  ")


def coloured_rows(text):
    """The colours of each line of a terminal that has any."""
    rows = [CELL.findall(line) for line in text.split("\n")]
    return [[tuple(map(int, cell)) for cell in row] for row in rows if row]


def test_a_board_is_redrawn_in_place_in_colour(terminal, capsys):
    assert main(["watch", "--env", "Catch-v0", "--fps", "20"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(HIDE_CURSOR) and out.count(SHOW_CURSOR) == 1
    assert out.count("\x1b[11A") == 9, "up ten rows and the status line, before every frame but the first"
    assert re.search(r"Score -?1 after 9 steps\n$", out)
    rows = coloured_rows(out)
    assert len(rows) == 100 and {len(row) for row in rows} == {5}
    assert rows[9] == [(0, 0, 0), (0, 0, 0), COLOURS[0], (0, 0, 0), (0, 0, 0)]
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
    assert seen.startswith(HIDE_CURSOR.encode()) and b"Traceback" not in seen
    assert seen.rstrip().endswith(SHOW_CURSOR.encode() + b"numasync: stopped.")
