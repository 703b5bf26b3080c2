"""The folder of the cache: changed kernels get a new folder, and old folders are removed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from numasync.runtime import cache_folder
from numasync.runtime.cache_folder import (
    MOST_FOLDERS,
    PACKAGE,
    digest_of_kernels,
    is_cache,
    open_folder,
    sources_of_kernels,
    user_folder,
)
from numasync.runtime.jit import DISABLED

DRAW = """
import numpy as np, numasync
print(numasync.uniform(np.arange(1, 5, dtype=np.uint64)))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package."""
    return Path(
        shutil.copytree(PACKAGE, tmp_path / "copy" / "numasync", ignore=shutil.ignore_patterns("*.npz", "__pycache__"))
    )


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Returns a function that opens the folder of a version, as a program of its own does."""
    monkeypatch.setenv("NUMASYNC_CACHE_DIR", str(tmp_path / "cache"))

    def open_version(number: int) -> Path | None:
        monkeypatch.setattr(cache_folder, "digest_of_kernels", lambda: f"{number:016x}")
        open_folder.cache_clear()
        return open_folder()[0]

    yield open_version
    open_folder.cache_clear()


def test_a_copy_of_the_package_has_the_same_digest(package):
    assert digest_of_kernels(package) == digest_of_kernels()


@pytest.mark.parametrize(
    "name", ["nn/products/tile.py", "learner/optim.py", "envs/jitted/cartpole.py", "tools/bench/peak.py"]
)
def test_an_edited_kernel_has_another_digest(package, name):
    with open(package / name, "a") as file:
        file.write("\n")
    assert digest_of_kernels(package) != digest_of_kernels()


@pytest.mark.parametrize(
    "name",
    ["cli.py", "commands/train.py", "training/report.py", "tools/plots.py", "tools/bench/peers/programs/jax_a2c.py"],
)
def test_what_holds_no_kernel_leaves_the_digest_alone(package, name):
    with open(package / name, "a") as file:
        file.write("\n")
    assert digest_of_kernels(package) == digest_of_kernels()


def test_every_kernel_lies_where_the_digest_looks():
    paths = [path for path in PACKAGE.rglob("*.py") if "\n@kernel" in path.read_text()]
    assert len(paths) > 30
    assert {path.relative_to(PACKAGE).as_posix() for path in paths} <= set(sources_of_kernels(PACKAGE))


@pytest.mark.parametrize("module", ["numpy", "numba", "llvmlite"])
def test_another_version_of_a_package_has_another_digest(monkeypatch, module):
    before = digest_of_kernels()
    monkeypatch.setattr(f"{module}.__version__", "0.1")
    assert digest_of_kernels() != before


def test_the_folder_of_the_variable_is_taken(opened, tmp_path):
    assert opened(1) == tmp_path / "cache" / f"{1:016x}" and opened(1).is_dir()


def test_without_the_variable_it_is_the_platforms_and_numbas_variable_changes_nothing(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMASYNC_CACHE_DIR")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert user_folder().name == "numasync" and user_folder().is_absolute() and tmp_path not in user_folder().parents


def test_the_folders_that_are_not_used_go(opened, tmp_path):
    for number in range(MOST_FOLDERS):
        os.utime(opened(number), (number, number))
    (tmp_path / "cache" / "mine").mkdir()
    opened(0)  # which is now the last one that was used
    opened(MOST_FOLDERS)
    left = {int(path.name, 16) for path in (tmp_path / "cache").iterdir() if is_cache(path)}
    assert left == {0, *range(2, MOST_FOLDERS + 1)}
    assert (tmp_path / "cache" / "mine").is_dir()


@pytest.mark.skipif(DISABLED, reason="nothing is compiled")
def test_an_edited_callee_changes_the_next_run(package, tmp_path):
    def draw() -> str:
        environment = {
            **os.environ,
            "PYTHONPATH": str(package.parent),
            "PYTHONDONTWRITEBYTECODE": "1",  # Python tells files of bytecode by the size and the time alone
            "NUMASYNC_CACHE_DIR": str(tmp_path / "cache"),
        }
        command = [sys.executable, "-c", DRAW]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout

    before = draw()
    assert draw() == before
    path = package / "runtime" / "rng.py"
    source = path.read_text()
    edited = source.replace("rotate_left(rng[0] + rng[3], 23)", "rotate_left(rng[0] + rng[3], 24)")
    assert edited != source
    moment = path.stat().st_mtime_ns
    path.write_text(edited)
    os.utime(path, ns=(moment, moment))  # the size and the time are the same; the content alone is not
    assert draw() != before
    path.write_text(source)
    assert draw() == before
