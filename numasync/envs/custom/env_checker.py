"""What is tried of a new environment before it may run inside the loop: random play with every call checked, first
interpreted, where a mistake is an exception, then compiled beside it."""

import time
from numbers import Real

import numpy as np

from numasync.envs.custom.compiling import failure
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED
from numasync.errors import InputError
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row

STEPS = 2_000
# Of a slow environment fewer steps are played, but not fewer than this, and every action.
FEWEST_STEPS = 200
SECONDS = 0.5

LARGEST = float(np.finfo(FLOAT).max)
GUARD = 16
GUARD_VALUE = 2**40 + 2**20  # exact in float32, float64 and uint64

# Compiled and interpreted numbers may differ in their last bits. Where such a bit decides a comparison, a whole step
# differs; a mistake makes more of them differ than this.
TOLERANCE = dict(rtol=1e-4, atol=1e-5, equal_nan=True)
DIFFERENT_STEPS = 0.01


class Player:
    """An environment with its arrays, each in the middle of a larger one that shows what is written beyond its ends;
    obs is full of NaN before every call. Every result is checked; InputError says what is wrong with it."""

    def __init__(self, env, state=None, how=""):
        self.env = env
        self.how = how
        inputs = int(np.prod(env.spec.observation.shape))
        sizes = {"state": (env.state_size, np.float64), "rng": (4, np.uint64), "obs": (inputs, FLOAT)}
        self.buffers = {name: np.full(n + 2 * GUARD, GUARD_VALUE, dtype) for name, (n, dtype) in sizes.items()}
        self.state, self.rng, self.obs = (buffer[GUARD : len(buffer) - GUARD] for buffer in self.buffers.values())
        self.state[:] = 0.0 if state is None else state
        self.rng[:] = seed_row(0)

    def reset(self):
        result = self.call("reset", self.env.reset, self.state, self.rng, self.obs)
        if result is not None:
            raise self.mistake("reset", f"returns {result!r}; it must write into obs and return nothing")

    def step(self, action):
        result = self.call("step", self.env.step, self.state, action, self.rng, self.obs)
        if not isinstance(result, tuple) or len(result) != 2:
            raise self.mistake("step", f"returns {result!r}; it must return two values, reward and end")
        reward, end = result
        if not isinstance(reward, Real) or isinstance(reward, bool) or not abs(reward) <= LARGEST:
            raise self.mistake("step", f"returns the reward {reward!r}; it must be a finite number")
        whole = isinstance(end, (int, np.integer)) and not isinstance(end, bool)
        if not whole or end not in (RUNNING, TERMINATED, TRUNCATED, LIFE_LOST):
            codes = "numasync.RUNNING, TERMINATED, TRUNCATED or LIFE_LOST"
            raise self.mistake("step", f"returns {end!r} as its end; it must be {codes}")
        return float(reward), int(end)

    def call(self, name, function, *arguments):
        self.obs[:] = np.nan
        try:
            with np.errstate(all="ignore"):
                result = function(*arguments)
        except Exception as error:
            raise self.mistake(name, failure(error, function)) from error
        for array, buffer in self.buffers.items():
            if (buffer[:GUARD] != GUARD_VALUE).any() or (buffer[-GUARD:] != GUARD_VALUE).any():
                raise self.mistake(name, f"writes beyond the ends of {array}")
        bad = np.flatnonzero(~np.isfinite(self.obs))
        if bad.size:
            must = f"it must write a finite number into each of its {self.obs.size} elements, which hold nothing before"
            raise self.mistake(name, f"leaves {self.obs[bad[0]]} in obs[{bad[0]}]; {must}")
        return result

    def mistake(self, name, text):
        return InputError(f"{self.how}{name} of {self.env.spec.id} {text}.")


def check_env(env):
    """Play an interpreted environment; return the actions. Raises InputError, one sentence, for the first mistake."""
    first = Player(env)
    actions, story, used = play(first, random_actions(env.spec), SECONDS)
    if play(Player(env), actions)[1] != story:
        raise InputError(
            f"{env.spec.id} does not repeat itself from the same rng; draw random numbers with numasync.uniform and "
            f"choice from rng alone, and keep what must be remembered in state."
        )
    for state in used:
        if play(Player(env, state), actions)[1] != story:
            raise InputError(
                f"reset of {env.spec.id} leaves something of the last episode in state; what follows a reset must "
                f"depend on rng alone."
            )
    return actions


def random_actions(spec):
    """Every action once, then random ones, half of them the one before again: play gets further than by chance.
    Continuous ones lie beyond their bounds too, as those of a Gaussian do."""
    random = np.random.default_rng(0)
    if spec.continuous:
        low, high = spec.finite_bounds
        actions = list(random.uniform(low - (high - low), high + (high - low), (STEPS, spec.n_actions)).astype(FLOAT))
    else:
        actions = random.integers(spec.n_actions, size=max(STEPS, spec.n_actions)).tolist()
    for i in np.flatnonzero(random.random(len(actions)) < 0.5):
        actions[i] = actions[i - 1]
    if not spec.continuous:
        actions[: spec.n_actions] = random.permutation(spec.n_actions).tolist()
    return actions


def play(player, actions, seconds=np.inf):
    """Play actions, with a reset wherever an episode begins, for about `seconds` at most: the actions played, what
    was seen, and two used states, that of the last episode to end and the last of all."""
    story, ended, over = [], player.state.copy(), True
    limit, fewest = time.perf_counter() + seconds, max(FEWEST_STEPS, player.env.spec.n_actions)
    for n, action in enumerate(actions):
        if n >= fewest and time.perf_counter() > limit:
            actions = actions[:n]
            break
        if over:
            player.reset()
            story.append(hash(player.obs.tobytes()))
        reward, end = player.step(action)
        story.append((hash(player.obs.tobytes()), reward, end))
        over = end in (TERMINATED, TRUNCATED)
        if over:
            ended = player.state.copy()
    return actions, story, (ended, player.state.copy())


def compare(env, compiled, actions):
    """Play both side by side, each step from the same state. Raises InputError if the compiled one does otherwise."""
    ours, theirs = Player(env), Player(compiled, how="The compiled ")
    over, steps, different = True, 0, []
    for action in actions:
        if over:
            different += both(ours, theirs, "reset")
            steps += 1
        different += both(ours, theirs, "step", action)
        steps += 1
        over = ours.end in (TERMINATED, TRUNCATED)
    if len(different) > DIFFERENT_STEPS * steps:
        raise InputError(
            f"{env.spec.id} gives another {different[0]} compiled than as plain Python; compiled, globals are constants "
            f"and an integer has 64 bits."
        )


def both(ours, theirs, name, *arguments):
    """Call reset or step of both from the same state and rng: a list of the first thing that differs, or of none."""
    theirs.state[:], theirs.rng[:] = ours.state, ours.rng
    results = [getattr(player, name)(*arguments) for player in (ours, theirs)]
    pairs = dict(observation=(ours.obs, theirs.obs), state=(ours.state, theirs.state), rng=(ours.rng, theirs.rng))
    if name == "step":
        (reward, ours.end), (their_reward, end) = results
        pairs = dict(reward=(reward, their_reward), end=(ours.end, end), **pairs)
    return [what for what, pair in pairs.items() if not np.allclose(*pair, **TOLERANCE)][:1]
