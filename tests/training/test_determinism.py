"""One thread in turns, or one worker, repeats a run bit for bit."""

import numpy as np
import pytest
from support.runs import trained

from numasync.algorithms import ALGORITHMS
from numasync.learner.optim import OPTIMIZERS
from numasync.runtime.jit import DISABLED
from numasync.training import trainer

# Interpreted kernels are slow; a few segments show the same.
STEPS = 60 if DISABLED else 3_000


def theta(algo="nstep_q", optimizer="shared_rmsprop", env_id="Catch-v0", steps=STEPS, **options):
    given = dict(workers=8, deterministic=True, seed=3, network="mlp", lr=1e-3, epsilon_steps=steps, target_interval=50)
    return trained(env_id, algo, optimizer=optimizer, steps=steps, **{**given, **options}).theta


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_workers_in_turns_repeat_bit_for_bit(algo, optimizer):
    np.testing.assert_array_equal(theta(algo, optimizer), theta(algo, optimizer))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("algo", ALGORITHMS)
@pytest.mark.parametrize("network", ["mlp", "mlp_lstm"])
def test_workers_of_a_thread_learn_as_if_each_had_arrays_of_its_own(network, algo, optimizer, monkeypatch):
    shared = theta(algo, optimizer, network=network, steps=min(STEPS, 1_000))
    monkeypatch.setattr(trainer, "share_scratch", lambda worker, other: worker)
    np.testing.assert_array_equal(shared, theta(algo, optimizer, network=network, steps=min(STEPS, 1_000)))


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_one_worker_in_its_own_thread_repeats_bit_for_bit(algo):
    threaded = theta(algo, workers=1, deterministic=False)
    np.testing.assert_array_equal(threaded, theta(algo, workers=1, deterministic=False))
    np.testing.assert_array_equal(threaded, theta(algo, workers=1, deterministic=True))


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_python_environment_repeats_bit_for_bit(algo):
    options = dict(env_id="gymnasium:CartPole-v1", steps=min(STEPS, 500))
    np.testing.assert_array_equal(theta(algo, **options), theta(algo, **options))


@pytest.mark.parametrize("change", [dict(seed=4), dict(workers=7), dict(optimizer="rmsprop"), dict(algo="one_step_q")])
def test_another_run_is_another(change):
    assert not np.array_equal(theta(), theta(**change))


def test_workers_and_seeds_have_random_streams_of_their_own():
    options = dict(steps=100, workers=2, deterministic=True, network="mlp")
    runs = [trained("Catch-v0", "nstep_q", seed=seed, **options) for seed in (3, 4)]
    assert len({tuple(worker.rng) for run in runs for worker in run.workers}) == 4
