"""`numasync watch`: show one episode."""

import argparse

from numasync.agent.agent import load
from numasync.commands.agent_argument import AGENT_HELP, add_agent, agent_of
from numasync.commands.command import Command
from numasync.commands.options import KEYWORDS
from numasync.config import Config
from numasync.errors import InputError
from numasync.tools.program import Parser, path_argument, whole_number
from numasync.tools.watch import FPS, MAX_FPS, MAX_VIDEO_FPS, watch


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    add_agent(parser, f"who plays: {AGENT_HELP} [random actions]")
    parser.add_argument("--env", metavar="ID", help="environment to play [the agent's own]")
    parser.add_argument("--env-kwargs", help="keywords for the environment [the agent's own]", **KEYWORDS)
    file = parser.add_mutually_exclusive_group()
    text = "write the episode to this .gif file instead of showing it"
    file.add_argument("--gif", type=path_argument, metavar="FILE", help=text)
    text = "write the episode to this .mp4 file instead of showing it"
    file.add_argument("--video", type=path_argument, metavar="FILE", help=text)
    text = f"seed of the episode [the agent's own, or {Config.seed}]"
    parser.add_argument("--seed", type=whole_number, metavar="N", help=text)
    text = "most steps to play [the steps of an evaluation]"
    parser.add_argument("--steps", type=whole_number, metavar="N", help=text)
    text = f"steps shown per second, {MAX_FPS} at most, in a video {MAX_VIDEO_FPS} [{FPS}; in a file real time]"
    parser.add_argument("--fps", type=whole_number, metavar="N", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Show an episode, or write it to a file."""
    path = agent_of(arguments, "watch")
    agent = load(path, arguments.env) if path else None
    env_id = arguments.env or (agent and agent.env_to_play())
    if not env_id:
        raise InputError("There is nothing to watch; give an AGENT, --env ID or both.")
    default_seed = agent.config.seed if agent else Config.seed
    seed = default_seed if arguments.seed is None else arguments.seed
    file = {"gif": arguments.gif, "video": arguments.video}
    watch(env_id, agent, seed, arguments.steps, arguments.fps, env_kwargs=arguments.env_kwargs, **file)
    return 0


WATCH = Command("watch", "show one episode, or write it to a .gif or .mp4 file", add_arguments, run)
