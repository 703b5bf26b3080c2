"""A run that is killed at random moments, again and again, and goes on each time, is the run that nobody killed.

By default a few kills of one run are tried. `pytest -m slow tests/front/test_kills.py` tries them all.
"""

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from support.stops import check_equal

import numasync
from numasync.algorithms import ALGORITHMS
from numasync.learner.optim import OPTIMIZERS
from numasync.training.records import read_run

pytestmark = pytest.mark.compiled

COMMAND = [sys.executable, "-m", "numasync"]
SECONDS = 600

# Steps that take some seconds with a network without memory, and with one that has one, these networks, and after
# how many seconds at most a start is killed. A start on Pong loads a game for each worker, and plays it again.
RUNS = {
    "CartPole-v1": (1_500_000, 100_000, "mlp", "mlp_lstm", 2.0),
    "Catch-v0": (300_000, 100_000, "mlp", "mlp_lstm", 2.0),
    "MinAtar/Breakout-v1": (150_000, 80_000, "minatar", "minatar_lstm", 2.0),
    "PongNoFrameskip-v4": (8_000, 6_000, "nips", "nips_lstm", 6.0),
}
FEW = [("MinAtar/Breakout-v1", "a3c", "rmsprop", True)]
ALL = [
    (env, algo, optimizer, memory)
    for env in RUNS
    for algo in ALGORITHMS
    for optimizer in OPTIMIZERS
    for memory in (False, True)
]


def words_of(env, algo, optimizer, memory):
    """Return the command line of a run."""
    steps, networks = RUNS[env][memory], RUNS[env][2:4]
    options = dict(env=env, algo=algo, optimizer=optimizer, network=networks[memory], steps=steps, workers=8, seed=7)
    options |= {"checkpoint-minutes": 0.005, "eval-every": steps // 4, "periodic-eval-episodes": 1}
    options |= {"final-eval-episodes": 1, "epsilon-steps": steps, "target-interval": steps // 10}
    return [
        "train",
        "--deterministic",
        *[part for name, value in options.items() for part in (f"--{name}", str(value))],
    ]


def kill_again_and_again(folder, words, kills, moments, latest):
    """Start a run, kill it at random moments, go on each time, and return how often it was killed.

    The first kill comes while it trains, and so does every second one. The others come at any moment after the start.
    """
    killed, command = 0, words
    while True:
        process = subprocess.Popen([*COMMAND, *command, "--json-lines"], cwd=folder, stdout=subprocess.PIPE)
        if killed < kills:
            if killed % 2 == 1:
                time.sleep(moments.uniform(0.5, latest))
            elif wait_for_training(process):
                time.sleep(moments.uniform(0.0, 0.6))
            process.kill()
        process.communicate(timeout=SECONDS)
        killed += process.returncode == -signal.SIGKILL
        # A kill may come after the last file was written. Then there is nothing to go on with.
        if process.returncode != -signal.SIGKILL or is_finished(folder / "run"):
            assert process.returncode in (0, -signal.SIGKILL)
            return killed
        if (folder / "run" / "config.json").exists():
            command = ["resume", "run"]


def is_finished(run):
    """Return whether a run has its result, which it writes last."""
    path = run / "result.json"
    return path.exists() and json.loads(path.read_text())["evaluation"] is not None


def wait_for_training(process):
    """Read the lines of a run until it trains. Return false where it ends before."""
    return any(json.loads(line)["event"] == "progress" for line in process.stdout)


def check(tmp_path, run, kills):
    words = words_of(*run)
    subprocess.run([*COMMAND, *words, "--out", "whole"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    killed = kill_again_and_again(tmp_path, [*words, "--out", "run"], kills, random.Random(str(run)), RUNS[run[0]][4])
    check_equal(tmp_path / "whole", tmp_path / "run")
    print(f"{' '.join(map(str, run))}: killed {killed} times, equal")
    return killed


@pytest.mark.parametrize("run", FEW, ids=str)
def test_a_run_that_is_killed_goes_on_bit_for_bit(tmp_path, run):
    assert check(tmp_path, run, kills=2) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("run", ALL, ids=str)
def test_every_kind_of_run_that_is_killed_goes_on_bit_for_bit(tmp_path, run):
    if "Pong" in run[0]:
        pytest.importorskip("ale_py")
    check(tmp_path, run, kills=10)


def changes_of_returns(episodes, resumed):
    """Return how the mean return of 20 episodes changes at each resume.

    episodes  lines of monitor.csv: return, length, seconds, T
    resumed   T of each resume
    """
    returns, at = episodes[:, 0], np.searchsorted(episodes[:, 3], resumed, side="right")
    return np.array(
        [returns[i : i + 20].mean() - returns[i - 20 : i].mean() for i in at if 20 <= i <= len(returns) - 20]
    )


@pytest.mark.slow
@pytest.mark.parametrize("env", ["MinAtar/Breakout-v1", "PongNoFrameskip-v4"])
def test_a_run_with_threads_that_is_killed_loses_one_interval_at_most(tmp_path, env):
    """50 kills while it trains. Every file loads, and what is lost is no longer than the interval of the states.

    The training returns after a resume are like the returns before it.
    """
    steps = {"MinAtar/Breakout-v1": 20_000_000, "PongNoFrameskip-v4": 1_500_000}[env]
    words = ["train", "--env", env, "--algo", "a3c", "--steps", str(steps), "--seed", "7", "--out", "run"]
    words += ["--checkpoint-minutes", "0.02", "--final-eval-episodes", "1", "--eval-every", str(steps // 8)]
    moments, command, lost, resumed = random.Random(env), words, [], []
    for _ in range(50):
        process = subprocess.Popen([*COMMAND, *command, "--json-lines"], cwd=tmp_path, stdout=subprocess.PIPE)
        if wait_for_training(process):
            time.sleep(moments.uniform(1.0, 9.0))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        command = ["resume", "run"]
        for path in (tmp_path / "run").glob("*.npz"):
            if not path.name.startswith("training"):
                numasync.load(path)
        run = read_run(tmp_path / "run")
        _, state = numasync.training.state.read_state(tmp_path / "run" / "training.npz")
        lost.append(run.episodes[-1, 2] - state.numbers.seconds if len(run.episodes) else 0.0)
        resumed.append(state.steps)
    changes = changes_of_returns(read_run(tmp_path / "run").episodes, resumed)
    mean, error = changes.mean(), changes.std(ddof=1) / len(changes) ** 0.5
    print(f"{env}: {len(lost)} kills; seconds of episodes beyond the state: at most {max(lost):.2f}")
    print(f"{env}: return of 20 episodes after a resume less that of 20 before: {mean:.2f}, standard error {error:.2f}")
    assert max(lost) < 3.0
    assert mean > -3.0 * error
