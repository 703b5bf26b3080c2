"""The callbacks that write a run's numbers down: TensorBoard's own reader reads them, and NumPy reads the table."""

import errno
import shutil

import numpy as np
import pytest
from support.stops import look_often, stop_at

import numasync
from numasync import CSVLog, InputError, TensorBoard, dense, relu
from numasync.errors import TroubleWarning
from numasync.runtime.jit import DISABLED
from numasync.training import event_file, record_callbacks
from numasync.training.record_callbacks import COLUMNS
from numasync.training.records import read_run
from numasync.training.state import read_state

STEPS = 600 if DISABLED else 6_000
RUN = dict(
    env="Catch-v0",
    workers=3,
    steps=STEPS,
    seed=3,
    network=(dense(16), relu()),
    deterministic=True,
    checkpoint_every=STEPS // 5,
    eval_every=STEPS // 5,
    periodic_eval_episodes=2,
    final_eval_episodes=2,
    epsilon_steps=STEPS,
)
TRAINING = {
    "rollout/ep_rew_mean",
    "rollout/ep_len_mean",
    "time/fps",
    "train/loss",
    "train/grad_norm",
    "train/value",
    "train/learning_rate",
}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    look_often(monkeypatch)
    # A point for every look of the supervisor.
    monkeypatch.setattr("numasync.training.callback_calls.FIRST_SECONDS", 0.0)


