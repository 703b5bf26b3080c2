"""Callbacks: when they are called and with what, how they stop a run, and what happens where they fail."""

import json

import numpy as np
import pytest
from support.callbacks import METHODS, Remembers, acts
from support.stops import check_equal, look_often, stop_at
from support.text import is_one_sentence

import numasync
from numasync import Callback, CallbackError, InputError, StopAtScore, StopWithoutImprovement, WorkerError, dense, relu
from numasync.runtime.jit import DISABLED
from numasync.training.display import Silent
from numasync.training.progress import Progress
from numasync.training.records import read_run
from numasync.training.report import Report
from numasync.training.run import Run
from numasync.training.state import read_state
from numasync.training.train import make_agent

STEPS = 600 if DISABLED else 6_000
ENDLESS = 1_000_000_000
RUN = dict(
    env="Catch-v0",
    workers=2,
    steps=STEPS,
    seed=3,
    network=(dense(16), relu()),
    checkpoint_every=STEPS // 5,
    eval_every=STEPS // 5,
    periodic_eval_episodes=2,
    final_eval_episodes=2,
    epsilon_steps=STEPS,
    target_interval=50,
)
STOPPING = [name for name in METHODS if name != "on_end"]


@pytest.fixture(autouse=True)
def often(monkeypatch):
    look_often(monkeypatch)


def fail():
    raise LookupError("no such thing")


# --- What they get


def test_entropy_and_value_are_measured_for_callbacks_alone():
    """The kernel that measures them is otherwise not compiled, which would make a first start longer."""
    agent = make_agent(**RUN)
    runs = [Run(agent, None, Report(agent.config, display=Silent()), callbacks=given) for given in ((), (Callback(),))]
    assert [run.trainer.settings.measure != 0 for run in runs] == [False, True]


def test_the_calls_of_a_run_come_in_order_with_what_its_files_have(tmp_path):
    follower, folder = Remembers(), tmp_path / "run"
    agent = numasync.train(out=folder, callbacks=[follower], **RUN)
    names, run = [name for name, _ in follower.calls], read_run(folder)
    assert names[0] == "on_start" and names[-1] == "on_end" and names.count("on_start") == names.count("on_end") == 1
    (start,), (end,) = follower.of("on_start"), follower.of("on_end")
    assert start == (agent.config, folder, 0, 0.0, [])
    assert end.agent is agent and end.result == agent.result and end.error is None
    episodes = np.array(follower.of("on_episode"))
    assert len(episodes) == agent.result["episodes"]
    in_order = episodes[np.argsort(episodes[:, 3], kind="stable")]
    np.testing.assert_allclose(in_order, run.episodes, atol=0.006)
    evaluations = follower.of("on_evaluation")
    assert [(e.steps, e.scores["mean"]) for e in evaluations] == [(row[0], row[3]) for row in run.evaluations]
    assert [e.final for e in evaluations] == [False] * (len(evaluations) - 1) + [True] and evaluations[0].best
    assert evaluations[-1].scores == agent.result["evaluation"]
    checkpoints = follower.of("on_checkpoint")
    assert {each.path for each in checkpoints} == {folder / "checkpoint.npz"}
    assert checkpoints[0].steps == 0 and checkpoints[-1].steps == agent.result["steps"]


def test_the_progress_has_what_the_workers_have_learned_from_since_the_last_call(tmp_path):
    follower = Remembers()
    agent = numasync.train(algo="a3c", callbacks=[follower], **{**RUN, "eval_every": 0})
    calls = follower.of("on_progress")
    assert all(isinstance(each, Progress) for each in calls) and not follower.of("on_checkpoint")
    assert calls[-1].steps == agent.result["steps"] and calls[-1].lengths == [9.0] * min(100, agent.result["episodes"])
    updates = sum(each.learning.updates for each in calls)
    assert STEPS / agent.config.t_max <= updates <= agent.result["steps"]
    learned = [each.learning for each in calls if each.learning.updates >= 100]
    for learning in learned:
        assert 0 < learning.entropy <= np.log(3) + 1e-6 and -2 < learning.value < 2 and learning.epsilon is None
        assert 0 < learning.grad_norm < 100 and np.isfinite(learning.loss) and 0 <= learning.lr <= agent.config.lr


def test_a_callback_changes_nothing_in_a_deterministic_run(tmp_path):
    options = {**RUN, "deterministic": True, "workers": 3}
    numasync.train(out=tmp_path / "alone", **options)
    follower = Remembers()
    numasync.train(out=tmp_path / "followed", callbacks=[follower], **options)
    check_equal(tmp_path / "alone", tmp_path / "followed")
    np.testing.assert_allclose(follower.of("on_episode"), read_run(tmp_path / "followed").episodes, atol=0.006)


