"""Atari 2600 games through ALE's vector interface, one environment a worker.

ALE's single-environment interface holds the GIL while it emulates; its vector interface does frame skip, the maximum
of two frames, grey 84 x 84 and the stack of four in C++ with the GIL released, so workers emulate at the same time.
The preprocessing is that of Mnih et al. 2015 and 2016: action repeat 4, up to 30 no-ops at a reset, fire where a game
waits for it. An episode ends after 108,000 frames (30 minutes) as a time limit.
"""

import threading

import ale_py
import gymnasium
import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id

from numasync.envs.observation import Observation
from numasync.envs.python.bridge import PythonEnv
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, EnvSpec
from numasync.runtime.rng import choice

FRAME_SKIP = 4
STACK = 4
PIXELS = 84
NO_OPS = 30
MAX_FRAMES = 108_000
SEEDS = 2**31 - 1

gymnasium.register_envs(ale_py)
# ALE loads a ROM through state that all its instances share.
BUILD_LOCK = threading.Lock()


def atari_id(env_id):
    """The full id under which ALE registers `env_id` ('ALE/Pong' is 'ALE/Pong-v5'), or None if it is none of
    ALE's."""
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
    """One game; rewards are its own, unclipped.

    env_id: as the user wrote it; game_id: the full id that ALE registers, which says the game, the probability of a
    sticky action and the action set. Its frame skip is not used: it is always 4.
    life_loss: report a lost life as LIFE_LOST, which is terminal for the learner only.
    """

    def __init__(self, env_id, game_id, terminal_on_life_loss=False):
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
        super().__init__(EnvSpec(env_id, "atari", frames, int(self.env.single_action_space.n)))

    def restart(self, rng, obs):
        # Seeding loads the ROM again and costs as much as 200 steps: only the first reset does it, the others go on
        # with ALE's own generator. An explicit reset takes the place of the autoreset step, which is so never learned
        # from.
        raw, info = self.env.reset(seed=None if self.seeded else int(choice(rng, SEEDS)))
        self.seeded = True
        self.lives = int(info["lives"][0])
        self.spec.observation.encode(raw[0], obs)

    def play(self, action, rng, obs):
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

    def close(self):
        super().close()
        self.env.close()
