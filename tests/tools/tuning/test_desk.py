"""The desk that gives trials to players, near and far."""

import pytest

from numasync.tools.tuning.desk import Desk
from numasync.tools.tuning.plan import make_settings, open_folder

pytest.importorskip("optuna")


@pytest.fixture
def desk(tmp_path):
    settings = make_settings("CartPole-v1", "a3c", steps=1000)
    return Desk(str(open_folder(tmp_path / "tuning", settings)), settings)


def test_a_player_that_has_lost_its_trial_gets_it_again(desk):
    first = desk.claim(0, 1)
    again = desk.claim(0, 1)
    assert again.options == first.options and again.folder != first.folder
    assert desk.claim(1, 1) is None


def test_the_folder_of_a_trial_on_another_machine_comes_home(desk):
    given = desk.claim(0, 1)
    assert desk.report(0, 500, 3.0) is False
    row = desk.finish(0, "finished", 5.0, 1000, 2.0, {"result.json": b"{}"})
    assert (given.folder / "result.json").read_bytes() == b"{}"
    assert row["score"] == 5.0 and row["options"] == given.options and desk.claims == {}


def test_a_trial_that_fails_does_not_count(desk):
    desk.claim(0, 1)
    desk.fail(0)
    assert desk.claim(1, 1) is not None
