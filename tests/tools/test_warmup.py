"""`numasync warmup`: what comes after it compiles nothing, and it says what it has done."""

import io
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.caches import files, start
from support.terminal import Terminal

import numasync
from numasync import InputError
from numasync.cli import main
from numasync.config import Config
from numasync.runtime.cache import say_once
from numasync.tools.warmup import Warmup, describe

pytestmark = pytest.mark.compiled

# Runs the command line, and names the kernels that it compiles at the end of the standard error.
COUNTED = """
import sys
from numasync.cli import main
from numasync.runtime.compilation import collect_compiled
with collect_compiled() as compiled:
    code = main({0!r}.split())
print(code, *sorted(source.__qualname__ for source in compiled), file=sys.stderr)
"""
COMPILED = re.compile(r"Compiled (\d+) kernels in \d+\.\d s\. The cache has \d+\.\d MB: (.+)\n")
IN_CACHE = re.compile(
    r"All kernels were in the cache already \(looked up in \d+\.\d s\)\. The cache has \d+\.\d MB: (.+)\n"
)
SHORT = "--steps 2000 --workers 2 --final-eval-episodes 2 --eval-every 1000 --periodic-eval-episodes 1 --out run"
# Predicts as a program does that has loaded an agent, and prints the kernels that it compiles.
PREDICT = """
import numpy as np
import numasync
from numasync.runtime.compilation import collect_compiled
with collect_compiled() as compiled:
    agent = numasync.load("run/checkpoint.npz")
    agent.reset()
    observation = agent.spec.observation
    dtype = np.uint8 if observation.kind == "frames" else np.float32
    obs = np.zeros(observation.shape, dtype)
    for greedy in (True, False):
        agent.predict(obs, greedy)
        agent.stream(size=2).predict(np.stack([obs, obs]), greedy)
    agent.policy(obs)
print(*(source.__qualname__ for source in compiled))
"""


def command(words, folder):
    """Run the command line with the cache of a folder. Return its output, its code and what it has compiled."""
    done = start(COUNTED.format(words), folder, folder / "cache")
    *said, last = done.stderr.splitlines()
    assert not said, done.stderr
    return done.stdout, last


def check_warm(folder, options):
    """Warm up for some options, and check that training, evaluating and watching with them compile nothing."""
    env = " ".join(re.findall(r"--env \S+", options))
    out, said = command(f"warmup {options}", folder)
    number, cache = COMPILED.fullmatch(out.partition("compiling ...\n")[2]).groups()
    assert said.split()[0] == "0" and len(said.split()) - 1 == int(number) > 30
    written = {path: path.read_bytes() for path in files(Path(cache))}
    assert len(written) > 10
    for words in (f"train {options} {SHORT}", "eval run/checkpoint.npz --episodes 1", "watch run/checkpoint.npz"):
        assert command(f"{words} --steps 2" if words.startswith("watch") else words, folder)[1] == "0", words
    predicted = start(PREDICT, folder, folder / "cache")
    assert (predicted.stdout, predicted.stderr) == ("\n", "")
    assert command(f"watch {env or '--env CartPole-v1'} --steps 2", folder)[1] == "0"
    out, said = command(f"warmup {options}", folder)
    assert said == "0" and IN_CACHE.fullmatch(out.partition("compiling ...\n")[2])[1] == cache
    assert {path: path.read_bytes() for path in files(folder / "cache")} == written


def test_after_a_warm_up_nothing_is_compiled(tmp_path):
    check_warm(tmp_path, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        "--env MinAtar/Breakout-v1 --algo a3c",
        "--env Catch-v0 --normalize --optimizer momentum_sgd",
        "--env CartPolePositions-v0 --network mlp_lstm --algo one_step_sarsa",
        "--env Pendulum-v1 --algo a3c",
        "--env gymnasium:CartPole-v1",
        pytest.param(
            "--env PongNoFrameskip-v4",
            marks=pytest.mark.skipif(not find_spec("ale_py"), reason="ALE is not installed"),
        ),
    ],
)
def test_after_a_warm_up_nothing_is_compiled_for_other_options(tmp_path, options):
    check_warm(tmp_path, options)


# --- What it says


@pytest.fixture
def compiling(monkeypatch, tmp_path):
    """Lets a warm-up compile nothing, but report that it does. Returns the agents that it gets."""
    agents = []

    def compile_all(agent, on_compiled):
        agents.append(agent)
        for done in (1, 2, 3):
            on_compiled(done, 3, 10.0 * done)

    monkeypatch.setattr("numasync.tools.warmup.compile_all", compile_all)
    monkeypatch.setattr("numasync.tools.warmup.open_folder", lambda: (tmp_path, ""))
    return agents