def test_a_run_that_goes_on_says_where_it_was(monkeypatch, tmp_path):
    options = {**RUN, "deterministic": True}
    with monkeypatch.context() as context:
        stop_at(context, STEPS // 2)
        assert numasync.train(out=tmp_path / "run", **options).result["interrupted"]
    _, state = read_state(tmp_path / "run" / "training.npz")
    follower = Remembers()
    numasync.resume(tmp_path / "run", callbacks=[follower])
    (start,) = follower.of("on_start")
    assert (start.steps, start.seconds) == (state.steps, state.numbers.seconds) and start.steps >= STEPS // 2
    evaluations = [*start.evaluations, *follower.of("on_evaluation")]
    assert [e.steps for e in evaluations] == [int(T) for T in read_run(tmp_path / "run").evaluations[:, 0]]


# --- Stopping


@pytest.mark.compiled
@pytest.mark.parametrize("deterministic", [False, True], ids=["threads", "deterministic"])
@pytest.mark.parametrize("method", STOPPING)
def test_each_method_can_stop_a_run_which_ends_in_good_order_and_can_go_on(tmp_path, method, deterministic):
    folder, options = tmp_path / "run", {**RUN, "steps": ENDLESS, "deterministic": deterministic}
    agent = numasync.train(out=folder, callbacks=[acts(method, lambda: True)], **options)
    result = agent.result
    assert result["stopped_by"] == "Acts" and result["steps"] < ENDLESS and not result["interrupted"]
    assert result["evaluation"]["episodes"] == 2 and read_run(folder).result == result
    assert result["steps"] == 0 or method != "on_start"
    assert read_state(folder / "training.npz")[1].steps == result["steps"]
    more = result["steps"] + STEPS
    again = numasync.resume(folder, steps=more).result
    assert again["steps"] >= more and again["stopped_by"] is None


@pytest.mark.compiled
def test_a_run_that_was_stopped_goes_on_to_its_planned_steps(tmp_path):
    options = {**RUN, "steps": 5 * STEPS, "deterministic": True, "eval_every": STEPS}
    numasync.train(out=tmp_path / "whole", **options)
    assert numasync.train(out=tmp_path / "run", callbacks=[acts("on_evaluation", lambda: True)], **options)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["stopped_by"] and STEPS * 2 <= result["steps"] < STEPS * 2 + 10, "the next evaluation is due then"
    numasync.resume(tmp_path / "run")
    whole, run = (numasync.load(tmp_path / name / "checkpoint.npz").theta for name in ("whole", "run"))
    np.testing.assert_array_equal(whole, run)


def test_what_on_end_returns_changes_nothing():
    assert numasync.train(callbacks=[acts("on_end", lambda: True)], **RUN).result["stopped_by"] is None


def test_a_run_that_has_made_its_steps_is_not_stopped(tmp_path):
    final = acts("on_evaluation", lambda: True)
    result = numasync.train(callbacks=[final], **{**RUN, "eval_every": 0}).result
    assert result["stopped_by"] is None and result["steps"] >= STEPS


@pytest.mark.compiled
def test_the_final_evaluation_of_a_stopped_run_is_played_later_where_it_was_interrupted(monkeypatch, tmp_path):
    options = {**RUN, "steps": ENDLESS}
    with monkeypatch.context() as context:
        context.setattr(numasync.Agent, "evaluate", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        stopped = numasync.train(out=tmp_path / "run", callbacks=[acts("on_progress", lambda: True)], **options).result
    assert stopped["interrupted"] and stopped["stopped_by"] == "Acts"
    result = numasync.resume(tmp_path / "run").result
    assert result["steps"] == stopped["steps"] and result["evaluation"] and result["stopped_by"] == "Acts"


def test_a_function_is_called_with_the_progress():
    seen = []

    def enough(progress):
        seen.append(progress)
        return np.bool_(True)

    result = numasync.train(callbacks=[enough], **{**RUN, "steps": ENDLESS}).result
    assert isinstance(seen[0], Progress) and result["stopped_by"] == "enough"


# --- Failing


@pytest.mark.parametrize("method", METHODS)
def test_a_callback_that_fails_ends_the_run_with_its_state_saved(tmp_path, method):
    folder, follower = tmp_path / "run", Remembers()
    options = {**RUN, "steps": STEPS if method == "on_end" else ENDLESS}
    with pytest.raises(CallbackError) as caught:
        numasync.train(out=folder, callbacks=[acts(method, fail), follower], **options)
    text = str(caught.value)
    assert text.startswith(f"{method} of Acts failed with LookupError: no such thing (test_callbacks.py, line ")
    assert is_one_sentence(text.replace(".py, line", "")) and isinstance(caught.value.__cause__, LookupError)
    run = read_run(folder)
    assert run.failure["error"] == text and (run.result is None) == (method != "on_end")
    (end,) = follower.of("on_end")
    assert (end.error is caught.value) == (method != "on_end")
    if method != "on_start":
        _, state = read_state(folder / "training.npz")
        assert state.steps == run.failure["steps"]
        assert len(run.episodes) == state.numbers.episodes, "no episode is lost"
    result = numasync.resume(folder, steps=run.failure["steps"] + STEPS).result
    assert result["evaluation"] and read_run(folder).failure is None


@pytest.mark.parametrize("answer", [3, "yes", [True], 1.0])
def test_an_answer_that_is_neither_true_nor_nothing_is_a_failure(answer):
    with pytest.raises(CallbackError, match=r"on_start of Acts returned .*; it must return True to stop the run"):
        numasync.train(callbacks=[acts("on_start", lambda: answer)], **RUN)


def test_bad_input_that_only_the_run_shows_leaves_nothing(tmp_path):
    def refuse():
        raise InputError("The lamp is off.")

    with pytest.raises(InputError, match=r"^The lamp is off\.$"):
        numasync.train(out=tmp_path / "run", callbacks=[acts("on_start", refuse)], **RUN)
    assert not list(tmp_path.iterdir())


@pytest.mark.compiled
@pytest.mark.parametrize("method", ["on_progress", "on_episode", "on_evaluation", "on_checkpoint"])
def test_ctrl_c_inside_a_callback_is_as_ctrl_c(tmp_path, method):
    left = [1]

    def interrupt():
        while left:
            left.pop()
            raise KeyboardInterrupt

    options = {**RUN, "steps": ENDLESS}
    result = numasync.train(out=tmp_path / "run", callbacks=[acts(method, interrupt)], **options).result
    assert result["interrupted"] and result["evaluation"] is None
    assert numasync.resume(tmp_path / "run", steps=result["steps"] + STEPS).result["evaluation"]


def test_a_program_that_a_callback_leaves_is_a_failure(tmp_path):
    def leave():
        raise SystemExit(3)

    with pytest.raises(CallbackError, match="on_progress of Acts failed with SystemExit: 3"):
        numasync.train(callbacks=[acts("on_progress", leave)], **RUN)


def test_the_error_of_a_worker_reaches_on_end(monkeypatch):
    follower = Remembers()
    monkeypatch.setattr("numasync.training.trainer.compile_loop", lambda *_: lambda *_: fail())
    with pytest.raises(WorkerError) as caught:
        numasync.train(callbacks=[follower], **RUN)
    (end,) = follower.of("on_end")
    assert end.error is caught.value and end.result is None


@pytest.mark.parametrize("bad", [3, "StopAtScore", StopAtScore(1), [3], [None], [StopAtScore], {"a": 1}, None])
def test_callbacks_that_are_none_are_refused_with_one_sentence(tmp_path, bad):
    with pytest.raises(InputError) as caught:
        numasync.train(out=tmp_path / "run", callbacks=bad, **RUN)
    assert "callback" in str(caught.value) and str(caught.value).endswith(".") and not list(tmp_path.iterdir())


# --- The same every time


def test_a_deterministic_run_stops_at_the_same_step_also_in_pieces(monkeypatch, tmp_path):
    options = {**RUN, "deterministic": True, "patience": 2, "steps": 10 * STEPS, "checkpoint_every": STEPS}
    whole = numasync.train(out=tmp_path / "whole", **options).result
    assert whole["stopped_by"] == "StopWithoutImprovement: 2 evaluations without a new best score"
    assert numasync.train(out=tmp_path / "again", **options).result["steps"] == whole["steps"]
    at = [whole["steps"] // 5, whole["steps"] // 2, whole["steps"] - 100]
    stop_at(monkeypatch, *at)
    result, times = numasync.train(out=tmp_path / "pieces", **options).result, 0
    while result["interrupted"]:
        result, times = numasync.resume(tmp_path / "pieces").result, times + 1
    assert times == 3 and result["steps"] == whole["steps"] and result["stopped_by"] == whole["stopped_by"]
    check_equal(tmp_path / "whole", tmp_path / "pieces")


def test_patience_counts_anew_after_the_end_and_goes_on_after_an_interruption():
    def played(means):
        best, found = -np.inf, []
        for at, mean in enumerate(means):
            found.append(numasync.callbacks.Evaluation(at, 0.0, {"mean": mean}, mean > best))
            best = max(best, mean)
        return found

    callback = StopWithoutImprovement(2)
    for means, stops, worse in [
        ([], False, 0),
        ([1, 0], False, 1),
        ([1, 0, 0], True, 2),
        ([1, 0, 0, 5], False, 0),
        ([1, 0, 0, 0], False, 0),
        ([1, 0, 0, 0, 0], False, 1),
    ]:
        assert callback.on_start(numasync.callbacks.Start(None, None, 9, 0.0, played(means))) == stops, means
        assert callback._worse == worse, means
