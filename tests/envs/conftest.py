"""What the tests of environments share."""

import pytest

from numasync.envs import REGISTERED


@pytest.fixture(autouse=True)
def clear_registered():
    """Leave no environment of the user's own for the next test."""
    yield
    REGISTERED.clear()
