"""Studies: which runs they are, that none is played twice, what the table keeps, the figures and the speed-ups."""

import csv
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from math import isnan, nan

import numba
import numpy as np
import pytest

import numasync
from numasync import InputError, NotFiniteError, WorkerError
from numasync.algorithms import ALGORITHMS
from numasync.cli import main
from numasync.learner.optim import OPTIMIZERS
from numasync.tools import studies
from numasync.tools.plots import COLOURS, NAMES, SPARE_COLOURS
from numasync.tools.studies import figures, playing
from numasync.tools.studies.execution import as_finished
from numasync.tools.studies.plan import LR_HIGH, LR_LOW, STUDIES, THREADS, TURNS, WORKERS, make_settings, runs_of
from numasync.tools.studies.speedup import first_time, mean_curve, speedup_lines, speedups
from numasync.tools.studies.table import IDENTITY, POINT_COLUMNS, RUN_COLUMNS, Table, identity

matplotlib = pytest.importorskip("matplotlib")
compiled = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="trains")

SMALL = dict(runs=4, algos="a3c,nstep_q", steps=100, workers=2)
START_SECONDS, STOP_SECONDS = 400, 30  # a cold compile on a busy machine
WALL = 1.5


class Fake:
    """An executor that plays nothing: submit gives what `score(run)` says, at once. runs: what it was given."""

    def __init__(self, score=lambda run: run["lr"] * 1000):
        self.score, self.runs = score, []

    def submit(self, function, run):
        pickle.loads(pickle.dumps((function, run)))
        self.runs.append(run)
        future = Future()
        future.set_result(FAKES[function](run, self.score(run)))
        return future


def fake_score(run, score):
    return [dict(steps=run["max_steps"], score=score, training=score / 2, wall_s=WALL)]


def fake_curve(run, score):
    """A straight line from 0 to the score; twice the workers need half of the seconds and as many actions."""
    seconds = 8.0 / run["workers"]
    return [dict(steps=25 * i, seconds=seconds * i / 4, score=score * i / 4, left=4 - i) for i in range(5)]


FAKES = {playing.final_score: fake_score, playing.learning_curve: fake_curve}


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    for module in ("numasync.tools.studies", "numasync.tools.studies.plan"):
        monkeypatch.setattr(f"{module}.cores", lambda: 2)


@pytest.fixture
def study(tmp_path):
    """Plays the study of a name with a Fake in tmp_path/study and returns it."""

    def call(name="lr", executor=None, **options):
        given = {**SMALL, **options}
        if name == "threads":
            given.pop("workers", None)
        return numasync.study(name, out=tmp_path / "study", executor=executor or Fake(), **given)

    return call


@pytest.fixture
def undrawn(monkeypatch):
    """A figure takes longer than all the rest of a study that is faked."""
    monkeypatch.setattr(studies, "draw_study", lambda *_: ())


def text(tmp_path, name="runs.csv"):
    return (tmp_path / "study" / name).read_text()


# --- The runs


def runs(name, **options):
    return runs_of(make_settings(name, "CartPole-v1", **options))


def test_defaults_are_those_of_the_paper():
    assert len(runs("lr")) == 4 * 50 and {run["optimizer"] for run in runs("lr")} == {"shared_rmsprop"}
    optimizers = runs("optimizers")
    assert {run["algo"] for run in optimizers} == {"a3c", "nstep_q"} and len(optimizers) == 2 * 3 * 50
    assert {run["optimizer"] for run in optimizers} == OPTIMIZERS.keys()
    threads = runs("threads")
    assert len([run for run in threads if run["mode"] == TURNS]) == 4 * 5 * len(WORKERS)
    assert WORKERS == (1, 2, 4, 8, 16) and {run["algo"] for run in threads} == ALGORITHMS.keys()


def test_what_is_not_given_comes_from_the_preset():
    (run, *_) = runs("lr", algos="a3c")
    assert (run["workers"], run["max_steps"], run["mode"]) == (8, 1_000_000, TURNS)
    (run, *_) = runs_of(make_settings("threads", "MinAtar/Breakout-v1", algos=["a3c"], steps=7))
    assert (run["lr"], run["max_steps"], run["workers"]) == (3e-3, 7, 1)


def test_every_optimiser_and_algorithm_gets_the_same_rates_and_seeds():
    pairs = {}
    for run in runs("optimizers", runs=20, seed=5):
        pairs.setdefault((run["algo"], run["optimizer"]), []).append((run["lr"], run["seed"]))
    assert len(pairs) == 6 and len({tuple(of_one) for of_one in pairs.values()}) == 1
    assert [seed for _, seed in pairs["a3c", "rmsprop"]] == list(range(5, 25))


