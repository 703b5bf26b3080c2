"""`numasync resume`: go on with a run."""

import argparse

from numasync.commands.command import Command
from numasync.commands.train import add_output, choose_output, exit_code_of, say_how_to_go_on
from numasync.tools.program import Parser, path_argument, whole_number
from numasync.training.resume import SCHEDULES, STRETCH, resume_and_show


def add_arguments(parser: Parser) -> None:
    """Add its arguments."""
    parser.add_argument("run", type=path_argument, metavar="RUN", help="the folder of the run")
    text = "steps of the whole run, over all workers; more than planned goes on for longer [as planned]"
    parser.add_argument("--steps", type=whole_number, metavar="N", help=text)
    text = (
        f"with --steps, how the learning rate goes on: {', '.join(SCHEDULES)}. 'stretch' lets it fall to 0 at the new "
        "end, 'hold' keeps it as it is now [%(default)s]"
    )
    parser.add_argument("--schedule", default=STRETCH, metavar="NAME", help=text)
    text = "the environment, module:name, where the run was begun with a function or a class [the run's own]"
    parser.add_argument("--env", metavar="ID", help=text)
    text = "the address of the cluster, where the run was begun on a Ray cluster [the run's own]"
    parser.add_argument("--ray", metavar="ADDRESS", help=text)
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Go on with a run."""
    say_how_to_go_on(arguments.run)
    display = choose_output(arguments.quiet, arguments.json_lines)
    options = {"env": arguments.env, "ray": arguments.ray}
    agent = resume_and_show(display, arguments.run, arguments.steps, arguments.schedule, **options)
    return exit_code_of(agent, arguments.run)


RESUME = Command(
    "resume",
    "go on with a run that was stopped, or for more steps",
    add_arguments,
    run,
    kept=" The agent so far was saved.",
    kept_of_divergence=" The last good checkpoint is kept.",
)
