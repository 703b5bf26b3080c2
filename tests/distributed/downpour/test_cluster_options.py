"""The options of a run over several nodes, and what the program that starts it keeps, without Ray."""

import sys

import numpy as np
import pytest

import numasync
from numasync.distributed.downpour.fleet import choose_machines
from numasync.distributed.downpour.parameter_server import Board, Report
from numasync.distributed.downpour.run_over_nodes import ClusterSupervisor, ClusterTrainer
from numasync.distributed.nodes import Node
from numasync.errors import InputError
from numasync.learner.counters import COLUMNS
from numasync.training.schedule import Schedule
from numasync.training.state import read_state, write_state
from numasync.training.train import make_agent


@pytest.mark.parametrize(
    "options, message",
    [
        ({"nodes": 2}, "Several nodes or shards need a Ray cluster; give ray"),
        ({"shards": 2}, "Several nodes or shards need a Ray cluster; give ray"),
        ({"ray": "local", "nodes": 0}, "nodes is 0; it must be"),
        ({"ray": "local", "sync_steps": 0}, "sync_steps is 0; it must be"),
        ({"ray": "local", "deterministic": True}, "A run on a Ray cluster does not repeat"),
        ({"ray": 3}, "ray is 3; it must be a string"),
        ({"ray": "nowhere"}, "The address of Ray is 'nowhere'; it must be HOST:PORT"),
        ({"ray": "127.0.0.1:1"}, "No Ray cluster answers at 127.0.0.1:1"),
    ],
)
def test_wrong_options_are_one_sentence_and_leave_no_folder(options, message, tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=message) as caught:
        numasync.train("Catch-v0", out=tmp_path / "run", steps=1_000, **options)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_without_ray_one_sentence_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'need Ray; pip install "numasync\[ray\]" installs it'):
        numasync.train("Catch-v0", out=tmp_path / "run", ray="local", nodes=2)


def test_environments_that_other_processes_cannot_import_are_refused():
    with pytest.raises(InputError, match="Other processes cannot import the lambda"):
        numasync.train(lambda: __import__("gymnasium").make("CartPole-v1"), ray="local")


def test_running_means_of_vectors_are_refused():
    agent = make_agent(env="CartPole-v1", ray="local", normalize=True)
    with pytest.raises(InputError, match="cannot normalise vectors"):
        ClusterSupervisor(agent, None, None)


def test_a_cluster_with_too_few_nodes_is_refused_and_local_nodes_are_processes():
    machines = [Node("a", "10.0.0.1", 4), Node("b", "10.0.0.2", 4)]
    assert choose_machines(machines, 2, "10.0.0.1:6379") == machines
    assert choose_machines(machines[:1], 3, "local") == machines[:1] * 3
    with pytest.raises(InputError, match="The run needs 3 nodes; the cluster at 10.0.0.1:6379 has 2"):
        choose_machines(machines, 3, "10.0.0.1:6379")


def test_a_training_state_holds_T_theta_the_optimiser_and_the_launches(tmp_path):
    agent = make_agent(env="Catch-v0", ray="local", nodes=2, workers=3)
    trainer = ClusterTrainer(agent)
    board = Board(2, 500)
    for launch in (0, 1):
        board.join(launch)
    view = board.look()._replace(steps=12_345, learned=np.ones(COLUMNS), g=np.full(agent.theta.size, 0.5, np.float32))
    trainer.take(agent.theta + 1, view._replace(episodes=np.array([[1.0, 9, 12_000]])))
    trainer.launches = 7
    paths = tmp_path / "training.npz", tmp_path / "training-previous.npz"
    write_state(*paths, agent, trainer.state(), None)
    other = ClusterTrainer(agent, Schedule(0.1, 10))
    other.restore(read_state(paths[0])[1])
    assert other.steps == 12_345 and other.launches == 7 and other.episodes == 1
    np.testing.assert_array_equal(other.theta, agent.theta + 1)
    np.testing.assert_array_equal(other.g, 0.5)
    assert len(other.final_epsilons) == 6


def test_a_training_state_of_one_machine_is_none_of_a_cluster():
    agent = make_agent(env="Catch-v0", ray="local", nodes=2, workers=3)
    state = ClusterTrainer(agent).state()
    del state.arrays["launches"]
    with pytest.raises(InputError, match="none of a run over several nodes"):
        ClusterTrainer(agent).restore(state)


def test_a_node_that_begins_later_gets_the_last_g_and_measures_for_callbacks():
    agent = make_agent(env="Catch-v0", ray="local")
    trainer, board = ClusterTrainer(agent), Board(1, 500)
    assert trainer.setup == (trainer.schedule, None, False)
    board.join(0)
    g = np.full_like(agent.theta, 0.5)
    board.arrived(Report(0, 5, np.zeros(COLUMNS), np.zeros((0, 3)), g=g))
    trainer.take(agent.theta, board.look())
    trainer.measure_outputs()
    assert trainer.setup.g is not None and trainer.setup.g.tolist() == g.tolist() and trainer.setup.measures
