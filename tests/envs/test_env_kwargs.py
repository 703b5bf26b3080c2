"""Keywords for an environment: what they may hold, what each kind of environment takes, and who keeps them."""

import dataclasses
import json

import numpy as np
import pytest
from support.catch3 import Catch
from support.text import is_one_sentence

import numasync
from numasync import Config, InputError, cli, dense
from numasync.commands.options import parse_keyword
from numasync.envs import OBJECTS, make_env
from numasync.envs.kwargs import as_kwargs
from numasync.envs.objects import as_env_id


@pytest.fixture(autouse=True)
def clear_objects():
    """Leave no object for the next test."""
    yield
    OBJECTS.clear()


def test_keywords_are_kept_as_json_holds_them():
    given = {"size": (5, np.int64(6)), "p": np.float32(0.5), "on": np.True_, "name": "x", "none": None, "d": {"a": [1]}}
    kept = as_kwargs(given)
    assert kept == {"size": [5, 6], "p": 0.5, "on": True, "name": "x", "none": None, "d": {"a": [1]}}
    assert json.loads(json.dumps(kept)) == kept and kept is not given
    assert as_kwargs({}) is None and as_kwargs(None) is None


@pytest.mark.parametrize(
    "value",
    [3, "mode=1", [("mode", 1)], {1: 2}, {"a": {1, 2}}, {"a": np.zeros(2)}, {"a": float("nan")}, {"a": print}]
    + [{"a": 1j}, {"a": b"x"}, {"a": {1: 2}}, {"a": 2**70}, {"a": "x" * 20_000}],
    ids=lambda value: str(value)[:20],
)
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(InputError) as refusal:
        Config(env_kwargs=value)
    assert is_one_sentence(str(refusal.value)) and "env_kwargs" in str(refusal.value)


def test_a_value_that_json_cannot_hold_recommends_a_function():
    with pytest.raises(InputError, match=r"env=lambda: make_game\(reward=\.\.\.\)\.$"):
        as_kwargs({"reward": print})


@pytest.mark.parametrize(
    ("word", "pair"),
    [
        ("mode=1", ("mode", 1)),
        ("p=0.25", ("p", 0.25)),
        ("on=True", ("on", True)),
        ("on=true", ("on", True)),
        ("x=null", ("x", None)),
        ("map_name=8x8", ("map_name", "8x8")),
        ("size=[1, 2]", ("size", [1, 2])),
        ("size=(1, 2)", ("size", (1, 2))),
        ("name='1'", ("name", "1")),
        ("text=", ("text", "")),
        ("text=a=b", ("text", "a=b")),
    ],
)
def test_a_word_of_the_command_line_is_a_key_and_a_value(word, pair):
    assert parse_keyword(word) == pair


