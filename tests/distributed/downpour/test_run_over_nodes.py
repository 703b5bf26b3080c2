"""A run over two nodes of a Ray cluster on this machine, each with one core, by the real command line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.callbacks import Remembers

import numasync
from numasync.errors import InputError
from numasync.training.records import read_run

pytestmark = [pytest.mark.slow, pytest.mark.compiled]

COMMAND = [sys.executable, "-m", "numasync"]
SECONDS = 600


@pytest.fixture(scope="module")
def cluster():
    """Start two nodes, which only this machine can reach."""
    pytest.importorskip("ray")
    from support.ray_clusters import ray_cluster

    with ray_cluster(nodes=2) as cluster:
        yield cluster


def words_of(cluster, out, **options):
    options = {"env": "CartPole-v1", "ray": cluster.address, "nodes": 2, "workers": 4, "sync-steps": 500, **options}
    return [
        *COMMAND,
        "train",
        "--out",
        str(out),
        *[w for name, value in options.items() for w in (f"--{name}", str(value))],
    ]


def node_processes(cluster):
    """Return the numbers of the processes that train on this cluster."""
    raylets = {part.process.pid for node in cluster.list_all_nodes() for part in node.all_processes["raylet"]}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, stat = (folder / "cmdline").read_text(), (folder / "stat").read_text()
        except OSError:  # it has ended
            continue
        if name.startswith("ray::NodeProcess") and int(stat.rpartition(")")[2].split()[1]) in raylets:
            found.append(int(folder.name))
    return found


def wait_for(condition, process):
    until = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None and time.monotonic() < until, "the run has ended"
        time.sleep(0.02)


def check_folder(out, steps):
    """Check that a run over nodes looks as any other run, and return its result."""
    run = read_run(out)
    result, agent = run.result, numasync.load(out / "checkpoint.npz")
    assert steps <= result["steps"] < 1.2 * steps
    assert len(run.episodes) == result["episodes"] > 0
    assert run.episodes[:, 3].max() <= result["steps"]
    assert np.isfinite(agent.theta).all() and agent.result["steps"] == result["steps"]
    return result


def test_two_nodes_learn_cartpole(cluster, tmp_path):
    done = subprocess.run(
        words_of(cluster, tmp_path / "run", steps=1_500_000), timeout=SECONDS, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    result = check_folder(tmp_path / "run", 1_500_000)
    assert result["evaluation"]["mean"] >= 475
    measured = result["exchanges"]
    assert sum(measured["steps_of_launches"]) == result["steps"] and len(measured["steps_of_launches"]) == 2
    assert measured["staleness_mean"] > 0 and measured["bytes_per_s"] > 0 and measured["deaths"] == 0


def test_a_node_that_is_killed_is_replaced_and_costs_its_unsent_steps(cluster, tmp_path):
    out = tmp_path / "run"
    words = words_of(cluster, out, steps=8_000_000)
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        wait_for(lambda: (out / "monitor.csv").exists(), process)
        os.kill(node_processes(cluster)[0], signal.SIGKILL)
        _, trouble = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, trouble
    result = check_folder(out, 8_000_000)
    assert result["exchanges"]["deaths"] == 1 and "has died" in trouble
    assert sum(result["exchanges"]["steps_of_launches"]) == result["steps"]


def test_a_run_whose_program_is_killed_goes_on(cluster, tmp_path):
    out = tmp_path / "run"
    words = words_of(cluster, out, **{"steps": 8_000_000, "checkpoint-every": 200_000})
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: (out / "training-previous.npz").exists(), process)
        process.kill()
    resumed = subprocess.run([*COMMAND, "resume", str(out)], timeout=SECONDS, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    result = check_folder(out, 8_000_000)
    # What was made before the kill is not made again.
    assert 0 < sum(result["exchanges"]["steps_of_launches"]) < result["steps"]


def test_a_callback_reads_what_all_nodes_have_measured(cluster):
    remembers = Remembers()
    options = {"algo": "a3c", "ray": cluster.address, "nodes": 2, "workers": 2, "steps": 300_000}
    numasync.train("CartPole-v1", **options, callbacks=[remembers])
    learned = [progress.learning for progress in remembers.of("on_progress") if progress.learning.updates]
    assert learned and all(np.isfinite([each.loss, each.entropy, each.value]).all() for each in learned)
    assert len(remembers.of("on_episode")) == remembers.of("on_end")[0].result["episodes"]


def test_a_cluster_with_fewer_nodes_is_an_error_that_leaves_nothing(cluster, tmp_path):
    out = tmp_path / "run"
    done = subprocess.run(words_of(cluster, out, nodes=3), timeout=SECONDS, capture_output=True, text=True)
    assert done.returncode == 2 and not out.exists()
    assert "The run needs 3 nodes; the cluster at" in done.stderr and done.stderr.count("\n") == 1


def test_an_address_where_nothing_answers_is_an_error():
    with pytest.raises(InputError, match="No Ray cluster answers at 127.0.0.1:1"):
        numasync.train("Catch-v0", ray="127.0.0.1:1", steps=1_000)
