"""A study that plays nothing, on a machine of two cores."""

import pytest
from support.studies import SMALL, FakeExecutor

import numasync
from numasync.tools import studies


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    for module in ("numasync.tools.places", "numasync.tools.studies.plan"):
        monkeypatch.setattr(f"{module}.cores", lambda: 2)


@pytest.fixture
def study(tmp_path):
    """Plays the study of a name with a FakeExecutor in tmp_path/study and returns it."""

    def call(name="lr", executor=None, **options):
        given = {**SMALL, **options}
        if name == "threads":
            given.pop("workers", None)
        return numasync.study(name, out=tmp_path / "study", executor=executor or FakeExecutor(), **given)

    return call


@pytest.fixture
def undrawn(monkeypatch):
    """A figure takes longer than all the rest of a study that is faked."""
    monkeypatch.setattr(studies, "draw_study", lambda *_: ())
