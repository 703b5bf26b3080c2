"""Trouble around the program: signals at any moment, closed or full outputs, a folder that is gone."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support.processes import listen_to_ctrl_c

from numasync.training.records import read_run

pytestmark = pytest.mark.compiled

COMMAND = [sys.executable, "-m", "numasync"]
RUN_PY = [sys.executable, os.path.join(os.path.dirname(__file__), "..", "..", "run.py")]
SHORT = ["--env", "Catch-v0", "--steps", "2000", "--workers", "2", "--final-eval-episodes", "2"]
START_SECONDS, STOP_SECONDS = 240, 30

FIRST_TO_IMPORT = """
import importlib.abc, os, signal, sys
class Interrupts(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
"""


def start(words, cwd, command=COMMAND, **options):
    """Start the program in a folder; its output is captured."""
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([*command, *words], cwd=cwd, preexec_fn=listen_to_ctrl_c, **{**pipes, **options})


def play(words, cwd, **options):
    """Run the program to its end; return its exit code, its output and its complaint."""
    process = start(words, cwd, **options)
    out, err = process.communicate(timeout=START_SECONDS)
    return process.returncode, out, err


# --- Ctrl-C


@pytest.mark.parametrize("module", ["numba", "numpy.random", "numasync.cli", "numasync.nn.network", "argparse"])
@pytest.mark.parametrize("command", [COMMAND, RUN_PY], ids=["-m", "run.py"])
def test_ctrl_c_during_an_import_stops_with_one_sentence(tmp_path, module, command):
    (tmp_path / "sitecustomize.py").write_text(FIRST_TO_IMPORT)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "INTERRUPT_AT": module}
    assert play(["--version"], tmp_path, command=command, env=environment) == (130, "", "numasync: stopped.\n")


def test_ctrl_c_while_it_compiles_stops_with_one_sentence_and_the_folder_is_taken_again(tmp_path):
    environment = {**os.environ, "NUMASYNC_CACHE_DIR": str(tmp_path / "cache")}
    for seconds in (0.3, 2.0):
        process = start([*SHORT, "--out", "run"], tmp_path, env=environment)
        assert "compiling" in process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=STOP_SECONDS)
        assert (process.returncode, err) == (130, "numasync: stopped.\nGo on with: numasync resume run\n")
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]


# --- Bad input before the command line is there


BAD_LANES = {**os.environ, "NUMASYNC_LANES": "5"}
LANES_SENTENCE = "NUMASYNC_LANES is '5'; it must be 4, 8 or 16.\n"


@pytest.mark.parametrize("command", [COMMAND, RUN_PY], ids=["-m", "run.py"])
def test_a_wrong_variable_that_the_import_refuses_is_one_sentence(tmp_path, command):
    assert play(["envs"], tmp_path, command=command, env=BAD_LANES) == (2, "", f"numasync: {LANES_SENTENCE}")


def test_a_wrong_variable_is_an_error_of_the_import_in_python(tmp_path):
    script = "try:\n    import numasync\nexcept ValueError as error:\n    print(type(error).__name__, error)"
    command = [sys.executable, "-c", script]
    assert play([], tmp_path, command=command, env=BAD_LANES) == (0, f"InputError {LANES_SENTENCE}", "")


# --- The folder of a run


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(tmp_path):
    started = [start(SHORT, tmp_path) for _ in range(3)]
    for process in started:
        _, err = process.communicate(timeout=START_SECONDS)
        assert (process.returncode, err) == (0, "")
    folders = list((tmp_path / "runs").iterdir())
    assert len(folders) == 3 and all(read_run(folder).result for folder in folders)


def test_of_two_runs_that_want_a_folder_at_once_one_is_refused(tmp_path):
    started = [start([*SHORT, "--seed", str(seed), "--out", "run"], tmp_path) for seed in (1, 2)]
    ended = [(*process.communicate(timeout=START_SECONDS), process.returncode) for process in started]
    (refused,) = [(err, code) for _, err, code in ended if code]
    assert refused[1] == 2 and "give another --out" in refused[0] and refused[0].count("\n") == 1
    winner = [code for *_, code in ended].index(0) + 1
    run = read_run(tmp_path / "run")
    assert run.config["seed"] == run.result["seed"] == winner


# --- Outputs


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_output_is_silence(tmp_path, closed):
    words = " ".join([*COMMAND, *SHORT, "--out", "run"])
    code, out, err = play(["-c", f"{words} {closed}"], tmp_path, command=["bash"])
    assert (code, err) == (0, "") and bool(out) == (closed == "2>&-")
    assert read_run(tmp_path / "run").result["evaluation"]


def test_a_refusal_with_a_closed_stderr_prints_nothing_elsewhere(tmp_path):
    assert play(["-c", " ".join([*COMMAND, "eval missing.npz 2>&-"])], tmp_path, command=["bash"]) == (2, "", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_a_full_output_does_not_end_a_run_and_is_said(tmp_path):
    with open("/dev/full", "w") as full:
        code, _, err = play([*SHORT, "--out", "run"], tmp_path, stdout=full)
        assert code == 0 and err.startswith("numasync: The output cannot be written: No space left on device; ")
        assert err.count("\n") == 1 and read_run(tmp_path / "run").result["evaluation"]
        sentence = "numasync: The output cannot be read or written: No space left on device.\n"
        assert play(["envs"], tmp_path, stdout=full) == (1, None, sentence)


def test_a_terminal_that_cannot_encode_a_name_shows_escapes(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    code, out, err = play([*SHORT, "--out", "löp"], tmp_path, env=environment)
    assert (code, err) == (0, "") and out.endswith("Checkpoint: l\\xf6p/checkpoint.npz\n")


def test_a_current_folder_that_is_gone_is_one_sentence(tmp_path):
    for words in (SHORT, ["plot", "run"], ["eval", "agent.npz"], ["--env", "game:Game-v0"], ["study", "lr"]):
        (tmp_path / "gone").mkdir()
        script = f"rmdir ../gone; exec {' '.join([*COMMAND, *words])}"
        code, out, err = play(["-c", script], tmp_path / "gone", command=["bash"])
        assert (code, out) == (2, "") and err.startswith("numasync") and err.count("\n") == 1, err


# --- What a command starts, it ends


def processes_of(folder):
    """Return the numbers of the processes that have a variable FAMILY with the name of a folder."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/environ", "rb") as file:
                if f"FAMILY={folder}".encode() in file.read().split(b"\0"):
                    found.append(number)
        except OSError:
            continue
    return found


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="this system does not list processes in files")
@pytest.mark.parametrize(
    ("number", "seconds"),
    [(signal.SIGTERM, 0.5), (signal.SIGTERM, 4.0), (signal.SIGHUP, 4.0), (signal.SIGINT, 4.0)],
    ids=str,
)
@pytest.mark.parametrize(
    "words", [["bench", "--only", "startup"], ["study", "lr", "--env", "Catch-v0", "--jobs", "2", "--out", "study"]]
)
def test_a_signal_ends_child_processes_and_removes_temporary_folders(tmp_path, words, number, seconds):
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "FAMILY": str(tmp_path)}
    process = start(words, tmp_path, env=environment, start_new_session=True)
    process.stdout.readline()
    time.sleep(seconds)
    assert process.poll() is None and len(processes_of(tmp_path)) > 1
    process.send_signal(number)
    _, err = process.communicate(timeout=STOP_SECONDS)
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert err == "numasync: stopped.\n"
    deadline = time.monotonic() + 5
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_of(tmp_path) and not list((tmp_path / "temporary").iterdir())


ELSEWHERE = {
    "asyncio": "asyncio.run(asyncio.to_thread(train))",
    "pool": "with ThreadPoolExecutor(1) as pool: pool.submit(train).result()",
    "thread": "threading.Thread(target=train).start(); time.sleep(1000)",
}


@pytest.mark.parametrize("how", ELSEWHERE)
def test_ctrl_c_ends_a_run_in_another_thread(tmp_path, how):
    script = f"""
import asyncio, threading, time, numasync
from concurrent.futures import ThreadPoolExecutor

def train():
    numasync.train(out="run", steps=10**10, workers=2, verbose=True)

{ELSEWHERE[how]}
"""
    process = start(["-c", script], tmp_path, command=[sys.executable])
    while "/s" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=STOP_SECONDS)
    assert read_run(tmp_path / "run").result["interrupted"] is True
