"""The command line, for `numasync` and `python run.py`: arguments in, exit code out.

Each command is a file of `commands/`. This file lists them, runs one, and turns an error into one sentence.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

import numasync
from numasync.commands.bench import BENCH
from numasync.commands.command import Command
from numasync.commands.envs import ENVS
from numasync.commands.eval import EVAL
from numasync.commands.explain import EXPLAIN
from numasync.commands.export import EXPORT
from numasync.commands.plot import PLOT
from numasync.commands.resume import RESUME
from numasync.commands.runs import RUNS
from numasync.commands.study import STUDY
from numasync.commands.sweep import SWEEP
from numasync.commands.train import TRAIN
from numasync.commands.tune import TUNE
from numasync.commands.warmup import WARMUP
from numasync.commands.watch import WATCH
from numasync.errors import EvaluationError, InputError, NotFiniteError, WorkerError
from numasync.runtime import forks, interrupts
from numasync.tools.program import (
    EXIT_FAILED,
    Parser,
    complain,
    describe_lack,
    finish_output,
    is_folder_gone,
    place_of,
    prepare_output,
    show_troubles,
)

# The first one is the default. The help text lists them in this order.
COMMANDS = (TRAIN, RESUME, EVAL, WATCH, EXPLAIN, EXPORT, RUNS, PLOT, STUDY, SWEEP, TUNE, ENVS, WARMUP, BENCH)
VERBS = tuple(command.name for command in COMMANDS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (the run failed), 2 (bad input) or 130 (interrupted).

    Another signal that ends the program raises EndedBySignal: 143 for SIGTERM, 129 for SIGHUP.

    argv: the words after the name of the program; by default from the command line
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or (argv[0] not in VERBS and argv[0] not in ("-h", "--help", "--version")):
        argv.insert(0, TRAIN.name)
    prepare_output()
    forks.allowed = True
    interrupts.last_words = None
    with interrupts.handle_signals(), show_troubles():
        try:
            return run(argv)
        finally:
            finish_output()


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code. An error becomes one sentence."""
    command: Command | None = None
    try:
        arguments = parser().parse_args(argv)
        command = arguments.command
        return command.run(arguments)
    except InputError as error:
        complain(str(error))
        return interrupts.EXIT_BAD_INPUT
    except NotFiniteError as error:
        complain(f"{error}{command.kept_of_divergence if command else ''}")
        return EXIT_FAILED
    except WorkerError as error:
        if error.__cause__ and not isinstance(error, EvaluationError) and not isinstance(error.__cause__, InputError):
            traceback.print_exception(error.__cause__)
        complain(f"{error}{command.kept if command else ''}")
        return EXIT_FAILED
    except interrupts.EndedBySignal as signal:
        if interrupts.last_words:  # it came before the run could save itself
            interrupts.leave_at_once(signal.number)
        if not signal.said:
            interrupts.say_stopped()
        raise
    except SystemExit as error:
        if command is None:  # of the parser
            raise
        # A user's module or environment has called sys.exit().
        complain(f"{place_of(error)} called sys.exit({error.code!r}) and so ended the command.")
        return EXIT_FAILED
    except BrokenPipeError:
        # Nobody reads our output any more. Python must not try again to write the rest of it at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return interrupts.EXIT_INTERRUPTED
    except KeyboardInterrupt:
        # A second Ctrl-C. Threads may still be inside a long call; leave without waiting for them.
        interrupts.leave_at_once()
    except (MemoryError, OSError) as error:
        complain(describe_lack(error))
        return interrupts.EXIT_BAD_INPUT if is_folder_gone() else EXIT_FAILED


def parser() -> Parser:
    """Return the parser of the whole command line."""
    text = "Asynchronous deep reinforcement learning with NumPy and Numba."
    top = Parser(prog="numasync", description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"numasync {numasync.__version__}")
    verbs = top.add_subparsers(required=True, metavar="VERB", parser_class=Parser)
    for command in COMMANDS:
        described = f"{command.text[0].upper()}{command.text[1:]}."
        verb = verbs.add_parser(command.name, help=command.text, description=described, prog=f"numasync {command.name}")
        verb.set_defaults(command=command)
        command.add_arguments(verb)
        if command is TRAIN:  # the default, so `numasync --help` shows its options too
            top.epilog = verb.format_help()
            verb.verbs = VERBS
    return top
