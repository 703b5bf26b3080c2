"""Runs on a real cluster of two nodes: the same scores as at home, whatever dies."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from support.ray_clusters import node_arguments, ray_cluster

import numasync
from numasync.distributed.pool import Job
from numasync.tools import studies
from numasync.training.records import STATE

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.compiled]

WAIT_SECONDS = 400
STUDY = dict(runs=6, algos="a3c,nstep_q", steps=20_000, workers=2)
GRID = dict(env=["CartPole-v1", "Catch-v0"], algo="a3c", seed=[1, 2], lr=[0.001, 0.005], steps=3000, workers=2)
LONG = dict(env="CartPole-v1", algo="a3c", seed=1, steps=1_000_000, workers=2, checkpoint_every=50_000)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr(studies, "draw_figure_if_possible", lambda *_: ())


@pytest.fixture(scope="module")
def at_home(tmp_path_factory):
    """The rows of the study without Ray."""
    with ThreadPoolExecutor(1) as executor:
        return scores(numasync.study("lr", out=tmp_path_factory.mktemp("home") / "s", executor=executor, **STUDY).rows)


def scores(rows):
    return [{name: str(value) for name, value in row.items() if name != "wall_s"} for row in rows]


def wait_until(is_so):
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def lines_of(path):
    return path.read_text().count("\n") if path.exists() else 0


def steps_of(state):
    """T of a training state, from the bytes of its file."""
    with np.load(io.BytesIO(state)) as arrays:
        return int(arrays["steps"].sum())


@contextmanager
def node_dies_when(cluster, is_so, another=False):
    """Let the second node of a cluster die at a moment of the `with` block. another: whether another one joins then."""

    def kill():
        wait_until(is_so)
        cluster.remove_node(cluster.list_all_nodes()[1], allow_graceful=False)
        if another:
            cluster._shutdown_at_exit = False  # Ray sets signals otherwise, which a thread cannot
            cluster.add_node(**node_arguments())

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        yield
        killed.result()


def test_a_study_is_the_same_where_a_node_dies(tmp_path, at_home):
    with ray_cluster() as cluster, node_dies_when(cluster, lambda: lines_of(tmp_path / "s" / "runs.csv") > 4):
        rows = numasync.study("lr", out=tmp_path / "s", ray=cluster.address, **STUDY).rows
    assert scores(rows) == at_home
    assert not (tmp_path / "s" / "playing").exists()


def test_a_sweep_has_the_same_table(tmp_path):
    with ray_cluster() as cluster:
        far = numasync.sweep(GRID, out=tmp_path / "far", ray=cluster.address)
    near = numasync.sweep(GRID, out=tmp_path / "near", jobs=2)
    assert scores(far.rows) == scores(near.rows) and len(far.rows) == 8


def test_a_run_goes_on_from_its_training_state_where_its_node_dies(tmp_path, monkeypatch):
    sent, files = [], Job.files
    monkeypatch.setattr(Job, "files", lambda job: sent.append(files(job)) or sent[-1])
    run = tmp_path / "far" / "runs" / "CartPole-v1-a3c-seed1"
    # The head has no core, so the node that dies plays. Another one joins then.
    with ray_cluster(head_cores=0) as cluster, node_dies_when(cluster, (run / STATE).exists, another=True):
        far = numasync.sweep(LONG, out=tmp_path / "far", ray=cluster.address)
    near = numasync.sweep(LONG, out=tmp_path / "near", executor=ThreadPoolExecutor(1))
    assert scores(far.rows) == scores(near.rows)
    assert (run / "result.json").exists()
    assert len(sent) == 2 and 0 < steps_of(sent[1][STATE]) < LONG["steps"]


def test_a_study_goes_on_where_its_program_was_killed(tmp_path, at_home):
    with ray_cluster() as cluster:
        options = "--runs 6 --algos a3c,nstep_q --steps 20000 --workers 2"
        words = [sys.executable, "-m", "numasync", "study", "lr", *options.split(), "--ray", cluster.address]
        table = tmp_path / "s" / "runs.csv"
        process = subprocess.Popen([*words, "--out", str(tmp_path / "s")], stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: lines_of(table) > 4)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        before = table.read_text()
        rows = numasync.study("lr", out=tmp_path / "s", ray=cluster.address, **STUDY).rows
    assert table.read_text().startswith(before)
    assert scores(rows) == at_home
    with open(table, newline="") as file:
        assert len(list(csv.DictReader(file))) == 12
