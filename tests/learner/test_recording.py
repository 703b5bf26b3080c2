"""The Recorder: it keeps what the loop passes to its four functions, and changes nothing."""

import numpy as np
import pytest
from support.segments import Run, Scripted, every_algorithm

from numasync.envs.spec import RUNNING, TERMINATED, TRUNCATED
from numasync.learner.loop import compile_loop, run_segments
from numasync.learner.recording import RECORDING, Recorder
from numasync.nn.network import outputs_on

SCRIPT = [(1.0, RUNNING), (0.5, RUNNING), (2.0, TERMINATED), (1.0, RUNNING), (3.0, TRUNCATED)]


def record(run, recorder):
    compile_loop(run.shared, run.worker, run.settings, Recorder.kernels)
    with recorder.record():
        return run_segments(run.shared, run.worker, run.table, run.settings, 1, *Recorder.kernels)


@every_algorithm
@pytest.mark.parametrize("optimizer", ["shared_rmsprop", "momentum_sgd"])
def test_a_recorded_segment_learns_the_same(algo, optimizer):
    plain, recorded = (Run(algo, Scripted(*SCRIPT), t_max=3, optimizer=optimizer) for _ in range(2))
    recorder = Recorder(recorded.functions, recorded.worker, recorded.shared.theta)
    for _ in range(4):
        assert record(recorded, recorder) == plain.play()
        np.testing.assert_array_equal(recorded.shared.theta, plain.shared.theta)
        np.testing.assert_array_equal(recorded.worker.obs[0], plain.worker.obs[0])
    assert recorded.envs[0].actions == plain.envs[0].actions and recorded.envs[0].resets == plain.envs[0].resets


@every_algorithm
def test_a_recorder_keeps_the_steps_the_segment_and_the_update(algo):
    run = Run(algo, Scripted(*SCRIPT), t_max=3)
    before = run.shared.theta.copy()
    recorder = Recorder(run.functions, run.worker, run.shared.theta)
    record(run, recorder)
    assert [(step.reward, step.end) for step in recorder.steps] == SCRIPT[:3]
    assert [step.action for step in recorder.steps] == run.envs[0].actions
    segment = recorder.segment
    assert (segment.n, segment.terminated) == (3, True)
    np.testing.assert_array_equal(segment.obs[:4], run.envs[0].observations[:4])
    np.testing.assert_array_equal(segment.rewards[:3], [1.0, 0.5, 2.0])
    outputs = outputs_on(segment.tape, run.network, 4)[:3]
    np.testing.assert_allclose(outputs, run.outputs(before, segment.obs[:3]), rtol=1e-6)  # row by row, and at once
    (update,) = recorder.updates  # one block
    np.testing.assert_array_equal(update.theta, before)
    np.testing.assert_array_equal(update.theta_after, run.shared.theta)
    assert np.abs(update.grad).max() > 0 and not run.worker.scratch.grad.any()


def test_only_a_recorder_that_records_is_called():
    run = Run("a3c", Scripted(*SCRIPT), t_max=3)
    recorder = Recorder(run.functions, run.worker, run.shared.theta)
    with pytest.raises(ZeroDivisionError), recorder.record():
        assert RECORDING == [recorder]
        raise ZeroDivisionError
    assert RECORDING == []
