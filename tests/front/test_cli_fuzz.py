"""Wrong command lines, drawn from a seed: each is refused with one sentence and exit code 2, and writes nothing."""

import contextlib
import io
import os
import random
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.folders import contents

from numasync import Agent
from numasync.cli import VERBS, main
from numasync.config import make_config
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.training.supervisor import Supervisor

pytestmark = pytest.mark.compiled

CASES, SAMPLE, SEED = 520, 40, 23
CASE_SECONDS = 20

# What no path may be, whatever it is a path of.
BAD_TEXTS = ("", "a\0b", "a\nb", "a\rb", "\x1b[2J", "bytes\udcff", "\udc80", "a\u2028b", "\x7f")
SPECIAL_FILES = ("pipe", "loop", "socket", "/dev/null", "/dev/zero", "/dev/stdin", "linked_pipe")
LONG = "n" * 300
RENAMED_WARNING = re.compile(r"^numasync: .+ is now .+\.\n", re.MULTILINE)

# By option, what it refuses.
BAD_NUMBERS = (
    "-1",
    "0",
    "1.5",
    "nan",
    "inf",
    "-inf",
    "",
    "x",
    "1e400",
    "9" * 400,
    "0x10",
    "\0",
    "\udcff",
    "1\n2",
    "--",
    "½",
)
BAD_OPTIONS = {
    "train": ("--steps", "--workers", "--t-max", "--target-interval", "--checkpoint-every", "--final-eval-episodes"),
    "resume": ("--steps",),
    "eval": ("--episodes",),
    "watch": ("--steps", "--fps"),
    "explain": ("--t-max", "--workers", "--steps", "--html"),
    "export": ("--onnx",),
    "plot": ("--window",),
    "study": ("--runs", "--steps", "--workers", "--jobs", "--cores-per-run", "--retries"),
    "sweep": ("--jobs", "--cores-per-run", "--retries"),
    "tune": ("--trials", "--jobs", "--steps", "--workers", "--cores-per-run", "--retries"),
    "runs": ("--sort", "--state"),
    "warmup": ("--steps", "--workers"),
    "bench": ("--repetitions",),
    "envs": ("--nothing",),
}
BAD_NAMES = ("", "x", "a\nb", "a\0b", "\udcff", "..", "%s", "{}", "a:b", "-", "É", "a" * 5000)
NAMED = {
    "train": ("--algo", "--network", "--optimizer", "--preset", "--env", "--env-kwargs", "--channels"),
    "resume": ("--schedule", "--env"),
    "eval": ("--env", "--env-kwargs"),
    "watch": ("--env", "--env-kwargs"),
    "explain": ("--env", "--env-kwargs", "--algo", "--network", "--optimizer", "--preset", "--from"),
    "export": ("--onnx",),
    "plot": ("--of",),
    "study": ("--algos", "--env"),
    "sweep": ("--ray",),
    "tune": ("--algo", "--env", "--network", "--optimizer", "--ray"),
    "runs": ("--sort", "--algo", "--state"),
    "warmup": ("--env", "--env-kwargs", "--algo", "--network", "--optimizer", "--preset"),
    "bench": ("--only", "--workers"),
    "envs": ("--json=",),
}


