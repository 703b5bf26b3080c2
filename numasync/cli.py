"""The command line, for `numasync` and `python run.py`: arguments in, exit code out.

A verb is two functions here: one adds its arguments, the other calls the function that does the work.
"""

import argparse
import dataclasses
import itertools
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numasync
from numasync.agent.agent import load, pretrained
from numasync.config import PRESETS, RENAMED, Config
from numasync.errors import EvaluationError, InputError, NotFiniteError, WorkerError
from numasync.runtime import interrupts
from numasync.runtime.files import safe_name
from numasync.tools.bench.arguments import add_bench_arguments, run_bench_arguments
from numasync.tools.human_scores import human_normalized, reference_scores
from numasync.tools.plots import KINDS, WINDOW, plot
from numasync.tools.program import (
    EXIT_BAD_INPUT,
    Parser,
    argument_of,
    complain,
    describe_lack,
    finish_output,
    is_folder_gone,
    path_argument,
    place_of,
    prepare_output,
    show_troubles,
    whole_number,
)
from numasync.tools.studies import study
from numasync.tools.studies.plan import LR_HIGH, LR_LOW, STUDIES
from numasync.tools.text import align
from numasync.tools.watch import FPS, MAX_FPS, watch
from numasync.training.records import RESULT, FolderTakenError
from numasync.training.report import evaluation_line
from numasync.training.run import train

