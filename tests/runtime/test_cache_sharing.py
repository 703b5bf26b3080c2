"""The cache and who uses it: several users, several programs at once, a user without HOME, a disk that is read-only."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from support.caches import DRAW, DRAWN, ROOT, begin, check_sentence, files, finish, start

from numasync.runtime.jit import DISABLED

pytestmark = pytest.mark.skipif(DISABLED, reason="nothing is compiled")

# The number of the user "nobody", or of any other user who is not root.
SOMEBODY = 65534

# HOME is not set, and the system's list of users has another home.
HOME_OF_LIST = """
import pwd
entry = pwd.getpwuid(0)
pwd.getpwuid = lambda uid: pwd.struct_passwd((*entry[:5], {0!r}, *entry[6:]))
"""
# The folder of the cache belongs to another user: its time cannot be set, and no file can be written there.
OF_ANOTHER_USER = """
import builtins, os
def refuse(path, *_, **__):
    raise PermissionError(13, "Permission denied", str(path))
os.utime = os.mkdir = refuse
def open_to_read(path, mode="r", *rest, open_file=open, **named):
    return (refuse if "w" in mode else open_file)(path, mode, *rest, **named)
builtins.open = open_to_read
"""
# Goes on as SOMEBODY. Other users may not be able to read this Python, so it has been imported before.
AS_SOMEBODY = """
import contextlib, importlib, os
for name in {0!r}.split():
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
os.setgroups([])
os.setgid({1})
os.setuid({1})
"""
IMPORTED = """
import sys
print(*(name for name in sys.modules if name.split(".")[0] not in ("numasync", "__main__")))
"""
# Waits until all programs of the test have come as far as this.
GATE = """
import os, pathlib, time, numasync
pathlib.Path(f"ready-{os.getpid()}").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.005)
"""
# Imports the package, and becomes several processes. They run a script at the same moment, each with a file for output.
FORK = """
import os, sys, numba, numasync
numba.njit(lambda x: x)(1)  # the first compilation loads most of Numba
gate, opens = os.pipe()
children = []
for number in range({0}):
    children.append(os.fork())
    if children[-1] == 0:
        os.close(opens)
        os.read(gate, 1)  # until the parent closes it
        sys.stdout = open(f"out-{{number}}", "w")
        exec({1!r})
        sys.stdout.close()
        os._exit(0)
os.close(opens)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""
# Writes entries and reads them while others write them too.
WRITE_AND_READ = """
import pathlib
from numasync.runtime.cache import EntryFiles
entries = EntryFiles(pathlib.Path("cache"), "kernel")
for _ in range(100):
    for key in "abc":
        entries.save(key, f"{key} of {os.getpid()} " * 1000)
        assert entries.load(key).startswith(f"{key} of ")
"""
AT_ONCE = 8


@pytest.fixture
def installation():
    """A folder that every user may read, with a copy of the package that nobody may write and the home of SOMEBODY."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can start a program of another user")
    folder = Path(tempfile.mkdtemp(prefix="numasync-installation-"))
    shutil.copytree(ROOT / "numasync", folder / "site" / "numasync", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (folder / "home").mkdir(mode=0o700)
    os.chown(folder / "home", SOMEBODY, SOMEBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def draw_as_somebody(installation, imported):
    """Returns a function that runs DRAW as SOMEBODY, and returns what it prints and what it complains of."""

    def draw(cache=None):
        home = installation / "home"
        variables = {"PYTHONPATH": str(installation / "site"), "HOME": str(home)}
        done = start(AS_SOMEBODY.format(imported, SOMEBODY) + DRAW, home, cache, variables=variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.split(), done.stderr

    return draw


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The names of all modules that DRAW imports from elsewhere."""
    folder = tmp_path_factory.mktemp("imported")
    return start(DRAW + IMPORTED, folder, folder).stdout.splitlines()[-1]


