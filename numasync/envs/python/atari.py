"""Atari 2600 games through ALE's vector interface, with one environment for each worker.

ALE's vector interface emulates with the GIL released, so workers emulate at the same time. It plays every game in its
default mode and at its default difficulty. A game in another one is played by `single_game.py`.

The preprocessing is the one of Mnih et al. 2015 and 2016, and ALE does all of it in C++:

- an action is repeated for 4 frames, and each pixel is the maximum of the last two;
- a frame is grey, 84 x 84 pixels, and an observation is a stack of the last four;
- a reset plays up to 30 no-ops, and fires where a game waits for it;
- a time limit truncates an episode after 108,000 frames (30 minutes of play).
"""

import math
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import ale_py
import gymnasium
import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id

from numasync.envs.kwargs import unknown_keyword
from numasync.envs.observation import Observation
from numasync.envs.python.bridge import SEEDS, PythonEnv
from numasync.envs.python.single_game import NO_OPS, PIXELS, STACK, SingleGame
from numasync.envs.spec import LIFE_LOST, RUNNING, TERMINATED, TRUNCATED, EnvSpec
from numasync.errors import InputError, one_line
from numasync.runtime.rng import choice_in_python

FRAME_SKIP = 4
MAX_FRAMES = 108_000
FRAMES_PER_SECOND = 60

# An episode that begins this many steps after the last seed gets a new seed, where the game must be saved. Longer
# takes longer to restore. A seed takes as long as 200 steps.
STEPS_OF_A_SEED = 20_000

