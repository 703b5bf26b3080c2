"""The cache on disk: no run needs it, and a damaged file is compiled again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from numasync.runtime.cache import CheckedFiles
from numasync.runtime.jit import DISABLED

ROOT = Path(__file__).parents[2]

# Prints a number that compiled code has drawn, and how many kernels came out of the cache.
DRAW = """
import numpy as np, numasync
kernel = numasync.uniform.kernel
print(numasync.uniform(np.arange(1, 5, dtype=np.uint64)), sum(kernel.stats.cache_hits.values()))
"""
DRAWN = str((41943041 >> 11) / 2**53)  # of the first published word, see test_rng.py
TRAIN = """
import numasync
agent = numasync.train("CartPole-v1", algo="nstep_q", workers=2, deterministic=True, steps=200, final_eval_episodes=1)
print(agent.theta.sum())
"""

# No folder can be made.
READ_ONLY = """
import os
def refuse(path, *_):
    raise PermissionError(13, "Permission denied", str(path))
os.mkdir = refuse
"""
# The user has no home: no HOME, and no entry in the system's list of users.
NO_HOME = """
import pwd
def no_user(uid):
    raise KeyError(uid)
pwd.getpwuid = no_user
"""
# The disk is full: every file ends after this many bytes.
FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))
"""

compiled = pytest.mark.skipif(DISABLED, reason="nothing is compiled")