def curves(folder):
    """Return (steps, values) of each curve that TensorBoard shows, by tag, and the tags of texts."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    points = {tag: found.Scalars(tag) for tag in found.Tags()["scalars"]}
    return {
        tag: ([point.step for point in line], [point.value for point in line]) for tag, line in points.items()
    }, found.Tags()["tensors"]


def needs_writer():
    pytest.importorskip("tensorboardX")


# --- TensorBoard


@pytest.mark.parametrize("algo", ["a3c", "nstep_q"])
def test_tensorboard_reads_every_curve_of_a_run(tmp_path, algo):
    needs_writer()
    numasync.train(out=tmp_path / "run", algo=algo, tensorboard=True, **RUN)
    found, texts = curves(tmp_path / "run" / "tensorboard")
    of_algorithm = {"train/entropy"} if algo == "a3c" else {"train/epsilon"}
    assert set(found) == TRAINING | of_algorithm | {"eval/mean_reward"} and texts == ["options/text_summary"]
    run = read_run(tmp_path / "run")
    assert found["eval/mean_reward"][0] == run.evaluations[:, 0].tolist()
    np.testing.assert_allclose(found["eval/mean_reward"][1], run.evaluations[:, 3], rtol=1e-6)
    for tag, (steps, values) in found.items():
        assert steps == sorted(steps) and np.isfinite(values).all(), tag
    assert found["time/fps"][0][-1] == run.result["steps"]
    assert found["rollout/ep_rew_mean"][1][-1] == pytest.approx(run.episodes[-100:, 0].mean(), abs=0.1)
    assert found["rollout/ep_len_mean"][1][-1] == 9.0
    lr = numasync.load(tmp_path / "run" / "checkpoint.npz").config.lr
    np.testing.assert_allclose(
        found["train/learning_rate"][1],
        [lr * max(1 - T / STEPS, 0) for T in found["train/learning_rate"][0]],
        rtol=1e-5,
        atol=1e-9,
    )


@pytest.mark.compiled
def test_a_killed_run_goes_on_as_one_curve(monkeypatch, tmp_path):
    needs_writer()
    options = {**RUN, "tensorboard": True, "steps": 12 * STEPS, "checkpoint_every": STEPS, "eval_every": STEPS}
    copied, progress = [], numasync.training.run.Run._progress

    def copy(run, found):
        progress(run, found)
        if found.steps >= 3 * STEPS // 2 and not copied:  # what a kill would leave here
            copied.append(shutil.copytree(tmp_path / "run", tmp_path / "copy"))

    with monkeypatch.context() as context:
        context.setattr(numasync.training.run.Run, "_progress", copy)
        numasync.train(out=tmp_path / "run", **options)
    before, _ = curves(tmp_path / "copy" / "tensorboard")
    _, state = read_state(tmp_path / "copy" / "training.npz")
    assert before["time/fps"][0][-1] > state.steps, "the curve was ahead of the state"
    result = numasync.resume(tmp_path / "copy").result
    assert len(list((tmp_path / "copy" / "tensorboard").iterdir())) == 2
    after, _ = curves(tmp_path / "copy" / "tensorboard")
    for tag in TRAINING:
        steps = after[tag][0]
        kept = [step for step in before[tag][0] if step <= state.steps]
        # The first new point is at the T of the state where no worker has got a core before it.
        assert steps[: len(kept)] == kept and steps[len(kept)] >= state.steps, tag
        assert all(a <= b for a, b in zip(steps, steps[1:])), tag
    assert after["time/fps"][0][-1] == result["steps"]
    assert sorted(set(after["eval/mean_reward"][0])) == read_run(tmp_path / "copy").evaluations[:, 0].tolist()


def test_tensorboard_writes_into_a_folder_of_its_own(tmp_path):
    needs_writer()
    numasync.train(callbacks=[TensorBoard(tmp_path / "a" / "b")], **RUN)
    assert "time/fps" in curves(tmp_path / "a" / "b")[0]


def test_without_tensorboardx_nothing_is_written(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    for refused in (
        lambda: numasync.train(out=tmp_path / "run", tensorboard=True, **RUN),
        lambda: TensorBoard(),
    ):
        with pytest.raises(InputError, match=r'tensorboardX; pip install "numasync\[tensorboard\]" installs it\.$'):
            refused()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "kind, module, name", [(TensorBoard, event_file, "append_bytes"), (CSVLog, record_callbacks, "append")]
)
def test_a_full_disk_is_said_once_and_the_run_goes_on(monkeypatch, tmp_path, kind, module, name):
    needs_writer()
    left, write = [3], getattr(module, name)

    def full(path, *content):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, *content)

    monkeypatch.setattr(module, name, full)
    with pytest.warns(TroubleWarning, match="No space left on device; the run goes on") as caught:
        result = numasync.train(out=tmp_path / "run", callbacks=[kind()], **RUN).result
    assert sum(warning.category is TroubleWarning for warning in caught) == 1 and result["evaluation"] and left[0] < -1


@pytest.mark.parametrize("kind", [TensorBoard, CSVLog])
def test_a_callback_without_a_place_to_write_is_refused(kind):
    needs_writer()
    with pytest.raises(InputError, match=r"give it one, or give the run .*\(out\)\.$"):
        numasync.train(callbacks=[kind()], **RUN)


# --- A table


def table(path):
    return np.genfromtxt(path, delimiter=",", names=True)


@pytest.mark.parametrize("algo", ["a3c", "nstep_q"])
def test_the_table_has_the_numbers_of_the_run(tmp_path, algo):
    result = numasync.train(out=tmp_path / "run", algo=algo, callbacks=[CSVLog()], **RUN).result
    found = table(tmp_path / "run" / "progress.csv")
    assert found.dtype.names == COLUMNS and len(found) > 3
    assert (np.diff(found["T"]) >= 0).all() and (np.diff(found["t"]) >= 0).all()
    assert found["T"][-1] == result["steps"] and found["episodes"][-1] == result["episodes"]
    assert np.isnan(found["entropy"]).all() == (algo == "nstep_q") and np.isnan(found["epsilon"]).all() == (
        algo == "a3c"
    )
    learned = found["updates"] > 0
    assert np.isfinite(found["loss"][learned]).all() and (found["grad_norm"][learned] > 0).all()


def test_the_table_goes_on_after_a_resume(monkeypatch, tmp_path):
    with monkeypatch.context() as context:
        stop_at(context, STEPS // 2)
        numasync.train(out=tmp_path / "run", callbacks=[CSVLog()], **RUN)
    path = tmp_path / "run" / "progress.csv"
    whole = path.read_text()
    path.write_text(whole + f"{9 * STEPS},1,1,1,1,1,1,1,1,1,1,1,\n77")  # beyond the state, the last line not whole
    numasync.resume(tmp_path / "run", callbacks=[CSVLog()])
    assert path.read_text().startswith(whole) and table(path)["T"][-1] >= STEPS
    assert (np.diff(table(path)["T"]) >= 0).all() and 9 * STEPS not in table(path)["T"]


def test_a_table_of_another_run_is_not_overwritten(tmp_path):
    path = tmp_path / "table.csv"
    numasync.train(callbacks=[CSVLog(path)], **RUN)
    text = path.read_text()
    for content in (text, "precious"):
        path.write_text(content)
        with pytest.raises(InputError, match="already exists; give another path, nothing is overwritten"):
            numasync.train(out=tmp_path / "run", callbacks=[CSVLog(path)], **RUN)
        assert path.read_text() == content and not (tmp_path / "run").exists()
