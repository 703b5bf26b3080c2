"""Changed checkpoints are loaded, or refused in one sentence, with little memory and without running what they name.

`support/checkpoint_fuzz.py` makes and loads them. File n of a seed is always the same.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import checkpoint_fuzz

from numasync import dense, lstm, relu
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs.jitted.cartpole import CARTPOLE
from numasync.envs.jitted.pendulum import PENDULUM
from numasync.envs.observation import Observation
from numasync.envs.spec import EnvSpec
from numasync.runtime.jit import FLOAT

SEED, FILES, SAMPLE = 23, 800, 150
SEVERAL = dict(n_actions=4, nvec=(2, 3, 1, 4), action_start=(0, 5, 1, -1), action_shape=(2, 2), action_dtype="int64")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with agents of several kinds, and with a module that must not be imported."""
    folder = tmp_path_factory.mktemp("fuzz")
    layers = (dense(3), relu())
    screen = Observation("image", (5, 6), 1 / 255, mean=checkpoint_fuzz.np.ones((5, 6), FLOAT))
    vector = Observation("vector", (3,), normalized=True)
    agents = [
        Agent(make_config("classic", network=layers), CARTPOLE.spec),
        Agent(make_config("classic", network=(*layers, lstm(2)), algo="a3c"), EnvSpec("a:A-v0", "atari", screen, 3)),
        Agent(make_config("continuous", network=layers, algo="a3c"), PENDULUM.spec._replace(observation=vector)),
        Agent(make_config("classic", network=layers, algo="a3c"), CARTPOLE.spec._replace(**SEVERAL)),
    ]
    agents[1].result = {
        "steps": 3, "wall_s": 1.5, "evaluation": {"episodes": 1, "mean": 1.0, "std": 0.0, "min": 1.0, "max": 1.0}
    }  # fmt: skip
    for number, agent in enumerate(agents):
        agent.save(folder / f"whole{number}.npz", half=number == 1)
    (folder / "evil.py").write_text("open('ran', 'w').close()\n")
    return folder


def check(folder, first, last):
    program = [sys.executable, checkpoint_fuzz.__file__, folder, SEED, first, last]
    run = subprocess.run([str(word) for word in program], cwd=folder, capture_output=True, text=True)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0 and len(lines) == last - first, run.stderr
    assert not [line for line in lines if "traceback" in line]
    for line in lines:
        sentence = line.get("refused", "A sentence.")
        assert len(sentence.splitlines()) == 1 and sentence.endswith(".") and len(sentence) < 1000, line
        assert sentence.isprintable(), line
    assert run.stderr == "" and not Path(folder, "ran").exists()
    refused = sum("refused" in line for line in lines)
    assert 0.5 * len(lines) < refused < len(lines)


def test_a_sample_of_changed_checkpoints_is_loaded_or_refused_in_one_sentence(folder):
    check(folder, 0, SAMPLE)


@pytest.mark.slow
def test_changed_checkpoints_are_loaded_or_refused_in_one_sentence(folder):
    check(folder, SAMPLE, FILES)