class Began(AssertionError):
    """A wrong command line has begun to work."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a good agent, and with everything that is no agent, no run and no new folder."""
    folder = tmp_path_factory.mktemp("house")
    Agent(make_config("classic"), CARTPOLE.spec).save(folder / "good.npz")
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.gif")
    os.mkfifo(folder / "pipe.html")
    os.mkfifo(folder / "pipe.mp4")
    os.mkfifo(folder / "pipe.png")
    (folder / "linked_pipe").symlink_to("pipe")
    (folder / "loop").symlink_to("loop")
    (folder / "loop.gif").symlink_to("loop.gif")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "loop.svg").symlink_to("loop.svg")
    (folder / "full").mkdir()
    (folder / "full" / "file").write_text("precious")
    (folder / "full.gif").mkdir()
    (folder / "full.html").mkdir()
    (folder / "full.mp4").mkdir()
    (folder / "empty").write_bytes(b"")
    (folder / "good.json").write_text('{"env": "Catch-v0", "steps": 100}')
    (folder / "truncated.npz").write_bytes((folder / "good.npz").read_bytes()[:500])
    for name in ("config.json", "monitor.csv"):  # the folder of a run in which one record is a pipe
        (folder / f"run_{name}").mkdir()
        (folder / f"run_{name}" / "config.json").write_text('{"algo": "a3c", "env": "Catch-v0"}')
        (folder / f"run_{name}" / name).unlink(missing_ok=True)
        os.mkfifo(folder / f"run_{name}" / name)
    with socket.socket(socket.AF_UNIX) as listening:
        before = Path.cwd()
        os.chdir(folder)  # the path of a socket is short
        listening.bind("socket")
        yield folder
        os.chdir(before)


def bad_paths(kind: str) -> tuple[str, ...]:
    """Return paths that are refused. kind: 'agent', 'run', 'pictures', 'onnx', 'gif', 'page', 'video' or 'folder'."""
    known = {
        "agent": (
            *SPECIAL_FILES,
            "full",
            "empty",
            "truncated.npz",
            "missing",
            "missing/x",
            "good.npz/x",
            LONG,
            ".",
            "/",
        ),
        "run": (*SPECIAL_FILES, "full", "missing", "good.npz", "run_config.json", "run_monitor.csv", LONG, ".", "/"),
        "pictures": ("full", "missing/x", "good.npz/x", "pipe", "loop", "/dev/x/y", "."),
        "onnx": ("full", "missing/x", "good.npz/x", LONG, *SPECIAL_FILES, "."),
        "gif": ("full.gif", "pipe.gif", "loop.gif", "missing/x.gif", "good.npz/x.gif", "x.png", "x", "."),
        "page": ("full.html", "pipe.html", "missing/x.html", "good.npz/x.html", "x.png", "x", *SPECIAL_FILES, "."),
        "video": ("full.mp4", "pipe.mp4", "loop.mp4", "missing/x.mp4", "good.npz/x.mp4", "x.gif", "x", "."),
        "folder": (*SPECIAL_FILES, "full", "good.npz", "good.npz/x", "full/file", LONG, "loop/x", ".", "/"),
    }
    return (*BAD_TEXTS, *known[kind])


def draw_bad_path(random: random.Random) -> list[str]:
    """Return a command line with one wrong path, and all else right."""
    kind = random.choice(("agent", "run", "pictures", "onnx", "gif", "page", "video", "folder"))
    path = random.choice(bad_paths(kind))
    return {
        "agent": random.choice(
            [["eval", path], ["eval", "--agent", path], ["watch", path], ["watch", "--agent", path]]
        ),
        "run": random.choice([["plot", path], ["train", "--config", path], ["sweep", path]]),
        "pictures": ["plot", "missing", "--out", path],
        "gif": ["watch", "--env", "Catch-v0", "--gif", path],
        "page": ["explain", "--html", path],
        "video": ["watch", "--env", "Catch-v0", "--video", path],
        "onnx": random.choice([["export", "good.npz", "--onnx", path], ["export", path, "--onnx", "x/y"]]),
        "folder": random.choice(
            [["train", "--out", path], ["--out", path], ["study", "lr", "--out", path], ["tune", "--out", path]]
        ),
    }[kind]


def draw_bad_value(random: random.Random) -> list[str]:
    """Return a command line with one wrong number or name."""
    verb = random.choice(VERBS)
    numbers = random.random() < 0.5
    option = random.choice((BAD_OPTIONS if numbers else NAMED)[verb])
    value = random.choice(BAD_NUMBERS if numbers else BAD_NAMES)
    needed = {"eval": ["good.npz"], "watch": ["good.npz"], "plot": ["missing"], "study": ["lr"], "export": ["missing"]}
    needed["sweep"] = ["good.json"]
    words = [verb, *needed.get(verb, [])]
    return [*words, f"{option}{value}"] if option.endswith("=") else [*words, option, value]


