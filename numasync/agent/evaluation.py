"""Playing without learning: one action, one episode, and the scores of many episodes."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from numasync.agent.network import check_theta
from numasync.algorithms.policy import choose_into
from numasync.envs import make_env
from numasync.envs.spec import Environment, EnvSpec, episode_over, map_action
from numasync.errors import EvaluationError, InputError, NotFiniteError, failure_of
from numasync.nn.network import Network
from numasync.nn.passes import copy_state, forward, outputs_of, reset_state
from numasync.runtime.compilers import Compilers, Job
from numasync.runtime.jit import (
    FLOAT,
    float32_1d,
    float32_2d,
    float64,
    float64_1d,
    int64,
    int64_2d,
    kernel,
    type_of,
    uint64_1d,
)
from numasync.runtime.memory import aligned_copy, aligned_zeros
from numasync.runtime.rng import seed_row
from numasync.runtime.threads import make_pool

# Evaluators take the episodes in turn, each with its own environment and random stream. Their number is fixed, so that
# a score does not depend on the number of cores.
EVALUATORS = 4
EVALUATION_STREAM, PERIODIC_EVAL_STREAM = 1_000_000, 2_000_000

# An episode of an environment that does not name a limit of its own stops here, four times as far as one of Atari.
MAX_EPISODE_STEPS = 108_000

# How often those who wait for many episodes hear how many have ended.
POLL_SECONDS = 0.25

# Steps of one call of the kernel. Between two calls Python can stop the episode.
CALL_STEPS = 1_000


class EvaluationPolicy(NamedTuple):
    """How an agent acts in an evaluation.

    network     the Network
    policy      a policy of algorithms/policy.py
    epsilon     the probability of a random action, where the policy is epsilon-greedy
    action_map  from the policy's actions to the environment's, see EnvSpec
    """

    network: Network
    policy: int
    epsilon: float
    action_map: np.ndarray


class Scores(list[float]):
    """The scores of episodes, in their order.

    cut  how many of the episodes ended at MAX_EPISODE_STEPS, and not by their environment
    """

    cut = 0


def episode_limit(env: Environment) -> int:
    """Return the most steps that an evaluation plays of an episode. A limit of the environment itself counts."""
    return max(MAX_EPISODE_STEPS, env.max_episode_steps or 0)


@kernel
def act(actions, tape, obs, theta, table, action_map, policy, epsilon, n_actions, rng):
    """Choose an action for each row of obs, as the environment gets it. The tape keeps the hidden state.

    The tape has room for the rows of obs. A network with a hidden state takes them as steps of one episode.
    """
    rows = obs.shape[0]
    forward(tape, obs, theta, table, 0, rows)
    copy_state(tape, tape, table, 0, rows, rows)
    outputs = outputs_of(tape, table, rows)
    for i in range(rows):
        choose_into(actions, outputs[i], i, action_map, policy, n_actions, epsilon, rng)
        if actions.ndim == 2:
            map_action(actions[i], actions[i], action_map)


@kernel
def play_steps(
    episode, actions, tape, obs, theta, table, action_map, policy, epsilon, n_actions, rng, env_state, step, most
):
    """Play up to `most` more steps of an episode that `reset` has begun. Return true once the episode is over.

    episode  float64 (2,): the score so far, which is the sum of unclipped rewards, and the length so far
    """
    for _ in range(most):
        act(actions, tape, obs, theta, table, action_map, policy, epsilon, n_actions, rng)
        reward, end = step(env_state, actions[0], rng, obs[0])
        episode[0] += reward
        episode[1] += 1.0
        if episode_over(end):
            return True
    return False


def play_job(spec: EnvSpec) -> Job:
    """Return what play_steps must be compiled for: the actions of an EnvSpec."""
    arrays = (float64_1d, type_of(spec.new_actions(1)), float32_1d, float32_2d, float32_1d, int64_2d)
    policy = (type_of(spec.action_map), int64, float64, int64)
    return Job(play_steps, (*arrays, *policy, uint64_1d, float64_1d, spec.step_type, int64))


class EpisodePlayer:
    """Plays episodes of one environment with fixed parameters.

    env                the environment
    evaluation_policy  how to act
    theta              the parameters, float32 (n_parameters,)
    rng                uint64 (4,): a generator row; the player takes a copy
    """

    def __init__(
        self, env: Environment, evaluation_policy: EvaluationPolicy, theta: np.ndarray, rng: np.ndarray
    ) -> None:
        network, policy, epsilon, action_map = evaluation_policy
        check_theta(theta, network)
        self.cut = self.played = 0
        self.env, self.rng, self.state, self.network = env, aligned_copy(rng), env.new_state(), network
        self.obs = aligned_zeros((1, network.n_inputs), FLOAT)
        self.tape = network.tape(1)
        actions = env.spec.new_actions(1)
        how = (action_map, policy, epsilon, env.spec.n_actions)
        self.data = (actions, self.tape, self.obs, theta, network.table, *how)

    def score(self, stop: threading.Event) -> float:
        """Play one episode, of at most `episode_limit` steps, and return its score. Count it, also if it is cut there.

        stop  an event that ends the episode; the score so far is then returned
        """
        episode, limit = np.zeros(2), episode_limit(self.env)
        self.env.reset(self.state, self.rng, self.obs[0])
        reset_state(self.tape, self.network.table, 0, 1)
        while episode[1] < limit and not stop.is_set():
            steps = min(CALL_STEPS, limit - int(episode[1]))
            if play_steps(episode, *self.data, self.rng, self.state, self.env.step, steps):
                break
        else:
            self.cut += episode[1] >= limit
        self.played += 1
        return episode[0]


def play_episodes(
    spec: EnvSpec,
    evaluation_policy: EvaluationPolicy,
    theta: np.ndarray,
    episodes: int,
    seed: int,
    stream: int = EVALUATION_STREAM,
    stop: threading.Event | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Scores:
    """Play episodes with fixed parameters and return their scores in the order of the episodes.

    spec               the environment to play
    evaluation_policy  how to act
    theta              the parameters, float32 (n_parameters,)
    episodes           the number of episodes
    seed, stream       the random streams of the evaluators are `stream` and the numbers after it, of this seed
    stop               an event that ends the playing; the scores are then not valid
    on_progress        gets the number of episodes that have ended, every POLL_SECONDS, in this thread

    Raises InputError where the environment of that id is no longer as `spec` says, EvaluationError where it fails.
    """
    stop = stop or threading.Event()
    shares, making = min(EVALUATORS, episodes), threading.Lock()
    players: list[EpisodePlayer] = []

    def play_share(number: int) -> list[tuple[int, float]]:
        # The thread that plays an environment makes and closes it, because some may not leave their thread.
        with making:
            env = make_env(spec.id, observation=spec.observation, env_kwargs=spec.env_kwargs)
        with closing(env):
            spec.check_compatible(env.spec)
            player = EpisodePlayer(env, evaluation_policy, theta, seed_row(seed, stream + number))
            players.append(player)
            try:
                return [(i, player.score(stop)) for i in range(number, episodes, shares) if not stop.is_set()]
            except (Exception, SystemExit) as error:  # some environments leave the program when their window is closed
                stop.set()  # the other threads
                raise EvaluationError(failure_of("An evaluation", error)) from error

    jobs = [play_job(spec), *evaluation_policy.network.jobs()]
    with Compilers(jobs) as compilers:
        compilers.compile(jobs)
    with make_pool(shares) as pool:
        try:
            futures = [pool.submit(play_share, number) for number in range(shares)]
            while wait(futures, POLL_SECONDS).not_done:
                if on_progress:
                    on_progress(sum(player.played for player in players))
            played = play_in_turn_if_needed(pool, play_share, futures)
        except BaseException:
            stop.set()
            raise
    scores = Scores(score for _, score in sorted(pair for pairs in played for pair in pairs))
    scores.cut = sum(player.cut for player in players)
    return scores


def play_in_turn_if_needed(
    pool: Executor,
    play_share: Callable[[int], list[tuple[int, float]]],
    futures: list[Future[list[tuple[int, float]]]],
) -> list[list[tuple[int, float]]]:
    """Return what the shares have played. Play in turn those whose environment cannot be made beside the others.

    Some environments hold what there is only once, such as a port. Raises InputError where not even one can be made.

    futures  the shares, which were played at once
    """
    again = [number for number, future in enumerate(futures) if isinstance(future.exception(), InputError)]
    for number in again:
        futures[number] = pool.submit(play_share, number)
        wait(futures[number : number + 1])
    return [future.result() for future in futures]


def summarize(scores: Any) -> dict[str, Any]:
    """Return episodes (their number), mean, std (of the sample), min and max of a sequence of scores: a dict for JSON.

    It also has `cut` where episodes were cut, see `Scores`.

    Raises NotFiniteError if a score is NaN or infinite.
    """
    if not np.isfinite(scores).all():
        raise NotFiniteError("The score of an episode is not finite; the environment's rewards must be finite.")
    deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    return {
        "episodes": len(scores),
        "mean": float(np.mean(scores)),
        "std": deviation,
        "min": float(np.min(scores)),
        "max": float(np.max(scores)),
        **({"cut": scores.cut} if isinstance(scores, Scores) and scores.cut else {}),
    }
