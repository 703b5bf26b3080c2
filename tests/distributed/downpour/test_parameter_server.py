"""The equation of an exchange and the board, without Ray: no update is lost, and every step is counted once."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numasync.distributed.downpour.node import Exchanger, NodeTrainer, Place, Setup, mean_g, run_node
from numasync.distributed.downpour.parameter_server import PATIENCE_SECONDS, Board, ParameterServer, Report, cut
from numasync.distributed.downpour.ray_actors import ParameterActor, in_pieces
from numasync.learner.counters import COLUMNS, MEASURED, UPDATES, VALUE
from numasync.training.train import make_agent

NONE = np.zeros((0, 3))


def report(launch, steps, updates=0, episodes=NONE, **more):
    learned = np.zeros(COLUMNS)
    learned[UPDATES] = updates
    return Report(launch, steps, learned, np.array(episodes, np.float64).reshape(-1, 3), **more)


def make_node(server, node=0, nodes=2, **options):
    options = {"workers": 2, "steps": 1_000, "sync_steps": 50, **options}
    agent = make_agent(env="Catch-v0", ray="local", nodes=nodes, **options)
    server.theta[:] = 0
    trainer = NodeTrainer(agent, Place(node, nodes, node))
    return trainer, Exchanger(trainer, server)


def make_pair(**options):
    """Return a server and two nodes that have begun, with a theta of zeros."""
    theta = make_agent(env="Catch-v0").theta
    server = ParameterServer(theta, Board(2, 50))
    nodes = [make_node(server, i, **options)[1] for i in range(2)]
    for node in nodes:
        server.join(node.trainer.place.launch)
    for node in nodes:
        node.begin()
    return server, *nodes


def test_two_nodes_equal_the_sum_of_what_each_has_done():
    server, one, two = make_pair()
    rng = np.random.default_rng(1)
    total = np.zeros(server.theta.size)
    for _ in range(20):
        for node in (one, two):
            # Eighths are exact in float32, so that sums can be compared exactly.
            change = rng.integers(-8, 8, server.theta.size).astype(np.float32) / 8
            node.trainer.theta[:] += change
            total += change
            if rng.random() < 0.5:
                node.exchange()
    one.exchange()
    two.exchange()
    one.exchange()
    assert_array_equal(server.theta, total)
    assert_array_equal(one.trainer.theta, total)
    assert_array_equal(two.trainer.theta, total)


def test_what_threads_do_during_an_exchange_goes_out_with_the_next_one():
    server, one, two = make_pair()

    class SlowLink:
        def exchange(self, delta, sent):
            found = server.exchange(delta, sent)
            one.trainer.theta[:] += np.float32(0.25)  # a thread trains while the answer is on its way
            return found

    two.trainer.theta[:] += np.float32(2)
    two.exchange()
    one.trainer.theta[:] += np.float32(1)
    one.link = SlowLink()
    one.exchange()
    assert_array_equal(one.trainer.theta, np.full_like(server.theta, 3.25))
    assert_array_equal(server.theta, np.full_like(server.theta, 3))
    one.link = server
    one.exchange()
    assert_array_equal(server.theta, np.full_like(server.theta, 3.25))


def test_the_board_counts_every_step_once():
    board = Board(2, 500, before=1_000)
    board.join(0)
    board.join(1)
    assert board.arrived(report(0, 50)).others == 1_000
    assert board.arrived(report(1, 30)).others == 1_050
    assert board.arrived(report(0, 90)).others == 1_030
    assert board.steps == 1_120 and board.look().steps == 1_120


def test_a_node_that_dies_costs_what_it_has_not_sent_and_nothing_else():
    board = Board(2, 500)
    for launch in (0, 1):
        board.join(launch)
    board.arrived(report(0, 50, 5, [[1.0, 9, 40]]))
    board.forget(0)
    board.join(2)  # another takes its place
    board.arrived(report(2, 20, 2))
    view = board.look()
    assert view.steps == 70 and view.learned[UPDATES] == 7 and view.episodes.tolist() == [[1.0, 9, 40]]


def test_staleness_is_the_updates_of_others_between_two_exchanges():
    board = Board(2, 500)
    for launch in (0, 1):
        board.join(launch)
    board.arrived(report(0, 10, updates=4))  # nothing of others yet
    board.arrived(report(1, 10, updates=3))  # the 4 of node 0
    board.arrived(report(1, 20, updates=8))  # nothing new
    board.arrived(report(0, 20, updates=6))  # the 8 of node 1
    assert board.measured()["staleness_mean"] == 3.0 and board.measured()["staleness_max"] == 8


def test_nodes_begin_together_or_when_one_has_waited_long():
    now = [0.0]
    board = Board(2, 500, clock=lambda: now[0])
    assert not board.join(0).begins
    assert board.join(1).begins and board.join(0).begins
    late = Board(2, 500, clock=lambda: now[0])
    assert not late.join(0).begins
    now[0] = PATIENCE_SECONDS + 1
    assert late.join(0).begins


def test_an_episode_is_shown_once():
    board = Board(1, 500)
    board.join(0)
    board.arrived(report(0, 10, episodes=[[1, 2, 3], [4, 5, 6]]))
    assert len(board.look().episodes) == 2 and len(board.look().episodes) == 0


def test_the_memory_of_the_optimiser_is_the_mean_of_what_was_asked_for():
    board = Board(2, 500)
    for launch in (0, 1):
        board.join(launch)
    assert not board.arrived(report(0, 1)).wants_g
    board.ask_for_g()
    assert board.arrived(report(0, 2)).wants_g
    assert not board.arrived(report(0, 3, g=np.full(3, 1, np.float32))).wants_g
    board.arrived(report(1, 3, g=np.full(3, 2, np.float32)))
    assert board.look().g.tolist() == [1.5] * 3


def test_a_delta_that_comes_far_too_late_is_not_taken_and_its_steps_and_updates_do_not_count():
    server, one, two = make_pair()  # 50 steps between two exchanges: 1,000 of the other are the most
    for node in (one, two):
        node.trainer.workers = [SimpleNamespace(learned=np.zeros(COLUMNS))]

    def make(node, steps, change):
        node.trainer.shared.steps[0, 0] += steps
        node.trainer.workers[0].learned[UPDATES] += steps / 10
        node.trainer.theta[:] += np.float32(change)

    make(one, 60, 4)
    for _ in range(11):
        make(two, 100, 1)
        two.exchange()
    one.exchange()
    assert not one.reply.taken and one.lost == 60 and one.trainer.steps == server.board.steps == 1_100
    assert_array_equal(server.theta, np.full_like(server.theta, 11))
    assert_array_equal(one.trainer.theta, server.theta)
    assert server.board.updates == 110
    # It goes on from the theta of all, and what it makes then counts.
    make(one, 50, 2)
    one.exchange()
    two.exchange()
    assert one.reply.taken and server.board.steps == one.trainer.steps == two.trainer.steps == 1_150
    assert_array_equal(two.trainer.theta, np.full_like(server.theta, 13))
    assert server.board.updates == 115
    measured = server.board.measured()
    assert (measured["late"], measured["steps_lost"], measured["steps_of_launches"]) == (1, 60, [50, 1_100])


def test_a_node_adds_its_delta_by_its_weight_and_keeps_what_threads_do_meanwhile():
    server, one, two = make_pair(delta_weight=0.25)
    one.trainer.theta[:] += np.float32(4)
    one.exchange()
    two.exchange()
    for node in (one, two):
        assert_array_equal(node.trainer.theta, np.full_like(server.theta, 1))
    assert_array_equal(server.theta, np.full_like(server.theta, 1))


@pytest.mark.parametrize("nodes, weight, run_away", [(2, None, False), (8, None, False), (8, 1.0, True)])
@pytest.mark.parametrize("part", [0.5, 0.999])
def test_nodes_that_go_to_one_theta_do_not_run_away_however_late_they_exchange(nodes, weight, run_away, part):
    """Each node goes a part of the way to 1 between two exchanges, and all exchange at once: no order is worse."""
    server = ParameterServer(make_agent(env="Catch-v0").theta, Board(nodes, 50))
    all_nodes = [make_node(server, i, nodes, delta_weight=weight)[1] for i in range(nodes)]
    for node in all_nodes:
        server.join(node.trainer.place.launch)
    for node in all_nodes:
        node.begin()
    for _ in range(30):
        for node in all_nodes:
            node.trainer.theta[:] += np.float32(part) * (1 - node.trainer.theta)
        for node in all_nodes * 2:  # the second visit tells the first nodes of the last ones
            node.exchange()
    furthest = np.abs(server.theta - 1).max()
    assert furthest > 100 if run_away else furthest < 1


@pytest.mark.parametrize("shards", [1, 3, 50])
def test_the_parts_of_theta_are_theta(shards):
    theta = np.arange(20, dtype=np.float32)
    parts = cut(theta, shards)
    assert_array_equal(np.concatenate(parts), theta)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1 and all(map(len, parts))


@pytest.mark.parametrize("size", [1, 24_000, 24_001, 32 * 24_000, 32 * 24_000 + 1])
def test_a_vector_in_pieces_is_the_vector_and_a_piece_travels_with_the_call(size):
    theta = np.arange(size, dtype=np.float32)
    actor = ParameterActor(theta)
    pieces = in_pieces(np.ones_like(theta))
    assert len(pieces) == 1 or max(piece.nbytes for piece in pieces) < 100_000
    nothing, *found = actor.add_pieces(*pieces)
    assert nothing is None and len(found) == len(pieces)
    assert_array_equal(np.concatenate(found), theta + 1)


@pytest.mark.compiled
def test_two_nodes_that_train_in_turn_end_with_one_theta_and_the_right_T():
    server, one, two = make_pair(steps=2_000)
    for node in (one, two):
        node.trainer.build()
    while all(node.trainer.run_segments_of(i, 1) for node in (one, two) for i in range(2)):
        for node in (one, two):
            if node.is_due():
                node.exchange()
    for node in (one, two, one):
        node.exchange()
    assert server.board.steps == one.trainer.own_steps + two.trainer.own_steps
    # Both stop as soon as they know of 2,000 steps: neither misses more than an interval of the other's.
    assert 2_000 <= server.board.steps <= 2_000 + 2 * (50 + 2 * one.trainer.config.t_max)
    assert_allclose(one.trainer.theta, two.trainer.theta, atol=1e-6)
    assert_allclose(one.trainer.theta, server.theta, atol=1e-6)
    assert np.abs(server.theta).max() > 0


@pytest.mark.compiled
def test_workers_wait_for_an_exchange_that_is_late_and_go_on_after_it():
    """A node whose exchanges take long is never more than two intervals away from the theta of all."""
    agent = make_agent(env="Catch-v0", ray="local", workers=3, steps=20_000, sync_steps=200)
    server = ParameterServer(agent.theta, Board(1, 200))
    trainer = NodeTrainer(agent, Place(0, 1, 0))
    furthest = []

    class SlowLink:
        join, ask = server.join, server.ask

        def exchange(self, delta, sent):
            time.sleep(0.005)
            furthest.append(trainer.unsent)
            return server.exchange(delta, sent)

    assert run_node(trainer, SlowLink()) is None
    segment = 3 * trainer.config.t_max  # each worker finishes the segment that it plays
    assert len(furthest) >= 20_000 / (400 + segment) and max(furthest) <= 400 + segment
    assert server.board.measured()["steps_per_exchange"] <= 400 + segment
    assert server.board.steps >= 20_000


@pytest.mark.compiled
def test_two_nodes_in_threads_share_the_steps_of_a_run():
    agent = make_agent(env="Catch-v0", ray="local", nodes=2, workers=2, steps=50_000, sync_steps=500)
    server = ParameterServer(agent.theta, Board(2, 500))
    trainers = [NodeTrainer(agent, Place(i, 2, i)) for i in range(2)]
    errors = []
    threads = [threading.Thread(target=lambda t=t: errors.append(run_node(t, server))) for t in trainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    theta, view = server.look()
    assert errors == [None, None] and np.isfinite(theta).all()
    assert view.steps == sum(trainer.own_steps for trainer in trainers) >= 50_000
    assert view.learned[UPDATES] == sum(trainer.learned[UPDATES] for trainer in trainers)
    assert len(view.episodes) == sum(trainer.episode_log.count for trainer in trainers)
    assert 0 < view.episodes[:, 2].max() <= view.steps
    assert mean_g(trainers[0]).any() and not np.array_equal(theta, agent.theta)


@pytest.mark.compiled
def test_workers_of_all_nodes_have_streams_and_epsilons_of_their_own():
    _, one, two = make_pair(workers=3)
    for node in (one, two):
        node.trainer.build()
    workers = [worker for node in (one, two) for worker in node.trainer.workers]
    assert len({worker.rng.tobytes() for worker in workers}) == 6
    # 0.1 with probability 0.4, 0.01 and 0.5 with 0.3 each, over all nodes.
    assert sorted(round(e, 2) for e in (w.epsilon_final for w in workers)).count(0.1) in (2, 3)


@pytest.mark.compiled
def test_a_node_that_fails_says_so_in_one_sentence():
    agent = make_agent(env="Catch-v0", ray="local", workers=1, steps=50_000, lr=1e30)
    name, text = run_node(NodeTrainer(agent, Place(0, 1, 0)), ParameterServer(agent.theta, Board(1, 500)))
    assert name == "NotFiniteError" and text.endswith(".") and "\n" not in text


@pytest.mark.compiled
def test_a_node_measures_values_only_where_a_callback_reads_them():
    for measures in (False, True):
        agent = make_agent(env="Catch-v0", algo="a3c", ray="local", workers=1, steps=2_000, sync_steps=100)
        server = ParameterServer(agent.theta, Board(1, 100))
        assert run_node(NodeTrainer(agent, Place(0, 1, 0), Setup(measures=measures)), server) is None
        learned = server.look()[1].learned
        assert (learned[MEASURED] > 0, learned[VALUE] != 0) == (measures, measures)


@pytest.mark.compiled
def test_the_optimiser_of_a_node_begins_with_the_g_that_it_is_given():
    agent = make_agent(env="Catch-v0", ray="local", workers=2)
    trainer = NodeTrainer(agent, Place(0, 1, 0), Setup(g=np.full_like(agent.theta, 0.25)))
    trainer.build()
    assert_array_equal(mean_g(trainer), np.full_like(agent.theta, 0.25))