def draw_nonsense(random: random.Random) -> list[str]:
    """Return words in any order. The last one is no option."""
    words = [*VERBS[1:4], "good.npz", "full", "--out", "--env", "--seed", "-1", "--", "-", "é", "\n", "a b", "--out="]
    verb = random.choice(VERBS)
    return [
        verb,
        *random.choices([*words, *BAD_TEXTS], k=random.randrange(5)),
        "--no-such-option" + random.choice(BAD_TEXTS),
    ]


def draw_cases(number: int) -> list[list[str]]:
    """Return command lines. The same number gives the same ones."""
    source = random.Random(SEED)
    kinds = (draw_bad_path, draw_bad_value, draw_nonsense)
    return [kinds[i % len(kinds)](source) for i in range(number)]


def refusal(words: list[str]) -> tuple[int | str | None, str, str]:
    """Return the exit code, the output and the complaint of a command. Raises TimeoutError where it hangs."""

    def hang(*_: object) -> None:
        raise TimeoutError(f"{words} hangs")

    out, err = io.StringIO(), io.StringIO()
    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(CASE_SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    except SystemExit as end:
        code = end.code
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return code, out.getvalue(), err.getvalue()


def check_cases(cases: list[list[str]], house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that each command line is refused as it should be."""

    def began(*_: object, **__: object) -> None:
        raise Began

    monkeypatch.setattr(Supervisor, "run", began)
    playing = (
        "studies.play_missing_runs",
        "sweeps.play_missing_runs",
        "tuning.play_missing_trials",
        "watch.play_frames",
    )
    for name in (*playing, "bench.measure_in_process", "warmup.compile_all", "explain.play"):
        monkeypatch.setattr(f"numasync.tools.{name}", began)
    monkeypatch.setattr("numasync.agent.agent.play_episodes", began)
    before = contents(house)
    assert [problem for words in cases for problem in problems_of(words)] == []
    assert contents(house) == before


def problems_of(words: list[str]) -> list[object]:
    """Return what is wrong with the refusal of a command line."""
    try:
        code, out, err = refusal(words)
    except Exception as error:
        return [(words, error)]
    one_sentence = re.fullmatch(r"numasync[^\n]+[.?]\n", RENAMED_WARNING.sub("", err))
    return [] if (code, out) == (2, "") and one_sentence else [(words, code, out, err)]


def test_a_sample_of_wrong_command_lines_is_refused(house, monkeypatch):
    check_cases(draw_cases(CASES)[:: CASES // SAMPLE], house, monkeypatch)


@pytest.mark.slow
def test_every_wrong_command_line_is_refused(house, monkeypatch):
    check_cases(draw_cases(CASES), house, monkeypatch)


@pytest.mark.parametrize("kind", ["agent", "run", "pictures", "onnx", "gif", "page", "video", "folder"])
def test_every_wrong_path_is_refused(kind, house, monkeypatch):
    lines = {
        "agent": lambda path: [
            *[["eval", path], ["watch", path], ["eval", "--agent", path], ["watch", "--agent", path]],
            ["export", path, "--onnx", "agent.onnx"],
            ["explain", "--from", path],
        ],
        "run": lambda path: [["plot", path]],
        "pictures": lambda path: [["plot", "missing", "--out", path]],
        "gif": lambda path: [["watch", "--env", "Catch-v0", "--gif", path]],
        "page": lambda path: [["explain", "--html", path]],
        "video": lambda path: [["watch", "--env", "Catch-v0", "--video", path]],
        "onnx": lambda path: [["export", "good.npz", "--onnx", path]],
        "folder": lambda path: [["train", "--out", path], ["study", "lr", "--out", path], ["tune", "--out", path]],
    }
    check_cases([line for path in bad_paths(kind) for line in lines[kind](path)], house, monkeypatch)
