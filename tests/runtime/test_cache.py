"""The cache on disk: no run needs it, and a damaged file is compiled again."""

import contextlib
import shutil
from pathlib import Path

import pytest
from support.caches import DRAW, DRAWN, check_sentence, files, start

from numasync.runtime.cache import EntryFiles
from numasync.runtime.jit import DISABLED

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


def damaged(content: bytes, how: str) -> bytes:
    """Return the content of a file without its bytes, without its second half, or with another bit."""
    if how == "bit":
        at = 2 * len(content) // 3
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    return {"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"\x80\x05garbage"}[how]


# Compiles a function as it is passed to another, or calls it from Python.
PASSED = """
from numasync.envs.jitted.catch import CATCH
from numasync.envs.spec import STEP_TYPE
from numasync.runtime.jit import compile_as
compile_as(CATCH.step, STEP_TYPE)
print(sum(CATCH.step.stats.cache_hits.values()))
"""
CALLED = """
import numpy as np
from numasync.envs.jitted.catch import CATCH
state, rng, obs = CATCH.new_state(), np.arange(1, 5, dtype=np.uint64), np.zeros(50, np.float32)
CATCH.step(state, 1, rng, obs)
print(sum(CATCH.step.stats.cache_hits.values()))
"""
# Asks for another type than the function returns.
CONVERTED = PASSED.replace("STEP_TYPE)", "function_type(types.UniTuple(float64, 2), *STEP_TYPE.signature.args))")
CONVERTED = f"from numba import types\nfrom numasync.runtime.jit import float64, function_type\n{CONVERTED}"


@compiled
@pytest.mark.parametrize(("first", "second"), [(PASSED, CALLED), (CALLED, PASSED)], ids=["passed", "called"])
def test_a_kernel_that_is_passed_and_one_that_is_called_are_one_entry(tmp_path, first, second):
    for script, hits in ((first, "0"), (second, "1"), (CONVERTED, "0"), (CONVERTED, "1")):
        done = start(script, tmp_path, cache=tmp_path / "cache")
        assert (done.stdout.split(), done.stderr) == ([hits], "")
    assert len([path for path in files(tmp_path) if "catch.step" in path.name]) == 1


@compiled
def test_who_compiles_nothing_is_not_told_of_a_missing_cache(tmp_path):
    done = start(f"{READ_ONLY}import numasync", tmp_path, cache=tmp_path / "cache")
    assert (done.returncode, done.stderr) == (0, "")


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
@pytest.mark.parametrize("how", ["empty", "truncated", "bit", "garbage"])
def test_a_damaged_file_is_compiled_again(tmp_path, healthy, how):
    cache = shutil.copytree(healthy, tmp_path / "cache")
    whole = {path: path.read_bytes() for path in files(cache)}
    assert whole
    for path, content in whole.items():
        path.write_bytes(damaged(content, how))
    done = start(DRAW, tmp_path, cache=cache)
    assert done.returncode == 0 and done.stdout.split() == [DRAWN, "0"] and not done.stderr
    assert start(DRAW, tmp_path, cache=cache).stdout.split() == [DRAWN, "1"], "the new file replaces it"


@compiled
def test_a_folder_in_the_place_of_a_file_is_no_fault(tmp_path, healthy):
    cache = shutil.copytree(healthy, tmp_path / "cache")
    for path in files(cache):
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


def entries(folder: Path) -> EntryFiles:
    return EntryFiles(folder, "kernel")


def test_entries_are_found_by_their_keys(tmp_path):
    for key in ("a", "b", "a"):
        entries(tmp_path).save(key, f"code of {key}")
    assert [entries(tmp_path).load(key) for key in "ab"] == ["code of a", "code of b"]
    assert len(files(tmp_path)) == 2
    with pytest.raises(FileNotFoundError):
        entries(tmp_path).load("c")


def test_an_entry_of_another_key_is_not_taken(tmp_path):
    entries(tmp_path).save("key", "code")
    (file,) = files(tmp_path)
    file.rename(entries(tmp_path).path_of("other key"))
    assert entries(tmp_path).load("other key") is None


def test_a_changed_bit_is_found_wherever_it_is(tmp_path):
    entries(tmp_path).save("key", "code")
    (file,) = files(tmp_path)
    content = file.read_bytes()
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)
        assert entries(tmp_path).load("key") is None
    file.write_bytes(content)
    assert entries(tmp_path).load("key") == "code"


def test_an_entry_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    entries(tmp_path).save("key", "code")

    def fill_up(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fill_up)
    with pytest.raises(OSError):
        entries(tmp_path).save("key", "new code")
    assert entries(tmp_path).load("key") == "code" and len(files(tmp_path)) == 1


def test_two_programs_that_write_an_entry_at_once_leave_one_that_is_whole(tmp_path, monkeypatch):
    first, second = entries(tmp_path), entries(tmp_path)
    write = first._open_for_write

    @contextlib.contextmanager
    def write_slowly(path):
        with write(path) as file:
            yield file
            second.save("key", "code of the second")
            second.save("other key", "other code")
            assert second.load("key") == "code of the second"

    monkeypatch.setattr(first, "_open_for_write", write_slowly)
    first.save("key", "code of the first")
    assert (second.load("key"), second.load("other key")) == ("code of the first", "other code")
    assert len(files(tmp_path)) == 2
