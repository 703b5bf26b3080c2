"""Training, evaluating, loading, resuming and watching with environments that are given as objects."""

import json
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation
from support.catch3 import Catch
from support.folders import contents
from support.gym_envs import SampleEnv
from support.text import is_one_sentence, without_address

import numasync
from numasync import InputError, dense
from numasync.envs import OBJECTS

SHORT = dict(workers=2, steps=60, final_eval_episodes=2, network=(dense(4),), deterministic=True)


@pytest.fixture(autouse=True)
def clear_objects():
    """Leave no object for the next test."""
    yield
    OBJECTS.clear()


def as_in_another_program():
    """Forget the objects, as another program does not know them."""
    OBJECTS.clear()


def make_flat():
    return FlattenObservation(Catch())


@pytest.mark.parametrize(
    ("env", "env_id"),
    [
        (make_flat, f"{__name__}:make_flat"),
        (Catch, "support.catch3:Catch"),
        ("support.catch3:Catch", "support.catch3:Catch"),
        (gymnasium.spec("FrozenLake-v1"), "FrozenLake-v1"),
        (gymnasium.make("FrozenLake-v1", is_slippery=False).spec, "EnvSpec FrozenLake-v1"),
    ],
    ids=without_address,
)
def test_an_agent_is_trained_evaluated_and_loaded_with_it(env, env_id, tmp_path):
    agent = numasync.train(env, out=tmp_path / "run", eval_every=20, **SHORT)
    assert agent.config.env == agent.spec.id == agent.result["env"] == env_id
    assert agent.evaluate(2) == agent.result["evaluation"] == agent.evaluate(2, env=env)
    as_in_another_program()
    loaded = numasync.load(tmp_path / "run" / "checkpoint.npz", env=env)
    assert loaded.evaluate(2) == agent.result["evaluation"] and loaded.spec == agent.spec


def test_every_worker_and_evaluator_has_an_environment_of_its_own():
    made = []
    make = lambda: made.append(Catch()) or made[-1]  # noqa: E731
    numasync.train(make, **SHORT)
    assert len(made) == 1 + 2 + 2 and len(set(map(id, made))) == len(made)


def test_a_wrapper_sees_what_the_agent_does():
    agent = numasync.train(lambda: FlattenObservation(Catch()), **SHORT)
    assert agent.spec.observation.shape == (147,)
    obs, _ = make_flat().reset(seed=1)
    assert agent.predict(obs) in range(3)


# --- Another program


def test_an_agent_whose_function_is_unknown_says_how_to_give_it(tmp_path):
    numasync.train(lambda: Catch(), **SHORT).save(tmp_path / "agent.npz")
    as_in_another_program()
    agent = numasync.load(tmp_path / "agent.npz")
    with pytest.raises(InputError) as refusal:
        agent.evaluate(1)
    assert is_one_sentence(str(refusal.value)) and "give the environment yourself: env=make_env" in str(refusal.value)
    for env in (lambda: Catch(), Catch, "support.catch3:Catch"):
        assert agent.evaluate(1, env=env)["episodes"] == 1
        assert numasync.load(tmp_path / "agent.npz", env=env).evaluate(1)["episodes"] == 1


def test_a_function_with_other_observations_is_refused(tmp_path):
    agent = numasync.train(Catch, **SHORT)
    with pytest.raises(InputError, match="is not what the agent was trained on"):
        agent.evaluate(1, env=make_flat)
    with pytest.raises(
        InputError, match=r"^This agent was trained on support.catch3:Catch; it cannot play CartPole-v1"
    ):
        agent.evaluate(1, env="CartPole-v1")


def test_a_file_that_names_a_function_calls_it_only_where_the_user_names_it(tmp_path):
    numasync.train(Catch, **SHORT).save(tmp_path / "agent.npz")
    as_in_another_program()
    agent = numasync.load(tmp_path / "agent.npz")
    with pytest.raises(InputError, match="would call a function or a class of the module support.catch3; name it"):
        agent.evaluate(1)
    assert not OBJECTS
    assert agent.evaluate(1, env="support.catch3:Catch")["episodes"] == 1
    assert agent.evaluate(1)["episodes"] == 1, "it was named in this program"


def test_a_file_cannot_have_a_command_called(tmp_path):
    agent = numasync.train(Catch, env_kwargs={"first": True}, **SHORT)
    evil = agent.spec._replace(id="os:system", env_kwargs={"command": f"touch {tmp_path / 'ran'}"})
    numasync.Agent(agent.config, evil, agent.theta).save(tmp_path / "evil.npz")
    loaded = numasync.load(tmp_path / "evil.npz")
    with pytest.raises(InputError, match="would call a function"):
        loaded.evaluate(1)
    with pytest.raises(InputError, match="would call a function"):
        loaded.env_to_play()
    assert not (tmp_path / "ran").exists()


