"""The checks of a new environment before it may run inside the loop.

First `check_env` plays the plain Python functions at random, where a mistake raises an exception, and checks every
call. Then `compare` plays the compiled functions beside them.
"""

import time
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from numasync.envs.custom.compiling import describe_failure
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, EnvSpec, JittedEnv, episode_over
from numasync.errors import InputError
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row

STEPS = 2_000
# A slow environment is stopped after SECONDS, but not before FEWEST_STEPS, and not before every action was played.
SECONDS = 0.5
FEWEST_STEPS = 200

LARGEST = float(np.finfo(FLOAT).max)
# Before and after each array of an environment lie GUARD elements of GUARD_VALUE, a number that is exact in float32,
# float64 and uint64.
GUARD = 16
GUARD_VALUE = 2**40 + 2**20

# Compiled and interpreted numbers may differ in their last bits. Where such a bit decides a comparison, a whole step
# differs. A real mistake makes a larger share of the steps differ.
TOLERANCE: dict[str, Any] = dict(rtol=1e-4, atol=1e-5, equal_nan=True)
DIFFERENT_STEPS = 0.01

# A hash of every observation, and with it the reward and end of every step.
Trace = list[int | tuple[int, float, int]]


class CheckedEnv:
    """An environment with its arrays, whose every call is checked.

    Each array lies in the middle of a larger one, which shows a write beyond its ends. obs is full of NaN before every
    call, which shows an element that was not written.

    env    the environment, interpreted or compiled
    state  its state at the start, float64 (state_size,); None: zeros
    how    what stands before the name of a function in a message: 'The compiled '
    """

    def __init__(self, env: JittedEnv, state: np.ndarray | None = None, how: str = "") -> None:
        self.env = env
        self.how = how
        self.end = RUNNING
        inputs = int(np.prod(env.spec.observation.shape))
        sizes = {"state": (env.state_size, np.float64), "rng": (4, np.uint64), "obs": (inputs, FLOAT)}
        self.buffers: dict[str, np.ndarray] = {}
        for name, (n, dtype) in sizes.items():
            self.buffers[name] = np.full(n + 2 * GUARD, GUARD_VALUE, dtype)
        self.state, self.rng, self.obs = (buffer[GUARD : len(buffer) - GUARD] for buffer in self.buffers.values())
        self.state[:] = 0.0 if state is None else state
        self.rng[:] = seed_row(0)

    def reset(self) -> None:
        """Start an episode. Raises InputError for a mistake of the environment's reset."""
        result = self.call("reset", self.env.reset, self.state, self.rng, self.obs)
        if result is not None:
            raise self.mistake("reset", f"returns {result!r}; it must write into obs and return nothing")

    def step(self, action: int | np.ndarray) -> tuple[float, int]:
        """Play an action; return reward and end. Raises InputError for a mistake of the environment's step."""
        # As in the loop, an array is a copy: what step writes into it changes nothing.
        own = action.copy() if isinstance(action, np.ndarray) else action
        result = self.call("step", self.env.step, self.state, own, self.rng, self.obs)
        if not isinstance(result, tuple) or len(result) != 2:
            raise self.mistake("step", f"returns {result!r}; it must return two values, reward and end")
        reward, end = result
        if not isinstance(reward, Real) or isinstance(reward, bool) or not abs(float(reward)) <= LARGEST:
            raise self.mistake("step", f"returns the reward {reward!r}; it must be a finite number")
        whole = isinstance(end, (int, np.integer)) and not isinstance(end, bool)
        if not whole or end not in (RUNNING, TERMINATED, TRUNCATED, LIFE_LOST):
            codes = "numasync.RUNNING, TERMINATED, TRUNCATED or LIFE_LOST"
            raise self.mistake("step", f"returns {end!r} as its end; it must be {codes}")
        self.end = int(end)
        return float(reward), self.end

    def call(self, name: str, function: Callable, *arguments: Any) -> Any:
        """Return function(*arguments). Raises InputError for an exception, and for what it writes into the arrays."""
        self.obs[:] = np.nan
        try:
            with np.errstate(all="ignore"):
                result = function(*arguments)
        except (Exception, SystemExit) as error:
            raise self.mistake(name, describe_failure(error, function)) from error
        for array, buffer in self.buffers.items():
            if (buffer[:GUARD] != GUARD_VALUE).any() or (buffer[-GUARD:] != GUARD_VALUE).any():
                raise self.mistake(name, f"writes beyond the ends of {array}")
        bad = np.flatnonzero(~np.isfinite(self.obs))
        if bad.size:
            must = f"it must write a finite number into each of its {self.obs.size} elements, which hold nothing before"
            raise self.mistake(name, f"leaves {self.obs[bad[0]]} in obs[{bad[0]}]; {must}")
        return result

    def mistake(self, name: str, text: str) -> InputError:
        """Return the InputError that says of the function `name` what `text` says."""
        return InputError(f"{self.how}{name} of {self.env.spec.id} {text}.")


