"""Threads on one array without a lock: what is lost is measured, and whole runs stay finite and count every step."""

import threading

import numpy as np
import pytest
from support.runs import trained

from numasync.algorithms import ALGORITHMS
from numasync.envs.jitted.catch import ROWS
from numasync.learner.optim import momentum_sgd
from numasync.runtime.jit import DISABLED, FLOAT, kernel

pytestmark = pytest.mark.skipif(DISABLED, reason="interpreted threads hold the GIL and take too long")


@kernel
def add_ones(theta, grad, m, times):
    """theta += 1, `times` times, each through an update of the optimiser: decay 0, gradient -1, lr 1."""
    for _ in range(times):
        grad[:] = FLOAT(-1)
        momentum_sgd(theta, grad, m, FLOAT(1), FLOAT(0), FLOAT(0), FLOAT(1))


def sum_of_threads(threads, size, times):
    """theta after `threads` threads have added 1 to each of its elements `times` times."""
    theta = np.zeros(size, FLOAT)
    start = threading.Barrier(threads)

    def body(grad, m):
        start.wait()
        add_ones(theta, grad, m, times)

    add_ones(np.zeros(1, FLOAT), np.zeros(1, FLOAT), np.zeros(1, FLOAT), 1)
    workers = [threading.Thread(target=body, args=np.zeros((2, size), FLOAT)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return theta


@pytest.mark.parametrize(("size", "times"), [(64, 200_000), (100_000, 200)])
def test_one_thread_loses_nothing(size, times):
    assert (sum_of_threads(1, size, times) == times).all()


# A layer's bias, on which threads meet all the time, and a whole network's theta, on which they rarely do. The second
# column is the largest fraction that may be lost on average.
@pytest.mark.parametrize(("size", "times", "bound"), [(64, 200_000, 0.75), (100_000, 1_000, 0.2)])
def test_what_a_lock_free_array_loses(size, times, bound):
    threads = 4
    theta = sum_of_threads(threads, size, times)
    lost = 1 - theta.mean() / (threads * times)
    worst = 1 - theta.min() / (threads * times)
    print(f"\n{threads} threads, {size:,} parameters: {lost:.2%} of updates lost, {worst:.2%} at worst")
    # Nothing is added twice, and what is left is a whole number of updates. A single element may fall below one
    # thread's worth (a thread suspended between its read and its write brings an old value back), their mean may not.
    assert theta.max() <= threads * times
    assert (theta == theta.round()).all() and theta.min() > 0
    assert 0 <= lost <= bound


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_threads_count_every_step_and_stay_finite(algo):
    workers, t_max, steps, target_interval = 8, 5, 20_000, 3_000
    options = dict(workers=workers, t_max=t_max, steps=steps, target_interval=target_interval, epsilon_steps=steps)
    trainer = trained("Catch-v0", algo, lr=1e-3, **options)
    per_worker = trainer.shared.steps[:, 0]
    # An episode of Catch is ROWS - 1 steps long: a count that does not come from the workers' slots.
    unfinished = np.array([worker.episode[1] for worker in trainer.workers])
    assert per_worker.sum() == trainer.steps == (ROWS - 1) * trainer.episodes + unfinished.sum()
    assert ((per_worker - unfinished) % (ROWS - 1) == 0).all() and per_worker.min() > 0
    # Each worker may begin a last segment just before T_max.
    assert steps <= trainer.steps < steps + workers * t_max
    assert np.isfinite(trainer.theta).all() and np.isfinite(trainer.shared.theta_target).all()
    copies = trainer.steps // target_interval if ALGORITHMS[algo].target_network else 0
    assert trainer.shared.target_copies[0] == copies
    assert np.array_equal(trainer.shared.theta_target, trainer.network.initial(trainer.config.seed)) == (copies == 0)
