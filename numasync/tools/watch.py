"""One episode to look at: redrawn in place on a terminal, as plain text through a pipe, or as an animated GIF."""

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numasync.agent.evaluation import EVALUATION_STREAM, MAX_ACTIONS, act
from numasync.envs import make_env
from numasync.envs.spec import LIFE_LOST, RUNNING
from numasync.errors import InputError
from numasync.runtime.checks import check_whole_number
from numasync.runtime.files import write_atomically
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row

FPS = 10
# GIF counts hundredths of a second, and viewers slow down what asks for fewer than two.
MAX_FPS = 50
GIF_SIDE = 240  # pixels of the longer side of a GIF, as nearly as whole pixels a cell allow
TEXT_SIDE = 42  # cells a side in plain text: half an Atari frame

# A board shows the highest channel that is set, in these colours and characters; empty cells come first.
COLOURS = (
    (0x42, 0xD4, 0xF4), (0xFF, 0xE1, 0x19), (0x91, 0x82, 0x4A), (0xE6, 0x19, 0x4B), (0x3C, 0xB4, 0x4B),
    (0xF5, 0x82, 0x31), (0xF0, 0x32, 0xE6), (0x43, 0x63, 0xD8), (0xFF, 0xFF, 0xFF), (0xDC, 0xBE, 0xFF),
)  # fmt: skip
BOARD_PALETTE = np.array([(0, 0, 0), *(COLOURS[i % len(COLOURS)] for i in range(255))], np.uint8)
BOARD_CHARACTERS = "." + "".join("123456789abcdefghijklmnopqrstuvwxyz"[i % 35] for i in range(255))
GREY_PALETTE = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(256, 3)
GREY_CHARACTERS = "".join(" .:-=+*#%@"[i * 10 // 256] for i in range(256))

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
UP, REST_OF_LINE, PLAIN = "\x1b[{}A", "\x1b[K", "\x1b[0m"


class Frame(NamedTuple):
    """What there is to see after `step` actions; before the first, action is None.

    obs: float32 (inputs,), which the next step overwrites. score: the sum of unclipped rewards.
    """

    obs: np.ndarray
    step: int
    action: int | np.ndarray | None
    reward: float
    score: float


def watch(env_id, agent=None, seed=1, steps=MAX_ACTIONS, fps=FPS, gif=None):
    """Play one episode of `env_id`, of `steps` actions at most, and show it, or write it to the file `gif`.

    The agent plays as in the first episode of agent.evaluate(seed=seed); without one every action is random.
    """
    check_whole_number("seed", seed, 0)
    check_whole_number("steps", steps, 1)
    check_whole_number("fps", fps, 1, MAX_FPS)
    image = gif_library(gif) if gif else None
    env = make_env(env_id, observation=agent.spec.observation if agent else None)
    try:
        if agent:
            agent.spec.check_compatible(env.spec)
        rng = seed_row(seed, EVALUATION_STREAM)
        chooser = agent_chooser(agent, rng) if agent else lambda obs: env.spec.random_action(rng)
        episode = frames(env, chooser, rng, steps)
        if gif:
            last = write_gif(episode, env.spec, fps, gif, image)
        else:
            last = show(episode, env.spec.observation, fps, sys.stdout)
    finally:
        env.close()
    print(f"Score {number(last.score)} after {last.step} action{'s' * (last.step != 1)}", flush=True)


def frames(env, chooser, rng, limit):
    """Play one episode, of `limit` actions at most, and yield its Frames, the first one before any action. What
    `evaluation.Player` is for scores, this is for the eye."""
    obs = np.zeros((1, int(np.prod(env.spec.observation.network_shape))), FLOAT)
    state = env.new_state()
    env.reset(state, rng, obs[0])
    frame, end = Frame(obs[0], 0, None, 0.0, 0.0), RUNNING
    yield frame
    while end in (RUNNING, LIFE_LOST) and frame.step < limit:
        action = chooser(obs)
        reward, end = env.step(state, action, rng, obs[0])
        frame = Frame(obs[0], frame.step + 1, action, reward, frame.score + reward)
        yield frame


def agent_chooser(agent, rng):
    """Chooses the actions with which the agent is scored."""
    network, policy, epsilon = agent.evaluation_policy()
    actions = agent.spec.new_actions(1)
    arguments = (network.tape(1), actions, policy, epsilon, agent.spec.n_actions, rng)

    def choose(obs):
        act(network.table, agent.theta, obs, *arguments)
        return actions[0]

    return choose


def show(episode, observation, fps, out):
    """Show an episode and return its last Frame: in place and in colour where `out` allows it, else line by line."""
    terminal = out.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    draw = in_place if colour else line_by_line
    # A Ctrl-C leaves the generator at its yield: only closing it brings the cursor back before the program ends.
    with contextlib.closing(draw(episode, observation, out)) as drawn:
        for frame in drawn:
            if terminal:
                time.sleep(1 / fps)
    return frame


def in_place(episode, observation, out):
    """Draw each frame over the one before, and pass it on. The cursor, hidden meanwhile, is shown again at the end."""
    columns, lines = shutil.get_terminal_size()
    drawn = 0
    try:
        out.write(HIDE_CURSOR)
        for frame in episode:
            # A line that wraps, or a screen that scrolls, would leave its beginning behind.
            text = [*coloured(frame.obs, observation, columns, lines - 2), status(frame)[: columns - 1]]
            up = UP.format(drawn) if drawn else ""
            out.write(up + "".join(f"{line}{REST_OF_LINE}\n" for line in text))
            out.flush()
            drawn = len(text)
            yield frame
    finally:
        out.write(PLAIN + SHOW_CURSOR)
        out.flush()


def coloured(obs, observation, columns, lines):
    """The lines of an observation on a terminal: cells of two spaces in colour, or one line of numbers."""
    if not is_picture(observation):
        return [numbers(obs, observation)[: columns - 1]]
    palette = palette_of(observation)
    rows = shrink(pixels(obs, observation), lines, (columns - 1) // 2)
    return ["".join("\x1b[48;2;{};{};{}m  ".format(*palette[cell]) for cell in row) + PLAIN for row in rows]


def line_by_line(episode, observation, out):
    """Print each frame under the one before, and pass it on: a line of numbers, or a character a cell."""
    for frame in episode:
        if is_picture(observation):
            characters = GREY_CHARACTERS if observation.is_screen else BOARD_CHARACTERS
            rows = shrink(pixels(frame.obs, observation), TEXT_SIDE, TEXT_SIDE)
            text = ["".join(characters[cell] for cell in row) for row in rows]
            print(*text, status(frame), sep="\n", file=out, flush=True)
        else:
            print(f"{status(frame)}  observation {numbers(frame.obs, observation)}", file=out, flush=True)
        yield frame


def status(frame):
    action = "-" if frame.action is None else np.round(frame.action, 2)
    return f"step {frame.step}  action {action}  reward {number(frame.reward)}  score {number(frame.score)}"


def numbers(obs, observation):
    """A vector as the environment returned it, or the integer of a one-hot one."""
    if observation.kind == "discrete":
        return str(int(np.argmax(obs)) + observation.start)
    return " ".join(f"{x:.4g}" for x in observation.decode(obs).flat)


def number(x):
    """As short as it can be, without the noise of a floating sum."""
    return f"{x:.10g}"


def is_picture(observation):
    return observation.kind in ("image", "frames")


def palette_of(observation):
    """uint8 (256, 3): the colour of each value of `pixels`."""
    return GREY_PALETTE if observation.is_screen else BOARD_PALETTE


def pixels(obs, observation):
    """An encoded observation as uint8 (height, width): the brightness of a screen (the last of a stack of frames,
    the mean of the colours of an image), or one more than the highest channel that is set, 0 where none is."""
    values = observation.decode(obs)
    if observation.kind == "frames":
        values = values[:, :, -1:]
    if observation.is_screen:
        return np.rint(values.mean(axis=2)).astype(np.uint8)
    return np.where(values != 0, np.arange(1, values.shape[2] + 1), 0).max(axis=2).astype(np.uint8)


def shrink(cells, height, width):
    """`cells` made smaller by the least whole factor that fits them into height x width. Of a block the highest
    value stays, so that no ball is lost."""
    factor = max(1, -(-cells.shape[0] // max(height, 1)), -(-cells.shape[1] // max(width, 1)))
    padded = np.pad(cells, [(0, -n % factor) for n in cells.shape])
    rows, columns = (n // factor for n in padded.shape)
    return padded.reshape(rows, factor, columns, factor).max(axis=(1, 3))


def gif_library(path):
    """Pillow's Image, once `path` is known to be fit for a GIF. Raises InputError where either is missing."""
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise InputError(f"{path} does not end in .gif; an episode is written as GIF only.")
    if os.path.isdir(path):
        raise InputError(f"{path} is a directory; name the GIF file itself, such as {path / 'episode.gif'}.")
    if not os.path.isdir(path.parent):
        raise InputError(f"There is no folder {path.parent} for {path.name}; make it first.")
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError('Writing a GIF needs Pillow; pip install "numasync[gif]" installs it.') from error
    return Image


def write_gif(episode, spec, fps, path, image):
    """Write an episode as an animated GIF, whole or not at all, and return its last Frame. image: Pillow's Image."""
    if not is_picture(spec.observation):
        raise InputError(f"{spec.id} has no picture to write: its observations are numbers; watch it without --gif.")
    palette = palette_of(spec.observation).tobytes()
    pictures = []
    for frame in episode:
        cells = pixels(frame.obs, spec.observation)
        scale = max(1, round(GIF_SIDE / max(cells.shape)))
        picture = image.fromarray(cells.repeat(scale, axis=0).repeat(scale, axis=1))
        picture.putpalette(palette)
        pictures.append(picture)
    options = dict(format="GIF", save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0)
    try:
        write_atomically(path, lambda file: pictures[0].save(file, **options))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    return frame
