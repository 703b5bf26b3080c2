"""An Atari 2600 game in a mode or at a difficulty of the user's choice.

ALE's vector interface knows neither, so this game is emulated through ALE's single-environment interface. It holds the
GIL, so workers emulate one after the other. The preprocessing is the one of the vector interface, in Python and one
kernel: `atari.py` lists it. The same actions give the same observations there and here, up to the rounding of a pixel.
"""

import random
from pathlib import Path

import ale_py
import gymnasium
import numpy as np
from ale_py import roms

from numasync.runtime.jit import FLOAT, compile_for, float32_2d, int64_1d, kernel, uint8_2d

STACK = 4
PIXELS = 84
NO_OPS = 30


class SingleGame:
    """One game. It has what `AtariEnv` uses of ALE's AtariVectorEnv, with arrays of one element.

    game                        the name of its ROM
    mode, difficulty            numbers that the game has; None for its own
    repeat_action_probability   how often the action before is repeated, from 0 to 1
    full_action_space           whether it has all 18 actions
    max_num_frames_per_episode  where an episode is cut
    frameskip                   the frames that an action lasts

    Raises ValueError where the game does not have the mode or the difficulty.
    """

    def __init__(
        self,
        game: str,
        mode: int | None,
        difficulty: int | None,
        repeat_action_probability: float,
        full_action_space: bool,
        max_num_frames_per_episode: int,
        frameskip: int,
    ) -> None:
        rom = roms.get_rom_path(game)
        if rom is None:
            raise ValueError(f"{game} is no name of a ROM")
        self.rom, self.mode, self.difficulty = Path(rom), mode, difficulty
        self.frameskip, self.most_frames = frameskip, max_num_frames_per_episode
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # or it prints a greeting
        self.ale = ale_py.ALEInterface()
        self.ale.setFloat("repeat_action_probability", float(repeat_action_probability))
        self.load(0)
        self.actions = self.ale.getLegalActionSet() if full_action_space else self.ale.getMinimalActionSet()
        self.fires = ale_py.Action.FIRE in self.actions
        self.single_action_space = gymnasium.spaces.Discrete(len(self.actions))
        height, width = self.ale.getScreenDims()
        # The last two screens, and the pixels of the picture that lie in a pixel of the frame.
        self.screens = np.zeros((2, height, width), np.uint8)
        self.rows, self.columns = area_weights(height, PIXELS), area_weights(width, PIXELS)
        self.stack = np.zeros((STACK, PIXELS, PIXELS), np.uint8)
        self.frames = 0
        compile_for(shrink, uint8_2d, uint8_2d, int64_1d, float32_2d, int64_1d, float32_2d)

    def load(self, seed: int) -> None:
        """Load the ROM, which is how ALE takes a seed, and set mode and difficulty again."""
        self.ale.setInt("random_seed", seed)
        self.ale.loadROM(self.rom)
        self.no_ops = random.Random(seed)
        for name, value, known, choose in (
            ("mode", self.mode, self.ale.getAvailableModes(), self.ale.setMode),
            ("difficulty", self.difficulty, self.ale.getAvailableDifficulties(), self.ale.setDifficulty),
        ):
            if value is not None and value not in known:
                raise ValueError(f"its {name} can be {', '.join(map(str, known))}, not {value}")
            if value is not None:
                choose(value)

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Begin an episode. Return the stack, uint8 (1, 4, 84, 84), and the lives. seed: None goes on with the last."""
        if seed is not None:
            self.load(seed)
        self.ale.reset_game()
        if self.fires:
            self.ale.act(ale_py.Action.FIRE)
        for _ in range(self.no_ops.randrange(NO_OPS) - self.fires):
            self.ale.act(ale_py.Action.NOOP)
            if self.ale.game_over():
                self.ale.reset_game()
        self.frames = 0
        self.stack[:], self.screens[:] = 0, 0
        self.ale.getScreenGrayscale(self.screens[0])
        self.add_frame()
        return self.stack[None], {"lives": np.array([self.ale.lives()])}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Play an action. Return the stack, reward, whether it is terminated and truncated, and the lives."""
        action, reward = self.actions[int(actions[0])], 0
        over = cut = False
        for left in reversed(range(self.frameskip)):
            reward += self.ale.act(action)
            self.frames += 1
            over, cut = self.ale.game_over(), self.frames >= self.most_frames
            if over or cut:
                break
            if left < len(self.screens):
                self.ale.getScreenGrayscale(self.screens[left])
        self.add_frame()
        lives = {"lives": np.array([self.ale.lives()])}
        return self.stack[None], np.array([reward]), np.array([over]), np.array([cut and not over]), lives

    def add_frame(self) -> None:
        """Add the brighter pixels of the last two screens, made smaller, to the stack."""
        self.stack[:-1] = self.stack[1:]
        np.maximum(self.screens[0], self.screens[1], out=self.screens[0])
        shrink(self.stack[-1], self.screens[0], *self.rows, *self.columns)

    def picture(self) -> np.ndarray:
        """Return the screen in colour, uint8 (height, width, 3)."""
        return self.ale.getScreenRGB()

    def close(self) -> None:
        """Do nothing: Python frees the emulator."""


def area_weights(size: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels of a side lie in each of `cells` equal parts of it.

    Returns the first pixel of each part, int64 (cells,), and the share of the part that it and the next pixels cover,
    float32 (cells, most pixels).
    """
    edges = np.arange(cells + 1) * size / cells
    first = np.floor(edges[:-1] + 1e-9).astype(np.int64)
    most = int((np.ceil(edges[1:] - 1e-9) - first).max())
    pixels = first[:, None] + np.arange(most)
    covered = np.minimum(pixels + 1, edges[1:, None]) - np.maximum(pixels, edges[:-1, None])
    return first, (np.maximum(covered, 0) * cells / size).astype(FLOAT)


@kernel
def shrink(out, picture, first_rows, row_weights, first_columns, column_weights):
    """Write the mean of the pixels that lie in each pixel of `out`, rounded.

    out             uint8 (height, width)
    picture         uint8, larger
    first_rows, row_weights, first_columns, column_weights  see `area_weights`
    """
    height, width = out.shape
    for y in range(height):
        for x in range(width):
            total = FLOAT(0)
            for i in range(row_weights.shape[1]):
                row, across = first_rows[y] + i, FLOAT(0)
                if row < picture.shape[0]:
                    for j in range(column_weights.shape[1]):
                        column = first_columns[x] + j
                        if column < picture.shape[1]:
                            across += column_weights[x, j] * FLOAT(picture[row, column])
                total += row_weights[y, i] * across
            out[y, x] = np.uint8(np.rint(total))
