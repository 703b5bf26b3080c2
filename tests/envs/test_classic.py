"""Classic control: every jitted environment in lockstep with Gymnasium's own, given the same states and actions."""

import collections
from collections.abc import Callable
from typing import NamedTuple

import gymnasium
import numpy as np
import pytest
from support.players import Player

from numasync.envs import make_env
from numasync.envs.jitted import acrobot, cartpole, mountain_car, pendulum
from numasync.envs.observation import Observation
from numasync.envs.spec import RUNNING, TERMINATED, TRUNCATED, JittedEnv
from numasync.runtime.jit import DISABLED, FLOAT

STEPS = 3_000 if DISABLED else 100_000
PENDULUM = pendulum.PENDULUM


class Game(NamedTuple):
    """How a jitted environment is compared with the original in Gymnasium.

    env       the jitted environment
    policies  functions of a state and a numpy generator, each with two values: the end of its episodes, and the number
              of steps after which the original gets our state again (None: never)
    starts    the lowest and the highest first state of an episode
    anywhere  the lowest and the highest state to step from; play cannot reach all of them
    sees      a function that returns the observation of a state
    """

    env: JittedEnv
    policies: dict[Callable, tuple]
    starts: tuple
    anywhere: tuple
    sees: Callable


def push_at_random(state, rng):
    return int(rng.integers(2))


def push_where_the_pole_falls(state, rng):
    return int(state[cartpole.ANGLE] + state[cartpole.ANGLE_DOT] > 0)


def one_of_three(state, rng):
    return int(rng.integers(3))


def push_along(state, rng):
    """Push where the car moves: it swings higher and higher."""
    return 2 if state[mountain_car.X_DOT] >= 0 else 0


def swing_along(state, rng):
    """A torque in the direction of the second link's velocity only adds energy."""
    return 2 if state[acrobot.VELOCITY_2] >= 0 else 0


def any_torque(state, rng):
    """Draw a torque. Some are beyond the limits."""
    return np.array([rng.uniform(-2.5, 2.5)], FLOAT)


def hold_upright(state, rng):
    """Swing the pendulum up, and hold it there for most of an episode."""
    if np.cos(state[pendulum.ANGLE]) < 0.9:
        return np.array([2 * np.sign(state[pendulum.VELOCITY])], FLOAT)
    return np.array([-10 * np.sin(state[pendulum.ANGLE]) - 2 * state[pendulum.VELOCITY]], FLOAT)


# How often the original gets our state again. A difference in the last bit of a state, 1e-16, grows differently:
# - In the valley of the mountain car and in a pendulum that swings it stays small. Whole episodes are compared.
# - Near upright a pole's or pendulum's grows by e^(3.9 t), on CartPole by e^40 in an episode. Every step starts level.
# - An acrobot is chaotic: at full speed one step of 0.2 s multiplies it by up to a thousand. Every 10th step starts
#   level; the difference is then still below the last bit of a float32.
GAMES = {
    "CartPole-v1": Game(
        cartpole.CARTPOLE,
        {push_at_random: (TERMINATED, 1), push_where_the_pole_falls: (TRUNCATED, 1)},
        ([-0.05] * 4, [0.05] * 4),
        ([-3, -3, -0.3, -3], [3, 3, 0.3, 3]),
        lambda state: state,
    ),
    "Acrobot-v1": Game(
        acrobot.ACROBOT,
        {one_of_three: (TRUNCATED, 10), swing_along: (TERMINATED, 10)},
        ([-0.1] * 4, [0.1] * 4),
        ([-np.pi, -np.pi, -13, -29], [np.pi, np.pi, 13, 29]),
        lambda state: [f(angle) for angle in state[:2] for f in (np.cos, np.sin)] + [*state[2:]],
    ),
    "MountainCar-v0": Game(
        mountain_car.MOUNTAIN_CAR,
        {one_of_three: (TRUNCATED, None), push_along: (TERMINATED, None)},
        ([-0.6, 0], [-0.4, 0]),
        ([-1.2, -0.08], [0.6, 0.08]),
        lambda state: state,
    ),
    "Pendulum-v1": Game(
        PENDULUM,
        {any_torque: (TRUNCATED, None), hold_upright: (TRUNCATED, 1)},
        ([-np.pi, -1], [np.pi, 1]),
        ([-20, -9], [20, 9]),
        lambda state: [np.cos(state[0]), np.sin(state[0]), state[1]],
    ),
}
every_game = pytest.mark.parametrize("name", GAMES)


