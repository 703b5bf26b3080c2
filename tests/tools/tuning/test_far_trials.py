"""The trials of a tuning on a cluster that is made up: its tasks run here, and some are lost."""

import json
import re
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from support.made_up_ray import LostError, MadeUpNodes, MadeUpRay

from numasync import WorkerError
from numasync.distributed import on_node
from numasync.distributed.pool import RayPool
from numasync.tools import places
from numasync.tools.tuning import far_trials
from numasync.tools.tuning import storage as storage_module
from numasync.training.records import STATE


class PlayingRay(MadeUpRay):
    """A made-up Ray whose tasks are played here, one at a time. Actors are objects.

    lost  the numbers of the tasks that are lost when they have ended, from 0 on
    """

    def __init__(self, lost=()):
        super().__init__()
        self.lost, self.begun_tasks = set(lost), 0

    def get_runtime_context(self):
        return SimpleNamespace(get_node_id=lambda: "10.0.0.7")

    def remote(self, **options):
        if "max_restarts" not in options:
            return super().remote(**options)
        return lambda actor: SimpleNamespace(remote=lambda *arguments: Handle(actor(*arguments)))

    def task(self, function, *arguments):
        number, self.begun_tasks = self.begun_tasks, self.begun_tasks + 1
        for message in function(*arguments, node=lambda: "n"):
            if message.rows is None and message.error is None:
                yield message
        yield LostError("The node has died.") if number in self.lost else message


class Handle:
    """Ray's handle of an actor."""

    def __init__(self, actor):
        self.report = SimpleNamespace(remote=actor.report)


@pytest.fixture
def tune_on(tune, monkeypatch):
    """Tunes on a made-up cluster."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=lambda answer: answer))
    monkeypatch.setattr(on_node, "LOOK_SECONDS", 0.02)

    def call(ray, trials=4, retries=None, **options):
        @contextmanager
        def pool_of(address, cores, retries, envs):
            pool = RayPool(MadeUpNodes(ray), retries)
            try:
                yield pool
            finally:
                pool.close()

        with monkeypatch.context() as patch:
            patch.setattr(places, "ray_pool", pool_of)
            return tune(trials=trials, executor=None, ray="local", retries=retries, **options)

    return call


def without_seconds(trials):
    return [{name: value for name, value in trial.items() if name not in ("wall_s", "number")} for trial in trials]


@pytest.fixture
def at_home(tune, tmp_path, monkeypatch):
    monkeypatch.setattr(storage_module, "UNPRUNED_TRIALS", 2)
    return tune(trials=6, out=tmp_path / "home")


def test_trials_end_as_they_do_at_home_and_bad_ones_are_pruned(tune_on, at_home, tmp_path):
    done = tune_on(PlayingRay(), 6)
    assert without_seconds(done.trials) == without_seconds(at_home.trials)
    assert {trial["end"] for trial in done.trials} == {"finished", "pruned"}
    assert json.loads((done.folder / "best.json").read_text())["made_by"]["trial"] == done.trials.index(
        max(done.trials, key=lambda trial: (trial["end"] == "finished", trial["score"]))
    )


def test_a_trial_that_is_lost_with_its_node_is_played_again_and_ends_once(tune_on, at_home):
    done = tune_on(PlayingRay(lost=[1, 2, 4]), 6)
    assert [trial["number"] for trial in done.trials] == [0, 3, 5, 6, 7, 8]
    seeds = [trial["options"]["seed"] for trial in done.trials]
    assert seeds[:2] == [1000, 1001] and len(set(seeds)) == 6
    assert done.trials[1]["options"] == at_home.trials[1]["options"]


def test_a_trial_that_is_lost_too_often_ends_the_tuning_and_is_played_next_time(tune_on, at_home):
    with pytest.raises(WorkerError, match=r"^A run was lost 2 times with its node, .*The node has died\.$"):
        tune_on(PlayingRay(lost=[1, 2]), 3, retries=1)
    done = tune_on(PlayingRay(), 3)
    assert len({trial["options"]["seed"] for trial in done.trials}) == 3
    assert [trial["options"] for trial in done.trials[:2]] == [trial["options"] for trial in at_home.trials[:2]]


def test_a_trial_that_fails_is_not_played_again(tune_on, fake_run, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(fake_run, "fault", WorkerError("The environment failed."))
        with pytest.raises(WorkerError, match="The environment failed"):
            tune_on(PlayingRay(), 2)
    done = tune_on(PlayingRay(), 2)
    seeds = {trial["options"]["seed"] for trial in done.trials}
    assert len(seeds) == 2 and 1000 not in seeds


def test_a_training_state_that_came_home_goes_with_the_end_of_its_trial(tune_on, monkeypatch):
    keep = far_trials.Desk.finish

    def come_home(desk, number, row):
        (desk._claims[number].folder / STATE).write_text("state")
        return keep(desk, number, row)

    monkeypatch.setattr(far_trials.Desk, "finish", come_home)
    done = tune_on(PlayingRay(), 2)
    assert not list(done.folder.rglob(STATE)) and (done.folder / "trials" / "0001" / "config.json").exists()


def test_a_tuning_on_a_cluster_says_what_is_played(tune_on, capsys):
    tune_on(PlayingRay(), 3, verbose=True)
    out = capsys.readouterr().out
    assert "3 trials in " in out and " of 3 trials (" in out
    assert re.search(
        r"^     0 of 3 trials \(  0%\)  - left  no best yet  (waiting for a node|starting 1 trial|1 trial on 1 node)",
        out,
        re.M,
    )
