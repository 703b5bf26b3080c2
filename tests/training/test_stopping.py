"""The callbacks that stop a run: at a score, without improvement, after a time; and their options."""

import pytest

import numasync
from numasync import InputError, StopAfterMinutes, StopAtScore, StopWithoutImprovement
from numasync.config import make_config
from numasync.training.callbacks import Evaluation, Start
from numasync.training.progress import Progress
from numasync.training.shipped import with_options, without_reached

LAYERS = (numasync.dense(16), numasync.relu())
RUN = dict(env="Catch-v0", workers=2, seed=3, network=LAYERS, final_eval_episodes=2, periodic_eval_episodes=2)
ENDLESS = 1_000_000_000


def start(seconds=0.0, evaluations=(), **options):
    return Start(make_config("image", env="Catch-v0", **options), None, 0, seconds, evaluations)


def evaluation(mean, best=False, steps=1000):
    return Evaluation(steps, 1.0, {"episodes": 10, "mean": mean, "std": 0.0, "min": mean, "max": mean}, best)


def progress(seconds=1.0, returns=()):
    return Progress(1000, 5000, seconds, len(returns), list(returns))


# --- At a score


def test_a_score_is_reached_by_the_mean_of_an_evaluation():
    callback = StopAtScore(3)
    callback.on_start(start(eval_every=100))
    assert [callback.on_evaluation(evaluation(mean)) for mean in (2.99, 3.0, 5.5)] == [False, True, True]
    assert callback.reason == "mean 5.50 of the evaluation at 1,000 steps, 3 is enough"
    assert not callback.on_progress(progress(returns=[9.0] * 100)), "training episodes do not count there"


def test_without_evaluations_a_score_is_the_mean_return_of_the_last_100_training_episodes():
    callback = StopAtScore(-1.5)
    callback.on_start(start())
    assert not callback.on_progress(progress(returns=[9.0] * 99)), "there are too few"
    assert not callback.on_progress(progress(returns=[-1.0] * 49 + [-2.0] * 51))
    assert callback.on_progress(progress(returns=[-1.0] * 50 + [-2.0] * 50))
    assert callback.reason == "mean return -1.50 of 100 training episodes, -1.5 is enough"


def test_a_score_that_was_reached_before_a_kill_stops_the_run_again():
    callback = StopAtScore(3)
    assert callback.on_start(start(evaluations=[evaluation(1), evaluation(3)]))
    assert not callback.on_start(start(evaluations=[evaluation(3), evaluation(1)]))
    assert not callback.on_start(start())


# --- Without improvement


def test_patience_counts_evaluations_in_a_row_without_a_new_best_one():
    callback = StopWithoutImprovement(2)
    callback.on_start(start(eval_every=100))
    bests = [True, False, True, False, False]
    assert [callback.on_evaluation(evaluation(1, best)) for best in bests] == [False] * 4 + [True]
    assert callback.reason == "2 evaluations without a new best score"
    assert not callback.on_start(start()), "a callback can follow another run"


# --- After a time


def test_minutes_count_from_the_start_and_a_run_that_goes_on_has_them_again():
    callback = StopAfterMinutes(1.5)
    for before in (0.0, 500.0):
        callback.on_start(start(seconds=before))
        assert not callback.on_progress(progress(before + 89.9)) and callback.on_progress(progress(before + 90))
    assert callback.reason == "1.5 minutes of training"


# --- Arguments and options


@pytest.mark.parametrize("kind", [StopAtScore, StopWithoutImprovement, StopAfterMinutes])
@pytest.mark.parametrize("value", [None, "3", float("nan"), True, [1]])
def test_what_is_no_number_is_refused(kind, value):
    with pytest.raises(InputError, match=r"it must be a (whole )?number .*\.$"):
        kind(value)


@pytest.mark.parametrize(
    "kind, value", [(StopWithoutImprovement, 0), (StopWithoutImprovement, 1.5), (StopAfterMinutes, 0)]
)
def test_a_number_that_is_too_small_is_refused(kind, value):
    with pytest.raises(InputError, match="it must be a"):
        kind(value)


def test_the_options_ask_for_callbacks():
    config = make_config("image", env="Catch-v0", eval_every=10, stop_at=2, patience=3, max_minutes=4)
    own = numasync.Callback()
    first, *found = with_options([own], config, has_folder=False)
    assert first is own and [type(each) for each in found] == [StopAtScore, StopWithoutImprovement, StopAfterMinutes]
    assert (found[0].score, found[1].patience, found[2].minutes) == (2, 3, 4)
    assert with_options([], make_config("image"), has_folder=False) == []


def test_patience_needs_evaluations():
    with pytest.raises(InputError, match=r"^patience is 2, and there are no periodic evaluations; give eval_every"):
        numasync.train("Catch-v0", patience=2)


def test_tensorboard_needs_a_folder():
    with pytest.raises(InputError, match=r"give the run a folder \(out\) too"):
        numasync.train("Catch-v0", tensorboard=True)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "3", True, 1e31])
def test_a_bad_score_is_refused(value):
    with pytest.raises(InputError, match="stop_at is .*; it must be a number from"):
        numasync.train("Catch-v0", stop_at=value)


@pytest.mark.parametrize(
    "result, dropped",
    [
        (None, False),
        ({"evaluation": None, "stopped_by": "StopAtScore: enough"}, False),
        ({"evaluation": {}, "stopped_by": "StopAtScore: enough"}, True),
        ({"evaluation": {}, "stopped_by": "StopAfterMinutes: 3 minutes"}, False),
        ({"evaluation": {}, "stopped_by": None}, False),
        ({"evaluation": {}}, False),
    ],
)
def test_only_a_score_that_was_reached_no_longer_holds(result, dropped):
    assert without_reached(result) == ({"stop_at": None} if dropped else {})


@pytest.mark.compiled
def test_a_run_stops_at_its_score_and_goes_on_without_it(tmp_path):
    options = {**RUN, "steps": ENDLESS, "stop_at": -1.0, "max_minutes": 100}
    result = numasync.train(out=tmp_path / "run", **options).result
    assert result["stopped_by"].startswith("StopAtScore: mean return ") and result["steps"] < ENDLESS
    more = result["steps"] + 1_000_000
    agent = numasync.resume(tmp_path / "run", steps=more)
    assert agent.result["steps"] >= more and agent.result["stopped_by"] is None
    assert agent.config.stop_at is None and agent.config.max_minutes == 100


@pytest.mark.compiled
def test_a_run_stops_after_its_minutes_at_every_start(tmp_path):
    options = {**RUN, "steps": ENDLESS, "max_minutes": 0.005}
    first = numasync.train(out=tmp_path / "run", **options).result
    second = numasync.resume(tmp_path / "run").result
    for result, seconds in ((first, 0.3), (second, 0.6)):
        assert result["stopped_by"] == "StopAfterMinutes: 0.005 minutes of training" and result["wall_s"] >= seconds
    assert second["steps"] > first["steps"]