class Pair:
    """A Player and the original in Gymnasium."""

    def __init__(self, env):
        self.player, self.size = Player(env), env.state_size - 1
        self.original = gymnasium.make(env.spec.id, disable_env_checker=True)

    @property
    def state(self):
        return self.player.state[: self.size]

    def reset(self):
        self.player.reset()
        self.original.reset(seed=0)
        self.level()

    def level(self):
        self.original.unwrapped.state = self.state.copy()

    def step(self, action):
        """Play `action` in both; return whether they agree, how far apart the states are, and how the step ended."""
        # Gymnasium computes in the precision of its action. float64 gives the dynamics without rounding.
        their_action = action.astype(np.float64) if self.player.env is PENDULUM else action
        obs, reward, end = self.player.step(action)
        their_obs, their_reward, terminated, truncated, _ = self.original.step(their_action)
        # Where both of Gymnasium's flags are set, the state is terminal: nothing is bootstrapped.
        same_end = end == (TERMINATED if terminated else TRUNCATED if truncated else RUNNING)
        # Equal in the accuracy of float32. Rewards are whole numbers, except Pendulum's.
        same_obs = (np.abs(obs - their_obs) <= 2e-7 * np.abs(their_obs) + 1e-8).all()
        same_reward = abs(reward - their_reward) <= (1e-7 if self.player.env is PENDULUM else 0)
        return same_end and same_obs and same_reward, np.abs(self.state - self.original.unwrapped.state).max(), end


def lockstep(env, policy, level, steps):
    """Play both; return how many steps differed, the largest difference of states, and the number of each end."""
    pair, rng, ends, mismatches, furthest, age = Pair(env), np.random.default_rng(0), collections.Counter(), 0, 0.0, 0
    pair.reset()
    for _ in range(steps):
        same, apart, end = pair.step(policy(pair.state, rng))
        mismatches, furthest, age = mismatches + (not same), max(furthest, apart), age + 1
        if end != RUNNING:
            ends[end] += 1
            pair.reset()
            age = 0
        elif level and age % level == 0:
            pair.level()
    return mismatches, furthest, ends


@every_game
def test_lockstep_with_gymnasium(name):
    game = GAMES[name]
    for policy, (expected, level) in game.policies.items():
        steps = STEPS // len(game.policies)
        mismatches, furthest, ends = lockstep(game.env, policy, level, steps)
        print(
            f"{name}, {policy.__name__}: {steps:,} steps compared, {ends[TERMINATED]:,} episodes terminated, "
            f"{ends[TRUNCATED]:,} truncated, {mismatches} mismatches, states at most {furthest:.0e} apart"
        )
        assert mismatches == 0 and ends[expected] > 0
        # The states themselves, in float64, differ by rounding only.
        assert furthest < (1e-13 if level == 1 else 1e-8)


@every_game
def test_one_step_from_anywhere(name):
    """Few episodes reach the walls, limits and goals. Here are states on both sides of them."""
    game, pair, rng = GAMES[name], Pair(GAMES[name].env), np.random.default_rng(0)
    policy, ends, furthest = next(iter(game.policies)), collections.Counter(), 0.0
    steps = STEPS // 10
    for _ in range(steps):
        pair.reset()
        pair.state[:] = rng.uniform(*game.anywhere)
        pair.level()
        same, apart, end = pair.step(policy(pair.state, rng))
        assert same and apart < 1e-10
        ends[end] += 1
        furthest = max(furthest, apart)
    print(
        f"{name}: {steps:,} steps from anywhere compared, {ends[TERMINATED]:,} terminal, 0 mismatches, "
        f"states at most {furthest:.0e} apart"
    )
    assert ends[RUNNING] > 0 and (ends[TERMINATED] > 0 or game.env is PENDULUM)


