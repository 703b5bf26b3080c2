"""The speed-ups of the study of threads."""

import csv
from math import isnan, nan

import numpy as np

from numasync.tools.studies.plan import THREADS, TURNS, WORKERS
from numasync.tools.studies.speedup import first_time, mean_curve, speedup_lines, speedups
from numasync.tools.studies.table import IDENTITY


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
        "The same in steps, by workers:",
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