EXIT_FAILED = 1
# What a command that has failed leaves, by the name of its function.
KEPT = {
    "run_train": " The agent so far was saved.",
    "run_study": " Finished runs are kept; the same command goes on.",
}
AGENT_HELP = f"the .npz file of an agent, or the name of a pretrained one: {', '.join(pretrained()) or 'none yet'}"
VERBS = ("train", "eval", "watch", "plot", "study", "envs", "bench")

Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (the run failed), 2 (bad input) or 130 (interrupted).

    argv: the words after the name of the program; by default from the command line
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or (argv[0] not in VERBS and argv[0] not in ("-h", "--help", "--version")):
        argv.insert(0, "train")
    prepare_output()
    with interrupts.handle_ctrl_c(), show_troubles():
        try:
            return run(argv)
        finally:
            finish_output()


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code. An error becomes one sentence."""
    arguments = argparse.Namespace(run=None)
    try:
        arguments = parser().parse_args(argv)
        return arguments.run(arguments)
    except InputError as error:
        complain(str(error))
        return EXIT_BAD_INPUT
    except NotFiniteError as error:
        kept = " The last good checkpoint is kept." if arguments.run is run_train else ""
        complain(f"{error}{kept}")
        return EXIT_FAILED
    except WorkerError as error:
        if error.__cause__ and not isinstance(error, EvaluationError) and not isinstance(error.__cause__, InputError):
            traceback.print_exception(error.__cause__)
        complain(f"{error}{KEPT.get(arguments.run.__name__, '')}")
        return EXIT_FAILED
    except SystemExit as error:
        if arguments.run is None or isinstance(error, interrupts.EndedBySignal):  # of the parser, or of a signal
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
        return EXIT_BAD_INPUT if is_folder_gone() else EXIT_FAILED


def parser() -> Parser:
    """Return the parser of the whole command line."""
    text = "Asynchronous deep reinforcement learning with NumPy and Numba."
    top = Parser(prog="numasync", description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"numasync {numasync.__version__}")
    verbs = top.add_subparsers(required=True, metavar="VERB", parser_class=Parser)
    # Train is the default verb, so `numasync --help` shows its options too.
    top.epilog = add_train(verbs).format_help()
    add_eval(verbs)
    add_watch(verbs)
    add_plot(verbs)
    add_study(verbs)
    add_envs(verbs)
    add_bench(verbs)
    return top


def add_verb(verbs: Verbs, name: str, run: Callable[[argparse.Namespace], int], text: str) -> Parser:
    """Add a verb and return its parser.

    verbs  the verbs of the command line
    name   its name
    run    does what it says, and returns the exit code
    text   its help text
    """
    verb = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", prog=f"numasync {name}")
    verb.set_defaults(run=run)
    return verb


def add_train(verbs: Verbs) -> Parser:
    """Add `numasync train` and return its parser."""
    verb = add_verb(verbs, "train", run_train, "train an agent (the default verb)")
    for field in dataclasses.fields(Config):
        add_option(verb, field)
    for old_name, name in RENAMED.items():
        add_old_option(verb, old_name, type(getattr(Config, name)))
    verb.add_argument(
        "--out", type=path_argument, metavar="DIR", help="new folder for the run; by default one under runs/"
    )
    return verb


def add_option(verb: Parser, field: dataclasses.Field) -> None:
    """Add the flag of one option of Config."""
    flag, text = flag_of(field.name), field.metadata["help"]
    kwargs: dict[str, Any]
    if field.type is bool:
        kwargs = {"action": argparse.BooleanOptionalAction}
    elif field.metadata["choices"]:
        kwargs, text = {"metavar": "NAME"}, f"{text}: {', '.join(field.metadata['choices'])}"
    else:
        kwargs = {"type": argument_of(field.type), "metavar": "ID" if field.type is str else "N"}
    # A flag that is not given leaves the value to the preset, so it has no default here.
    verb.add_argument(flag, default=argparse.SUPPRESS, help=f"{text} [{describe_defaults(field)}]", **kwargs)


def add_old_option(verb: Parser, old_name: str, kind: type) -> None:
    """Add the old flag of an option, without help. `rename_old_options` warns of it."""
    kwargs: dict[str, Any] = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": argument_of(kind)}
    verb.add_argument(flag_of(old_name), default=argparse.SUPPRESS, help=argparse.SUPPRESS, **kwargs)


def flag_of(name: str) -> str:
    """Return the flag of an option."""
    return "--" + name.replace("_", "-")


def describe_defaults(field: dataclasses.Field) -> str:
    """Return the default of an option, and where a preset differs, for its help text."""
    parts = [str(field.default)]
    for family, preset in PRESETS.items():
        if field.name in preset:
            name = family if isinstance(family, str) else " ".join(family)
            parts.append(f"{name}: {preset[field.name]}")
    return ", ".join(parts).replace("%", "%%")


def run_train(arguments: argparse.Namespace) -> int:
    """Train an agent."""
    options = rename_old_options({k: value for k, value in vars(arguments).items() if k not in ("run", "out")})
    config = {field.name: field.default for field in dataclasses.fields(Config)} | options
    for out in [arguments.out] if arguments.out else default_folders(config):
        try:
            agent = train(out=out, verbose=True, **options)
            break
        except FolderTakenError:
            if arguments.out:
                raise
    if not os.path.exists(Path(out, RESULT)):
        return EXIT_FAILED  # the run has said that it could not write it
    return interrupts.EXIT_INTERRUPTED if agent.result and agent.result["interrupted"] else 0


def rename_old_options(given: dict[str, Any]) -> dict[str, Any]:
    """Return options with old names replaced by new ones, and print a warning for each old name.

    Raises InputError where both names of an option are given.
    """
    for old, new in RENAMED.items():
        if old in given:
            if new in given:
                raise InputError(f"{flag_of(old)} is the old name of {flag_of(new)}; give {flag_of(new)} alone.")
            complain(f"{flag_of(old)} is now {flag_of(new)}.")
    return {RENAMED.get(name, name): value for name, value in given.items()}


def default_folders(config: dict[str, Any]) -> Iterator[Path]:
    """Yield folders of a run for which no folder is given. The first that no other run has is used.

    config: its options
    """
    name = safe_name(f"{config['env']}-{config['algo']}-seed{config['seed']}-{time.strftime('%Y%m%d-%H%M%S')}")
    yield Path("runs", name)
    for number in itertools.count(2):
        yield Path("runs", f"{name}-{number}")


def add_agent(verb: Parser, text: str) -> None:
    """Add the argument AGENT, and without help its old form `--agent AGENT`. `agent_of` reads both."""
    path: dict[str, Any] = dict(type=path_argument, metavar="AGENT")
    verb.add_argument("agent", nargs="?", help=text, **path)
    verb.add_argument("--agent", dest="old_agent", help=argparse.SUPPRESS, **path)


def agent_of(arguments: argparse.Namespace, verb: str) -> str | None:
    """Return the agent that is given, and print a warning for the old form. verb: its name.

    Raises InputError where two agents are given.
    """
    if arguments.old_agent is None:
        return arguments.agent
    complain(f"numasync {verb} --agent AGENT is now numasync {verb} AGENT.")
    if arguments.agent is not None:
        raise InputError("Give one agent, a file or a name such as pong-a3c.")
    return arguments.old_agent


def add_eval(verbs: Verbs) -> None:
    """Add `numasync eval`."""
    verb = add_verb(verbs, "eval", run_eval, "score a saved agent")
    add_agent(verb, AGENT_HELP)
    text = "environment to play: the agent's own, in its jitted or its Gymnasium version [the agent's own]"
    verb.add_argument("--env", metavar="ID", help=text)
    verb.add_argument("--episodes", type=whole_number, default=100, metavar="N", help="episodes to play [%(default)s]")
    verb.add_argument("--seed", type=whole_number, metavar="N", help="seed of the episodes [the agent's own]")
    text = "also print the score in percent of a human's score (57 Atari games)"
    verb.add_argument("--human", action="store_true", help=text)
    verb.add_argument("--json", action="store_true", help="print the evaluation as one JSON object")


def run_eval(arguments: argparse.Namespace) -> int:
    """Score an agent."""
    path = agent_of(arguments, "eval")
    if path is None:
        raise InputError("Give one agent to score, a file or a name such as pong-a3c.")
    agent = load(path, arguments.env)
    # Before the episodes are played, because a game may have no human score.
    reference = reference_scores(agent.spec.id) if arguments.human else None
    evaluation = agent.evaluate(arguments.episodes, arguments.seed, arguments.env)
    if reference:
        evaluation["human_normalized"] = human_normalized(agent.spec.id, evaluation["mean"])
    print(json.dumps(evaluation) if arguments.json else evaluation_line(evaluation))
    if reference and not arguments.json:
        random, human = reference
        print(f"Human-normalised: {evaluation['human_normalized']:.1f} % (random {random:g}, human {human:g}).")
    return 0


def add_watch(verbs: Verbs) -> None:
    """Add `numasync watch`."""
    verb = add_verb(verbs, "watch", run_watch, "show one episode, or write it to a .gif file")
    add_agent(verb, f"who plays: {AGENT_HELP} [random actions]")
    verb.add_argument("--env", metavar="ID", help="environment to play [the agent's own]")
    text = "write the episode to this .gif file instead of showing it"
    verb.add_argument("--gif", type=path_argument, metavar="FILE", help=text)
    text = f"seed of the episode [the agent's own, or {Config.seed}]"
    verb.add_argument("--seed", type=whole_number, metavar="N", help=text)
    text = "most steps to play [the steps of an evaluation]"
    verb.add_argument("--steps", type=whole_number, metavar="N", help=text)
    text = f"steps shown per second, {MAX_FPS} at most [%(default)s]"
    verb.add_argument("--fps", type=whole_number, default=FPS, metavar="N", help=text)


def run_watch(arguments: argparse.Namespace) -> int:
    """Show an episode, or write it to a file."""
    path = agent_of(arguments, "watch")
    agent = load(path, arguments.env) if path else None
    env_id = arguments.env or (agent and agent.env_to_play())
    if not env_id:
        raise InputError("There is nothing to watch; give an AGENT, --env ID or both.")
    default_seed = agent.config.seed if agent else Config.seed
    seed = default_seed if arguments.seed is None else arguments.seed
    watch(env_id, agent, seed, arguments.steps, arguments.fps, arguments.gif)
    return 0


def add_plot(verbs: Verbs) -> None:
    """Add `numasync plot`."""
    verb = add_verb(verbs, "plot", run_plot, "draw the learning curves of runs")
    text = "folders of runs; a run may still be going on"
    verb.add_argument("runs", nargs="+", type=path_argument, metavar="RUN", help=text)
    text = "write FILE.png and FILE.svg [%(default)s]"
    verb.add_argument("--out", type=path_argument, default="curves", metavar="FILE", help=text)
    text = f"which scores to draw: {', '.join(KINDS)} [%(default)s]"
    verb.add_argument("--of", default=KINDS[0], metavar="NAME", help=text)
    text = "number of training episodes that a point of a curve is the mean of [%(default)s]"
    verb.add_argument("--window", type=whole_number, default=WINDOW, metavar="N", help=text)


def run_plot(arguments: argparse.Namespace) -> int:
    """Draw learning curves, and print the paths of the pictures."""
    for path in plot(arguments.runs, arguments.out, arguments.window, arguments.of):
        print(path)
    return 0


def add_study(verbs: Verbs) -> None:
    """Add `numasync study`."""
    text = "repeat an experiment of the paper: many runs, a table, a figure"
    verb = add_verb(verbs, "study", run_study, text)
    verb.add_argument("name", metavar="NAME", help="; ".join(f"{name}: {spec.about}" for name, spec in STUDIES.items()))
    # A flag that is not given leaves the value to the study, so it has no default here.
    shared: dict[str, Any] = dict(default=argparse.SUPPRESS)
    number: dict[str, Any] = dict(type=whole_number, metavar="N", **shared)
    rate: dict[str, Any] = dict(type=float, metavar="N", **shared)
    verb.add_argument("--env", metavar="ID", help=f"environment id [{Config.env}]", **shared)
    text = "algorithms, separated by commas [all; optimizers: nstep_q,a3c]"
    verb.add_argument("--algos", metavar="NAME[,NAME]", help=text, **shared)
    text = "runs of each algorithm and optimiser; threads: number of seeds [50; threads: 5]"
    verb.add_argument("--runs", help=text, **number)
    verb.add_argument("--steps", help="steps of each run, over all workers [the preset's]", **number)
    text = "workers of each run, which take turns; not for threads [the preset's; threads: 1 to 16]"
    verb.add_argument("--workers", help=text, **number)
    text = f"seed of the learning rates, and of the first run [{Config.seed}]"
    verb.add_argument("--seed", help=text, **number)
    text = "{} of the LogUniform distribution of learning rates; not for threads [{:g}]"
    verb.add_argument("--lr-low", help=text.format("lowest value", LR_LOW), **rate)
    verb.add_argument("--lr-high", help=text.format("highest value", LR_HIGH), **rate)
    verb.add_argument("--jobs", help="runs at once; timed runs are played one at a time [cores]", **number)
    text = "folder of the study; a study that was stopped in it continues [studies/NAME-ENV]"
    verb.add_argument("--out", type=path_argument, metavar="DIR", help=text, **shared)


def run_study(arguments: argparse.Namespace) -> int:
    """Play a study."""
    with interrupts.unwind_when_ended():
        study(**{name: value for name, value in vars(arguments).items() if name != "run"}, verbose=True)
    return 0


def add_envs(verbs: Verbs) -> None:
    """Add `numasync envs`."""
    verb = add_verb(verbs, "envs", run_envs, "list the environments")
    verb.add_argument("--json", action="store_true", help="print a JSON list with an object for each environment")


def run_envs(arguments: argparse.Namespace) -> int:
    """List the environments."""
    # Imported here, because it imports gymnasium and ale_py. Other verbs need neither for a jitted environment.
    from numasync.envs.listing import EnvRow, list_envs

    rows = list_envs()
    if arguments.json:
        print(json.dumps([row._asdict() for row in rows], indent=2), flush=True)
    else:
        print(*align([EnvRow._fields, *([str(value) for value in row] for row in rows)]), sep="\n", flush=True)
    return 0


def add_bench(verbs: Verbs) -> None:
    """Add `numasync bench`."""
    add_bench_arguments(add_verb(verbs, "bench", run_bench, "measure how fast this machine runs each part"))


def run_bench(arguments: argparse.Namespace) -> int:
    """Measure the machine."""
    with interrupts.unwind_when_ended():
        run_bench_arguments(arguments)
    return 0
