"""A signal ends a run at any stage: the exit code, what is on the disk, and that it goes on."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support.processes import listen_to_ctrl_c
from support.stops import check_equal

from numasync.training.records import read_run

pytestmark = pytest.mark.compiled

COMMAND = [sys.executable, "-m", "numasync"]
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
START_SECONDS, STOP_SECONDS = 240, 30
GO_ON = "Go on with: numasync resume run\n"

SHORT = ["--env", "Catch-v0", "--network", "mlp", "--workers", "2", "--final-eval-episodes", "2", "--out", "run"]
ENDLESS = [*SHORT, "--steps", "100000000000"]

# Sends the signal of the environment to its own process when a function of the package is called for the nth time.
AT_A_CALL = """
import os, sys
module, name, number, nth = os.environ["SIGNAL_AT"].split()
def trace(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_name == name and frame.f_globals.get("__name__") == module:
        trace.calls += 1
        if trace.calls == int(nth):
            sys.setprofile(None)
            os.kill(os.getpid(), int(number))
trace.calls = 0
sys.setprofile(trace)
"""


def start(words, cwd, **environment):
    """Start the program in a folder; its output is captured."""
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(
        [*COMMAND, *words], cwd=cwd, preexec_fn=listen_to_ctrl_c, env={**os.environ, **environment}, **pipes
    )


def finish(process, seconds=START_SECONDS):
    """Wait for the end of the program; return its exit code, its output and its complaint."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


@pytest.mark.parametrize("number", SIGNALS, ids=str)
def test_a_signal_while_it_trains_saves_the_run_and_says_how_it_goes_on(tmp_path, number):
    process = start(ENDLESS, tmp_path)
    while "/s" not in process.stdout.readline():
        assert process.poll() is None
    started = time.monotonic()
    process.send_signal(number)
    code, out, err = finish(process, STOP_SECONDS)
    assert (code, err) == (SIGNALS[number], "") and out.endswith(GO_ON)
    assert time.monotonic() - started < 5
    made = read_run(tmp_path / "run").result
    assert made["interrupted"] and made["evaluation"] is None
    # What a user would do next.
    code, out, err = finish(start(["resume", "run", "--steps", str(made["steps"] + 1000)], tmp_path))
    assert (code, err) == (0, "") and read_run(tmp_path / "run").result["steps"] >= made["steps"] + 1000


@pytest.mark.parametrize("number", SIGNALS, ids=str)
@pytest.mark.parametrize(
    ("call", "left"),
    [
        ("numasync.agent.agent load 0", None),
        ("numasync.cli parser 1", None),
        ("numasync.training.trainer build 1", ["config.json"]),
        ("numba.core.dispatcher compile 1", ["config.json"]),
    ],
    ids=["import", "arguments", "build", "compilation"],
)
def test_a_signal_before_the_training_ends_the_program_at_once(tmp_path, number, call, left):
    (tmp_path / "sitecustomize.py").write_text(AT_A_CALL)
    module, name, nth = call.split()
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    if nth == "0":  # a module's own code
        name, nth = "<module>", "1"
    code, _, err = finish(start(ENDLESS, tmp_path, SIGNAL_AT=f"{module} {name} {int(number)} {nth}", PYTHONPATH=path))
    assert (code, err) == (SIGNALS[number], "numasync: stopped.\n" + (GO_ON if left else ""))
    assert (sorted(os.listdir(tmp_path / "run")) if (tmp_path / "run").exists() else None) == left


REPEATABLE = [*SHORT[:-2], "--steps", "100000", "--deterministic", "--checkpoint-minutes", "0.002"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that was not stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert finish(start([*REPEATABLE, "--out", "run"], folder))[0] == 0
    return folder / "run"


@pytest.mark.parametrize(
    "call",
    [
        "numasync.training.state write_state 3",
        "numasync.training.run _evaluate_at_the_end 1",
        "numasync.training.records write_result 1",
        *(
            pytest.param(call, marks=pytest.mark.slow)
            for call in (
                "numasync.runtime.files sync_folder 3",
                "numasync.runtime.files write_atomically 6",
                "numasync.agent.evaluation play_episodes 1",
                "numasync.training.records add_evaluation 1",
            )
        ),
    ],
)
def test_a_run_that_is_stopped_in_any_function_goes_on_as_if_it_had_not_been(tmp_path, whole, call):
    (tmp_path / "stopping").mkdir()
    (tmp_path / "stopping" / "sitecustomize.py").write_text(AT_A_CALL)
    module, name, nth = call.split()
    path = os.pathsep.join(filter(None, [str(tmp_path / "stopping"), os.environ.get("PYTHONPATH")]))
    stopped = f"{module} {name} {int(signal.SIGTERM)} {nth}"
    code, out, err = finish(start([*REPEATABLE, "--out", "run"], tmp_path, SIGNAL_AT=stopped, PYTHONPATH=path))
    assert code == 143 and GO_ON in out + err
    assert finish(start(["resume", "run"], tmp_path))[0] in (0, 2), "2: it had finished"
    assert not read_run(tmp_path / "run").result["interrupted"]
    check_equal(whole, tmp_path / "run")
    assert not [name for name in os.listdir(tmp_path / "run") if name.startswith(".numasync-")]


def test_a_second_ctrl_c_ends_the_program_at_once(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import gymnasium, numpy, time\n"
        "class Slow(gymnasium.Env):\n"
        "    observation_space = gymnasium.spaces.Box(-1, 1, (2,))\n"
        "    action_space = gymnasium.spaces.Discrete(2)\n"
        "    steps = 0\n"
        "    def reset(self, seed=None, options=None): return numpy.zeros(2, 'f'), {}\n"
        "    def step(self, action):\n"
        "        Slow.steps += 1\n"
        "        if Slow.steps > 2000: time.sleep(100)\n"
        "        return numpy.zeros(2, 'f'), 0.0, False, False, {}\n"
        "gymnasium.register('Slow-v0', Slow)\n"
    )
    process = start(["--env", "slow:Slow-v0", "--steps", "100000", "--workers", "1", "--out", "run"], tmp_path)
    while "/s" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None, "the worker sleeps in its environment"
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process, 5)
    assert (code, err) == (130, "numasync: stopped.\n" + GO_ON)


@pytest.mark.parametrize("moment", ["while it trains", "while it compiles"])
def test_a_signal_ends_a_program_that_trains_by_itself(tmp_path, moment):
    script = "import numasync; numasync.train(out='run', steps=10**11, workers=2, verbose=True); print('went on')"
    environment = {"NUMASYNC_CACHE_DIR": str(tmp_path / "cache")} if moment == "while it compiles" else {}
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", script],
        cwd=tmp_path,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    while ("compiling" if environment else "/s") not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(1.0)
    process.terminate()
    out, _ = process.communicate(timeout=STOP_SECONDS)
    if environment:
        # Inside the compiler an exception could be lost, so that the signal does what it does by default.
        assert process.returncode in (143, -signal.SIGTERM) and os.listdir(tmp_path / "run") == ["config.json"]
    else:
        assert process.returncode == 143 and out.endswith(GO_ON) and read_run(tmp_path / "run").result["interrupted"]
