"""The arrays and workers of a run: what it counts, what workers share, and what they see."""

import threading
import time

import numpy as np
import pytest
from support.scripted import ID, LAYERS, SPEC, WAIT_SECONDS, fails_at, make_trainer, plain, register

from numasync import WorkerError
from numasync.agent.network import build_network
from numasync.config import make_config
from numasync.envs.observation import Observation
from numasync.learner.loop import Scratch, Worker
from numasync.training import supervisor, trainer
from numasync.training.progress import Progress
from numasync.training.supervisor import Supervisor
from numasync.training.trainer import Trainer


@pytest.fixture
def scripted(monkeypatch):
    """Registers ID with a script and returns the list of the instances that are then made."""
    return lambda script: register(script, monkeypatch)


def test_only_workers_of_one_thread_share_arrays(scripted, monkeypatch):
    scripted(plain)
    monkeypatch.setattr(trainer, "cores", lambda: 2)
    run = make_trainer(workers=5)
    run.build()

    def owners(arrays):
        return [[i for i, array in enumerate(arrays) if array is own] for own in arrays]

    for name in Scratch._fields:
        arrays = [getattr(worker.scratch, name) for worker in run.workers]
        assert owners(arrays) == [[0, 2, 4], [1, 3], [0, 2, 4], [1, 3], [0, 2, 4]], name
    for name in Worker._fields:
        arrays = [getattr(worker, name) for worker in run.workers]
        if isinstance(arrays[0], np.ndarray):
            assert owners(arrays) == [[0], [1], [2], [3], [4]], name


def test_a_run_counts_its_steps_episodes_returns_and_seconds(scripted):
    scripted(plain)
    run = make_trainer(steps=2500)
    assert run.progress() == Progress(0, 2500, 0.0, 0, [], lengths=[])
    began = time.perf_counter()
    Supervisor(run).run()
    assert 2500 <= run.steps < 2500 + 2 * run.config.t_max
    assert run.episodes in range(run.steps // 10 - 2, run.steps // 10 + 1), "an episode a worker may be unfinished"
    assert run.progress().returns == [10.0] * 100, "of the last hundred episodes"
    seconds = run.clock.seconds
    assert 0 < seconds < time.perf_counter() - began
    time.sleep(0.01)
    scores = lengths = [10.0] * 100
    assert run.progress() == Progress(run.steps, 2500, seconds, run.episodes, scores, lengths=lengths)
    assert np.isfinite(run.theta).all() and not np.array_equal(run.theta, run.network.initial(run.config.seed))


@pytest.mark.parametrize("options", [dict(), dict(deterministic=True), dict(workers=1)], ids=str)
def test_each_episode_is_taken_once(scripted, monkeypatch, options):
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.001)
    permits = threading.Semaphore(500)

    def script(number, n):
        assert permits.acquire(timeout=WAIT_SECONDS)
        return 0.1, number + 1.0

    def take(progress):
        taken.append(run.episode_log.take())
        if taken[-1]:
            permits.release(10_000)

    scripted(script)
    run = make_trainer(steps=2500, **options)
    taken = [run.episode_log.take()]
    Supervisor(run).run(take)
    taken += run.episode_log.take(), run.episode_log.take()
    assert taken[0] == taken[-1] == [] and sum(map(bool, taken)) > 1, "some of them while the run lasts"
    scores, lengths, seconds, T = np.transpose(sum(taken, []))
    assert len(scores) == run.episodes and set(lengths) == {10}
    assert set(scores) == {10.0 * (number + 1) for number in range(run.config.workers)}
    assert 10 <= T.min() and T.max() <= run.steps and 0 <= seconds.min() and seconds.max() <= run.clock.seconds
    if run.config.deterministic:
        assert list(scores[-100:]) == run.progress().returns
    if run.config.workers == 1:
        assert T.tolist() == list(range(10, 2501, 10)) and (np.diff(seconds) >= 0).all()


def test_the_workers_see_what_the_agents_observation_says(scripted):
    scripted(plain)
    config = make_config("classic", env=ID, network=LAYERS, workers=2, steps=400)
    observation = Observation("vector", (2,), scale=10.0, mean=np.array([0.1, 0.0], np.float32))
    spec = SPEC._replace(observation=observation)
    run = Trainer(config, spec, build_network(config, spec))
    run.build()
    run.run_segments_of(0, 1)
    assert run.workers[0].obs[1:4].tolist() == [[0.0, 1.0]] * 3, "10 times 0.1, less its mean"


def test_a_worker_that_fails_raises_and_keeps_what_was_learned_before(scripted):
    scripted(fails_at(4, worker=0))
    run = make_trainer(t_max=2, workers=1)
    run.build()
    assert run.run_segments_of(0, 1)
    theta = run.theta.copy()
    with pytest.raises(WorkerError, match="^Worker 0 failed with ZeroDivisionError: the pole broke") as caught:
        run.run_segments_of(0, 1)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert run.steps == 2 and np.array_equal(run.theta, theta)


def test_a_finished_run_has_no_more_to_play(scripted):
    scripted(plain)
    run = make_trainer(workers=1, steps=7, t_max=5)
    run.build()
    assert [run.run_segments_of(0, 1) for _ in range(3)] == [True, True, False] and run.steps == 10


def test_a_trainer_begins_with_the_parameters_that_it_is_given():
    config = make_config("classic", env=ID, network=LAYERS, workers=2)
    network = build_network(config, SPEC)
    theta = np.arange(network.n_parameters, dtype=np.float32)
    given, drawn = Trainer(config, SPEC, network, theta), Trainer(config, SPEC, network)
    assert np.array_equal(given.theta, theta) and not np.shares_memory(given.theta, theta)
    assert np.array_equal(given.shared.theta_target, theta)
    assert np.array_equal(drawn.theta, network.initial(config.seed))
