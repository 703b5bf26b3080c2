"""Atari 2600 games through ALE's vector interface, with one environment for each worker.

ALE's vector interface emulates with the GIL released, so workers emulate at the same time. Its single-environment
interface holds the GIL.

The preprocessing is the one of Mnih et al. 2015 and 2016, and ALE does all of it in C++:

- an action is repeated for 4 frames, and each pixel is the maximum of the last two;
- a frame is grey, 84 x 84 pixels, and an observation is a stack of the last four;
- a reset plays up to 30 no-ops, and fires where a game waits for it;
- a time limit truncates an episode after 108,000 frames (30 minutes of play).
"""

import threading
from typing import Any

import ale_py
import gymnasium
import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id

from numasync.envs.observation import Observation
from numasync.envs.python.bridge import SEEDS, PythonEnv
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, EnvSpec
from numasync.runtime.rng import choice

FRAME_SKIP = 4
STACK = 4
PIXELS = 84
NO_OPS = 30
MAX_FRAMES = 108_000

gymnasium.register_envs(ale_py)
# ALE is not thread-safe while it loads a ROM.
BUILD_LOCK = threading.Lock()


def atari_id(env_id: str) -> str | None:
    """Return the full id of a game as ALE registers it: 'ALE/Pong-v5' for 'ALE/Pong'. None if `env_id` is not ALE's."""
    try:
        namespace, name, version = parse_env_id(env_id.split(":")[-1])
    except gymnasium.error.Error:
        return None
    if version is None:
        version = find_highest_version(namespace, name)
    full_id = get_env_id(namespace, name, version)
    spec = gymnasium.registry.get(full_id)
    return full_id if spec and str(spec.entry_point).startswith("ale_py.") else None


class AtariEnv(PythonEnv):
    """One game. Its rewards are the game's own, unclipped.

    env_id                 the id, as the user wrote it
    game_id                the full id that ALE registers; it gives the game, the probability of a sticky action and
                           the set of actions, but not the frame skip, which is always 4
    terminal_on_life_loss  whether a lost life is reported as LIFE_LOST, which is terminal for the learner only
    """

    def __init__(self, env_id: str, game_id: str, terminal_on_life_loss: bool = False) -> None:
        settings = gymnasium.spec(game_id).kwargs
        self.terminal_on_life_loss = terminal_on_life_loss
        with BUILD_LOCK:
            self.env = AtariVectorEnv(
                settings["game"],
                num_envs=1,
                num_threads=1,
                repeat_action_probability=settings.get("repeat_action_probability", 0.0),
                full_action_space=settings.get("full_action_space", False),
                frameskip=FRAME_SKIP,
                stack_num=STACK,
                img_height=PIXELS,
                img_width=PIXELS,
                noop_max=NO_OPS,
                max_num_frames_per_episode=MAX_FRAMES,
                reward_clipping=False,
            )
        self.action = np.zeros(1, np.int64)
        self.lives = 0
        self.seeded = False
        frames = Observation("frames", (STACK, PIXELS, PIXELS), 1.0 / 255.0)
        n_actions = int(self.env.single_action_space.n)  # type: ignore[attr-defined]
        super().__init__(EnvSpec(env_id, "atari", frames, n_actions))

    def on_reset(self, rng: np.ndarray, obs: np.ndarray) -> None:
        # Only the first reset is seeded, because seeding loads the ROM again and takes as long as 200 steps. Later ones
        # go on with ALE's own generator. This reset replaces ALE's autoreset step, which nothing may learn from.
        raw, info = self.env.reset(seed=None if self.seeded else int(choice(rng, SEEDS)))
        self.seeded = True
        self.lives = int(info["lives"][0])
        self.spec.observation.encode(raw[0], obs)

    def on_step(self, action: Any, rng: np.ndarray, obs: np.ndarray) -> tuple[Any, int]:
        self.action[0] = action
        raw, reward, terminated, truncated, info = self.env.step(self.action)
        self.spec.observation.encode(raw[0], obs)
        lives = int(info["lives"][0])
        lost, self.lives = lives < self.lives, lives
        if terminated[0]:
            return reward[0], TERMINATED
        if truncated[0]:
            return reward[0], TRUNCATED
        return reward[0], LIFE_LOST if lost and self.terminal_on_life_loss else RUNNING

    def release(self) -> None:
        self.env.close()
