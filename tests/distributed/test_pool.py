"""The executor of whole runs, on a Ray that is made up: what happens where a run is lost."""

import re
from pathlib import Path

import pytest
from support.made_up_ray import GoneError, LostError, MadeUpNodes, MadeUpRay

from numasync import WorkerError
from numasync.distributed.on_node import FOLDER, Message, play_on_node
from numasync.distributed.pool import RayPool

SECONDS = 20
ROWS = [{"score": 1.0}]
HALF = {"config.json": b"{}", "training.npz": b"half"}


def play(run):
    return ROWS


def pool_of(ray, **options):
    return RayPool(MadeUpNodes(ray), **options)


def finished(pool, run):
    """Return the rows of a run that is given to a pool. The pool is closed then."""
    try:
        return pool.submit(play, run).result(SECONDS)
    finally:
        pool.close()


def test_a_run_comes_back_with_its_rows_and_its_folder(tmp_path):
    pool = pool_of(MadeUpRay([Message("n", 9, {"config.json": b"{}"}, ROWS)]))
    assert finished(pool, {FOLDER: str(tmp_path / "run")}) == ROWS
    assert (tmp_path / "run" / "config.json").read_bytes() == b"{}"


def test_a_run_whose_node_dies_goes_on_elsewhere_from_its_last_state(tmp_path):
    ray = MadeUpRay([Message("n", 5, HALF), LostError("node died")], [Message("m", 9, {}, ROWS)])
    pool = pool_of(ray)
    assert finished(pool, {FOLDER: str(tmp_path / "run")}) == ROWS
    assert [arguments[3] for arguments in ray.begun] == [{}, HALF]
    (sentence,) = pool.nodes.told
    assert re.fullmatch(
        r"A run on \S+ was lost with its node or its process; it goes on \(loss 1 of 3 at most\)\.", sentence
    )


def test_a_run_that_is_lost_too_often_is_one_sentence():
    ray = MadeUpRay(*[[LostError("The node has died.")] for _ in range(3)])
    with pytest.raises(
        WorkerError, match=r"^A run was lost 3 times with its node, .* because of this: The node has died\.$"
    ):
        finished(pool_of(ray, retries=2), {})
    assert len(ray.begun) == 3


def test_a_run_that_fails_is_not_played_again():
    ray = MadeUpRay([Message("n", 5, {}, error=WorkerError("The environment failed."))])
    with pytest.raises(WorkerError, match="The environment failed"):
        finished(pool_of(ray), {})
    assert len(ray.begun) == 1


def test_no_more_runs_begin_than_there_are_cores():
    ray = MadeUpRay(iter(()), iter(()))
    ray.wait = lambda answers, num_returns, timeout: ([], answers)
    pool = pool_of(ray)
    first, second = pool.submit(play, {}), pool.submit(play, {})
    seen = []
    pool.on_progress = lambda playing: seen.append(len(playing))
    while len(seen) < 3:
        pass
    assert second.cancel() and not first.done()
    pool.close()
    assert max(seen) == 1 and len(ray.begun) == len(ray.cancelled) == 1


def test_a_run_goes_to_the_node_with_the_most_room():
    ray = MadeUpRay(iter(()), iter(()), hosts=("a", "b"))
    ray.wait = lambda answers, num_returns, timeout: ([], answers)
    pool = pool_of(ray)
    for _ in range(3):
        pool.submit(play, {})
    while len(ray.begun) < 2:
        pass
    pool.close()
    assert sorted(ray.places) == ["a", "b"]


def test_a_node_that_died_before_a_run_came_does_not_count_as_a_loss():
    ray = MadeUpRay([GoneError("gone")], [Message("n", 9, {}, ROWS)], hosts=("a", "b"))
    assert finished(pool_of(ray, retries=0), {}) == ROWS
    assert ray.places == ["a", "b"]


def test_where_no_node_fits_a_run_waits_for_one(monkeypatch):
    monkeypatch.setattr("numasync.distributed.pool.WAIT_SECONDS", 0.01)
    monkeypatch.setattr("numasync.distributed.pool.NODES_SECONDS", 0.02)
    ray = MadeUpRay([Message("n", 9, {}, ROWS)], hosts=())
    pool = pool_of(ray)
    shown = []
    pool.on_progress = lambda playing: shown.append(playing)
    future = pool.submit(play, {})
    while len(shown) < 3:
        pass
    ray.hosts.append("10.0.0.8")
    assert future.result(SECONDS) == ROWS and ray.places == ["10.0.0.8"]
    pool.close()


def test_what_is_played_can_be_chosen_when_a_run_begins():
    ray = MadeUpRay([LostError("node died")], [Message("n", 9, {}, ROWS)])
    pool, asked = pool_of(ray), []
    pool.prepare = lambda run: asked.append(run) or {"name": len(asked)}
    assert finished(pool, {"name": 0}) == ROWS
    assert asked == [{"name": 0}, {"name": 1}] and [arguments[1]["name"] for arguments in ray.begun] == [1, 2]


def test_a_run_in_whose_place_nothing_is_left_has_no_rows():
    pool = pool_of(MadeUpRay())
    pool.prepare = lambda run: None
    assert finished(pool, {}) == []


@pytest.mark.parametrize("name", ["prepare", "on_progress"])
def test_what_fails_in_the_thread_of_the_pool_is_raised_where_the_rows_are_waited_for(name):
    def fail(_):
        raise BrokenPipeError

    ray = MadeUpRay(iter(()))
    ray.wait = lambda answers, num_returns, timeout: ([], answers)
    pool = pool_of(ray)
    setattr(pool, name, fail)
    runs = [pool.submit(play, {}) for _ in range(2)]
    for run in runs:
        with pytest.raises(BrokenPipeError):
            run.result(SECONDS)
    pool.close()


def test_a_node_plays_a_run_in_a_folder_that_holds_what_it_had(tmp_path):
    def look(run):
        Path(run[FOLDER], "new").write_text("new")
        return [{"found": Path(run[FOLDER], "old").read_text()}]

    *_, last = play_on_node(look, {}, 1, {"old": b"old"}, node=lambda: "n")
    assert last == Message("n", 0, {"new": b"new"}, [{"found": "old"}])


def test_a_node_says_what_a_run_has_raised():
    def fail(run):
        raise WorkerError("no")

    *_, last = play_on_node(fail, {}, 1, {}, node=lambda: "n")
    assert isinstance(last.error, WorkerError) and last.rows is None