# The settings of a game that are honoured, with the values that they have in Gymnasium where nothing sets them.
HONOURED: dict[str, Any] = {"game": None, "repeat_action_probability": 0.25, "full_action_space": False}
# The settings that the vector interface cannot be given. `SingleGame` can.
START = ("mode", "difficulty")
# The other settings, with the values that say what numasync does anyway. Colours become grey.
ANYWAY: dict[str, tuple] = {
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


def atari_spec(env_id: str, source: Any = None) -> gymnasium.envs.registration.EnvSpec | None:
    """Return the EnvSpec of a game of ALE, or None for anything else.

    source  the EnvSpec, function or class that the id stands for; None: ALE has registered the id
    """
    if source is None:
        game_id = atari_id(env_id)
        return gymnasium.spec(game_id) if game_id else None
    return None if callable(source) or not str(source.entry_point).startswith("ale_py.") else source


class Settings(NamedTuple):
    """The settings of a game.

    emulator  arguments of AtariVectorEnv and of SingleGame
    start     mode and difficulty; None for the game's own
    steps     the most steps of an episode; None for no limit but ALE's number of frames
    """

    emulator: dict[str, Any]
    start: dict[str, Any]
    steps: int | None


def read_settings(
    env_id: str, spec: gymnasium.envs.registration.EnvSpec, env_kwargs: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings that an id and the user's keywords ask for.

    env_id      the id, as the user wrote it
    spec        what is registered under it
    env_kwargs  the user's keywords

    An id whose frame skip is 1, such as PongNoFrameskip-v4, leaves the frame skip to the preprocessing: it is then 4,
    and max_episode_steps counts frames. Raises InputError where a setting cannot be honoured.
    """
    given = dict(env_kwargs or {})
    known = [*HONOURED, *START, *ANYWAY, *IGNORED, "max_episode_steps"]
    for name in given:
        if name not in known or name == "game":
            raise unknown_keyword(env_id, name, [own for own in known if own != "game"])
    steps = given.pop("max_episode_steps", spec.max_episode_steps)
    kwargs = {**spec.kwargs, **given}
    skip, frames = kwargs.get("frameskip", FRAME_SKIP), kwargs.get("max_num_frames_per_episode") or MAX_FRAMES
    for name in [*refused_settings(kwargs), *([] if is_count(steps) or steps is None else ["max_episode_steps"])]:
        if name == "frameskip":
            reason = "numasync repeats an action for a fixed number of frames, as in ALE/Pong-v5 or PongNoFrameskip-v4"
        else:
            reason = "numasync, which does the preprocessing of Atari games itself, cannot honour this setting"
        raise refusal(env_id, f"{name}={kwargs.get(name, steps)!r}", reason)
    if spec.additional_wrappers:
        raise refusal(env_id, f"the wrapper {spec.additional_wrappers[0].name}", "numasync plays ALE without wrappers")
    emulator = {name: kwargs.get(name, default) for name, default in HONOURED.items()}
    emulator.update(max_num_frames_per_episode=frames, frameskip=FRAME_SKIP if skip == 1 else skip)
    start = {name: kwargs.get(name) for name in START}
    return Settings(emulator, start, steps and math.ceil(steps / (FRAME_SKIP if skip == 1 else 1)))


def is_count(value: Any) -> bool:
    """Return whether a setting is a whole number from 1."""
    return type(value) is int and value >= 1


def refused_settings(kwargs: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings that cannot be honoured."""
    refused = [name for name, value in kwargs.items() if name in ANYWAY and value not in ANYWAY[name]]
    refused += [name for name in kwargs if name not in (*HONOURED, *START, *ANYWAY, *IGNORED)]
    refused += [name for name in START if type(kwargs.get(name, 0)) is not int and kwargs[name] is not None]
    if not is_count(kwargs.get("frameskip", FRAME_SKIP)):
        refused.append("frameskip")
    sticky = kwargs.get("repeat_action_probability", 0)
    if not isinstance(sticky, (int, float)) or not 0 <= sticky <= 1:
        refused.append("repeat_action_probability")
    if not isinstance(kwargs.get("full_action_space", False), bool):
        refused.append("full_action_space")
    if not is_count(kwargs.get("max_num_frames_per_episode") or MAX_FRAMES):
        refused.append("max_num_frames_per_episode")
    return refused


def refusal(env_id: str, setting: str, reason: str) -> InputError:
    """Return the InputError that says which setting of an id cannot be honoured, and why."""
    return InputError(
        f"{env_id} has {setting}, but {reason}; give a function as env that returns the game with "
        f"gymnasium.wrappers.AtariPreprocessing and FrameStackObservation instead."
    )


class AtariEnv(PythonEnv):
    """One game. Its rewards are the game's own, unclipped.

    env_id                 the id, as the user wrote it
    game                   the EnvSpec that ALE registers; `read_settings` says what it decides
    terminal_on_life_loss  whether a lost life is reported as LIFE_LOST, which is terminal for the learner only
    env_kwargs             the user's keywords, which take the place of the keywords of `game`

    Raises InputError where a setting of the id cannot be honoured, or ALE refuses it.
    """

    def __init__(
        self,
        env_id: str,
        game: gymnasium.envs.registration.EnvSpec,
        terminal_on_life_loss: bool = False,
        env_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = read_settings(env_id, game, env_kwargs)
        self.steps_per_second = FRAMES_PER_SECOND / self.settings.emulator["frameskip"]
        self.terminal_on_life_loss = terminal_on_life_loss
        self.env = make_ale(env_id, self.settings)
        # The same game once more, in colour. The same seed and the same actions keep both in step.
        self.colour: AtariVectorEnv | SingleGame | None = None
        self.screen: np.ndarray | None = None
        self.action = np.zeros(1, np.int64)
        self.lives = 0
        self.steps = 0
        self.seed: int | None = None
        # The actions since the seed, where the game must be saved.
        self.history: bytearray | None = None
        frames = Observation("frames", (STACK, PIXELS, PIXELS), 1.0 / 255.0)
        n_actions = int(self.env.single_action_space.n)  # type: ignore[union-attr]
        super().__init__(EnvSpec(env_id, "atari", frames, n_actions))

    def on_reset(self, rng: np.ndarray, obs: np.ndarray) -> None:
        # Only the first reset is seeded, because seeding loads the ROM again and takes as long as 200 steps. Later ones
        # go on with ALE's own generator. This reset replaces ALE's autoreset step, which nothing may learn from.
        if self.seed is None or len(self.history or ()) >= STEPS_OF_A_SEED:
            self.seed = choice_in_python(rng, SEEDS)
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
        if truncated[0] or self.steps == self.settings.steps:
            return reward[0], TRUNCATED
        return reward[0], LIFE_LOST if lost and self.terminal_on_life_loss else RUNNING

    def prepare_pictures(self) -> bool:
        """Prepare pictures of the whole screen in colour, as the console shows it."""
        if isinstance(self.env, SingleGame):
            return True
        height, width = screen_size(self.settings.emulator["game"])
        size = dict(img_height=height, img_width=width)
        self.colour = make_ale(self.spec.id, self.settings, grayscale=False, stack_num=1, **size)
        return True

    def picture(self) -> np.ndarray | None:
        if isinstance(self.env, SingleGame):
            return self.env.picture()
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


def make_ale(env_id: str, settings: Settings, **picture: Any) -> "AtariVectorEnv | SingleGame":
    """Return what emulates one game, with the preprocessing of the paper.

    env_id    the id, as the user wrote it
    settings  of `read_settings`
    picture   how its frames differ from the paper's; not for a game in a mode of the user's choice

    Raises InputError where ALE refuses a setting.
    """
    frames = dict(stack_num=STACK, img_height=PIXELS, img_width=PIXELS) | picture
    try:
        with BUILD_LOCK:
            if any(value is not None for value in settings.start.values()):
                return SingleGame(**settings.emulator, **settings.start)
            return AtariVectorEnv(
                num_envs=1,
                num_threads=1,
                noop_max=NO_OPS,
                reward_clipping=False,
                **frames,
                **settings.emulator,
            )
    except Exception as error:  # an unknown game is an AssertionError, and ALE raises a RuntimeError
        reason = one_line(str(error).split(". ")[0])
        raise InputError(f"{env_id} has settings that ALE refuses: {reason}") from error
