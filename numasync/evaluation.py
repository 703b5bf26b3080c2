"""Playing without learning: one action, one episode, and the score of many."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from numasync.envs import make_env
from numasync.envs.interface import LIFE_LOST, RESET_TYPE, RUNNING, STEP_TYPE
from numasync.errors import NotFiniteError
from numasync.jit import DOUBLE, DOUBLES, FLOAT, INT, MATRIX, VECTOR, WORDS, compile_for, kernel, type_of
from numasync.memory import own_copy, own_zeros
from numasync.nn.network import forward, outputs_of
from numasync.policy import choose
from numasync.rng import seed_row

# Episodes are dealt to this many evaluators in turn, each with its own environment and random stream. The number is
# fixed so that a score does not depend on how many cores the machine has.
EVALUATORS = 4
EVALUATION_STREAM = 1_000_000
# 30 emulator minutes at 60 frames a second and 4 frames an action; an environment without a time limit stops here
# too.
MAX_ACTIONS = 27_000


@kernel
def act(table, theta, obs, tape, policy, epsilon, n_actions, rng):
    """An action for the observation in obs[0]. obs: (1, inputs); tape: the network's width."""
    forward(table, theta, obs, tape, 0, 1)
    return choose(policy, outputs_of(table, tape, 1)[0, :n_actions], epsilon, rng)


@kernel
def play_episode(table, theta, obs, tape, policy, epsilon, n_actions, rng, env_state, reset, step):
    """Play one episode, of MAX_ACTIONS at most; return its score, the sum of unclipped rewards."""
    score, length, end = 0.0, 0, RUNNING
    reset(env_state, rng, obs[0])
    while (end == RUNNING or end == LIFE_LOST) and length < MAX_ACTIONS:
        action = act(table, theta, obs, tape, policy, epsilon, n_actions, rng)
        reward, end = step(env_state, action, rng, obs[0])
        score += reward
        length += 1
    return score


def compile_play(table):
    """Compile play_episode, before threads start."""
    arguments = (type_of(table), VECTOR, MATRIX, VECTOR, INT, DOUBLE, INT, WORDS)
    compile_for(play_episode, *arguments, DOUBLES, RESET_TYPE, STEP_TYPE)


def play_episodes(env_id, network, theta, policy, epsilon, episodes, seed):
    """Scores of `episodes` episodes, a list in the order of their number. policy, epsilon: see `policy.choose`."""
    stop = threading.Event()
    envs = [make_env(env_id) for _ in range(min(EVALUATORS, episodes))]
    compile_play(network.table)

    def share(number, env):
        obs = own_zeros((1, network.n_inputs), FLOAT)
        tape = own_zeros((network.width,), FLOAT)
        rng = own_copy(seed_row(seed, EVALUATION_STREAM + number))
        state = env.new_state()
        numbers = range(number, episodes, len(envs))
        data = (network.table, theta, obs, tape, policy, epsilon, env.spec.n_actions, rng, state, env.reset, env.step)
        return [(i, play_episode(*data)) for i in numbers if not stop.is_set()]

    try:
        with ThreadPoolExecutor(len(envs)) as pool:
            try:
                shares = list(pool.map(share, range(len(envs)), envs))
            except BaseException:
                stop.set()
                raise
    finally:
        for env in envs:
            env.close()
    return [score for _, score in sorted(pair for part in shares for pair in part)]


def summary(scores):
    """Episodes, mean, standard deviation (of the sample), min and max of a list of scores, as JSON can hold them."""
    if not np.isfinite(scores).all():
        raise NotFiniteError("The score of an episode is not finite; the environment's rewards must be.")
    deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    return {
        "episodes": len(scores),
        "mean": float(np.mean(scores)),
        "std": deviation,
        "min": float(np.min(scores)),
        "max": float(np.max(scores)),
    }
