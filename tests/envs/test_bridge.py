"""Environments in Python: the kernels that call them back, and the table of their handles."""

import gc
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from gymnasium import spaces
from support.gym_envs import registered_env
from support.players import Player

from numasync.envs import make_env
from numasync.envs.observation import Observation
from numasync.envs.python.bridge import OPEN_ENVS, PythonEnv
from numasync.envs.spec import RUNNING, TRUNCATED, EnvSpec
from numasync.errors import InputError
from numasync.runtime.jit import DISABLED


class Counting(PythonEnv):
    """Counts its steps up from the number with which it begins, and shows them with the action."""

    def __init__(self, first=0):
        super().__init__(EnvSpec("Counting", "classic", Observation("vector", (2,)), 3))
        self.first = first

    def on_reset(self, rng, obs):
        self.n = self.first
        obs[:] = self.n, -1

    def on_step(self, action, rng, obs):
        self.n += 1
        obs[:] = self.n, action
        return np.float32(self.n) / 2, np.int64(TRUNCATED if self.n % 2 else RUNNING)


def test_the_kernels_of_environments_in_python_find_each_its_own():
    players = [Player(Counting(first)) for first in (10, 20)]
    assert players[0].env.step is players[1].env.step
    assert [player.reset().tolist() for player in players] == [[10, -1], [20, -1]]
    for n in (1, 2):
        for player, first in zip(players, (10, 20)):
            obs, reward, end = player.step(2)
            assert (obs.tolist(), reward, end) == ([first + n, 2], (first + n) / 2, TRUNCATED if n == 1 else RUNNING)


def test_handles_are_freed_by_close_and_not_used_again():
    envs = [Counting() for _ in range(3)]
    handles = [int(env.new_state()[0]) for env in envs]
    assert len(set(handles)) == 3 and all(OPEN_ENVS[handle] is env for handle, env in zip(handles, envs))
    envs[1].close()
    envs[1].close()
    assert [handle in OPEN_ENVS for handle in handles] == [True, False, True]
    assert Counting().new_state()[0] > max(handles)


def test_an_environment_that_nobody_knows_any_more_goes_without_being_closed():
    player = Player(Counting())
    player.reset(), player.step(1)
    handle = player.env.handle
    del player
    gc.collect()
    assert handle not in OPEN_ENVS


def test_an_environment_that_is_refused_has_no_handle():
    open_before = set(OPEN_ENVS)
    with registered_env(spaces.Dict(a=spaces.Discrete(2))) as env_id, pytest.raises(InputError):
        make_env(env_id)
    assert set(OPEN_ENVS) <= open_before


@pytest.mark.parametrize(("result", "error"), [(None, TypeError), (("much", 0), ValueError), ((1.0, 0, 0), ValueError)])
def test_a_step_that_returns_something_else_raises(result, error):
    env = Counting()
    env.on_step = lambda *arguments: result
    with pytest.raises(error):
        Player(env).step(0)


@pytest.mark.skipif(DISABLED, reason="nothing is compiled")
def test_the_kernels_compile_without_a_warning_and_only_where_they_are_needed(tmp_path):
    code = """if True:
        import sys, warnings, numba
        warnings.simplefilter("error", numba.NumbaWarning)
        from numasync.envs import make_env
        make_env("Catch-v0")
        assert "numasync.envs.python.bridge" not in sys.modules
        env = make_env("gymnasium:CartPole-v1")
        print(*[sum(kernel.stats.cache_hits.values()) for kernel in (env.reset, env.step)])"""
    folder = {"NUMASYNC_CACHE_DIR": str(tmp_path)}
    command, options = [sys.executable, "-c", code], dict(env=os.environ | folder, text=True)
    assert [subprocess.check_output(command, **options).split() for _ in range(2)] == [["0", "0"], ["1", "1"]]


@pytest.mark.parametrize("reward", [np.array([1.5]), np.array(1.5), np.array([[1.5]], np.float32), Fraction(3, 2), 1.5])
def test_a_reward_is_a_number_of_any_kind_or_an_array_with_one(reward):
    class Paying(Counting):
        def on_step(self, action, rng, obs):
            return reward, RUNNING

    player = Player(Paying())
    player.reset()
    assert player.step(0)[1:] == (1.5, RUNNING)
