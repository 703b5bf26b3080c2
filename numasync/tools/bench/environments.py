"""Measure environments alone: random players on 1 to N threads, each with an environment of its own."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

import numpy as np

from numasync.envs import make_env
from numasync.envs.spec import RESET_TYPE, STEP_TYPE, episode_over
from numasync.runtime.affinity import core_per_thread, pinned
from numasync.runtime.jit import FLOAT, compile_for, float32_1d, float64_1d, int64, kernel, uint64_1d
from numasync.runtime.rng import choice, seed_row
from numasync.tools.bench.measure import take_turns
from numasync.tools.bench.section import Options, Section
from numasync.tools.bench.workloads import CARTPOLE, MINATAR, PONG, find_usable

# Steps between two looks at the clock.
JITTED_STEPS, PYTHON_STEPS = 5_000, 10


def measure(options: Options) -> Section:
    """Measure the steps per second of each environment at each number of threads."""
    found, notes = find_usable(CARTPOLE, MINATAR, PONG)
    readings: dict[tuple[str, int], Callable[[], float]] = {}
    for env_id in found:
        for threads in options.workers:
            readings[env_id, threads] = partial(measure_speed, make_players(env_id, threads), options.turn)
    samples = take_turns(readings, options.repetitions)
    rows = []
    for env_id, threads in readings:
        rate, first = (median(samples[env_id, n]) for n in (threads, options.workers[0]))
        rows.append({"environment": env_id, "threads": threads, "steps_per_s": rate, "scaling": rate / first})
    return {"rows": rows, "summary": {}, "notes": notes}


def make_players(env_id: str, threads: int) -> "list[RandomPlayer]":
    """Return a RandomPlayer for each thread. Its environment is made on the core that the thread will be pinned to."""
    players = []
    for i, core in enumerate(core_per_thread(threads)):
        with pinned(core):
            players.append(RandomPlayer(env_id, i))
    return players


def measure_speed(players: "Sequence[RandomPlayer]", seconds: float) -> float:
    """Return the steps per second of all players together, each in a thread of its own, over `seconds`."""
    end = time.perf_counter() + seconds

    def play(player: RandomPlayer, core: int | None) -> float:
        with pinned(core):
            steps, begin = 0, time.perf_counter()
            while time.perf_counter() < end or not steps:
                player.play(player.chunk)
                steps += player.chunk
            return steps / (time.perf_counter() - begin)

    with ThreadPoolExecutor(len(players)) as pool:
        return sum(pool.map(play, players, core_per_thread(len(players))))


class RandomPlayer:
    """Plays uniformly random actions in an environment of its own.

    chunk  a number of steps that takes a few milliseconds
    """

    def __init__(self, env_id: str, number: int) -> None:
        self.env = make_env(env_id)
        self.chunk = JITTED_STEPS if self.env.jitted else PYTHON_STEPS
        self.state, self.rng = self.env.new_state(), seed_row(1, number)
        self.obs = np.zeros(int(np.prod(self.env.spec.observation.network_shape)), FLOAT)
        compile_for(play_random, int64, int64, float64_1d, uint64_1d, float32_1d, RESET_TYPE, STEP_TYPE)
        self.env.reset(self.state, self.rng, self.obs)

    def play(self, steps: int) -> None:
        """Play some steps, from episode to episode."""
        n_actions = self.env.spec.n_actions
        play_random(steps, n_actions, self.state, self.rng, self.obs, self.env.reset, self.env.step)


@kernel
def play_random(steps, n_actions, state, rng, obs, reset, step):
    """Play some steps of random actions, from episode to episode. reset, step: see `envs/spec.py`."""
    for _ in range(steps):
        _, end = step(state, choice(rng, n_actions), rng, obs)
        if episode_over(end):
            reset(state, rng, obs)
