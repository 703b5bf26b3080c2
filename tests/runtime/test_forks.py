"""A copy of this process: it does its work and ends, and holds nothing of its parent."""

import os
import signal
import sys

import pytest

from numasync.runtime import forks
from numasync.runtime.forks import Fork, can_fork

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forks")


def echo(stdin, stdout):
    stdout.write(stdin.readline())


def test_a_copy_works_on_its_streams_and_ends():
    copy = Fork(echo)
    copy.stdin.write(b"hello\n")
    copy.stdin.flush()
    assert copy.stdout.read() == b"hello\n"
    copy.wait()
    with pytest.raises(ProcessLookupError):
        os.kill(copy.pid, 0)


def test_a_copy_that_fails_ends_without_a_word(capfd):
    copy = Fork(lambda stdin, stdout: 1 / 0)
    assert copy.stdout.read() == b""
    copy.wait()
    assert capfd.readouterr() == ("", "")


def test_a_copy_can_be_killed():
    copy = Fork(lambda stdin, stdout: signal.pause())
    copy.kill()
    copy.wait()
    assert copy.stdout.read() == b""


def test_a_copy_holds_no_file_of_its_parent_open():
    """A lock on a file, or the end of a pipe, would otherwise outlive the parent."""
    read, write = os.pipe()
    copy = Fork(lambda stdin, stdout: signal.pause())
    os.close(write)
    assert os.read(read, 1) == b""
    copy.kill()
    copy.wait()


@pytest.mark.parametrize(
    "allowed, platform, expected", [(True, "linux", True), (False, "linux", False), (True, "darwin", False)]
)
def test_only_the_command_line_on_linux_forks(monkeypatch, allowed, platform, expected):
    monkeypatch.setattr(forks, "allowed", allowed)
    monkeypatch.setattr(sys, "platform", platform)
    assert can_fork() == expected
