"""Tasks on one machine get different cores."""

import os
import subprocess
import sys

import pytest

from numasync.distributed import reserved_cores as module
from numasync.distributed.reserved_cores import reserved_cores

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux tells cores")


@pytest.fixture(autouse=True)
def four_cores(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "allowed_cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(module, "locks_folder", lambda: tmp_path)


def test_two_tasks_never_share_a_core():
    with reserved_cores(2) as first, reserved_cores(2) as second:
        assert first | second == {0, 1, 2, 3}


def test_where_too_few_are_free_the_system_chooses_and_none_is_held():
    with reserved_cores(3), reserved_cores(2) as second:
        assert second == set()
    with reserved_cores(4) as all_of_them:
        assert all_of_them == {0, 1, 2, 3}


def test_the_core_of_a_process_that_is_killed_is_free_again(tmp_path):
    code = (
        "import fcntl, os, sys; handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); "
        "fcntl.flock(handle, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "0.lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with reserved_cores(1) as own:
            assert own == {1}
        process.kill()
    with reserved_cores(1) as own:
        assert own == {0}