def start(script: str, folder: Path, cache: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a new process. folder: its current one. cache: NUMASYNC_CACHE_DIR."""
    kept = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "NUMASYNC_CACHE_DIR")}
    given = {"NUMASYNC_CACHE_DIR": str(cache)} if cache else {}
    environment = {**kept, "PYTHONPATH": str(ROOT), **given, **variables}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def files(folder: Path, ending: str = "") -> list[Path]:
    return sorted(path for path in folder.rglob(f"*{ending}") if path.is_file())


def check_sentence(stderr: str, *words: str) -> None:
    """Check that there is one sentence, which says that each start compiles and has these words."""
    assert stderr.count("\n") == 1 and stderr.endswith(".\n"), stderr
    assert stderr.startswith("numasync: compiled code is not cached, so every start compiles again: ")
    assert all(word in stderr for word in words), stderr


def damaged(content: bytes, how: str) -> bytes:
    """Return the content of a file without its bytes, without its second half, or with another bit."""
    if how == "bit":
        at = 2 * len(content) // 3
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    return {"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"\x80\x05garbage"}[how]


@compiled
def test_without_a_folder_for_the_cache_everything_runs_and_one_sentence_says_so(tmp_path):
    done = start(READ_ONLY + DRAW, tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0 and done.stdout.split() == [DRAWN, "0"], done.stderr
    check_sentence(done.stderr, str(tmp_path / "cache"), "Permission denied")
    assert not files(tmp_path)


@compiled
def test_a_cache_folder_that_cannot_be_made_is_no_need(tmp_path):
    (tmp_path / "file").write_text("")
    done = start(DRAW, tmp_path, cache=tmp_path / "file" / "cache")
    assert done.returncode == 0 and done.stdout.split() == [DRAWN, "0"], done.stderr
    check_sentence(done.stderr, "Not a directory")


@compiled
def test_without_a_home_no_folder_named_tilde_is_made(tmp_path):
    done = start(NO_HOME + DRAW, tmp_path)
    assert done.returncode == 0 and done.stdout.split() == [DRAWN, "0"], done.stderr
    check_sentence(done.stderr, "no home", "NUMASYNC_CACHE_DIR")
    assert not list(tmp_path.iterdir())


@compiled
def test_sources_that_cannot_be_read_are_compiled_without_the_cache(tmp_path):
    lost = """
import pathlib
read_bytes = pathlib.Path.read_bytes
def refuse(path):
    if path.suffix == ".py":
        raise OSError(5, "Input/output error", str(path))
    return read_bytes(path)
pathlib.Path.read_bytes = refuse
"""
    done = start(lost + DRAW, tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0 and done.stdout.split() == [DRAWN, "0"], done.stderr
    check_sentence(done.stderr, "Input/output error")


@compiled
@pytest.mark.parametrize("size", [0, 1000])
def test_a_disk_that_fills_while_it_compiles_ends_no_run(tmp_path, size):
    cache = tmp_path / "cache"
    done = start(FULL.format(size) + DRAW, tmp_path, cache=cache)
    assert done.returncode == 0 and done.stdout.split() == [DRAWN, "0"], done.stderr
    check_sentence(done.stderr, str(cache), "File too large")
    assert not files(cache, ".nbc") and not files(cache, ".tmp.*")


@compiled
def test_a_closed_standard_error_is_no_fault(tmp_path):
    script = f"import os, sys\nsys.stderr.close(); os.close(2); sys.stderr = None\n{READ_ONLY}{DRAW}"
    assert start(script, tmp_path, cache=tmp_path / "cache").stdout.split() == [DRAWN, "0"]


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("fault", [READ_ONLY, FULL.format(0)], ids=["read_only", "full"])
def test_a_training_learns_the_same_without_the_cache(tmp_path, fault):
    done, healthy = (start(script, tmp_path, cache=tmp_path / "cache") for script in (fault + TRAIN, TRAIN))
    assert done.returncode == healthy.returncode == 0, done.stderr
    assert done.stdout == healthy.stdout and not healthy.stderr
    check_sentence(done.stderr)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """Return the cache folder of a process that has drawn a number."""
    folder = tmp_path_factory.mktemp("healthy")
    assert start(DRAW, folder, cache=folder).stdout.split() == [DRAWN, "0"]
    assert start(DRAW, folder, cache=folder).stdout.split() == [DRAWN, "1"]
    return folder


@compiled
@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("how", ["empty", "truncated", "bit", "garbage"])
def test_a_damaged_file_is_compiled_again(tmp_path, healthy, ending, how):
    cache = shutil.copytree(healthy, tmp_path / "cache")
    whole = {path: path.read_bytes() for path in files(cache, ending)}
    assert whole
    for path, content in whole.items():
        path.write_bytes(damaged(content, how))
    done = start(DRAW, tmp_path, cache=cache)
    assert done.returncode == 0 and done.stdout.split() == [DRAWN, "0"] and not done.stderr
    if (ending, how) == (".nbc", "bit"):
        assert start(DRAW, tmp_path, cache=cache).stdout.split() == [DRAWN, "1"], "the new file replaces it"


@compiled
def test_a_folder_or_nothing_in_the_place_of_a_file_is_no_fault(tmp_path, healthy):
    cache = shutil.copytree(healthy, tmp_path / "cache")
    for path in files(cache, ".nbc"):
        path.unlink()
    for path in files(cache, ".nbi"):
        path.unlink()
        path.mkdir()
    done = start(DRAW, tmp_path, cache=cache)
    assert done.returncode == 0 and done.stdout.split() == [DRAWN, "0"]
    check_sentence(done.stderr, "Is a directory")


@compiled
@pytest.mark.slow
def test_a_training_learns_the_same_after_every_file_is_damaged(tmp_path):
    cache = tmp_path / "cache"
    healthy = start(TRAIN, tmp_path, cache=cache)
    for number, path in enumerate(files(cache)):
        path.write_bytes(damaged(path.read_bytes(), ("empty", "truncated", "bit", "garbage")[number % 4]))
    again = start(TRAIN, tmp_path, cache=cache)
    assert again.returncode == 0 and again.stdout == healthy.stdout and not again.stderr


def cache_files(folder: Path) -> CheckedFiles:
    return CheckedFiles(str(folder), "kernel", "")


def test_entries_are_found_by_their_keys(tmp_path):
    for key in ("a", "b", "a"):
        cache_files(tmp_path).save(key, f"code of {key}")
    assert [cache_files(tmp_path).load(key) for key in "abc"] == ["code of a", "code of b", None]
    assert len(files(tmp_path)) == 3


def test_a_changed_bit_is_found_wherever_it_is(tmp_path):
    cache_files(tmp_path).save("key", "code")
    for path in files(tmp_path):
        content = path.read_bytes()
        for bit in range(8 * len(content)):
            changed = bytearray(content)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            assert cache_files(tmp_path).load("key") is None
        path.write_bytes(content)
    assert cache_files(tmp_path).load("key") == "code"


def test_an_entry_that_cannot_be_written_is_not_in_the_index(tmp_path, monkeypatch):
    full = cache_files(tmp_path)
    write = full._open_for_write

    def fill_up(path):
        if path.endswith(".nbc"):
            raise OSError("disk full")
        return write(path)

    monkeypatch.setattr(full, "_open_for_write", fill_up)
    with pytest.raises(OSError):
        full.save("key", "code")
    assert cache_files(tmp_path).load("key") is None


def test_two_processes_that_write_at_once_mix_no_entries(tmp_path, monkeypatch):
    first, second = cache_files(tmp_path), cache_files(tmp_path)
    first.save("first", "first code")
    (index,) = files(tmp_path, ".nbi")
    of_first = index.read_bytes()
    monkeypatch.setattr(second, "_load_index", dict)  # it has read the index before the first process wrote it
    second.save("second", "second code")
    assert cache_files(tmp_path).load("second") == "second code"
    index.write_bytes(of_first)  # of the first process, which wrote its index last
    assert cache_files(tmp_path).load("first") is None