def test_rates_are_drawn_from_the_seed_evenly_over_the_logarithm():
    rates = [run["lr"] for run in runs("lr", algos="a3c", runs=1000, seed=3)]
    assert LR_LOW <= min(rates) < 1.1 * LR_LOW and 0.9 * LR_HIGH < max(rates) <= LR_HIGH
    assert np.histogram(np.log10(rates), [-4, -3.5, -3, -2.5, -2])[0] == pytest.approx([250] * 4, abs=50)
    assert rates[:7] == [run["lr"] for run in runs("lr", algos="a3c", runs=7, seed=3)]
    assert rates[:7] != [run["lr"] for run in runs("lr", algos="a3c", runs=7, seed=4)]
    narrow = [run["lr"] for run in runs("lr", algos="a3c", lr_low=0.02, lr_high=0.03)]
    assert 0.02 <= min(narrow) and max(narrow) <= 0.03


def test_only_as_many_threads_as_cores_are_timed_and_they_come_last():
    found = runs("threads", runs=2, algos="a3c")
    assert [run["mode"] for run in found] == 10 * [TURNS] + 4 * [THREADS]
    assert [(run["workers"], run["seed"]) for run in found[10:]] == [(1, 1), (2, 1), (1, 2), (2, 2)]


def test_continuous_actions_have_one_algorithm():
    assert list(make_settings("lr", "Pendulum-v1")["presets"]) == ["a3c"]
    with pytest.raises(InputError, match="Pendulum-v1 has continuous actions, and nstep_q needs"):
        make_settings("lr", "Pendulum-v1", algos="nstep_q")


@pytest.mark.parametrize("name", STUDIES)
def test_no_two_runs_are_the_same(name):
    found = [identity(run) for run in runs(name)]
    assert len(set(found)) == len(found)


def test_algorithms_are_in_one_order_however_they_are_given():
    assert make_settings("lr", "Catch-v0", "a3c,nstep_q") == make_settings("lr", "Catch-v0", ("nstep_q", "a3c", "a3c"))


# --- Playing and continuing


def test_a_table_has_a_line_a_run(study, tmp_path):
    found = study("lr")
    assert found.folder == tmp_path / "study" and len(found.rows) == 8
    with open(found.folder / "runs.csv") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(RUN_COLUMNS) and len(table) == 8
    (first,) = [row for row in table if (row["algo"], row["seed"]) == ("nstep_q", "1")]
    assert (first["study"], first["env"], first["algo"]) == ("lr", "CartPole-v1", "nstep_q")
    assert (first["workers"], first["seed"], first["steps"], first["wall_s"]) == ("2", "1", "100", "1.5")
    assert float(first["score"]) == pytest.approx(1000 * float(first["lr"])) and "nan" not in text(tmp_path)
    assert json.loads(text(tmp_path, "study.json"))["presets"]["a3c"]["workers"] == 2


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_goes_on_where_it_was_stopped(study, name):
    whole = Fake()
    before = study(name, whole).rows
    again = Fake()
    assert study(name, again).rows == before and not again.runs, "a finished study plays nothing"


@pytest.mark.parametrize("name", STUDIES)
def test_after_ctrl_c_no_finished_run_is_repeated(study, tmp_path, name):
    stopped = Stopping(3)
    with pytest.raises(KeyboardInterrupt):
        study(name, stopped)
    table = text(tmp_path, "points.csv" if name == "threads" else "runs.csv")
    assert len(table.splitlines()) == 1 + 3 * (5 if name == "threads" else 1)
    rest = Fake()
    rows = study(name, rest).rows
    played = [identity(run) for run in stopped.finished + rest.runs]
    assert sorted(played) == sorted(identity(run) for run in runs(name, **without_workers(name)))
    assert {identity(row) for row in rows} == set(played)


class Stopping(ThreadPoolExecutor):
    """A thread that finishes `count` runs; then there is a Ctrl-C."""

    def __init__(self, count):
        super().__init__(1)
        self.count, self.finished = count, []

    def submit(self, function, run):
        return super().submit(self.play, function, run)

    def play(self, function, run):
        if len(self.finished) == self.count:
            time.sleep(0.3)
            raise KeyboardInterrupt
        self.finished.append(run)
        return FAKES[function](run, 1.0)


def without_workers(name):
    return {key: value for key, value in SMALL.items() if name != "threads" or key != "workers"}


def test_a_table_may_be_cut_anywhere(study, tmp_path, undrawn):
    study("lr")
    whole = text(tmp_path)
    for cut in range(0, len(whole), 17):
        (tmp_path / "study" / "runs.csv").write_text(whole[:cut])
        rest = Fake()
        study("lr", rest)
        assert len(rest.runs) == 8 - max(whole[:cut].count("\n") - 1, 0)
        assert sorted(text(tmp_path).splitlines()) == sorted(whole.splitlines())


