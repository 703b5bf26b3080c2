"""The compiler's messages where colorama is installed: numasync's are plain, and those of other packages stay."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.compiled

# What Numba takes from colorama. It counts how often it is started.
COLORAMA = r"""
__version__ = "0.4.6"
STARTED = []


class Codes:
    BRIGHT, RESET_ALL = "\x1b[1m", "\x1b[0m"

    def __getattr__(self, name):
        return "\x1b[33m"


Fore = Style = Codes()


def init():
    STARTED.append("init")


def reinit():
    STARTED.append("reinit")


def deinit():
    pass
"""

# A kernel whose types Numba finds at the second attempt, a user's function that cannot be compiled, and what another
# package compiles: before numasync, and in a thread while numasync compiles.
PROGRAM = r"""
import threading

import colorama
import numba
import numpy as np

from numasync import InputError, register
from numasync.runtime.jit import kernel
from numasync.runtime.messages import plain_messages


def reset(state, rng, obs):
    obs[:] = 0.0


def step(state, action, rng, obs):
    obs[:] = len("left" if action == 0 else (1, 2))
    return 0.0, 0


def fails(x):
    return len("left" if x == 0 else (1, 2))


def message_of(call, *arguments):
    try:
        call(*arguments)
    except (InputError, numba.TypingError) as error:
        return str(error)


def others():
    print("bold" if "\x1b[" in message_of(numba.njit(fails), 1) else "plain")


before = len(colorama.STARTED)
assert "\x1b" not in message_of(kernel(fails), 1)
assert "\x1b" not in message_of(register, "Trial-v0", reset, step, (1,), 2, 1)
print(len(colorama.STARTED) - before, "starts")
others()
with plain_messages(), plain_messages():
    thread = threading.Thread(target=others)
    thread.start()
    thread.join(1)
    assert thread.is_alive()
thread.join()
print(len(colorama.STARTED) > 0)
"""


def test_numasync_starts_no_colorama_and_leaves_it_to_others(tmp_path):
    (tmp_path / "colorama.py").write_text(COLORAMA)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    variables = {**os.environ, "PYTHONPATH": path}
    variables.pop("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", None)
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert (done.stdout.split("\n"), done.stderr) == (["0 starts", "bold", "bold", "True", ""], "")
