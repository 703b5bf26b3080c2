"""What a worker counts of its own learning, against sums that Python makes of the same segments."""

import numpy as np
import pytest
from support.segments import Run, Scripted, every_algorithm

from numasync.algorithms.policy import EPSILON_GREEDY, GAUSSIAN, SOFTMAX, variance
from numasync.envs.spec import RUNNING, TERMINATED
from numasync.learner.counters import (
    COLUMNS,
    ENTROPY,
    GRAD_NORM,
    LOSS,
    MEASURE_EVERY,
    MEASURED,
    STEPS,
    UPDATES,
    VALUE,
    address_of_measure,
    gaussian_entropy,
    measure_outputs,
    softmax_entropy,
)
from numasync.nn.reference import softmax
from numasync.runtime.jit import FLOAT
from numasync.runtime.memory import CACHE_LINE


@every_algorithm
def test_updates_steps_and_measured_states_are_counted(algo):
    run = Run(algo, Scripted((1.0, RUNNING), (1.0, RUNNING), (1.0, TERMINATED)))
    for _ in range(2 * MEASURE_EVERY):
        run.play()
    learned = run.worker.learned
    assert learned[UPDATES] == 2 * MEASURE_EVERY and learned[STEPS] == run.shared.steps.sum()
    assert 0 < learned[MEASURED] < learned[STEPS] and np.isfinite(learned).all()
    assert learned[GRAD_NORM] > 0 and (learned[ENTROPY] != 0) == (algo == "a3c") and learned[VALUE] != 0


def test_loss_and_norm_of_a_one_step_segment_by_hand():
    """Terminal after one step, r = 1: loss = (1 - Q(s, a))^2, and the gradient is -2 (1 - Q) times that of Q."""
    run = Run("one_step_q", Scripted((1.0, TERMINATED)), hidden=(), epsilon_steps=1)
    theta = run.shared.theta.copy()
    run.play()
    learned, env = run.worker.learned, run.envs[0]
    x, action = env.observations[0], env.actions[0]
    q = run.outputs(theta, [x])[0, action]
    assert learned[LOSS] == pytest.approx((1 - q) ** 2, rel=1e-5)
    assert learned[GRAD_NORM] == pytest.approx(2 * abs(1 - q) * np.sqrt(x @ x + 1), rel=1e-5)


def test_the_norm_is_counted_before_it_is_clipped():
    free, clipped = (Run("a3c", Scripted((9.0, RUNNING)), clip_norm=norm, lr=1e-30) for norm in (0.0, 1e-3))
    for run in (free, clipped):
        run.play()
    assert clipped.worker.learned[GRAD_NORM] == free.worker.learned[GRAD_NORM] > 1e-3


@pytest.mark.parametrize("logits", [[0.0, 0.0, 0.0], [1.0, -2.0, 0.5], [50.0, -300.0], [1e4, 1e4, -1e4]])
def test_the_entropy_of_a_softmax(logits):
    p = softmax(np.array([logits]))[0]
    expected = -np.sum(p[p > 0] * np.log(p[p > 0]))
    assert softmax_entropy(np.array(logits, FLOAT)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("d", [1, 3])
def test_the_entropy_of_a_gaussian(d):
    outputs = np.array([0.3] * d + [0.7, 5.0], FLOAT)
    expected = d / 2 * (np.log(2 * np.pi * variance(FLOAT(0.7))) + 1)
    assert gaussian_entropy(outputs, d) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("policy", [EPSILON_GREEDY, SOFTMAX, GAUSSIAN])
def test_only_the_rows_of_the_segment_are_measured(policy):
    outputs = np.array([[1.0, 2.0, 3.0], [4.0, 0.0, -1.0], [np.nan] * 3], FLOAT)
    learned = np.zeros(COLUMNS)
    action_map = np.zeros((4, 1), FLOAT)
    measure_outputs(learned, outputs, action_map, address_of_measure(policy, action_map), 2)
    assert learned[MEASURED] == 2 and learned[VALUE] == (3 + 4 if policy == EPSILON_GREEDY else 3 - 1)
    assert np.isfinite(learned[ENTROPY]) and (learned[ENTROPY] == 0) == (policy == EPSILON_GREEDY)


def test_the_entropy_of_several_integers_is_the_sum_of_theirs():
    outputs, learned = np.array([[1.0, 2.0, 0.5, 0.0, -1.0, 7.0]], FLOAT), np.zeros(COLUMNS)
    action_map = np.array([0, 2, 5])
    measure_outputs(learned, outputs, action_map, address_of_measure(SOFTMAX, action_map), 1)
    assert learned[ENTROPY] == pytest.approx(softmax_entropy(outputs[0, :2]) + softmax_entropy(outputs[0, 2:5]))
    assert learned[VALUE] == 7


def test_nothing_is_measured_where_nobody_reads_it():
    """The kernel that measures is then not compiled, which is a part of a first start."""
    run = Run("a3c", Scripted((1.0, RUNNING)))
    run.settings = run.settings._replace(measure=0)
    run.play(2 * MEASURE_EVERY)
    learned = run.worker.learned
    assert learned[UPDATES] == 2 * MEASURE_EVERY and learned[MEASURED] == learned[ENTROPY] == learned[VALUE] == 0


def test_the_counters_of_a_worker_fill_a_cache_line_of_their_own():
    learned = Run("a3c", Scripted((1.0, RUNNING))).worker.learned
    assert learned.nbytes == CACHE_LINE and learned.ctypes.data % CACHE_LINE == 0
