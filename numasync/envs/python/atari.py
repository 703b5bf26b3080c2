"""Atari 2600 games through ALE's vector interface, with one environment for each worker.

ALE's vector interface emulates with the GIL released, so workers emulate at the same time. Its single-environment
interface holds the GIL.

The preprocessing is the one of Mnih et al. 2015 and 2016, and ALE does all of it in C++:

- an action is repeated for 4 frames, and each pixel is the maximum of the last two;
- a frame is grey, 84 x 84 pixels, and an observation is a stack of the last four;
- a reset plays up to 30 no-ops, and fires where a game waits for it;
- a time limit truncates an episode after 108,000 frames (30 minutes of play).
"""

import math
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
from numasync.errors import InputError, one_line
from numasync.runtime.rng import choice

FRAME_SKIP = 4
STACK = 4
PIXELS = 84
NO_OPS = 30
MAX_FRAMES = 108_000
FRAMES_PER_SECOND = 60

# An episode that begins this many steps after the last seed gets a new seed, where the game must be saved. Longer
# takes longer to restore. A seed takes as long as 200 steps.
STEPS_OF_A_SEED = 20_000

# The settings of a registered id that the vector interface can be given, with the values that they have in Gymnasium
# where the id does not set them.
HONOURED: dict[str, Any] = {"game": None, "repeat_action_probability": 0.25, "full_action_space": False}
# The other settings, with the values that say what numasync does anyway. Colours become grey.
ANYWAY: dict[str, tuple] = {
    "mode": (None,),
    "difficulty": (None,),
    "obs_type": ("rgb", "grayscale"),
    "continuous": (False,),
    "render_mode": (None, "rgb_array"),
    "sound_obs": (False,),
}
IGNORED = ("frameskip", "max_num_frames_per_episode", "continuous_action_threshold")

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


def read_settings(env_id: str, spec: gymnasium.envs.registration.EnvSpec) -> tuple[dict[str, Any], int | None]:
    """Return the arguments of AtariVectorEnv that an id asks for, and the most steps of an episode, or None.

    env_id  the id, as the user wrote it
    spec    what is registered under it

    An id whose frame skip is 1, such as PongNoFrameskip-v4, leaves the frame skip to the preprocessing: it is then 4,
    and max_episode_steps counts frames. Raises InputError where a setting cannot be honoured.
    """
    kwargs = spec.kwargs
    refused = [name for name, value in kwargs.items() if name in ANYWAY and value not in ANYWAY[name]]
    refused += [name for name in kwargs if name not in (*HONOURED, *ANYWAY, *IGNORED)]
    skip = kwargs.get("frameskip", FRAME_SKIP)
    if type(skip) is not int or skip < 1:
        refused.append("frameskip")
    sticky, frames = kwargs.get("repeat_action_probability", 0), kwargs.get("max_num_frames_per_episode") or MAX_FRAMES
    if not isinstance(sticky, (int, float)) or not 0 <= sticky <= 1:
        refused.append("repeat_action_probability")
    if type(frames) is not int or frames < 1:
        refused.append("max_num_frames_per_episode")
    for name in refused:
        if name == "frameskip":
            reason = "numasync repeats an action for a fixed number of frames, as in ALE/Pong-v5 or PongNoFrameskip-v4"
        else:
            reason = "ALE's vector interface, which numasync plays, cannot be given this setting"
        raise refusal(env_id, f"{name}={kwargs[name]!r}", reason)
    if spec.additional_wrappers:
        raise refusal(env_id, f"the wrapper {spec.additional_wrappers[0].name}", "numasync plays ALE without wrappers")
    steps = spec.max_episode_steps
    settings = {name: kwargs.get(name, default) for name, default in HONOURED.items()}
    settings.update(max_num_frames_per_episode=frames, frameskip=FRAME_SKIP if skip == 1 else skip)
    return settings, steps and math.ceil(steps / (FRAME_SKIP if skip == 1 else 1))


def refusal(env_id: str, setting: str, reason: str) -> InputError:
    """Return the InputError that says which setting of an id cannot be honoured, and why."""
    return InputError(
        f"{env_id} is registered with {setting}, but {reason}; register a function that returns the game with "
        f"gymnasium.wrappers.AtariPreprocessing and FrameStackObservation instead."
    )


