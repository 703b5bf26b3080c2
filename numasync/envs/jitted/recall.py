"""Recall: a cue, +1 or -1, is seen at the first step and never again; 12 steps later it has to be named.

Action 1 names +1, action 0 names -1. Before the question actions do nothing and the reward is 0; the answer gives +1
if it is right, else -1, and ends the episode. The observation is the cue (0 after the first step) and 1 when the
question is asked. Without a memory the best score is 0. In the manner of bsuite's memory length (Osband et al. 2020).
"""

from numasync.envs.observation import Observation
from numasync.envs.spec import RUNNING, TERMINATED, EnvSpec, JittedEnv
from numasync.runtime.jit import FLOAT, kernel
from numasync.runtime.rng import choice

DELAY = 12

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
