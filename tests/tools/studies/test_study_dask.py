"""A study on Dask's executor. It is the example for every executor of another library."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import numasync
from numasync.tools import studies

distributed = pytest.importorskip("dask.distributed")
pytestmark = pytest.mark.compiled

OPTIONS = dict(runs=2, algos="a3c", steps=500, workers=2)


def scores(rows):
    return [{name: value for name, value in row.items() if name != "wall_s"} for row in rows]


def test_dask_plays_the_same_study(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "draw_figure_if_possible", lambda *_: ())
    cluster = dict(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
    with distributed.Client(**cluster) as client:
        found = numasync.study("lr", out=tmp_path / "dask", executor=client.get_executor(), **OPTIONS)
    with ThreadPoolExecutor(1) as executor:
        alone = numasync.study("lr", out=tmp_path / "alone", executor=executor, **OPTIONS)
    assert scores(found.rows) == scores(alone.rows) and len(found.rows) == 2
