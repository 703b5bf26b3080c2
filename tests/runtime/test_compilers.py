"""Processes that compile beside this one: what they leave in the cache is used, and a run needs none of them."""

import multiprocessing
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numba.core import event

from numasync.nn.layers import relu
from numasync.runtime import compilers
from numasync.runtime.compilation import Compilation, kernels_below
from numasync.runtime.compilers import COMPILED_ELSEWHERE, Compilers, Job, can_help, find_kernel
from numasync.runtime.jit import DISABLED, float64, function_type, int64, kernel
from numasync.runtime.pointers import pointer_to

pytestmark = pytest.mark.skipif(DISABLED, reason="about compiled kernels")

# Compile both kernels of a relu with one helper, in a process whose cache is empty.
PROGRAM = """
import numpy as np
from numasync import network, dense, relu
from numasync.runtime import compilers, forks
compilers.cores = lambda: 2
forks.allowed = {fork}
jobs = network((2,), dense(2), relu()).jobs(np.float64)[1::2]  # the relu's
with compilers.Compilers(jobs) as started:
    {before}
    started.compile(jobs)
names = [job.path[1] for job in jobs]
hits = [sum(job.kernel.stats.cache_hits.values()) for job in jobs]
print(len(started.helpers), names, [job.is_done for job in jobs], hits)
"""


def run_cold(tmp_path, before="pass", fork=False):
    """Run PROGRAM with an empty cache and return what it prints. fork: whether helpers are copies of its process."""
    environment = {**os.environ, "NUMASYNC_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM.format(before=before, fork=fork)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.strip()


def jobs_of(*kernels):
    """Return a job for each kernel of two numbers."""
    return [Job(each, (float64, float64)) for each in kernels]


@kernel
def summed(x, y):
    return x + y


@pytest.mark.parametrize("fork", [False, True], ids=["a Python of its own", "a copy of this process"])
def test_what_a_helper_compiles_is_loaded_from_the_cache(tmp_path, fork):
    all_jobs = "started.helpers[0].work(compilers.deque(jobs))"  # before this process takes the first
    assert run_cold(tmp_path, all_jobs, fork) == "1 ['forward', 'backward'] [True, True] [1, 1]"


@pytest.mark.parametrize("fork", [False, True], ids=["a Python of its own", "a copy of this process"])
def test_a_helper_that_has_died_costs_nothing_but_time(tmp_path, fork):
    killed = "started.helpers[0].process.kill(); started.helpers[0].process.wait()"
    assert run_cold(tmp_path, killed, fork) == "1 ['forward', 'backward'] [True, True] [0, 0]"


def test_no_helper_is_started_where_the_cache_has_everything(tmp_path):
    run_cold(tmp_path)
    assert run_cold(tmp_path) == "0 ['forward', 'backward'] [True, True] [1, 1]"


def test_a_kernel_that_only_this_process_knows_is_compiled_here(monkeypatch):
    helpers = [SimpleNamespace(work=lambda jobs: pytest.fail("a helper got a job") if jobs else None)]
    started = Compilers()
    started.helpers = helpers
    (job,) = jobs_of(summed)
    assert not job.can_be_shared and not job.is_cached
    started.compile([job])
    assert job.is_done and summed(1.0, 2.0) == 3.0


def test_helpers_begin_with_the_last_jobs_and_a_job_that_fails_is_put_back():
    class Answers(compilers.Helper):
        def __init__(self, *answers):
            self.answers, self.asked = list(answers), []

        def _compile(self, job):
            self.asked.append(job)
            return self.answers.pop(0)

    jobs = compilers.deque(jobs_of(summed, find_kernel, summed))
    first, second, third = jobs
    helper = Answers(True, False)
    helper.work(jobs)
    assert helper.asked == [third, second] and list(jobs) == [first, second]


def test_kernels_are_found_by_name_also_behind_their_checks():
    assert find_kernel("numasync.nn.layers.relu", "relu_forward") is relu.relu_forward
    assert find_kernel("numasync.runtime.rng", "uniform").py_func.__name__ == "uniform"
    assert find_kernel("numasync.runtime.rng", "no_such_kernel") is None
    assert find_kernel("no_such_module", "uniform") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setattr(compilers, "cores", lambda: 1),
        lambda patch: patch.setattr(compilers, "open_folder", lambda: (None, "no folder")),
        lambda patch: patch.setattr(sys, "executable", "/usr/bin/blender"),
        lambda patch: patch.setattr(sys, "executable", None),
        lambda patch: patch.setattr(multiprocessing, "parent_process", lambda: object()),
    ],
    ids=["one core", "no cache", "not Python", "unknown", "one of many processes"],
)
def test_where_helpers_cannot_help_none_is_started(monkeypatch, tmp_path, change):
    monkeypatch.setattr(compilers, "cores", lambda: 2)
    monkeypatch.setattr(compilers, "open_folder", lambda: (tmp_path, ""))
    assert can_help()
    change(monkeypatch)
    assert not can_help()


def test_a_job_for_types_that_are_compiled_is_done():
    job = Job(relu.forward, (*[pointer_to(np.float64)] * 3, pointer_to(np.int64), *[int64] * 3))
    assert not Job(relu.forward, (int64,)).is_done
    job.compile()
    assert job.is_done


def test_what_a_helper_compiles_is_counted_with_all_that_it_calls():
    lines = []
    compilation = Compilation([relu.forward], lambda *line: lines.append(line[:2]))
    compilation.on_start(None)
    finished = event.Event(COMPILED_ELSEWHERE, event.EventStatus.END, {"dispatcher": relu.forward})
    compilation.on_end(finished)
    number = len(kernels_below(relu.forward))
    assert number > 1 and lines == [(number, number)]


def test_a_kernel_that_is_passed_stays_open_for_other_types():
    Job(summed, function_type(float64, float64, float64).signature).compile()
    assert summed(1, 2) == 3 and summed(1.5, 2.0) == 3.5