# --- Resume


def stopped_run(folder, env, **options):
    """Write the folder of a run that has more steps to make."""
    numasync.train(env, out=folder, checkpoint_every=10, **{**SHORT, **options})
    as_in_another_program()
    return folder


@pytest.mark.parametrize("env", [make_flat, lambda: FlattenObservation(Catch())], ids=["function", "lambda"])
def test_a_run_of_a_function_goes_on_where_the_user_gives_it(tmp_path, env):
    run = stopped_run(tmp_path / "run", env)
    with pytest.raises(InputError) as refusal:
        numasync.resume(run, steps=200)
    assert is_one_sentence(str(refusal.value)) and "yourself: env=" in str(refusal.value)
    agent = numasync.resume(run, steps=200, env=make_flat)
    assert agent.result["steps"] >= 200 and agent.spec.id == f"{__name__}:make_flat"
    assert json.loads((run / "config.json").read_text())["env"] == agent.spec.id


def test_a_run_does_not_go_on_with_another_environment(tmp_path):
    run = stopped_run(tmp_path / "run", make_flat)
    before = contents(run)
    with pytest.raises(InputError, match="is not what the agent was trained on"):
        numasync.resume(run, steps=200, env=Catch)
    with pytest.raises(InputError, match="cannot play CartPole-v1"):
        numasync.resume(run, steps=200, env="CartPole-v1")
    with pytest.raises(InputError, match="only a file has named it"):
        numasync.resume(run, steps=200)
    assert contents(run) == before, "also its result is still there"
    assert numasync.resume(run, steps=200, env=make_flat).result["steps"] >= 200


@pytest.mark.compiled
def test_a_run_of_a_jitted_environment_does_not_go_on_in_python(tmp_path):
    run = stopped_run(tmp_path / "run", "CartPole-v1")
    before = contents(run)
    for env in ("gymnasium:CartPole-v1", lambda: gymnasium.make("CartPole-v1")):
        with pytest.raises(InputError, match="was begun with an environment that is jitted; .* is in Python"):
            numasync.resume(run, steps=200, env=env)
    assert contents(run) == before


@pytest.mark.compiled
def test_a_run_of_a_game_goes_on_with_a_function_in_its_place(tmp_path):
    run = stopped_run(tmp_path / "run", "ALE/Pong-v5", env_kwargs={"max_episode_steps": 20}, normalize=False)
    space, actions = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8), gymnasium.spaces.Discrete(6)
    with pytest.warns(RuntimeWarning, match="begin anew"):
        agent = numasync.resume(run, steps=80, env=lambda max_episode_steps: SampleEnv(space, actions))
    assert agent.result["steps"] >= 80


# --- The command line

GAME = """
import gymnasium
from gymnasium.wrappers import TimeLimit
def make_lake(length=20, **kwargs):
    return TimeLimit(gymnasium.make("FrozenLake-v1", **kwargs), length)
"""


def run_command(folder, *words):
    done = subprocess.run([sys.executable, "-m", "numasync", *words], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.compiled
def test_the_command_line_trains_evaluates_and_resumes_a_function_of_a_module(tmp_path):
    (tmp_path / "lake.py").write_text(GAME)
    options = ("--steps", "60", "--workers", "1", "--final-eval-episodes", "2", "--out", "run", "--quiet")
    kwargs = ("--env-kwargs", "length=5", "is_slippery=false")
    assert run_command(tmp_path, "--env", "lake:make_lake", *kwargs, *options) == (0, "", "")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["env_kwargs"] == {
        "length": 5,
        "is_slippery": False,
    }
    code, _, said = run_command(tmp_path, "eval", "run/checkpoint.npz", "--episodes", "2")
    assert code == 2 and "--env lake:make_lake" in said
    code, out, _ = run_command(tmp_path, "eval", "run/checkpoint.npz", "--episodes", "2", "--env", "lake:make_lake")
    assert code == 0 and "2 episodes" in out
    code, _, said = run_command(tmp_path, "resume", "run", "--steps", "120", "--quiet")
    assert code == 2 and "--env lake:make_lake" in said
    code, _, said = run_command(tmp_path, "resume", "run", "--steps", "120", "--quiet", "--env", "lake:make_lake")
    assert code == 0, said
    code, _, said = run_command(tmp_path, "--config", "run/config.json", "--out", "other", "--quiet")
    assert code == 2 and "--env lake:make_lake" in said and not (tmp_path / "other").exists()
