"""Recall: the first observation shows a cue, +1 or -1. After 12 steps the agent is asked for it.

Action 1 answers +1, action 0 answers -1. A right answer has the reward +1, a wrong one -1, and the episode ends. Before
the question, actions do nothing and the reward is 0. The observation is the cue (0 after the first one), and 1 when the
question is asked, otherwise 0. The best mean score without memory is 0.

Source: like "memory length" of bsuite (Osband et al. 2020).
"""

from numasync.envs.observation import Observation
from numasync.envs.spec import RUNNING, TERMINATED, EnvSpec, JittedEnv
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice

DELAY = 12

# The state: the cue, and the steps of this episode.
CUE, STEPS = range(2)


@kernel
def reset(state, rng, obs):
    state[CUE] = 2 * choice(rng, 2) - 1
    state[STEPS] = 0
    obs[0] = state[CUE]
    obs[1] = FLOAT(0)


@kernel
def step(state, action, rng, obs):
    right = (action == 1) == (state[CUE] > 0)
    asked = state[STEPS] == DELAY
    state[STEPS] += 1
    obs[0] = FLOAT(0)
    obs[1] = FLOAT(1) if state[STEPS] == DELAY else FLOAT(0)
    if asked:
        return (1.0 if right else -1.0), TERMINATED
    return 0.0, RUNNING


RECALL = JittedEnv(EnvSpec("Recall-v0", "classic", Observation("vector", (2,)), 2), reset, step, 2)