def test_half_a_curve_is_dropped_and_played_again(study, tmp_path, undrawn):
    study("threads", runs=1, algos="a3c")
    path = tmp_path / "study" / "points.csv"
    whole = path.read_text()
    for lines in (1 + 5 + 1, 1 + 5 + 4, 1 + 10):
        path.write_text("".join(whole.splitlines(keepends=True)[:lines]) + "threads,Cart")
        rest = Fake()
        study("threads", rest, runs=1, algos="a3c")
        assert len(rest.runs) == 7 - (lines - 1) // 5
        assert sorted(path.read_text().splitlines()) == sorted(whole.splitlines())


@pytest.mark.parametrize("name, table", [("lr", "runs.csv"), ("threads", "points.csv")])
def test_what_two_programs_have_played_counts_once(study, tmp_path, undrawn, name, table):
    rows = study(name, runs=1, algos="a3c").rows
    path = tmp_path / "study" / table
    head, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, *lines, *lines]))
    again = Fake()
    assert study(name, again, runs=1, algos="a3c").rows == rows and not again.runs
    assert path.read_text() == "".join([head, *lines])


@pytest.mark.parametrize(
    "change, says",
    [
        (dict(runs=5), "runs is 4 there, 5 here"),
        (dict(seed=2), "seed is 1 there, 2 here"),
        (dict(lr_low=1e-3), "lr_low is 0.0001 there, 0.001 here"),
        (dict(steps=200), "steps is 100 there, 200 here"),
        (dict(workers=3), "workers is 2 there, 3 here"),
        (dict(env="Catch-v0"), "env is CartPole-v1 there, Catch-v0 here"),
        (dict(algos="a3c"), "nstep_q only there"),
        (dict(name="optimizers"), "study is lr there, optimizers here"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(study, tmp_path, undrawn, change, says):
    study("lr")
    before = contents(tmp_path)
    fake = Fake()
    with pytest.raises(InputError) as error:
        study(**{"name": "lr", "executor": fake, **change})
    assert says in str(error.value) and re.fullmatch(r"\S[^\n]+\)?; give another --out\.", str(error.value))
    assert contents(tmp_path) == before and not fake.runs


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_seconds_of_another_machine_are_not_mixed_in(study, monkeypatch):
    study("threads", algos="a3c", runs=1)
    monkeypatch.setattr("numasync.tools.studies.plan.cores", lambda: 8)
    with pytest.raises(InputError, match="cores is 2 there, 8 here"):
        study("threads", algos="a3c", runs=1)


@pytest.mark.parametrize(
    "damage, says",
    [
        (lambda whole: "a,b\n" + whole, "runs.csv does not begin with the columns study,env"),
        (lambda whole: whole.replace("shared_rmsprop,", "shared_rmsprop,x", 1), "Line 2 of .+runs.csv is damaged"),
        (lambda whole: whole + "lr,CartPole-v1\n", "Line 10 of .+runs.csv is damaged"),
    ],
)
def test_a_damaged_table_is_refused_in_one_sentence(study, tmp_path, damage, says):
    study("lr")
    (tmp_path / "study" / "runs.csv").write_text(damage(text(tmp_path)))
    before = contents(tmp_path)
    with pytest.raises(InputError, match=says):
        study("lr")
    assert contents(tmp_path) == before


def test_damaged_settings_and_other_folders_are_refused(study, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text("{")
    with pytest.raises(InputError, match=r"study.json is damaged; give another --out\.$"):
        study("lr")
    (tmp_path / "study" / "study.json").rename(tmp_path / "study" / "precious")
    with pytest.raises(InputError, match="already exists and is not empty"):
        study("lr")


def test_everything_is_submitted_to_the_executor_as_plain_data(study):
    fake = Fake()
    study("optimizers", fake)
    assert len(fake.runs) == 2 * 3 * 4
    assert {type(value) for run in fake.runs for value in run.values()} <= {str, int, float}


def test_timed_runs_are_submitted_one_by_one_after_all_others():
    under_way, log = [], []

    class Slow(ThreadPoolExecutor):
        def submit(self, function, run):
            log.append((run["mode"], len([future for future in under_way if not future.done()])))
            under_way.append(super().submit(function, run))
            return under_way[-1]

    found = runs("threads", algos="a3c", runs=1)
    waves = [[run for run in found if run["mode"] == TURNS], *([run] for run in found if run["mode"] == THREADS)]
    with Slow(2) as pool:
        list(as_finished(waves, slow, pool))
    assert [mode for mode, _ in log] == 5 * [TURNS] + 2 * [THREADS]
    assert [busy for mode, busy in log if mode == THREADS] == [0, 0]


def slow(run):
    time.sleep(0.02)


def test_a_failed_run_ends_the_study_and_keeps_what_is_finished(study, tmp_path):
    class Failing(Fake):
        def submit(self, function, run):
            if len(self.runs) < 2:
                return super().submit(function, run)
            future = Future()
            ThreadPoolExecutor(1).submit(lambda: (time.sleep(0.3), future.set_exception(WorkerError("It broke."))))
            return future

    with pytest.raises(WorkerError, match=r"^It broke\.$"):
        study("lr", Failing())
    assert len(text(tmp_path).splitlines()) == 1 + 2


# --- A run


@compiled
def test_a_run_is_scored_with_its_final_parameters():
    (run, *_) = runs("lr", algos="a3c", steps=400, workers=2, seed=3)
    (row,) = playing.final_score(run)
    options = dict(lr=run["lr"], steps=400, workers=2, seed=3, deterministic=True)
    result = numasync.train("CartPole-v1", "a3c", **options).result
    assert row["score"] == result["evaluation"]["mean"] and result["evaluation"]["episodes"] == 100
    assert row["steps"] == result["steps"] and row["training"] == result["training"]["mean"] and row["wall_s"] >= 0
    assert {**row, "wall_s": 0} == {**playing.final_score(run)[0], "wall_s": 0}, "it repeats"


@compiled
@pytest.mark.parametrize("workers", [1, 3])
def test_a_curve_in_turns_repeats_and_goes_from_the_start_to_the_end(workers):
    (run,) = [r for r in runs("threads", algos="nstep_q", runs=1, steps=2000) if r["workers"] == 4]
    run["workers"] = workers
    rows, again = playing.learning_curve(run), playing.learning_curve(run)
    for row in rows + again:
        row.pop("seconds")
    assert rows == again
    steps = [row["steps"] for row in rows]
    assert steps[0] == 0 and steps == sorted(set(steps)) and 2000 <= steps[-1] < 2000 + 5 * workers
    assert len(rows) == playing.LOOKS + 1 and [row["left"] for row in rows] == list(range(playing.LOOKS, -1, -1))
    assert np.diff(steps) == pytest.approx(2000 / playing.LOOKS, abs=5 * workers)
    agent = numasync.train("CartPole-v1", steps=2000, workers=workers, deterministic=True, lr=run["lr"])
    assert playing.score_of(agent, agent.theta) == rows[-1]["score"], "the parameters of an ordinary run"


@compiled
def test_a_curve_of_threads_has_seconds_that_grow():
    (run,) = [
        r for r in runs("threads", algos="a3c", runs=1, steps=20_000) if (r["workers"], r["mode"]) == (2, THREADS)
    ]
    rows = playing.learning_curve(run)
    seconds = [row["seconds"] for row in rows]
    assert seconds[0] == 0 and seconds == sorted(seconds) and seconds[-1] > 0
    assert rows[-1]["left"] == 0 and 20_000 <= rows[-1]["steps"] < 20_100


def diverging(*_, **__):
    raise NotFiniteError("The loss became NaN.")


def test_a_run_that_diverges_is_a_result_without_a_score(study, tmp_path, monkeypatch):
    monkeypatch.setattr(playing, "train", diverging)
    (run, *_) = runs("lr", algos="a3c")
    assert all(isnan(value) for value in playing.final_score(run)[0].values())

    class Diverging(Fake):
        def submit(self, function, run):
            future = super().submit(function, run)
            if run["seed"] == 2:
                future = Future()
                future.set_result(playing.final_score(run))
            return future

    rows = study("lr", Diverging()).rows
    assert [row["seed"] for row in rows if isnan(row["score"])] == [2, 2]
    assert text(tmp_path).count(",2,turns,2,,,,\n") == 2
    again = Fake()
    assert len(study("lr", again).rows) == 8 and not again.runs, "it is not tried again"


@compiled
def test_a_curve_that_diverges_ends_without_a_score(monkeypatch):
    (run,) = [r for r in runs("threads", algos="a3c", runs=1, steps=2000) if (r["workers"], r["mode"]) == (2, TURNS)]

    def broken(supervisor):
        trainer = supervisor.trainer
        trainer.build()
        trainer.copies.append((80, 0.1, np.full_like(trainer.theta, nan)))
        raise NotFiniteError("A parameter became NaN.")

    monkeypatch.setattr(playing.Supervisor, "run", broken)
    first, last = playing.learning_curve(run)
    assert first["steps"] == 0 and first["score"] > 0 and first["left"] == 1
    assert isnan(last["score"]) and last["left"] == 0


def test_an_interrupted_run_is_no_result(monkeypatch):
    class Agent:
        result = {"interrupted": True}

    monkeypatch.setattr(playing, "train", lambda **_: Agent)
    with pytest.raises(KeyboardInterrupt):
        playing.final_score(runs("lr", algos="a3c")[0])


# --- Speed-ups


def points(algo, workers, mode, curve, seed=1):
    """Rows of points.csv. curve: (steps, seconds, score)."""
    run = dict.fromkeys(IDENTITY, "x") | dict(env="E", algo=algo, workers=workers, mode=mode, seed=seed)
    return [{**run, "steps": t, "seconds": s, "score": y, "left": 0} for t, s, y in curve]


HAND_MADE = [
    *points("a3c", 1, TURNS, [(0, 0, 0), (100, 9, 5), (200, 9, 10)]),
    *points("a3c", 1, TURNS, [(0, 0, 0), (100, 9, 5), (200, 9, 10)], seed=2),
    *points("a3c", 2, TURNS, [(0, 0, 0), (50, 9, 8), (200, 9, 10)]),
    *points("a3c", 4, TURNS, [(0, 0, 0), (100, 9, 4), (200, 9, 6)]),
    *points("a3c", 1, THREADS, [(0, 0, 0), (200, 10, 10)]),
    *points("a3c", 2, THREADS, [(0, 0, 0), (100, 2, 6), (150, 3, 10)]),
    *points("nstep_q", 1, TURNS, [(0, 0, 5), (100, 9, 3)]),
]


def test_the_first_time_is_between_two_points():
    x, y = np.array([0.0, 10.0, 20.0, 30.0]), np.array([1.0, 3.0, 2.0, 5.0])
    assert first_time(x, y, 2.0) == 5.0 and first_time(x, y, 1.0) == 0.0 and first_time(x, y, 3.5) == 25.0
    assert isnan(first_time(x, y, 5.1)) and isnan(first_time(x, y, nan))


def test_speed_ups_of_curves_made_by_hand():
    one, two, four, q = speedups(HAND_MADE)
    assert (one["reference"], one["steps"], one["seconds"]) == (8.0, 160.0, 8.0), "0.8 of the way from 0 to 10"
    assert (one["speedup"], one["steps_speedup"]) == (1.0, 1.0)
    assert (two["steps"], two["steps_speedup"]) == (50.0, 3.2)
    assert (two["seconds"], two["speedup"]) == (2.5, 3.2)
    assert all(isnan(four[name]) for name in ("steps", "steps_speedup", "seconds", "speedup")), "it never gets there"
    assert q["algo"] == "nstep_q" and isnan(q["reference"]) and isnan(q["speedup"]), "one worker learned nothing"


def test_the_reference_is_one_that_both_kinds_of_a_single_worker_reach():
    timed = points("a3c", 1, THREADS, [(0, 0, 0), (200, 9, 5)])
    (row,) = speedups(HAND_MADE[:6] + timed)
    assert (row["reference"], row["steps"], row["seconds"]) == (4.0, 80.0, 7.2)


def test_a_slow_run_is_not_cut_off_where_the_fastest_ends():
    fast = points("a3c", 2, THREADS, [(0, 0, 0), (100, 1, 4), (200, 2, 8)])
    slow = points("a3c", 2, THREADS, [(0, 0, 0), (50, 3, 4), (200, 6, 10)], seed=2)
    x, score, error = mean_curve(fast + slow, 2, THREADS, "seconds")
    assert x.tolist() == [0, 1.75, 2.5, 4] and score.tolist() == [0, 3, 5, 9]
    assert error.tolist() == [0, 1, 1, 1]
    assert [len(part) for part in mean_curve(fast, 4, THREADS, "seconds")] == [0, 0, 0]


def test_speed_ups_have_the_form_of_table_2():
    found = speedup_lines(speedups([row for row in HAND_MADE if row["algo"] == "a3c"]))
    assert found == [
        "Speed-up in time to the reference score, by workers:",
        "     reference     1     2  4",
        "A3C          8  1.00  3.20  -",
        "The same in actions, by workers:",
        "     reference     1     2  4",
        "A3C          8  1.00  3.20  -",
    ]


def test_the_study_of_threads_writes_its_speed_ups(study, tmp_path, capsys):
    study("threads", verbose=True)
    with open(tmp_path / "study" / "speedups.csv") as file:
        table = list(csv.DictReader(file))
    assert [row["workers"] for row in table] == 2 * [str(n) for n in WORKERS]
    assert [row["speedup"] for row in table[:5]] == ["1.0", "2.0", "", "", ""], "as many threads as cores were timed"
    assert [row["steps_speedup"] for row in table[:5]] == 5 * ["1.0"]
    assert "n-step Q" in capsys.readouterr().out


# --- Figures


@pytest.fixture
def figure(study, monkeypatch):
    """Calls `study` and returns its Figure as it was written."""
    kept = []

    def draw(name, **options):
        with monkeypatch.context() as patch:
            patch.setattr(figures, "rendered", lambda figure, kind: kept.append(figure) or b"")
            study(name, **options)
        return kept[-1]

    return draw


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else []


def panel_lines(axes):
    """Without what is drawn for the legend alone."""
    return [line for line in axes.get_lines() if len(line.get_xdata())]


def diverge(run):
    return nan if run["seed"] == 2 and run["optimizer"] != "momentum_sgd" else run["lr"] * 1000


def test_every_optimiser_has_a_name_and_every_number_of_workers_a_colour():
    assert figures.OPTIMIZER_NAMES.keys() == OPTIMIZERS.keys() == set(STUDIES["optimizers"].optimizers)
    assert tuple(figures.WORKER_COLOURS) == WORKERS


def test_figure_2_is_a_dot_a_run_on_a_logarithmic_axis(figure):
    drawn = figure("lr", algos="one_step_q,a3c")
    rates = [run["lr"] for run in runs("lr", runs=4, algos="a3c")]
    for axes, algo in zip(drawn.axes, ("one_step_q", "a3c"), strict=True):
        (dots,) = axes.get_lines()
        assert axes.get_title() == NAMES[algo] and axes.get_xscale() == "log"
        assert dots.get_xydata().tolist() == [pytest.approx([rate, 1000 * rate]) for rate in rates]
        assert (dots.get_linestyle(), dots.get_marker(), dots.get_color()) == ("None", "o", COLOURS[algo])
    assert drawn.get_suptitle() == "CartPole-v1" and not labels(drawn)
    assert drawn.axes[0].get_ylabel() == "score (mean of 100 episodes)"
    assert drawn.axes[0].get_xlim() == pytest.approx((LR_LOW / 1.2, LR_HIGH * 1.2))


def test_figure_2_marks_what_diverged_at_the_bottom(figure):
    drawn = figure("lr", executor=Fake(diverge))
    rates = [run["lr"] for run in runs("lr", runs=4, algos="a3c")]
    lowest = 1000 * min(rates[0], *rates[2:])
    for axes in drawn.axes:
        dots, crosses = panel_lines(axes)
        assert len(dots.get_xdata()) == 3
        assert crosses.get_xydata().tolist() == [pytest.approx([rates[1], lowest])] and crosses.get_marker() == "x"
    assert labels(drawn) == ["diverged"]


def test_figure_s5_sorts_the_scores_of_each_optimiser(figure):
    drawn = figure("optimizers", executor=Fake(diverge))
    rates = [run["lr"] for run in runs("lr", runs=4, algos="a3c")]
    assert [axes.get_title() for axes in drawn.axes] == ["n-step Q", "A3C"]
    for axes in drawn.axes:
        sgd, rmsprop, crosses, shared, _ = panel_lines(axes)
        assert sgd.get_xdata().tolist() == [1, 2, 3, 4]
        assert sgd.get_ydata().tolist() == pytest.approx(sorted([1000 * rate for rate in rates], reverse=True))
        assert rmsprop.get_xdata().tolist() == [1, 2, 3] and rmsprop.get_color() == SPARE_COLOURS[1]
        assert crosses.get_xydata().tolist() == [pytest.approx([4, 1000 * min(rates)])], "below the worst"
        assert shared.get_label() == "shared RMSProp"
    assert labels(drawn) == ["momentum SGD", "RMSProp", "shared RMSProp", "diverged"]


def test_figures_3_and_4_are_a_line_a_number_of_workers(figure):
    drawn = figure("threads", executor=Fake(lambda run: 10.0 * run["seed"]), runs=3)
    over_steps, over_time = np.reshape(drawn.axes, (2, 2))
    for axes, algo in zip(over_steps, ("nstep_q", "a3c")):
        assert axes.get_title() == NAMES[algo] and axes.get_xlabel() == "actions"
        assert [line.get_color() for line in axes.get_lines()] == list(figures.WORKER_COLOURS.values())
        for line in axes.get_lines():
            assert line.get_xydata().tolist() == [[0, 0], [25, 5], [50, 10], [75, 15], [100, 20]], "the mean of three"
    for axes in over_time:
        assert axes.get_xlabel() == "seconds"
        assert [line.get_xdata()[-1] for line in axes.get_lines()] == [8, 4], "two cores"
    band = over_steps[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(20 + 10 / np.sqrt(3)), "the standard error of 10, 20, 30"
    assert labels(drawn) == ["1 worker", "2 workers", "4 workers", "8 workers", "16 workers"]


def test_a_curve_that_diverged_ends_and_is_marked(study, figure):
    class Diverging(Fake):
        def submit(self, function, run):
            future = super().submit(function, run)
            if (run["seed"], run["workers"]) == (2, 4):
                points = fake_curve(run, 1.0)[:3]
                points[-1] |= dict(score=nan, left=0)
                future = Future()
                future.set_result(points)
            return future

    drawn = figure("threads", executor=Diverging(lambda run: 1.0), runs=2, algos="a3c")
    over_steps, over_time = drawn.axes
    one, two, four, crosses, *_ = panel_lines(over_steps)
    assert four.get_xdata().tolist() == [0, 25] and one.get_xdata()[-1] == 100
    assert crosses.get_xydata().tolist() == [[50, 0]] and labels(drawn)[-1] == "diverged"
    assert len(over_time.get_lines()) == 2


@pytest.mark.parametrize("name", STUDIES)
def test_a_png_and_an_svg_are_written(study, tmp_path, name):
    pictures = study(name).pictures
    assert pictures == (tmp_path / "study" / "figure.png", tmp_path / "study" / "figure.svg")
    assert pictures[0].read_bytes().startswith(b"\x89PNG") and b"CartPole-v1" in pictures[1].read_bytes()


def test_without_matplotlib_the_runs_are_done_and_one_sentence_says_so(study, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        found = study("lr", verbose=True)
    assert found.pictures == () and len(found.rows) == 8 and len(text(tmp_path).splitlines()) == 9
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "needs matplotlib" in line]
    assert line.startswith('There is no figure: Drawing needs matplotlib; pip install "numasync[plot]" installs it.')
    again = Fake()
    assert len(study("lr", again).pictures) == 2 and not again.runs


# --- What it prints


def test_nothing_is_printed_unless_asked_for(study, capsys):
    study("lr")
    assert capsys.readouterr().out == ""


# --- The command line


@pytest.mark.parametrize(
    "arguments, says",
    [
        ("nothing", "'nothing' is no study; choose one of optimizers, lr, threads."),
        ("", "the following arguments are required: NAME"),
        ("lr --env Nope-v0", "'Nope-v0' is no environment"),
        ("lr --algos dqn", "'dqn' is no algo; choose one of"),
        ("lr --algos a3c,", "'' is no algo; choose one of"),
        ("lr --runs 0", "runs is 0; it must be a whole number from 1"),
        ("lr --runs many", "--runs: invalid int value: 'many'"),
        ("lr --steps 0", "steps is 0; it must be a whole number from 1"),
        ("lr --workers 0", "workers is 0; it must be a whole number from 1"),
        ("lr --seed -1", "seed is -1; it must be a whole number from 0"),
        ("lr --jobs 0", "jobs is 0; it must be a whole number from 1"),
        ("optimizers --lr-low 0", "lr_low is 0.0; it must be a number above 0"),
        ("lr --lr-low 0.1", "lr_low is 0.1 and lr_high 0.01; the first must not be above the second."),
        ("threads --workers 2", "workers is nothing to choose in the study of threads; leave it out."),
        ("threads --lr-low 0.1", "lr_low is nothing to choose in the study of threads; leave it out."),
        ("lr --out full", "full already exists and is not empty"),
        ("lr --out full/file/study", "The folder full/file/study cannot be made"),
    ],
)
def test_bad_input_gets_one_sentence_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, says):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("precious")
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    try:
        code = main(["study", *arguments.split()])
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "") and says in err and re.fullmatch(r"numasync.+\.\n", err)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("algos", [[], 5, {"a3c"}, [["a3c"]], [5]])
def test_algorithms_that_are_no_names_are_refused(tmp_path, algos):
    with pytest.raises(InputError, match=r"^(algos is .+; it must be names|.+ is no algo; choose one) .+\.$"):
        numasync.study("lr", algos=algos, out=tmp_path / "study", executor=Fake())
    assert not list(tmp_path.iterdir())


def test_the_command_line_gives_its_options_to_study(monkeypatch):
    calls = []
    monkeypatch.setattr("numasync.cli.study", lambda **options: calls.append(options))
    assert main(["study", "lr"]) == 0
    words = "optimizers --env Catch-v0 --algos a3c --runs 3 --steps 9 --workers 2 --seed 4 --lr-low 0.1 --lr-high 1 "
    assert main(["study", *f"{words} --jobs 5 --out here".split()]) == 0
    numbers = dict(runs=3, steps=9, workers=2, seed=4, lr_low=0.1, lr_high=1.0, jobs=5)
    assert calls == [
        dict(name="lr", verbose=True),
        dict(name="optimizers", env="Catch-v0", algos="a3c", out="here", verbose=True, **numbers),
    ]


def test_a_failed_run_is_exit_code_1(monkeypatch, capsys):
    def failing(**_):
        raise WorkerError("Worker 0 failed.") from ZeroDivisionError("the pole broke")

    monkeypatch.setattr("numasync.cli.study", failing)
    assert main(["study", "lr"]) == 1
    err = capsys.readouterr().err
    assert "the pole broke" in err and err.endswith("Finished runs are kept; the same command goes on.\n")


def test_the_default_folder_has_the_name_of_the_study_and_the_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = numasync.study("lr", "MinAtar/Breakout-v1", executor=Fake(), runs=1)
    assert str(found.folder) == os.path.join("studies", "lr-MinAtar-Breakout-v1") and found.folder.is_dir()


def command(*arguments):
    return [sys.executable, "-m", "numasync", "study", *map(str, arguments)]


@compiled
def test_the_real_command_plays_goes_on_and_draws(tmp_path):
    arguments = ("lr", "--algos", "a3c", "--runs", 3, "--steps", 500, "--jobs", 2, "--out", "study")
    done = subprocess.run(command(*arguments), cwd=tmp_path, capture_output=True, text=True, timeout=START_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == [
        "figure.png", "figure.svg", "runs.csv", "study.json",
    ]  # fmt: skip
    rows = Table(tmp_path / "study" / "runs.csv", RUN_COLUMNS).rows
    assert len(rows) == 3 and all(1 <= row["score"] <= 500 for row in rows)
    assert "3 runs in " in done.stdout and "Table: study/runs.csv" in done.stdout
    before = text(tmp_path)
    (tmp_path / "study" / "runs.csv").write_text(before[:-9])
    again = subprocess.run(command(*arguments), cwd=tmp_path, capture_output=True, text=True, timeout=START_SECONDS)
    assert "3 runs, 2 of them finished before" in again.stdout and "1 run in" in again.stdout
    seconds = re.compile(r",[^,]*$", re.M)
    assert sorted(seconds.sub("", text(tmp_path)).splitlines()) == sorted(seconds.sub("", before).splitlines())


def listen_to_ctrl_c():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def under_way(tmp_path):
    """A study of many runs as a process, of which two are finished, and the ids of its own processes."""
    arguments = ("lr", "--algos", "a3c", "--runs", 10_000, "--steps", 20_000, "--jobs", 2, "--out", "study")
    streams = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen(command(*arguments), cwd=tmp_path, preexec_fn=listen_to_ctrl_c, **streams)
    table = tmp_path / "study" / "runs.csv"
    deadline = time.monotonic() + START_SECONDS
    while not table.exists() or table.read_text().count("\n") < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    children = descendants(process.pid)
    assert len(children) >= 2
    yield process, children
    process.kill()
    process.communicate()


@compiled
def test_ctrl_c_keeps_what_is_finished_and_leaves_no_process(under_way, tmp_path):
    process, children = under_way
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=STOP_SECONDS)
    assert (process.returncode, err) == (130, "numasync: stopped.\n")
    assert out.splitlines()[-1] == "Stopped. study/runs.csv keeps the finished runs; the same command goes on."
    assert len(Table(tmp_path / "study" / "runs.csv", RUN_COLUMNS).rows) >= 2
    wait_for_the_end_of(children)


@compiled
def test_a_study_that_is_killed_leaves_no_process(under_way, tmp_path):
    process, children = under_way
    process.kill()
    wait_for_the_end_of(children)
    assert len(Table(tmp_path / "study" / "runs.csv", RUN_COLUMNS).rows) >= 2


def wait_for_the_end_of(processes):
    deadline = time.monotonic() + STOP_SECONDS
    while any(os.path.exists(f"/proc/{process}") for process in processes):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.05)


def descendants(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in found]


def test_a_table_keeps_every_digit_that_tells_runs_apart(tmp_path):
    table = Table(tmp_path / "points.csv", POINT_COLUMNS)
    run = dict(
        study="threads", env="E", algo="a3c", optimizer="rmsprop", lr=7e-4, workers=1, mode=TURNS, seed=2**53 - 9
    )
    table.add(run, [dict(steps=5, seconds=0.25, score=-1.5, left=0)])
    again = Table(tmp_path / "points.csv", POINT_COLUMNS)
    assert again.has(run) and again.rows == table.rows and not again.has({**run, "seed": 2**53 - 8})