class AtariEnv(PythonEnv):
    """One game. Its rewards are the game's own, unclipped.

    env_id                 the id, as the user wrote it
    game_id                the full id that ALE registers; `read_settings` says what it decides
    terminal_on_life_loss  whether a lost life is reported as LIFE_LOST, which is terminal for the learner only

    Raises InputError where a setting of the id cannot be honoured, or ALE refuses it.
    """

    def __init__(self, env_id: str, game_id: str, terminal_on_life_loss: bool = False) -> None:
        settings, self.most_steps = read_settings(env_id, gymnasium.spec(game_id))
        self.settings = settings
        self.steps_per_second = FRAMES_PER_SECOND / settings["frameskip"]
        self.terminal_on_life_loss = terminal_on_life_loss
        self.env = make_ale(env_id, settings)
        # The same game once more, in colour. The same seed and the same actions keep both in step.
        self.colour: AtariVectorEnv | None = None
        self.screen: np.ndarray | None = None
        self.action = np.zeros(1, np.int64)
        self.lives = 0
        self.steps = 0
        self.seed: int | None = None
        # The actions since the seed, where the game must be saved.
        self.history: bytearray | None = None
        frames = Observation("frames", (STACK, PIXELS, PIXELS), 1.0 / 255.0)
        n_actions = int(self.env.single_action_space.n)  # type: ignore[attr-defined]
        super().__init__(EnvSpec(env_id, "atari", frames, n_actions))

    def on_reset(self, rng: np.ndarray, obs: np.ndarray) -> None:
        # Only the first reset is seeded, because seeding loads the ROM again and takes as long as 200 steps. Later ones
        # go on with ALE's own generator. This reset replaces ALE's autoreset step, which nothing may learn from.
        if self.seed is None or len(self.history or ()) >= STEPS_OF_A_SEED:
            self.seed = int(choice(rng, SEEDS))
            if self.history is not None:
                self.history.clear()
            self.begin(self.seed, obs)
        else:
            self.begin(None, obs)

    def begin(self, seed: int | None, obs: np.ndarray) -> None:
        """Begin an episode and write its first observation into obs. seed: None to go on with ALE's generator."""
        raw, info = self.env.reset(seed=seed)
        if self.colour:
            self.screen = self.colour.reset(seed=seed)[0][0, -1]
        self.lives = int(info["lives"][0])
        self.steps = 0
        self.spec.observation.encode(raw[0], obs)

    def on_step(self, action: Any, rng: np.ndarray | None, obs: np.ndarray) -> tuple[Any, int]:
        self.action[0] = action
        if self.history is not None:
            self.history.append(self.action[0])
        raw, reward, terminated, truncated, info = self.env.step(self.action)
        if self.colour:
            self.screen = self.colour.step(self.action)[0][0, -1]
        self.spec.observation.encode(raw[0], obs)
        lives = int(info["lives"][0])
        lost, self.lives = lives < self.lives, lives
        if terminated[0]:
            return reward[0], TERMINATED
        self.steps += 1
        if truncated[0] or self.steps == self.most_steps:
            return reward[0], TRUNCATED
        return reward[0], LIFE_LOST if lost and self.terminal_on_life_loss else RUNNING

    def prepare_pictures(self) -> bool:
        """Prepare pictures of the whole screen in colour, as the console shows it."""
        height, width = screen_size(self.settings["game"])
        size = dict(img_height=height, img_width=width)
        self.colour = make_ale(self.spec.id, self.settings, grayscale=False, stack_num=1, **size)
        return True

    def picture(self) -> np.ndarray | None:
        return None if self.screen is None else self.screen.copy()

    def keep_history(self) -> None:
        """Keep the actions since the last seed. ALE's vector interface does not give its state away."""
        self.history = bytearray()

    def save(self) -> np.ndarray | None:
        """Return the seed and the actions since then, int32 (n,)."""
        return None if self.history is None else np.array([self.seed, *self.history], np.int32)

    def restore(self, saved: np.ndarray, obs: np.ndarray) -> None:
        """Play the actions again, because a game repeats from its seed. It takes as long as they took."""
        self.seed, self.history = int(saved[0]), bytearray()
        self.begin(self.seed, obs)
        for action in saved[1:].tolist():
            _, end = self.on_step(action, None, obs)
            if end in (TERMINATED, TRUNCATED):
                self.begin(None, obs)

    def release(self) -> None:
        self.env.close()
        if self.colour:
            self.colour.close()


def screen_size(game: str) -> tuple[int, int]:
    """Return the height and the width of a game's screen. game: the name of its ROM."""
    with BUILD_LOCK:
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        ale = ale_py.ALEInterface()
        ale.loadROM(str(ale_py.roms.get_rom_path(game)))
        return ale.getScreenDims()


def make_ale(env_id: str, settings: dict[str, Any], **picture: Any) -> AtariVectorEnv:
    """Return ALE's environment of one game, with the preprocessing of the paper.

    env_id    the id, as the user wrote it
    settings  of `read_settings`
    picture   how its frames differ from the paper's

    Raises InputError where ALE refuses a setting.
    """
    frames = dict(stack_num=STACK, img_height=PIXELS, img_width=PIXELS) | picture
    try:
        with BUILD_LOCK:
            return AtariVectorEnv(
                num_envs=1,
                num_threads=1,
                noop_max=NO_OPS,
                reward_clipping=False,
                **frames,
                **settings,
            )
    except Exception as error:  # an unknown game is an AssertionError, and ALE raises a RuntimeError
        reason = one_line(str(error).split(". ")[0])
        raise InputError(f"{env_id} is registered with settings that ALE refuses: {reason}") from error
