"""Playing without learning: one action, one episode, and the score of many."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from numasync.envs import make_env
from numasync.envs.interface import TERMINATED, TRUNCATED
from numasync.errors import NotFiniteError
from numasync.jit import DOUBLE, DOUBLES, FLOAT, INT, MATRIX, VECTOR, WORDS, compile_for, kernel, type_of
from numasync.memory import own_copy, own_zeros
from numasync.nn.network import carry_states, forget, forward, outputs_of
from numasync.policy import choose_into
from numasync.rng import seed_row

# Episodes are dealt to this many evaluators in turn, each with its own environment and random stream. The number is
# fixed so that a score does not depend on how many cores the machine has.
EVALUATORS = 4
EVALUATION_STREAM, SIDELINE_STREAM = 1_000_000, 2_000_000
# 30 emulator minutes at 60 frames a second and 4 frames an action; an environment without a time limit stops here
# too.
MAX_ACTIONS = 27_000
CALL_ACTIONS = 1_000  # then Python looks in


@kernel
def act(table, theta, obs, tape, actions, policy, epsilon, n_actions, rng):
    """Choose actions[0] for the observation in obs[0], which the tape remembers; each has room for one row."""
    forward(table, theta, obs, tape, 0, 1)
    carry_states(table, tape, 1, tape, 0, 1)
    choose_into(actions, 0, policy, outputs_of(table, tape, 1)[0], n_actions, epsilon, rng)


@kernel
def play_on(table, theta, obs, tape, actions, policy, epsilon, n_actions, rng, env_state, step, episode, most):
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
    arguments = (type_of(table), VECTOR, MATRIX, VECTOR, type_of(spec.new_actions(1)), INT, DOUBLE, INT, WORDS)
    compile_for(play_on, *arguments, DOUBLES, spec.step_type, DOUBLES, INT)


class Player:
    """Plays episodes of one environment with fixed parameters. scorer: see `play_episodes`."""

    def __init__(self, env, scorer, theta, rng):
        network, policy, epsilon = scorer
        self.env, self.rng, self.state, self.network = env, own_copy(rng), env.new_state(), network
        self.obs = own_zeros((1, network.n_inputs), FLOAT)
        self.tape = network.tape(1)
        actions = env.spec.new_actions(1)
        self.data = (network.table, theta, self.obs, self.tape, actions, policy, epsilon, env.spec.n_actions)

    def score(self, stop):
        """The score of one episode, of MAX_ACTIONS at most; of what was played of it where `stop` was set meanwhile."""
        episode = np.zeros(2)
        self.env.reset(self.state, self.rng, self.obs[0])
        forget(self.network.table, self.tape, 0, 1)
        while episode[1] < MAX_ACTIONS and not stop.is_set():
            actions = min(CALL_ACTIONS, MAX_ACTIONS - int(episode[1]))
            if play_on(*self.data, self.rng, self.state, self.env.step, episode, actions):
                break
        return episode[0]


def play_episodes(spec, scorer, theta, episodes, seed, stream=EVALUATION_STREAM, stop=None):
    """Scores of `episodes` episodes, a list in the order of their number.

    spec: the EnvSpec of the environment. scorer: a Network, and the policy and epsilon of `policy.choose`. stop: an
    Event; once it is set, the scores are worth nothing. Raises InputError where the environment of that id is no
    longer as `spec` says.
    """
    stop = stop or threading.Event()
    envs = [make_env(spec.id, observation=spec.observation) for _ in range(min(EVALUATORS, episodes))]

    def share(number, env):
        player = Player(env, scorer, theta, seed_row(seed, stream + number))
        return [(i, player.score(stop)) for i in range(number, episodes, len(envs)) if not stop.is_set()]

    try:
        spec.check_twin(envs[0].spec)
        compile_play(scorer[0].table, spec)
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


class Sideline:
    """Evaluations beside a run, one at a time, each of a copy of theta at a crossing of `every` actions.

    evaluate(theta, stop) -> score, see `summary`, runs in a thread of its own. on_score(T, seconds, theta, score)
    is called by `look` and `finish`, from the thread of their caller, with T and time of the copy. A crossing that
    comes while the last copy is still being scored has to wait.
    """

    def __init__(self, every, evaluate, on_score):
        self.every, self.evaluate, self.on_score = every, evaluate, on_score
        self.crossed = 0
        self.copy = self.future = None
        self.stop = threading.Event()
        self.pool = ThreadPoolExecutor(1)

    def look(self, trainer):
        """Pass on a score that is ready, and copy theta if it is time. Called often, from the supervisor."""
        if self.future and self.future.done():
            self._pass_on()
        if trainer.steps // self.every > self.crossed and not self.future:
            self.crossed = trainer.steps // self.every
            self.copy = (trainer.steps, trainer.seconds, trainer.theta.copy())
            if np.isfinite(self.copy[2]).all():  # if not, the trainer will soon end the run
                self.future = self.pool.submit(self.evaluate, self.copy[2], self.stop)

    def finish(self):
        """Wait for what is under way, and pass it on."""
        if self.future:
            self._pass_on()

    def close(self):
        """Give up what is under way, which soon ends, and do not wait for it: an environment may hang."""
        self.stop.set()
        self.pool.shutdown(wait=False)

    def _pass_on(self):
        score, self.future = self.future.result(), None
        self.on_score(*self.copy, score)


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