def test_another_user_of_an_installation_that_is_read_only_starts_warm_the_second_time(installation, draw_as_somebody):
    before = files(installation / "site")
    assert draw_as_somebody() == ([DRAWN, "0"], "")
    assert draw_as_somebody() == ([DRAWN, "1"], "")
    assert files(installation / "site") == before
    written = files(installation / "home")
    assert written and all(path.stat().st_uid == SOMEBODY for path in written)


def test_a_cache_that_root_has_filled_is_warm_for_another_user(installation, draw_as_somebody):
    cache = installation / "cache"
    variables = {"PYTHONPATH": str(installation / "site")}
    assert start(DRAW, installation, cache, variables=variables).stdout.split() == [DRAWN, "0"]
    assert all(path.stat().st_mode & stat.S_IROTH for path in files(cache))
    assert draw_as_somebody(cache) == ([DRAWN, "1"], "")
    assert not files(installation / "home")
    for path in files(cache):
        path.unlink()
    drawn, sentence = draw_as_somebody(cache)
    assert drawn == [DRAWN, "0"]
    check_sentence(sentence, str(cache), "Permission denied")


def test_a_cache_that_cannot_be_written_is_read(tmp_path):
    cache = tmp_path / "cache"
    assert start(DRAW, tmp_path, cache).stdout.split() == [DRAWN, "0"]
    before = {path: path.stat().st_mtime_ns for path in files(cache)}
    done = start(OF_ANOTHER_USER + DRAW, tmp_path, cache)
    assert (done.stdout.split(), done.stderr) == ([DRAWN, "1"], "")
    assert {path: path.stat().st_mtime_ns for path in files(cache)} == before


def test_without_home_the_home_of_the_list_of_users_is_taken(tmp_path):
    script = HOME_OF_LIST.format(str(tmp_path / "home")) + DRAW
    for hits in "01":
        done = start(script, tmp_path)
        assert (done.stdout.split(), done.stderr) == ([DRAWN, hits], "")
    assert files(tmp_path) and files(tmp_path) == files(tmp_path / "home")


def test_eight_programs_that_start_with_an_empty_cache_draw_the_same_and_a_ninth_is_warm(tmp_path):
    cache = tmp_path / "cache"
    done = start(FORK.format(AT_ONCE, DRAW), tmp_path, cache)
    assert (done.returncode, done.stderr) == (0, "")
    outputs = [path.read_text().split() for path in tmp_path.glob("out-*")]
    assert [drawn for drawn, _ in outputs] == [DRAWN] * AT_ONCE
    assert start(DRAW, tmp_path, cache).stdout.split() == [DRAWN, "1"]
    assert len(files(cache)) == 1, "a file a kernel, and no temporary ones"


def test_eight_programs_that_write_the_same_entries_read_whole_ones(tmp_path):
    (tmp_path / "cache").mkdir()
    done = start(FORK.format(AT_ONCE, WRITE_AND_READ), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(files(tmp_path / "cache")) == 3


@pytest.mark.slow
def test_eight_trainings_that_start_with_an_empty_cache_learn_the_same_and_a_ninth_is_warm(tmp_path):
    cache = tmp_path / "cache"
    train = """
import sys
from numasync.cli import main
from numasync.runtime.compilation import collect_compiled
with collect_compiled() as compiled:
    code = main(["train", "--steps", "2000", "--deterministic", "--out", str(os.getpid())])
print(code, len(compiled), file=sys.stderr)
"""

    def result_of(done):
        return [line for line in done.stdout.splitlines() if line.startswith("Evaluation over")], done.stderr

    processes = [begin(GATE + train, tmp_path, cache) for _ in range(AT_ONCE)]
    while len(list(tmp_path.glob("ready-*"))) < AT_ONCE:
        assert all(process.poll() is None for process in processes)
    (tmp_path / "go").touch()
    done = [result_of(finish(process)) for process in processes]
    evaluations = {evaluation for (evaluation,), _ in done}
    assert len(evaluations) == 1 and all(said.split()[0] == "0" for _, said in done), done
    assert result_of(start(GATE + train, tmp_path, cache)) == ([*evaluations], "0 0\n")
