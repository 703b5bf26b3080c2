"""A file of data names no code to run: the module of an agent's environment is imported only if the user names it."""

import subprocess
import sys

import pytest
from support.custom_envs import compiler

import numasync
from numasync import InputError, dense, relu
from numasync.agent.agent import Agent
from numasync.config import make_config
from numasync.envs import REGISTERED
from numasync.envs.jitted.cartpole import CARTPOLE

EVIL = """
from pathlib import Path
Path("ran").touch()
import numasync
from numasync.envs.jitted.cartpole import CARTPOLE
numasync.envs.REGISTERED["X-v0"] = CARTPOLE._replace(spec=CARTPOLE.spec._replace(id="X-v0"))
"""
IDS = ("evil:X-v0", "gymnasium.evil:X-v0", "pack.evil:X-v0")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a module, and the agent of an environment in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "evil.py").write_text(EVIL)
    config = make_config("classic", network=(dense(3), relu()))
    for number, env_id in enumerate(IDS):
        Agent(config, CARTPOLE.spec._replace(id=env_id)).save(f"agent{number}.npz")
    yield tmp_path
    REGISTERED.pop("X-v0", None)
    for name in ("evil", "pack", "pack.evil"):
        sys.modules.pop(name, None)


REFUSED = r"^The agent's file names the environment [\w.]+:X-v0, and playing it would import the module .*\.$"


@pytest.mark.parametrize("number", range(len(IDS)))
def test_loading_predicting_and_evaluating_import_no_module_that_the_file_names(folder, number):
    agent = numasync.load(f"agent{number}.npz")
    assert agent.predict([0.0] * 4) in (0, 1)
    for copied in (agent, numasync.load(f"agent{number}.npz", env="X-v0")):
        with pytest.raises(InputError, match=REFUSED):
            copied.evaluate(1)
    assert not (folder / "ran").exists() and not {"evil", "pack"} & sys.modules.keys()


@compiler
def test_a_module_that_the_user_names_is_imported(folder):
    assert numasync.load("agent0.npz").evaluate(1, env="evil:X-v0")["episodes"] == 1
    assert (folder / "ran").exists()
    assert numasync.load("agent0.npz").evaluate(1)["episodes"] == 1, "it is imported already"


@compiler
def test_naming_the_module_while_loading_is_enough(folder):
    assert numasync.load("agent0.npz", env="evil:X-v0").evaluate(1)["episodes"] == 1


@compiler
def test_an_agent_that_was_trained_here_plays_its_environment(folder):
    agent = numasync.train("evil:X-v0", network=(dense(3),), steps=100, workers=1, final_eval_episodes=1)
    assert agent.evaluate(1)["episodes"] == 1


@compiler
@pytest.mark.parametrize("verb", ["eval", "watch"])
def test_the_command_line_imports_a_module_only_by_env(folder, verb):
    command = [sys.executable, "-m", "numasync", verb, "agent0.npz"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2 and len(run.stderr.splitlines()) == 1 and "--env evil:X-v0" in run.stderr
    assert run.stdout == "" and not (folder / "ran").exists()
    assert subprocess.run([*command, "--env", "evil:X-v0"], capture_output=True).returncode == 0
