"""MinAtar: every game in lockstep with its authors' package, fed the same random numbers."""

import numpy as np
import pytest

from numasync.envs import JITTED, make_env
from numasync.envs.spec import TERMINATED
from numasync.runtime.jit import DISABLED, FLOAT
from numasync.runtime.rng import choice, seed_row, uniform

minatar = pytest.importorskip("minatar")

STEPS = 3_000 if DISABLED else 100_000
GAMES = {
    "Asterix": "asterix",
    "Breakout": "breakout",
    "Freeway": "freeway",
    "Seaquest": "seaquest",
    "SpaceInvaders": "space_invaders",
}


class Draws:
    """Takes the place of the package's numpy RandomState: the same calls draw from one of our generator rows."""

    def __init__(self, rng):
        self.rng = rng

    def rand(self, size=None):
        return uniform(self.rng) if size is None else np.array([self.rand() for _ in range(size)])

    def randint(self, low, high=None, size=None):
        low, high = (0, low) if high is None else (low, high)
        draws = [low + choice(self.rng, high - low) for _ in range(size or 1)]
        return draws[0] if size is None else np.array(draws)

    def choice(self, options):
        options = range(options) if isinstance(options, int) else options
        return options[choice(self.rng, len(options))]


def lockstep(game, version, steps, seed=1, go_on=0.0):
    """Play both with the same actions and random numbers; return how many steps differed and how many games ended.

    go_on  the probability that a game that has ended goes on, in both
    """
    env = JITTED[f"MinAtar/{game}-v{version}"]
    theirs = minatar.Environment(GAMES[game])
    actions = list(range(6)) if version == 0 else theirs.minimal_action_set()
    assert env.spec.n_actions == len(actions) and list(env.spec.observation.shape) == theirs.state_shape()
    our_rng, their_rng, player = seed_row(seed), seed_row(seed), np.random.default_rng(seed)
    theirs.random = theirs.env.random = Draws(their_rng)
    state, obs = np.zeros(env.state_size), np.full(np.prod(theirs.state_shape()), np.nan, FLOAT)

    def reset():
        env.reset(state, our_rng, obs)
        theirs.reset()
        theirs.last_action = 0  # a reset of ours clears it
        return not np.array_equal(obs, theirs.state().ravel())

    mismatches, episodes = reset(), 0
    for action in player.integers(len(actions), size=steps):
        reward, end = env.step(state, action, our_rng, obs)
        their_reward, their_end = theirs.act(actions[action])
        same = reward == their_reward and (end == TERMINATED) == their_end
        mismatches += not (same and np.array_equal(obs, theirs.state().ravel()))
        if their_end:
            episodes += 1
            theirs.env.terminal = False
            if player.random() >= go_on:
                mismatches += reset()
    return mismatches, episodes


@pytest.mark.parametrize("version", [pytest.param(0, marks=pytest.mark.slow), 1])
@pytest.mark.parametrize("game", GAMES)
def test_lockstep_with_the_authors_package(game, version):
    mismatches, episodes = lockstep(game, version, STEPS)
    print(f"MinAtar/{game}-v{version}: {STEPS:,} steps compared, {episodes:,} episodes, {mismatches} mismatches")
    assert mismatches == 0 and episodes >= STEPS // 2501  # a Freeway episode is the longest: 2501 steps


@pytest.mark.parametrize("game", ["Asterix", "Seaquest", "SpaceInvaders"])
def test_lockstep_where_random_play_never_comes(game):
    # Random play ends long before the last level of difficulty. Going on reaches it, and clears waves on the way.
    mismatches, _ = lockstep(game, 1, STEPS // 5, go_on=0.999)
    assert mismatches == 0


def test_the_authors_package_has_the_same_spec_and_preset():
    from minatar.gym import register_envs

    register_envs()
    for env_id in (f"MinAtar/{game}-v1" for game in GAMES):
        original = make_env(f"gymnasium:{env_id}")
        assert not original.jitted and original.spec == JITTED[env_id].spec._replace(id=f"gymnasium:{env_id}")
        original.close()
