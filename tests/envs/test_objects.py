"""Environments that are given as an object: which id each has, what is refused, and what makes it."""

import functools

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation
from support.catch3 import Catch
from support.text import is_one_sentence

from numasync import InputError
from numasync.envs import OBJECTS, make_env
from numasync.envs.objects import as_env_id


@pytest.fixture(autouse=True)
def clear_objects():
    """Leave no object for the next test."""
    yield
    OBJECTS.clear()


def make_catch(**kwargs):
    return Catch(**kwargs)


def make_local():
    def make():
        return Catch()

    return make


def test_what_a_program_can_import_has_the_id_that_imports_it():
    assert as_env_id(Catch) == "support.catch3:Catch" == as_env_id("support.catch3:Catch")
    assert as_env_id(make_catch) == f"{__name__}:make_catch"
    assert make_env("support.catch3:Catch").spec.id == "support.catch3:Catch"


def test_what_no_program_can_import_has_a_readable_id_of_its_own():
    first, second, makers = make_local(), make_local(), [lambda: Catch() for _ in range(2)]
    assert [as_env_id(make) for make in (first, second, first)] == [
        "function make",
        "function make 2",
        "function make",
    ]
    line = makers[0].__code__.co_firstlineno
    found = [as_env_id(make) for make in makers]
    assert found == [f"lambda in line {line} of test_objects.py", f"lambda in line {line} of test_objects.py 2"]
    assert as_env_id(functools.partial(Catch, first=True)) == "partial of class Catch"
    assert as_env_id(type("Own", (Catch,), {})) == "class Own"


def test_an_object_makes_a_new_environment_for_each_user_of_it():
    env_id = as_env_id(lambda: FlattenObservation(Catch()))
    one, other = make_env(env_id), make_env(env_id)
    assert one.env.unwrapped is not other.env.unwrapped
    assert one.spec.id == env_id and one.spec.observation.shape == (147,) and one.spec.family == "classic"


def test_a_class_that_shares_its_name_with_a_registered_environment_is_not_confused_with_it(monkeypatch):
    spec = gymnasium.envs.registration.EnvSpec("Catch-v5", "support.catch3:Catch", kwargs={"width": 9})
    monkeypatch.setitem(gymnasium.registry, "Catch-v5", spec)
    assert make_env(as_env_id("support.catch3:Catch-v5")).spec.observation.shape == (7, 9, 3)
    assert as_env_id(Catch) == "class Catch"
    assert make_env("class Catch").spec.observation.shape == (7, 7, 3)


# --- EnvSpecs


def test_an_env_spec_as_it_is_registered_means_its_id():
    for spec in (gymnasium.spec("CartPole-v1"), gymnasium.make("CartPole-v1", render_mode="rgb_array").spec):
        assert as_env_id(spec) == "CartPole-v1" and make_env(as_env_id(spec)).jitted
    assert as_env_id(gymnasium.spec("FrozenLake-v1")) == "FrozenLake-v1"


def test_an_env_spec_with_changes_makes_what_it_says():
    short = make_env(as_env_id(gymnasium.make("CartPole-v1", max_episode_steps=7).spec))
    assert short.spec.id == "EnvSpec CartPole-v1" and not short.jitted and short.max_episode_steps == 7
    wrapped = make_env(as_env_id(FlattenObservation(gymnasium.make("FrozenLake-v1", is_slippery=False)).spec))
    assert wrapped.spec.observation.shape == (16,) and wrapped.env.unwrapped.spec.kwargs["is_slippery"] is False
    unknown = gymnasium.envs.registration.EnvSpec("Unknown-v0", "support.catch3:Catch", kwargs={"width": 9})
    assert make_env(as_env_id(unknown)).spec.observation.shape == (7, 9, 3)


def test_an_env_spec_of_a_game_of_ale_gets_the_preprocessing():
    make_env("ALE/Pong-v5").close()  # registers the games
    env = make_env(as_env_id(gymnasium.make("ALE/Pong-v5", full_action_space=True).spec))
    assert env.spec.family == "atari" and env.spec.n_actions == 18 and env.spec.observation.shape == (4, 84, 84)
    env.close()


# --- What is refused


def refused(env, **options):
    with pytest.raises(InputError) as refusal:
        make_env(as_env_id(env), **options)
    assert is_one_sentence(str(refusal.value))
    return str(refusal.value)


def test_an_environment_itself_is_refused_with_the_function_that_would_do():
    assert 'train(lambda: gym.make("CartPole-v1")).' in refused(gymnasium.make("CartPole-v1"))
    assert "train(lambda: Catch(...))." in refused(Catch())
    assert "train(lambda: FlattenObservation(...))." in refused(FlattenObservation(Catch()))


@pytest.mark.parametrize("env", [3, None, b"CartPole-v1", ["CartPole-v1"], gymnasium.spaces.Discrete(2)], ids=repr)
def test_anything_else_is_refused_with_what_is_allowed(env):
    message = refused(env)
    assert "an id such as 'CartPole-v1', an EnvSpec of Gymnasium, or a function or a class" in message


def fails():
    raise ValueError("no maze today")


def test_a_function_that_makes_no_environment_is_named():
    assert refused(fails) == f"{__name__}:fails makes no environment: ValueError: no maze today."
    assert "returns 3; it must return a new gymnasium.Env" in refused(lambda: 3)
    message = refused(lambda: gymnasium.make_vec("CartPole-v1", num_envs=2))
    assert "must return a new gymnasium.Env" in message


def test_a_function_that_returns_one_environment_again_and_again_is_refused():
    shared = Catch()
    make = lambda: FlattenObservation(shared)  # noqa: E731
    first = make_env(as_env_id(make))
    assert "returns the same environment again" in refused(make)
    first.close()


def test_a_module_without_the_function_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for env_id in ("support.catch3:Cach", "nosuchmodule:make"):
        with pytest.raises(InputError, match=rf"^'{env_id}' is no environment that Gymnasium can make"):
            make_env(as_env_id(env_id))


# --- Code that only a file names


@pytest.mark.parametrize("env_id", ["os:system", "support.catch3:Catch", "subprocess:run"])
def test_an_id_that_nobody_has_named_calls_nothing(env_id):
    with pytest.raises(InputError, match="only a file has named it"):
        make_env(env_id, env_kwargs={"command": "false"})
    assert env_id not in OBJECTS


def test_an_id_of_another_program_says_how_to_give_the_environment():
    with pytest.raises(InputError, match=r"^lambda in line 3 of train.py is known only to the program that made it"):
        make_env("lambda in line 3 of train.py")


def test_the_numbers_of_an_environment_do_not_depend_on_how_it_is_given():
    obs = []
    for env_id in (as_env_id(Catch), as_env_id(lambda: Catch())):
        env = make_env(env_id)
        out, rng = np.zeros(147, np.float32), np.array([1, 2, 3, 4], np.uint64)
        env.on_reset(rng, out)
        obs.append(out)
    np.testing.assert_array_equal(*obs)
