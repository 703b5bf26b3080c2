"""Runs on a real cluster of two nodes: the same scores as at home, whatever dies."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from support.ray_clusters import node_arguments, ray_cluster
from support.stops import check_equal

import numasync
from numasync.distributed import nodes
from numasync.distributed.pool import Job
from numasync.tools import studies
from numasync.training.records import STATE

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.compiled]

WAIT_SECONDS = 400
STUDY = dict(runs=6, algos="a3c,nstep_q", steps=20_000, workers=2)
GRID = dict(env=["CartPole-v1", "Catch-v0"], algo="a3c", seed=[1, 2], lr=[0.001, 0.005], steps=3000, workers=2)
LONG = dict(env="CartPole-v1", algo="a3c", seed=1, steps=2_000_000, workers=2, checkpoint_every=50_000)


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


def steps_at(run):
    """T of the training state in the folder of a run; 0 where there is none. The first state is of T = 0."""
    with suppress(FileNotFoundError):
        return steps_of((run / STATE).read_bytes())
    return 0


@contextmanager
def node_dies_when(cluster, is_so, which=lambda: None):
    """Let a node of a cluster die at a moment of the `with` block. which: returns Ray's name of it; the second one."""

    def kill():
        wait_until(is_so)
        name = which()
        nodes = cluster.list_all_nodes()
        node = next((node for node in nodes if node.node_id == name), nodes[1])
        assert not node.is_head()
        cluster.remove_node(node, allow_graceful=False)

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        yield
        killed.result()


def kill_when(words, is_so):
    """Begin a command, and kill it with SIGKILL at a moment."""
    process = subprocess.Popen([sys.executable, "-m", "numasync", *map(str, words)], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_so() or process.poll() is not None)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


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
    """Nothing of the run is played twice: each episode is in its table once, as where nothing dies."""
    sent, places, begin = [], [], Job.begin
    monkeypatch.setattr(Job, "begin", lambda job, *given: sent.append(begin(job, *given)) or sent[-1])
    take = Job.take
    monkeypatch.setattr(Job, "take", lambda job, message: places.append(message.node) or take(job, message))
    run = tmp_path / "far" / "runs" / "CartPole-v1-a3c-seed1"
    # The head has no core, so one of the two others plays the run, and the other one is there when it dies.
    with (
        ray_cluster(3, head_cores=0) as cluster,
        node_dies_when(cluster, lambda: steps_at(run) > 0, lambda: places[-1]),
    ):
        far = numasync.sweep(LONG, out=tmp_path / "far", ray=cluster.address)
    near = numasync.sweep(LONG, out=tmp_path / "near", executor=ThreadPoolExecutor(1))
    assert len(set(places)) == 2 and len(sent) >= 2  # more where the dead node passes for a living one a little longer
    goes_on_at = [steps_of(files[STATE]) for files in sent[1:]]
    assert sent[0] == {} and 0 < min(goes_on_at) <= max(goes_on_at) < LONG["steps"]
    assert scores(far.rows) == scores(near.rows)
    result = json.loads((run / "result.json").read_text())
    assert result["steps"] == far.rows[0]["steps"] >= LONG["steps"]
    check_equal(run, tmp_path / "near" / "runs" / run.name)


def test_a_study_goes_on_where_its_program_was_killed(tmp_path, at_home):
    table = tmp_path / "s" / "runs.csv"
    with ray_cluster() as cluster:
        options = "study lr --runs 6 --algos a3c,nstep_q --steps 20000 --workers 2".split()
        kill_when([*options, "--ray", cluster.address, "--out", tmp_path / "s"], lambda: lines_of(table) > 4)
        before = table.read_text()
        rows = numasync.study("lr", out=tmp_path / "s", ray=cluster.address, **STUDY).rows
    assert table.read_text().startswith(before)
    assert scores(rows) == at_home
    with open(table, newline="") as file:
        assert len(list(csv.DictReader(file))) == 12


TUNING = dict(env="CartPole-v1", algo="a3c", steps=30_000, trials=12)


def check_trials(done):
    """Check that every trial of a tuning has ended once."""
    with open(done.folder / "trials.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(done.trials) == TUNING["trials"]
    assert len({trial["options"]["seed"] for trial in done.trials}) == TUNING["trials"]
    ends = {trial["end"] for trial in done.trials}
    assert "finished" in ends and ends <= {"finished", "pruned", "diverged"}
    assert not list(done.folder.glob("trials/*.lock")) and not list(done.folder.rglob(STATE))


def test_each_trial_of_a_tuning_ends_once_where_a_node_dies(tmp_path):
    pytest.importorskip("optuna")
    table = tmp_path / "t" / "trials.csv"
    with ray_cluster() as cluster, node_dies_when(cluster, lambda: lines_of(table) > 5):
        done = numasync.tune(out=tmp_path / "t", ray=cluster.address, **TUNING)
    check_trials(done)


def test_each_trial_of_a_tuning_ends_once_where_its_program_was_killed(tmp_path):
    pytest.importorskip("optuna")
    table = tmp_path / "t" / "trials.csv"
    with ray_cluster() as cluster:
        words = "tune --env CartPole-v1 --algo a3c --steps 30000 --trials 12".split()
        kill_when([*words, "--ray", cluster.address, "--out", tmp_path / "t"], lambda: lines_of(table) > 6)
        before = table.read_text().splitlines()
        done = numasync.tune(out=tmp_path / "t", ray=cluster.address, **TUNING)
    check_trials(done)
    assert set(before) <= set(table.read_text().splitlines())


def test_a_node_that_joins_with_another_version_gets_no_runs(tmp_path, monkeypatch, capsys):
    """Its versions are made up here: Ray itself would not let in a node with another Python or Ray."""
    places, take, trouble = [], Job.take, nodes.find_trouble
    monkeypatch.setattr(Job, "take", lambda job, message: places.append(message.node) or take(job, message))
    first = []

    def find_trouble(ray, node, *given):
        found = trouble(ray, node, *given)
        return found if node.id in first else f"Node {node.host} has numasync 0.0.1; all nodes need the same versions."

    monkeypatch.setattr(nodes, "find_trouble", find_trouble)
    monkeypatch.setattr("numasync.distributed.pool.NODES_SECONDS", 0.5)
    with ray_cluster(1) as cluster, ThreadPoolExecutor(1) as pool:
        first += [node.node_id for node in cluster.list_all_nodes()]
        cluster._shutdown_at_exit = False  # Ray sets signals otherwise, which a thread cannot

        def join():
            wait_until(lambda: lines_of(tmp_path / "s" / "runs.csv") > 1)
            cluster.add_node(**node_arguments())

        joined = pool.submit(join)
        numasync.study("lr", out=tmp_path / "s", ray=cluster.address, verbose=True, **{**STUDY, "runs": 60})
        joined.result()
    assert set(places) == set(first)
    assert capsys.readouterr().out.count("A node that has joined gets no runs: node 127.0.0.2 has numasync 0.0.1") == 1
