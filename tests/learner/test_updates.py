"""What an update of the loop does to theta: its gradient, skipped blocks, and what is not finite."""

import numpy as np
import pytest
from support.segments import Run, Scripted, every_algorithm

from numasync.envs.spec import RUNNING, TERMINATED
from numasync.learner.loop import NOT_FINITE, apply_gradient, apply_gradient_in_numpy
from numasync.learner.optim import BLOCK, OPTIMIZERS, sum_squares
from numasync.nn import reference
from numasync.nn.passes import backward
from numasync.nn.spec import dense
from numasync.runtime.jit import DISABLED, FLOAT, python_source


@pytest.mark.parametrize("algo", ["nstep_q", "a3c"])
def test_the_gradient_at_theta_local_is_added_to_what_theta_has_become(algo):
    env = Scripted((1.0, RUNNING))
    run = Run(algo, env)
    before = run.shared.theta.copy()
    env.on_play = lambda: run.shared.theta.__iadd__(FLOAT(0.1))
    run.play()
    grad, worker = np.zeros_like(before), run.worker
    # obs[0] already belongs to the next segment.
    worker.obs[0] = env.observations[0]
    scratch = worker.scratch
    backward(scratch.dtape.copy(), grad, worker.tape, worker.obs, before, scratch.work, run.table, 5)
    np.testing.assert_allclose(run.shared.theta, before + 5 * FLOAT(0.1) - FLOAT(0.01) * grad, rtol=1e-5, atol=1e-6)
    assert np.abs(grad).max() > 0.1 and not worker.scratch.grad.any()


BY_LOOPS = python_source(apply_gradient) if DISABLED else apply_gradient


@pytest.mark.parametrize("applied_by", [(BY_LOOPS,), (apply_gradient_in_numpy,), (BY_LOOPS, apply_gradient_in_numpy)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("algo", ["a3c", "one_step_q"])  # with theta', and without
def test_a_block_that_is_skipped_learns_as_if_it_were_not(algo, optimizer, applied_by):
    """Sparse gradients of two workers, against every update made on all parameters in float64.

    applied_by: what applies a gradient, in turn: the loops, NumPy, or both, as where a run goes on without Numba.
    """
    env = Scripted((1.0, RUNNING))
    options = dict(optimizer=optimizer, rms_decay=0.9, rms_eps=0.1)
    run = Run(algo, env, Scripted((1.0, RUNNING)), hidden=(dense(3 * BLOCK),), **options)
    workers = [run.worker, run.workers[1]]
    if OPTIMIZERS[optimizer].shared_state:
        workers[1] = workers[1]._replace(optimizer_state=workers[0].optimizer_state)
    theta = run.shared.theta.astype(np.float64)
    states = {id(worker.optimizer_state): np.zeros_like(theta) for worker in workers}
    generator, skipped = np.random.default_rng(3), 0
    for update, i in enumerate(generator.integers(2, size=60)):
        worker, grad = workers[i], generator.standard_normal(theta.size).astype(FLOAT)
        blocks = np.arange(theta.size) // BLOCK
        grad[np.isin(blocks, np.flatnonzero(generator.random(blocks[-1] + 1) < 0.7))] = 0
        skipped += run.settings.lazy and (np.bincount(blocks, grad != 0) == 0).sum()
        worker.scratch.grad[:] = grad
        sum_squares(worker.scratch.squares, worker.scratch.grad)
        apply, numbers = applied_by[update % len(applied_by)], (FLOAT(0.01), FLOAT(0.5))
        apply(run.shared, worker, run.settings, *numbers, run.update, run.settings.local_copy)
        state = states[id(worker.optimizer_state)]
        if optimizer == "momentum_sgd":
            theta, state[:] = reference.momentum_sgd(theta, grad, state, 0.01, 0.9, 0.5)
        else:
            theta, state[:] = reference.rmsprop(theta, grad, state, 0.01, 0.9, 0.1, 0.5)
        np.testing.assert_allclose(run.shared.theta, theta, rtol=1e-5, atol=1e-6)
        assert not worker.scratch.grad.any()
        if algo == "a3c":
            np.testing.assert_array_equal(worker.scratch.theta_local, run.shared.theta)
    assert (skipped > 100) == OPTIMIZERS[optimizer].lazy


@pytest.mark.parametrize(("reward", "clip"), [(np.nan, 0.0), (np.nan, 1.0), (np.inf, 0.0)])
@every_algorithm
def test_a_reward_that_is_not_finite_stops_before_theta(algo, reward, clip):
    run = Run(algo, Scripted((1.0, RUNNING), (reward, RUNNING), (1.0, TERMINATED)), reward_clip=clip)
    before = run.shared.theta.copy()
    assert run.play(5) == NOT_FINITE
    np.testing.assert_array_equal(run.shared.theta, before)
    assert not run.worker.optimizer_state.values.any() and run.T == 0
