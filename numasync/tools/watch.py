"""One episode to look at: on a terminal, as plain text through a pipe, as an animated GIF, or as a video."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from numasync.agent.agent import Agent
from numasync.agent.evaluation import EVALUATION_STREAM, act, episode_limit
from numasync.agent.network import check_theta
from numasync.envs import make_env
from numasync.envs.objects import EnvLike, as_env_id
from numasync.envs.spec import LIFE_LOST, RUNNING, Environment
from numasync.errors import EvaluationError, InputError, failure_of
from numasync.runtime.checks import as_path, as_whole_number, check_kind
from numasync.runtime.jit import FLOAT
from numasync.runtime.rng import seed_row
from numasync.tools.frames import Frame, format_number
from numasync.tools.gif import import_pillow, write_gif
from numasync.tools.pictures import check_picture_path, prepare_pictures, take_picture
from numasync.tools.terminal import show
from numasync.tools.video import find_ffmpeg, write_video
from numasync.training.console import plural

FPS = 10
# A GIF counts time in hundredths of a second, and viewers slow down frames that last less than two of them.
MAX_FPS, MAX_VIDEO_FPS = 50, 240


def watch(
    env_id: EnvLike,
    agent: Agent | None = None,
    seed: int = 1,
    steps: int | None = None,
    fps: int | None = None,
    gif: str | os.PathLike | None = None,
    video: str | os.PathLike | None = None,
    env_kwargs: dict[str, Any] | None = None,
) -> None:
    """Play one episode and show it on the standard output, or write it to a file. Print its score at the end.

    A terminal shows each frame in the place of the frame before. A file or a pipe gets plain text, without waiting.

    env_id  the id of the environment, see `numasync envs`, or whatever `train` takes as env
    agent   who plays: it acts as in the first episode of `agent.evaluate(seed=seed)`; None for random actions
    seed    the seed of the episode
    steps   the most steps to play; by default the limit of `agent.evaluate`
    fps     steps shown per second, 50 at most, in a video 240; by default 10, and in a file real time where the
            environment says it: 15 on Atari
    gif     a .gif file to write instead, in colour; it needs Pillow
    video   an .mp4 file to write instead, in colour; it needs imageio-ffmpeg
    env_kwargs  keywords for the environment; by default the agent's own

    A file shows what the environment draws: Atari's whole screen, and what an environment of Gymnasium draws as
    'rgb_array'. Where it draws nothing, the file shows the observations, if they are pictures.

    Raises InputError, before anything is played, where an argument is not allowed, the agent was trained on another
    environment, a package is missing, there is nothing to see, or a file cannot be written. Raises InputError after the
    episode where writing fails; an existing file then stays as it was. Raises EvaluationError where the environment
    fails.
    """
    check_kind("agent", agent, (Agent, type(None)), "an Agent")
    seed = as_whole_number("seed", seed, 0)
    steps = None if steps is None else as_whole_number("steps", steps, 1)
    most = MAX_FPS if video is None else MAX_VIDEO_FPS
    fps = None if fps is None else as_whole_number("fps", fps, 1, most)
    file = check_file(gif, video)
    own = agent.spec if agent else None
    if env_kwargs is None and own:
        env_kwargs = own.env_kwargs
    env = make_env(as_env_id(env_id, "env_id"), observation=own and own.observation, env_kwargs=env_kwargs)
    try:
        if agent:
            agent.spec.check_compatible(env.spec)
        if file:
            prepare_pictures(env)
        rng = seed_row(seed, EVALUATION_STREAM)
        choose_action = make_choose_action(agent, rng) if agent else lambda obs: env.spec.random_action(rng)
        episode = play_frames(env, choose_action, rng, episode_limit(env) if steps is None else steps)
        if file:
            write = write_gif if video is None else write_video
            fps = fps or min(round(env.steps_per_second or FPS), most)
            last = write(episode, partial(take_picture, env), fps, file)
        else:
            out = sys.stdout or io.StringIO()  # a program may have no standard output
            last = show(episode, env.spec.observation, fps or FPS, out)
    finally:
        env.close()
    print(f"Score {format_number(last.score)} after {plural(last.step, 'step')}", flush=True)


def check_file(gif: str | os.PathLike | None, video: str | os.PathLike | None) -> Path | None:
    """Return the path of the file to write, or None where there is none. The arguments are as in `watch`.

    Raises InputError where it cannot be written, or a package is missing.
    """
    if gif is not None and video is not None:
        raise InputError("Give one file, a GIF (--gif) or a video (--video).")
    if gif is not None:
        gif = as_path("gif", gif)
        check_picture_path(gif, ".gif")
        import_pillow()
        return gif
    if video is not None:
        video = as_path("video", video)
        check_picture_path(video, ".mp4")
        find_ffmpeg()
        return video
    return None


def play_frames(
    env: Environment, choose_action: Callable[[np.ndarray], Any], rng: np.ndarray, limit: int
) -> Iterator[Frame]:
    """Play one episode and yield its frames, the first before any step. `EpisodePlayer` does the same for a score.

    env            the environment
    choose_action  returns the action for an observation, float32 (1, inputs)
    rng            uint64 (4,): a generator row; it is advanced
    limit          the most steps to play
    """
    obs = np.zeros((1, int(np.prod(env.spec.observation.network_shape))), FLOAT)
    state = env.new_state()
    call_environment(env.reset, state, rng, obs[0])
    frame, end = Frame(obs[0], 0, None, 0.0, 0.0), RUNNING
    yield frame
    while end in (RUNNING, LIFE_LOST) and frame.step < limit:
        action = choose_action(obs)
        reward, end = call_environment(env.step, state, action, rng, obs[0])
        frame = Frame(obs[0], frame.step + 1, action, reward, frame.score + reward)
        yield frame


def call_environment(function: Callable, *arguments: Any) -> Any:
    """Call a function of an environment. Raises EvaluationError where it fails."""
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:  # some environments leave the program when their window is closed
        raise EvaluationError(failure_of("The environment", error)) from error


def make_choose_action(agent: Agent, rng: np.ndarray) -> Callable[[np.ndarray], Any]:
    """Return a function that chooses actions as in an evaluation of the agent. rng: as in `play_frames`."""
    network, policy, epsilon, action_map = agent.evaluation_policy()
    check_theta(agent.theta, network)
    actions, tape = agent.spec.new_actions(1), network.tape(1)
    how = (action_map, policy, epsilon, agent.spec.n_actions, rng)

    def choose_action(obs: np.ndarray) -> Any:
        act(actions, tape, obs, agent.theta, network.table, *how)
        return actions[0]

    return choose_action