@pytest.mark.parametrize("word", ["mode", "=1", "1=2", "a b=1", ""])
def test_a_word_without_a_key_is_refused(word, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--env-kwargs", word])
    assert ended.value.code == 2 and "is no KEY=VALUE, such as mode=1" in capsys.readouterr().err


def test_flags_with_keywords_add_up():
    words = ["train", "--env-kwargs", "a=1", "b=2", "--env-kwargs", "b=3", "--steps", "10"]
    assert vars(cli.parser().parse_args(words))["env_kwargs"] == {"a": 1, "b": 3}


# --- Environments


def test_every_kind_of_python_environment_takes_them():
    assert make_env("FrozenLake-v1", env_kwargs={"map_name": "8x8"}).spec.observation.shape == (64,)
    assert make_env("FrozenLake-v1", env_kwargs={"max_episode_steps": 9}).max_episode_steps == 9
    for env in (Catch, lambda **kwargs: Catch(**kwargs), lambda width: Catch(width=width)):
        spec = make_env(as_env_id(env), env_kwargs={"width": 9}).spec
        assert spec.observation.shape == (7, 9, 3) and spec.env_kwargs == {"width": 9}


@pytest.mark.parametrize(
    ("env", "kwargs", "message"),
    [
        ("CartPole-v1", {"a": 1}, "Gymnasium's version takes them: env='gymnasium:CartPole-v1'"),
        ("Catch-v0", {"a": 1}, "Catch-v0 is jitted and takes no env_kwargs (--env-kwargs)."),
        ("gymnasium:CartPole-v1", {"sutton_barto": 1}, "takes no 'sutton_barto'; you may mean sutton_barto_"),
        ("FrozenLake-v1", {"slippery": 1}, "FrozenLake-v1 takes no 'slippery'; you may mean is_slippery "),
        ("FrozenLake-v1", {"map_name": "9x9"}, "FrozenLake-v1 cannot be made with map_name='9x9': KeyError: "),
        (Catch, {"widht": 1}, "takes no 'widht'; you may mean width "),
        (lambda: Catch(), {"width": 1}, "takes no 'width'; it takes no keyword "),
        ("ALE/Pong-v5", {"mod": 1}, "ALE/Pong-v5 takes no 'mod'; you may mean mode "),
        ("ALE/Pong-v5", {"game": "breakout"}, "ALE/Pong-v5 takes no 'game'; "),
        ("ALE/Pong-v5", {"mode": 9}, "its mode can be 0, 1, not 9."),
        ("ALE/Pong-v5", {"obs_type": "ram"}, "ALE/Pong-v5 has obs_type='ram', but "),
    ],
)
def test_a_keyword_that_an_environment_does_not_take_is_refused(env, kwargs, message):
    with pytest.raises(InputError) as refusal:
        make_env(as_env_id(env), env_kwargs=kwargs)
    assert message in str(refusal.value) and is_one_sentence(str(refusal.value))


# --- Who keeps them

SHORT = dict(workers=1, steps=60, final_eval_episodes=2, network=(dense(4),))


def test_agents_with_different_keywords_evaluate_on_their_own(tmp_path):
    agents = [numasync.train(Catch, env_kwargs=dict(width=width), **SHORT) for width in (5, 9)]
    for agent, width in zip(agents, (5, 9)):
        assert agent.spec.env_kwargs == agent.config.env_kwargs == {"width": width}
        assert agent.network.input_shape == (7, width, 3) and agent.evaluate(2) == agent.result["evaluation"]
        agent.save(tmp_path / "agent.npz")
        loaded = numasync.load(tmp_path / "agent.npz", env=Catch)
        assert loaded.spec.env_kwargs == {"width": width} and loaded.evaluate(2) == agent.evaluate(2)
    with pytest.raises(InputError, match="is not what the agent was trained on"):
        agents[0].evaluate(1, env_kwargs={"width": 9})


def test_an_agent_can_be_evaluated_and_watched_with_other_keywords(capsys):
    agent = numasync.train("FrozenLake-v1", env_kwargs={"is_slippery": False}, seed=3, **SHORT)
    limited = agent.evaluate(4, env_kwargs={"max_episode_steps": 1})
    assert limited["episodes"] == 4
    numasync.watch("FrozenLake-v1", agent, env_kwargs={"max_episode_steps": 1})
    assert "after 1 step" in capsys.readouterr().out


def test_a_run_writes_its_keywords_down_and_goes_on_with_them(tmp_path):
    options = dict(SHORT, deterministic=True, checkpoint_every=10)
    first = numasync.train("FrozenLake-v1", env_kwargs={"map_name": "8x8"}, out=tmp_path / "run", **options)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["env_kwargs"] == {"map_name": "8x8"}
    longer = numasync.resume(tmp_path / "run", steps=120)
    assert longer.spec.env_kwargs == {"map_name": "8x8"} and longer.result["steps"] >= 120
    assert numasync.load(tmp_path / "run" / "checkpoint.npz").spec == longer.spec
    assert first.spec.observation.shape == (64,)


def test_options_are_plain_data():
    assert json.loads(json.dumps(dataclasses.asdict(Config(env_kwargs={"a": (1,)}))))["env_kwargs"] == {"a": [1]}
