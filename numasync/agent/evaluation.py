"""Playing without learning: one action, one episode, and the score of many."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from numasync.algorithms.policy import choose_into
from numasync.envs import make_env
from numasync.envs.spec import TERMINATED, TRUNCATED
from numasync.errors import NotFiniteError
from numasync.nn.network import copy_state, forward, outputs_of, reset_state
from numasync.runtime.jit import (
    FLOAT,
    compile_for,
    float32_1d,
    float32_2d,
    float64,
    float64_1d,
    int64,
    kernel,
    type_of,
    uint64_1d,
)
from numasync.runtime.memory import aligned_copy, aligned_zeros
from numasync.runtime.rng import seed_row

# Episodes are dealt to this many evaluators in turn, each with its own environment and random stream. The number is
# fixed so that a score does not depend on how many cores the machine has.
EVALUATORS = 4
EVALUATION_STREAM, PERIODIC_EVAL_STREAM = 1_000_000, 2_000_000
# 30 emulator minutes at 60 frames a second and 4 frames an action; an environment without a time limit stops here
# too.
MAX_ACTIONS = 27_000
CALL_ACTIONS = 1_000  # then Python looks in


@kernel
def act(table, theta, obs, tape, actions, policy, epsilon, n_actions, rng):
    """Choose actions[0] for the observation in obs[0], which the tape remembers; each has room for one row."""
    forward(table, theta, obs, tape, 0, 1)
    copy_state(table, tape, 1, tape, 0, 1)
    choose_into(actions, 0, policy, outputs_of(table, tape, 1)[0], n_actions, epsilon, rng)


@kernel
def play_steps(table, theta, obs, tape, actions, policy, epsilon, n_actions, rng, env_state, step, episode, most):
    """Play up to `most` more actions of an episode that `reset` has begun; true once it is over. episode: score, the
    sum of unclipped rewards, and length so far, (2,)."""
    for _ in range(most):
        act(table, theta, obs, tape, actions, policy, epsilon, n_actions, rng)
        reward, end = step(env_state, actions[0], rng, obs[0])
        episode[0] += reward
        episode[1] += 1.0
        if end == TERMINATED or end == TRUNCATED:
            return True
    return False


def compile_play(table, spec):
    """Compile play_on for the actions of an EnvSpec, before threads start."""
    arguments = (type_of(table), float32_1d, float32_2d, float32_1d, type_of(spec.new_actions(1)), int64, float64, int64, uint64_1d)
    compile_for(play_steps, *arguments, float64_1d, spec.step_type, float64_1d, int64)


class Player:
    """Plays episodes of one environment with fixed parameters. scorer: see `play_episodes`."""

    def __init__(self, env, evaluation_policy, theta, rng):
        network, policy, epsilon = evaluation_policy
        self.env, self.rng, self.state, self.network = env, aligned_copy(rng), env.new_state(), network
        self.obs = aligned_zeros((1, network.n_inputs), FLOAT)
        self.tape = network.tape(1)
        actions = env.spec.new_actions(1)
        self.data = (network.table, theta, self.obs, self.tape, actions, policy, epsilon, env.spec.n_actions)

    def score(self, stop):
        """The score of one episode, of MAX_ACTIONS at most; of what was played of it where `stop` was set meanwhile."""
        episode = np.zeros(2)
        self.env.reset(self.state, self.rng, self.obs[0])
        reset_state(self.network.table, self.tape, 0, 1)
        while episode[1] < MAX_ACTIONS and not stop.is_set():
            actions = min(CALL_ACTIONS, MAX_ACTIONS - int(episode[1]))
            if play_steps(*self.data, self.rng, self.state, self.env.step, episode, actions):
                break
        return episode[0]


def play_episodes(spec, evaluation_policy, theta, episodes, seed, stream=EVALUATION_STREAM, stop=None):
    """Scores of `episodes` episodes, a list in the order of their number.

    spec: the EnvSpec of the environment. scorer: a Network, and the policy and epsilon of `policy.choose`. stop: an
    Event; once it is set, the scores are worth nothing. Raises InputError where the environment of that id is no
    longer as `spec` says.
    """
    stop = stop or threading.Event()
    envs = [make_env(spec.id, observation=spec.observation) for _ in range(min(EVALUATORS, episodes))]

    def share(number, env):
        player = Player(env, evaluation_policy, theta, seed_row(seed, stream + number))
        return [(i, player.score(stop)) for i in range(number, episodes, len(envs)) if not stop.is_set()]

    try:
        spec.check_compatible(envs[0].spec)
        compile_play(evaluation_policy[0].table, spec)
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
