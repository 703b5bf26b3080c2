"""Files: what a killed program leaves is removed, what another program writes is not, and the disk has it all."""

import os
import signal
import subprocess
import sys

import pytest

from numasync.runtime import files
from numasync.runtime.files import append, is_locked, is_special, lock, remove_leftovers, write_atomically

KILLED = """
import os, signal, sys
from numasync.runtime.files import write_atomically

def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

write_atomically(sys.argv[1], write)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_program_left_is_removed_by_the_next_write(tmp_path):
    path = tmp_path / "checkpoint.npz"
    write_atomically(path, lambda file: file.write(b"old"))
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert done.returncode == -signal.SIGKILL and len(names(tmp_path)) == 2 and path.read_bytes() == b"old"
    write_atomically(tmp_path / "other", lambda file: None)
    assert names(tmp_path) == ["checkpoint.npz", "other"]


def test_what_another_program_writes_is_not_removed(tmp_path):
    def write(file):
        remove_leftovers(tmp_path)
        write_atomically(tmp_path / "other", lambda file: None)
        file.write(b"new")

    write_atomically(tmp_path / "file", write)
    assert names(tmp_path) == ["file", "other"] and (tmp_path / "file").read_bytes() == b"new"


def test_files_of_the_user_are_not_removed(tmp_path):
    for name in ("file.abcd1234", ".hidden", "numasync-1", "file.tmp"):
        (tmp_path / name).write_text("precious")
    remove_leftovers(tmp_path)
    assert len(names(tmp_path)) == 4


def test_the_content_is_on_the_disk_before_the_old_file_is_given_up(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(files.os, name, lambda *a, n=name, f=original: (order.append(n), f(*a)))
    write_atomically(tmp_path / "file", lambda file: file.write(b"new"))
    assert order == ["fsync", "replace", "fsync"], "the file, then its name, then the folder"


def test_append_writes_the_head_once(tmp_path):
    for line in ("1\n", "2\n"):
        append(tmp_path / "table", "x\n", line)
    assert (tmp_path / "table").read_text() == "x\n1\n2\n"


@pytest.mark.parametrize(
    "name, special", [("file", False), ("folder", False), ("pipe", True), ("loop", True), ("no", False)]
)
def test_what_is_neither_file_nor_folder_is_special(tmp_path, name, special):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert is_special(tmp_path / name) == special


def test_whether_a_file_is_locked_is_asked_without_locking_it(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with open(path, "r+") as file, open(path, "r+") as other:
        assert is_locked(path) is False and is_locked(path) is False
        assert lock(file.fileno()) is True and is_locked(path) is True and is_locked(path) is True
        file.close()
        assert is_locked(path) is False and lock(other.fileno()) is True


def test_whether_a_file_is_locked_is_not_known_without_locks_or_a_file(tmp_path, monkeypatch):
    assert is_locked(tmp_path / "missing") is None
    (tmp_path / "file").touch()
    monkeypatch.setattr(files, "fcntl", None)
    assert is_locked(tmp_path / "file") is None
