"""The executor of whole runs, on a Ray that is made up: what happens where a run is lost."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from numasync import WorkerError
from numasync.distributed.on_node import FOLDER, Message, play_on_node
from numasync.distributed.pool import RayPool

SECONDS = 20
ROWS = [{"score": 1.0}]
HALF = {"config.json": b"{}", "training.npz": b"half"}


class LostError(Exception):
    """What Ray raises where a node has died."""


class FakeRay:
    """A Ray with one node of one core. Each task says what the next script says.

    scripts  of the tasks, in the order in which they begin: messages, and errors to raise
    begun    the arguments of the tasks
    """

    exceptions = SimpleNamespace(RayError=LostError, RayTaskError=ZeroDivisionError)

    def __init__(self, *scripts):
        self.scripts, self.begun, self.cancelled = list(scripts), [], []

    def nodes(self):
        return [{"NodeID": "1", "NodeManagerAddress": "10.0.0.7", "Resources": {"CPU": 1.0}, "Alive": True}]

    def remote(self, **_):
        def begin(*arguments):
            self.begun.append(arguments)
            return iter(self.scripts.pop(0))

        return lambda function: SimpleNamespace(remote=begin)

    def wait(self, answers, num_returns, timeout):
        return answers, []

    def get(self, message):
        if isinstance(message, Exception):
            raise message
        return message

    def cancel(self, answers, force):
        self.cancelled.append(answers)


def play(run):
    return ROWS


def finished(pool, run):
    """Return the rows of a run that is given to a pool. The pool is closed then."""
    try:
        return pool.submit(play, run).result(SECONDS)
    finally:
        pool.close()


def test_a_run_comes_back_with_its_rows_and_its_folder(tmp_path):
    pool = RayPool(FakeRay([Message("n", 9, {"config.json": b"{}"}, ROWS)]), 1)
    assert finished(pool, {FOLDER: str(tmp_path / "run")}) == ROWS
    assert (tmp_path / "run" / "config.json").read_bytes() == b"{}"


def test_a_run_whose_node_dies_goes_on_elsewhere_from_its_last_state(tmp_path):
    ray = FakeRay([Message("n", 5, HALF), LostError("node died")], [Message("m", 9, {}, ROWS)])
    assert finished(RayPool(ray, 1), {FOLDER: str(tmp_path / "run")}) == ROWS
    assert [arguments[3] for arguments in ray.begun] == [{}, HALF]


def test_a_run_that_is_lost_too_often_is_one_sentence():
    ray = FakeRay(*[[LostError("The node has died.")] for _ in range(3)])
    with pytest.raises(
        WorkerError, match=r"^A run was lost 3 times with its node, .* because of this: The node has died\.$"
    ):
        finished(RayPool(ray, 1, retries=2), {})
    assert len(ray.begun) == 3


def test_a_run_that_fails_is_not_played_again():
    ray = FakeRay([Message("n", 5, {}, error=WorkerError("The environment failed."))])
    with pytest.raises(WorkerError, match="The environment failed"):
        finished(RayPool(ray, 1), {})
    assert len(ray.begun) == 1


def test_no_more_runs_begin_than_there_are_cores():
    ray = FakeRay(iter(()), iter(()))
    ray.wait = lambda answers, num_returns, timeout: ([], answers)
    pool = RayPool(ray, 1)
    first, second = pool.submit(play, {}), pool.submit(play, {})
    seen = []
    pool.on_progress = lambda playing: seen.append(len(playing))
    while len(seen) < 3:
        pass
    assert second.cancel() and not first.done()
    pool.close()
    assert max(seen) == 1 and len(ray.begun) == len(ray.cancelled) == 1


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