def test_a_terminal_shows_how_far_it_is_and_a_pipe_does_not(compiling, monkeypatch):
    terminal, pipe = Terminal(), io.StringIO()
    for file in (terminal, pipe):
        monkeypatch.setattr("sys.stdout", file)
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")
        numasync.warmup(verbose=True)
    shown = [" ".join(part.split()) for part in re.split("[\r\n]+", terminal.getvalue().replace("\b", ""))]
    assert shown[0] == "nstep_q on CartPole-v1: compiling ..." and IN_CACHE.fullmatch(shown[-2] + "\n")
    assert [re.sub(r"\[.*\] ", "", part) for part in shown[1:-3]] == [
        "compiling 33% 1 of 3 kernels 0:20 left",
        "compiling 66% 2 of 3 kernels 0:10 left",
        "compiling 100% 3 of 3 kernels 0:00 left",
    ]
    first, last = pipe.getvalue().splitlines()
    assert first == "nstep_q on CartPole-v1: compiling ..." and IN_CACHE.fullmatch(last + "\n")


def test_it_says_nothing_unless_it_is_told_and_returns_what_it_has_done(compiling, tmp_path, capsys):
    (tmp_path / "kernel").write_bytes(b"12345")
    done = numasync.warmup()
    assert (done.kernels, done.folder, done.size) == (0, tmp_path, 5) and 0 < done.seconds < 60
    assert capsys.readouterr() == ("", "")


def test_one_line_says_what_was_done():
    done = Warmup(66, 14.72, Path("/cache"), 1_084_513)
    assert describe(done) == "Compiled 66 kernels in 14.7 s. The cache has 1.1 MB: /cache"
    assert describe(done._replace(kernels=1)).startswith("Compiled 1 kernel in ")
    looked_up = "All kernels were in the cache already (looked up in 14.7 s). The cache has 1.1 MB: /cache"
    assert describe(done._replace(kernels=0)) == looked_up


# --- What it is told


def test_it_compiles_for_each_environment_once_with_the_options_of_train(compiling, capsys):
    words = "--env Catch-v0 --env CartPole-v1 --env Catch-v0 --algo a3c --network mlp --steps 1e6 --no-normalize"
    assert main(["warmup", *words.split(), "--decay", "0.5"]) == 0
    assert [agent.config.env for agent in compiling] == ["Catch-v0", "CartPole-v1"]
    for agent in compiling:
        config = agent.config
        assert (config.algo, config.network, config.steps, config.rms_decay) == ("a3c", "mlp", 1_000_000, 0.5)
    out, err = capsys.readouterr()
    assert out.count("compiling") == 2 and err == "numasync: --decay is now --rms-decay.\n"


def test_without_an_environment_it_is_the_one_of_train(compiling):
    assert main(["warmup"]) == 0
    assert compiling[0].config.env == Config.env and compiling[0].config.algo == Config.algo


def test_the_help_shows_what_decides_and_no_more(capsys):
    with pytest.raises(SystemExit):
        main(["warmup", "--help"])
    shown = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    decide = {"--env", "--algo", "--preset", "--network", "--optimizer", "--separate-value", "--flatten"}
    assert decide <= shown and not shown & {"--steps", "--lr", "--out", "--decay"}


def test_bad_input_is_refused_before_anything_is_compiled(compiling, capsys):
    assert main(["warmup", "--env", "CartPole-v1", "--env", "Nope-v0"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"numasync: .*Nope-v0.*\n", err) and not compiling


# --- Where the cache cannot be written

REFUSED = {
    "a file in its place": ("", "Not a directory"),
    "no rights": (
        "import os\ndef refuse(path, *_):\n    raise PermissionError(13, 'Permission denied', str(path))\n"
        "os.mkdir = refuse\n",
        "Permission denied",
    ),
    "nothing is compiled": ("import os\nos.environ['NUMBA_DISABLE_JIT'] = '1'\n", "nothing is compiled"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_where_nothing_can_be_kept_one_sentence_says_so(tmp_path, how):
    script, says = REFUSED[how]
    (tmp_path / "file").write_text("")
    cache = tmp_path / ("file/cache" if how == "a file in its place" else "cache")
    done = start(f"{script}import sys\nfrom numasync.cli import main\nsys.exit(main(['warmup']))", tmp_path, cache)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"numasync: .+\.\n", done.stderr) and says in done.stderr


def test_a_folder_that_can_only_be_read_is_refused(compiling, monkeypatch, tmp_path):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError) as caught:
        numasync.warmup()
    assert str(tmp_path) in str(caught.value) and "Permission denied" in str(caught.value) and not compiling


def test_a_disk_that_fills_while_it_compiles_is_one_sentence(compiling, monkeypatch, capsys):
    monkeypatch.setattr("numasync.tools.warmup.compile_all", lambda *_: say_once("the cache cannot be written: full"))
    assert main(["warmup"]) == 2
    assert re.fullmatch(r"numasync: [^\n]*full; set NUMASYNC_CACHE_DIR [^\n]*\.\n", capsys.readouterr().err)
