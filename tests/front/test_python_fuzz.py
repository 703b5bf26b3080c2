"""Odd arguments to every public function: each call returns, or is refused in one sentence and writes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.python_fuzz import public_functions

import numasync

ROOT = Path(__file__).parents[2]
CALLS_IN_ALL, SEEDS = 2_400, (1, 2, 3)
CALLS_OF_EACH = 3
MOST_MEGABYTES = 1_000


def play(folder, seed, calls):
    """Make calls in a process of their own, so that its memory is measured, and its crash would be seen."""
    paths = [str(ROOT), str(ROOT / "tests")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "support.python_fuzz", str(seed), str(calls)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_every_public_function_is_called():
    functions = set(public_functions())
    assert {name for name in numasync.__all__ if callable(getattr(numasync, name))} < functions
    assert {"Agent.predict", "Agent.save", "Network.views", "envs.make_env", "human_normalized"} < functions


def test_a_sample_of_odd_arguments_is_refused_in_one_sentence(tmp_path):
    functions = sorted(public_functions())
    found = play(tmp_path, seed=0, calls=CALLS_OF_EACH * len(functions))
    assert found["functions"] == functions and found["calls"] > 100
    assert not found["faults"], "\n".join(found["faults"])
    assert found["megabytes"] < MOST_MEGABYTES


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_odd_arguments_are_refused_in_one_sentence(tmp_path, seed):
    found = play(tmp_path, seed, CALLS_IN_ALL)
    assert not found["faults"], "\n".join(found["faults"])
    assert found["calls"] == CALLS_IN_ALL and found["megabytes"] < MOST_MEGABYTES