@every_game
def test_episodes_start_as_gymnasiums(name):
    game, pair, ours, theirs = GAMES[name], Pair(GAMES[name].env), [], []
    low, high = np.array(game.starts, np.float64)
    for seed in range(4000):
        obs = pair.player.reset()
        np.testing.assert_allclose(obs, np.array(game.sees(pair.state), FLOAT), rtol=2e-7, atol=1e-9)
        ours.append(pair.state.copy())
        if seed < 1000:
            pair.original.reset(seed=seed)
            theirs.append(pair.original.unwrapped.state)
    for starts in np.array(ours), np.array(theirs):
        # Gymnasium rounds some of its states to float32.
        assert (starts >= low - 1e-8).all() and (starts <= high + 1e-8).all()
        # A uniform variable has the standard deviation width / sqrt(12).
        spread = (high - low) / np.sqrt(12)
        assert (np.abs(starts.mean(0) - (low + high) / 2) <= 4 * spread / np.sqrt(len(starts))).all()
        np.testing.assert_allclose(starts.std(0), spread, rtol=0.1)
        drawn = starts[:, spread > 0]
        np.testing.assert_allclose(np.atleast_2d(np.corrcoef(drawn.T)), np.eye(drawn.shape[1]), atol=0.13)


@pytest.mark.parametrize(
    ("env", "limit", "terminal", "reward"),
    [
        (cartpole.CARTPOLE, 500, [0, 0, 0.3, 0], 1.0),
        (acrobot.ACROBOT, 500, [np.pi, 0, 0, 0], 0.0),
        (mountain_car.MOUNTAIN_CAR, 200, [0.49, 0.07], -1.0),
    ],
)
def test_a_terminal_state_on_the_last_step_is_terminal(env, limit, terminal, reward):
    player = Player(env)
    player.reset()
    start, last = player.state[:-1].copy(), limit - 1
    for state, steps, expected in ((start, last - 1, RUNNING), (start, last, TRUNCATED), (terminal, last, TERMINATED)):
        player.state[:] = *state, steps
        *_, last_reward, end = player.step(1)
        assert end == expected
    assert last_reward == reward


@pytest.mark.parametrize(("env_id", "inputs", "actions"), [("Acrobot-v1", 6, 3), ("MountainCar-v0", 2, 3)])
def test_what_an_agent_knows_of_them(env_id, inputs, actions):
    env = make_env(env_id)
    assert env.jitted and env.spec[:5] == (env_id, "classic", Observation("vector", (inputs,)), actions, None)
    # The same for an agent as Gymnasium's own, in Python.
    assert make_env(f"gymnasium:{env_id}").spec[1:] == env.spec[1:]


def test_what_an_agent_knows_of_pendulum():
    spec = make_env("Pendulum-v1").spec
    assert spec[:5] == ("Pendulum-v1", "continuous", Observation("vector", (3,)), 1, ((-2.0,), (2.0,)))
    assert spec.continuous
    assert make_env("gymnasium:Pendulum-v1").spec[1:] == spec[1:]


def test_cartpole_with_its_velocities_hidden_is_cartpole():
    seen, hidden = Player(cartpole.CARTPOLE), Player(cartpole.POSITIONS)
    random, end = np.random.default_rng(0), TERMINATED
    for _ in range(300):
        if end != RUNNING:
            whole, part = seen.reset(), hidden.reset()
        else:
            action = int(random.integers(2))
            (whole, *same, end), (part, *also) = seen.step(action), hidden.step(action)
            assert [*same, end] == also
        np.testing.assert_array_equal(part, whole[[cartpole.X, cartpole.ANGLE]])
