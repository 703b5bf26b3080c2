"""`numasync eval`: score a saved agent."""

import argparse
import json

from numasync.agent.agent import load
from numasync.commands.agent_argument import AGENT_HELP, add_agent, agent_of
from numasync.commands.command import Command
from numasync.commands.options import KEYWORDS
from numasync.errors import InputError
from numasync.tools.human_scores import human_normalized, reference_scores
from numasync.tools.program import Parser, whole_number
from numasync.training.report import evaluation_line


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    add_agent(parser, AGENT_HELP)
    text = (
        "environment to play: the agent's own, in its jitted or its Gymnasium version, or module:name of a function or "
        "a class that makes it [the agent's own]"
    )
    parser.add_argument("--env", metavar="ID", help=text)
    parser.add_argument("--env-kwargs", help="keywords for the environment [the agent's own]", **KEYWORDS)
    parser.add_argument(
        "--episodes", type=whole_number, default=100, metavar="N", help="episodes to play [%(default)s]"
    )
    parser.add_argument("--seed", type=whole_number, metavar="N", help="seed of the episodes [the agent's own]")
    text = "also print the score in percent of a human's score (57 Atari games)"
    parser.add_argument("--human", action="store_true", help=text)
    parser.add_argument("--json", action="store_true", help="print the evaluation as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Score an agent."""
    path = agent_of(arguments, "eval")
    if path is None:
        raise InputError("Give one agent to score, a file or a name such as pong-a3c.")
    agent = load(path, arguments.env)
    # Before the episodes are played, because a game may have no human score.
    reference = reference_scores(agent.spec.id) if arguments.human else None
    evaluation = agent.evaluate(arguments.episodes, arguments.seed, arguments.env, env_kwargs=arguments.env_kwargs)
    if reference:
        evaluation["human_normalized"] = human_normalized(agent.spec.id, evaluation["mean"])
    print(json.dumps(evaluation) if arguments.json else evaluation_line(evaluation))
    if reference and not arguments.json:
        random, human = reference
        print(f"Human-normalised: {evaluation['human_normalized']:.1f} % (random {random:g}, human {human:g}).")
    return 0


EVAL = Command("eval", "score a saved agent", add_arguments, run)