def check_env(env: JittedEnv) -> Sequence[int | np.ndarray]:
    """Play an interpreted environment at random and return the actions.

    Raises InputError, one sentence, for the first mistake.
    """
    actions, trace, leftover_states = play_actions(CheckedEnv(env), random_actions(env.spec), SECONDS)
    if play_actions(CheckedEnv(env), actions)[1] != trace:
        raise InputError(
            f"{env.spec.id} does not repeat itself from the same rng; draw random numbers with numasync.uniform and "
            f"choice from rng alone, and keep what must be remembered in state."
        )
    for state in leftover_states:
        if play_actions(CheckedEnv(env, state), actions)[1] != trace:
            raise InputError(
                f"reset of {env.spec.id} leaves something of the last episode in state; what follows a reset must "
                f"depend on rng alone."
            )
    return actions


def random_actions(spec: EnvSpec) -> list[Any]:
    """Return at least STEPS actions: first every action once, then random ones.

    Half of the random ones repeat the action before: play then gets further than by chance. About half of the numbers
    of continuous actions are one of their bounds, because many draws of a Gaussian policy are clipped. Of several
    integers, every value of each comes once at first.
    """
    random = np.random.default_rng(0)
    if spec.continuous:
        low, high = spec.finite_bounds
        drawn = random.uniform(low - (high - low) / 2, high + (high - low) / 2, (STEPS, spec.n_actions))
        lowest, highest = np.array(spec.bounds)
        actions = list(np.clip(drawn, lowest, highest).astype(FLOAT))
    elif spec.nvec:
        actions = list(random.integers(spec.nvec, size=(max(STEPS, *spec.nvec), spec.n_actions)))
    else:
        actions = random.integers(spec.n_actions, size=max(STEPS, spec.n_actions)).tolist()
    for i in np.flatnonzero(random.random(len(actions)) < 0.5):
        actions[i] = actions[i - 1]
    if spec.nvec:
        most = max(spec.nvec)
        actions[:most] = np.column_stack([np.resize(random.permutation(n), most) for n in spec.nvec])
    elif not spec.continuous:
        actions[: spec.n_actions] = random.permutation(spec.n_actions).tolist()
    return actions


def play_actions(
    player: CheckedEnv, actions: Sequence[int | np.ndarray], seconds: float = np.inf
) -> tuple[Sequence[int | np.ndarray], Trace, tuple[np.ndarray, np.ndarray]]:
    """Play actions, with a reset at the start of every episode, for about `seconds` at most.

    Return the actions that were played, the trace of what was seen, and two leftover states: at the end of the last
    episode that ended, and at the end of all.
    """
    trace: Trace = []
    ended, over = player.state.copy(), True
    limit, fewest = time.perf_counter() + seconds, max(FEWEST_STEPS, *player.env.spec.action_heads)
    for n, action in enumerate(actions):
        if n >= fewest and time.perf_counter() > limit:
            actions = actions[:n]
            break
        if over:
            player.reset()
            trace.append(hash(player.obs.tobytes()))
        reward, end = player.step(action)
        trace.append((hash(player.obs.tobytes()), reward, end))
        over = episode_over(end)
        if over:
            ended = player.state.copy()
    return actions, trace, (ended, player.state.copy())


def compare(env: JittedEnv, compiled: JittedEnv, actions: Sequence[int | np.ndarray]) -> None:
    """Play the interpreted and the compiled environment side by side, each step from the same state.

    Raises InputError, one sentence, if the compiled one behaves differently.
    """
    ours, theirs = CheckedEnv(env), CheckedEnv(compiled, how="The compiled ")
    over, steps, different = True, 0, []
    for action in actions:
        if over:
            different += step_both(ours, theirs, "reset")
            steps += 1
        different += step_both(ours, theirs, "step", action)
        steps += 1
        over = episode_over(ours.end)
    if len(different) > DIFFERENT_STEPS * steps:
        raise InputError(
            f"{env.spec.id} gives another {different[0]} compiled than as plain Python; in compiled code, globals "
            f"are constants and an integer has 64 bits."
        )


def step_both(ours: CheckedEnv, theirs: CheckedEnv, name: str, *arguments: Any) -> list[str]:
    """Call reset or step of both environments from the same state and rng.

    Return a list: the name of the first thing that differs, or nothing.
    """
    theirs.state[:], theirs.rng[:] = ours.state, ours.rng
    (reward, end), (their_reward, their_end) = [getattr(env, name)(*arguments) or (0.0, 0) for env in (ours, theirs)]
    pairs = dict(
        reward=(reward, their_reward),
        end=(end, their_end),
        observation=(ours.obs, theirs.obs),
        state=(ours.state, theirs.state),
        rng=(ours.rng, theirs.rng),
    )
    return [what for what, pair in pairs.items() if not np.allclose(*pair, **TOLERANCE)][:1]
