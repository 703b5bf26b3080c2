"""Trainings, evaluations and registrations in several threads of one program."""

import os
import subprocess
import sys
import threading

import pytest
from support import custom_envs

import numasync
from numasync import InputError, envs
from numasync.envs.custom import registration

SMALL = dict(seed=3, workers=2, deterministic=True, steps=400, final_eval_episodes=2)

# Kernels are compiled, or read from the cache, once in a process. So these runs need a process of their own.
PRELUDE = f"""
import sys, threading
import numpy as np
import numasync
from support import custom_envs

SMALL = {SMALL!r}
failures = []

def train(env, algo):
    return numasync.train(env, algo=algo, **SMALL)

def together(*jobs):
    barrier, results = threading.Barrier(len(jobs)), [None] * len(jobs)
    def run(i):
        barrier.wait()
        results[i] = jobs[i]()
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(jobs))]
    threading.excepthook = lambda failure: failures.append(failure.exc_value)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    return results
"""
SAME = """
one, other = together(lambda: train("CartPole-v1", "nstep_q"), lambda: train("CartPole-v1", "nstep_q"))
np.testing.assert_array_equal(one.theta, other.theta)
np.testing.assert_array_equal(one.theta, train("CartPole-v1", "nstep_q").theta)
"""
DIFFERENT = """
kinds = [("CartPole-v1", "a3c"), ("Pendulum-v1", "a3c"), ("gymnasium:CartPole-v1", "one_step_q"), ("Catch-v0", "a3c")]
agents = together(*[lambda kind=kind: train(*kind) for kind in kinds])
for agent, kind in zip(agents, kinds):
    np.testing.assert_array_equal(agent.theta, train(*kind).theta)
    assert np.isfinite(agent.result["evaluation"]["mean"])
"""
MIXED = """
path = sys.argv[1]
train("CartPole-v1", "nstep_q").save(path)
"""
MIXED_LATER = """
path = sys.argv[1]
def play():
    return numasync.load(path).evaluate(4, seed=1)
first, second, agent, _ = together(play, play, lambda: train("Catch-v0", "a3c"), custom_envs.register)
assert first == second == play()
np.testing.assert_array_equal(agent.theta, train("Catch-v0", "a3c").theta)
assert "Trial-v0" in numasync.envs.REGISTERED
"""


def run(script, *arguments):
    support = str(custom_envs.__file__.rpartition("support")[0])
    root = str(numasync.__file__.rpartition("numasync")[0])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, support])}
    command = [sys.executable, "-c", PRELUDE + script, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.mark.compiled
@pytest.mark.parametrize("script", [SAME, DIFFERENT], ids=["same", "different"])
def test_trainings_in_several_threads_learn_what_they_learn_alone(script):
    run(script)


@pytest.mark.compiled
def test_loading_evaluating_training_and_registering_go_on_at_the_same_time(tmp_path):
    run(MIXED, tmp_path / "agent.npz")
    run(MIXED_LATER, tmp_path / "agent.npz")


def test_of_two_threads_that_register_one_id_the_second_is_refused(monkeypatch):
    barrier, outcomes = threading.Barrier(2), []

    def check_and_compile(env):
        barrier.wait()  # both ids were free
        return env._replace()

    def register():
        try:
            outcomes.append(custom_envs.register())
        except InputError as error:
            outcomes.append(str(error))

    monkeypatch.setattr(registration, "check_and_compile", check_and_compile)
    monkeypatch.setattr(registration, "REGISTERED", {})
    threads = [threading.Thread(target=register) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusals = [outcome for outcome in outcomes if outcome]
    assert len(outcomes) == 2 and len(refusals) == 1 and refusals[0].startswith("Trial-v0 is registered already;")


def test_a_module_may_take_the_current_folder_off_the_path(tmp_path, monkeypatch):
    (tmp_path / "leaves_the_path.py").write_text(f"import sys\nsys.path.remove({str(tmp_path)!r})\n")
    monkeypatch.chdir(tmp_path)
    before = sys.path[:]
    envs.import_module("leaves_the_path")
    assert "leaves_the_path" in sys.modules and sys.path == before


def test_imports_by_two_threads_leave_the_path_as_it_was(tmp_path, monkeypatch):
    names = [f"slow_module_{i}" for i in range(4)]
    for name in names:
        (tmp_path / f"{name}.py").write_text("import time\ntime.sleep(0.05)\n")
    monkeypatch.chdir(tmp_path)
    before = sys.path[:]
    threads = [threading.Thread(target=envs.import_module, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.path == before and set(names) <= sys.modules.keys()
