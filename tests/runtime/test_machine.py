"""What a result was made by: the versions that are imported, and the machine."""

import json
import os
import platform
import subprocess
import sys

import ale_py
import gymnasium
import numba
import numpy as np
import pytest

import numasync
from numasync.runtime import machine
from numasync.runtime.machine import find_version, made_by, processor_name


def test_the_programs_are_named_by_their_versions():
    found = made_by()
    programs = {"numasync": numasync, "numpy": np, "numba": numba, "gymnasium": gymnasium, "ale_py": ale_py}
    assert {name: found[name] for name in programs} == {name: module.__version__ for name, module in programs.items()}
    assert found["python"] == platform.python_version()


def test_the_machine_is_named():
    found = made_by()
    assert list(found)[-3:] == ["processor", "cores", "system"]
    assert found["processor"] == processor_name() and 1 <= found["cores"] <= os.cpu_count()
    assert platform.system() in found["system"] and json.loads(json.dumps(found)) == found


def test_a_package_that_is_missing_is_said():
    assert find_version("no-such-package") == "not installed"


@pytest.mark.parametrize(
    "text, name", [("flags: x\nmodel name\t: Z80 @ 4 MHz\nmodel name: other\n", "Z80 @ 4 MHz"), ("flags: x\n", None)]
)
def test_the_processor_has_its_own_name_where_the_system_knows_it(tmp_path, monkeypatch, text, name):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(machine, "PROCESSORS", tmp_path / "cpuinfo")
    assert processor_name() == (name or platform.processor() or platform.machine())


def test_no_version_is_looked_up_when_the_package_is_imported():
    """Importing a module is no lookup; a call of `version` reads the folders of the packages."""
    check = (
        "import importlib.metadata as m\n"
        "def fails(*_): raise AssertionError\n"
        "import gymnasium, numba\n"  # which look up versions themselves
        "m.version = fails\n"
        "import numasync.cli"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
