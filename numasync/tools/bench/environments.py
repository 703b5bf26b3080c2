"""Environments alone: random actions, from 1 to N threads, each with an environment of its own."""

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np

from numasync.envs import make_env
from numasync.envs.spec import RESET_TYPE, STEP_TYPE, TERMINATED, TRUNCATED
from numasync.runtime.affinity import core_per_thread, pinned
from numasync.runtime.jit import FLOAT, compile_for, float32_1d, float64_1d, int64, kernel, uint64_1d
from numasync.runtime.rng import choice, seed_row
from numasync.tools.bench.measure import in_turn
from numasync.tools.bench.subjects import CARTPOLE, MINATAR, PONG, usable

# Actions between two looks at the clock.
JITTED_ACTIONS, PYTHON_ACTIONS = 5_000, 10


def measure(options):
    found, notes = usable(CARTPOLE, MINATAR, PONG)
    readings = {}
    for env_id in found:
        for threads in options.workers:
            players = players_of(env_id, threads)
            readings[env_id, threads] = lambda players=players: speed(players, options.turn)
    samples = in_turn(readings, options.repetitions)
    rows = []
    for env_id, threads in readings:
        rate, first = (median(samples[env_id, n]) for n in (threads, options.workers[0]))
        rows.append({"environment": env_id, "threads": threads, "steps_per_s": rate, "scaling": rate / first})
    return {"rows": rows, "summary": {}, "notes": notes}


def players_of(env_id, threads):
    """As many RandomPlayers, each with its environment where a worker of so many threads would sit."""
    players = []
    for i, core in enumerate(core_per_thread(threads)):
        with pinned(core):
            players.append(RandomPlayer(env_id, i))
    return players


def speed(players, seconds):
    """Actions a second of all players together, each in a thread of its own."""
    end = time.perf_counter() + seconds

    def play(player, core):
        with pinned(core):
            played, begin = 0, time.perf_counter()
            while time.perf_counter() < end or not played:
                player.play(player.chunk)
                played += player.chunk
            return played / (time.perf_counter() - begin)

    with ThreadPoolExecutor(len(players)) as pool:
        return sum(pool.map(play, players, core_per_thread(len(players))))


class RandomPlayer:
    """Plays uniformly random actions; `chunk` of them are few milliseconds."""

    def __init__(self, env_id, number):
        self.env = make_env(env_id)
        self.chunk = JITTED_ACTIONS if self.env.jitted else PYTHON_ACTIONS
        self.state, self.rng = self.env.new_state(), seed_row(1, number)
        self.obs = np.zeros(int(np.prod(self.env.spec.observation.network_shape)), FLOAT)
        compile_for(play_random, int64, int64, float64_1d, uint64_1d, float32_1d, RESET_TYPE, STEP_TYPE)
        self.env.reset(self.state, self.rng, self.obs)

    def play(self, actions):
        n_actions = self.env.spec.n_actions
        play_random(actions, n_actions, self.state, self.rng, self.obs, self.env.reset, self.env.step)


@kernel
def play_random(actions, n_actions, state, rng, obs, reset, step):
    """Play on for so many actions, from episode to episode."""
    for _ in range(actions):
        _, end = step(state, choice(rng, n_actions), rng, obs)
        if end == TERMINATED or end == TRUNCATED:
            reset(state, rng, obs)
