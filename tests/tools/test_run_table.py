"""The list of runs as text and as JSON."""

import json
from datetime import datetime, timedelta, timezone

import pytest

from numasync.tools.run_list import COLUMNS, RunRow
from numasync.tools.run_table import HEADINGS, hours, row_json, run_table, short

STARTED = datetime(2026, 3, 4, 5, 6, 7, 890_000, timezone(timedelta(hours=2)))
DONE = RunRow("runs/one", "a3c", "Catch-v0", 1, "finished", 20_004, 20_000, 0.5, "final", 3661.0, STARTED, None)
YOUNG = RunRow("runs/a\nb", "nstep_q", "CartPole-v1", 12, "running", 0, 10**6, None, None, None, STARTED, None)
BAD = RunRow("bad", None, None, None, "damaged", None, None, None, None, None, None, "A sentence.")

WIDE = r"""
folder     started           algorithm  environment  seed  state       steps  score  of        time
runs/one   2026-03-04 05:06  a3c        Catch-v0        1  finished  20k/20k   0.50  final  1:01:01
runs/a\nb  2026-03-04 05:06  nstep_q    CartPole-v1    12  running      0/1M      -  -            -
bad        -                 -          -               -  damaged         -      -  -            -
""".strip().splitlines()

NARROW = r"""
folder     started      algorithm  environment  seed
  state       steps  score  of        time
runs/one   03-04 05:06  a3c        Catch-v0        1
  finished  20k/20k   0.50  final  1:01:01
runs/a\nb  03-04 05:06  nstep_q    CartPole-v1    12
  running      0/1M      -  -            -
bad        -            -          -               -
  damaged         -      -  -            -
""".strip().splitlines()


@pytest.mark.parametrize("width, lines", [(None, WIDE), (99, WIDE), (60, NARROW), (52, NARROW)])
def test_the_table_fits_the_terminal(width, lines):
    assert run_table([DONE, YOUNG, BAD], width) == lines


@pytest.mark.parametrize("width, lines", [(98, 4), (94, 4), (93, 8), (51, 8), (41, 12)])
def test_a_run_takes_one_line_without_the_year_and_then_several(width, lines):
    found = run_table([DONE, YOUNG, BAD], width)
    assert len(found) == lines and max(map(len, found)) <= width
    assert "2026" not in " ".join(found) and "03-04 05:06" in " ".join(found)


def test_every_column_has_a_heading():
    assert [heading for heading in HEADINGS if heading != "of"] == list(COLUMNS)


def test_a_row_is_json_with_all_digits_and_the_time_with_its_zone():
    found = json.loads(json.dumps([row_json(row) for row in (DONE, BAD)]))
    assert found[0] == {**DONE._asdict(), "started": "2026-03-04T05:06:07+02:00"}
    assert found[1] == BAD._asdict()


def test_numbers_and_times_are_short():
    numbers = {0: "0", 999: "999", 1000: "1k", 20_004: "20k", 999_499: "999k", 999_600: "1M", 1_250_000: "1.25M"}
    assert {number: short(number) for number in numbers} == numbers and short(80_000_000_000) == "80G"
    times = {0: "0:00:00", 0.6: "0:00:01", 59.5: "0:01:00", 3661: "1:01:01", 360_000: "100:00:00"}
    assert {seconds: hours(seconds) for seconds in times} == times
