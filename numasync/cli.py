"""The command line: `numasync` and `python run.py` alike. Arguments in, exit code out; the work is in
training.py, agent.py, watch.py, plots.py, studies and bench."""

import argparse
import dataclasses
import json
import os
import re
import sys
import time
import traceback

import numasync
from numasync.agent.agent import load, pretrained
from numasync.agent.evaluation import MAX_ACTIONS
from numasync.config import PRESETS, Config
from numasync.errors import InputError, NotFiniteError, WorkerError
from numasync.tools.bench import REPETITIONS, SECONDS, SECTIONS, bench
from numasync.tools.human_scores import human_normalized, reference_scores
from numasync.tools.plots import KINDS, WINDOW, plot
from numasync.tools.studies import study
from numasync.tools.studies.plan import LR_HIGH, LR_LOW, STUDIES
from numasync.tools.watch import FPS, watch
from numasync.training.report import evaluation_line
from numasync.training.run import train

EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130
AGENT_HELP = f"the .npz file of an agent, or the name of one that ships: {', '.join(pretrained()) or 'none yet'}"
VERBS = ("train", "eval", "watch", "plot", "study", "envs", "bench")


def main(argv=None):
    """Run one command; return its exit code: 0, 1 (the run failed), 2 (bad input) or 130 (interrupted)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or (argv[0] not in VERBS and argv[0] not in ("-h", "--help", "--version")):
        argv.insert(0, "train")
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except InputError as error:
        print(f"numasync: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except NotFiniteError as error:
        kept = " The last good checkpoint is kept." if arguments.run is run_train else ""
        print(f"numasync: {error}{kept}", file=sys.stderr)
        return EXIT_FAILED
    except WorkerError as error:
        traceback.print_exception(error.__cause__)
        print(f"numasync: {error} The agent so far was saved.", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader of our output has gone; what Python still holds back for it must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_INTERRUPTED
    except KeyboardInterrupt:
        # A second Ctrl-C: threads may still be inside a long call, so leave without waiting for them.
        print("numasync: stopped.", file=sys.stderr, flush=True)
        os._exit(EXIT_INTERRUPTED)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaint is one sentence."""

    def error(self, message):
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help.\n")


def parser():
    text = "Asynchronous deep reinforcement learning with NumPy and Numba."
    top = Parser(prog="numasync", description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"numasync {numasync.__version__}")
    verbs = top.add_subparsers(required=True, metavar="VERB", parser_class=Parser)
    # Train is the default verb, so its options are what --help alone is asked for.
    top.epilog = add_train(verbs).format_help()
    add_eval(verbs)
    add_watch(verbs)
    add_plot(verbs)
    add_study(verbs)
    add_envs(verbs)
    add_bench(verbs)
    return top


def add_train(verbs):
    text = "train an agent (the default verb)"
    verb = verbs.add_parser("train", help=text, description=text.capitalize(), prog="numasync train")
    for field in dataclasses.fields(Config):
        add_option(verb, field)
    verb.add_argument("--out", metavar="DIR", help="new folder for the run; by default one under runs/")
    verb.set_defaults(run=run_train)
    return verb


def add_option(verb, field):
    """One option of Config as a flag. Absent means 'as the preset says', hence the suppressed default."""
    flag = "--" + field.name.replace("_", "-")
    shared = dict(dest=field.name, default=argparse.SUPPRESS, help=f"{field.metadata['help']} [{defaults(field)}]")
    if field.type is bool:
        verb.add_argument(flag, action=argparse.BooleanOptionalAction, **shared)
    elif field.metadata["choices"]:
        verb.add_argument(flag, metavar="NAME", **{**shared, "help": choices_help(field)})
    else:
        verb.add_argument(flag, type=field.type, metavar="ID" if field.type is str else "N", **shared)


def choices_help(field):
    return f"{field.metadata['help']}: {', '.join(field.metadata['choices'])} [{defaults(field)}]"


def defaults(field):
    """The default of a field and where a preset differs, for its help text."""
    parts = [str(field.default)]
    for family, preset in PRESETS.items():
        if field.name in preset:
            name = family if isinstance(family, str) else " ".join(family)
            parts.append(f"{name}: {preset[field.name]}")
    return ", ".join(parts).replace("%", "%%")


def run_train(arguments):
    options = {name: value for name, value in vars(arguments).items() if name not in ("run", "out")}
    config = {field.name: field.default for field in dataclasses.fields(Config)} | options
    agent = train(out=arguments.out or default_folder(config), verbose=True, **options)
    return EXIT_INTERRUPTED if agent.result["interrupted"] else 0


def default_folder(config):
    name = f"{config['env']}-{config['algo']}-seed{config['seed']}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = os.path.join("runs", re.sub(r"[^\w.-]", "-", name))
    return f"{folder}-{os.getpid()}" if os.path.exists(folder) else folder


def add_eval(verbs):
    text = "score a saved agent"
    verb = verbs.add_parser("eval", help=text, description=text.capitalize(), prog="numasync eval")
    verb.add_argument("file", nargs="?", metavar="AGENT", help=AGENT_HELP)
    verb.add_argument("--agent", metavar="AGENT", help="the same")
    verb.add_argument("--env", metavar="ID", help="environment to play; must be the agent's own or its Gymnasium twin")
    verb.add_argument("--episodes", type=int, default=100, metavar="N", help="episodes to play [100]")
    verb.add_argument("--seed", type=int, metavar="N", help="seed of the episodes [the agent's own]")
    verb.add_argument("--human", action="store_true", help="also as percent of a human's score (57 Atari games)")
    verb.add_argument("--json", action="store_true", help="print the evaluation as one JSON object")
    verb.set_defaults(run=run_eval)


def run_eval(arguments):
    if (arguments.file is None) == (arguments.agent is None):
        raise InputError("Give one agent to score, a file or a name such as pong-a3c.")
    agent = load(arguments.file or arguments.agent, arguments.env)
    # Asked for first, so that a game without a human's score is refused before the episodes are played.
    reference = reference_scores(agent.spec.id) if arguments.human else None
    evaluation = agent.evaluate(arguments.episodes, arguments.seed, arguments.env)
    if reference:
        evaluation["human_normalized"] = human_normalized(agent.spec.id, evaluation["mean"])
    print(json.dumps(evaluation) if arguments.json else evaluation_line(evaluation))
    if reference and not arguments.json:
        random, human = reference
        print(f"Human-normalised: {evaluation['human_normalized']:.1f} % (random {random:g}, human {human:g}).")
    return 0


def add_watch(verbs):
    text = "show one episode, or write it to a .gif file"
    verb = verbs.add_parser("watch", help=text, description=text.capitalize(), prog="numasync watch")
    verb.add_argument("--env", metavar="ID", help="environment to play [the agent's own]")
    verb.add_argument("--agent", metavar="AGENT", help=f"who plays: {AGENT_HELP} [random actions]")
    verb.add_argument("--gif", metavar="FILE", help="write the episode to this .gif file instead of showing it")
    verb.add_argument("--seed", type=int, metavar="N", help=f"seed of the episode [the agent's own, or {Config.seed}]")
    verb.add_argument("--steps", type=int, default=MAX_ACTIONS, metavar="N", help="actions at most [%(default)s]")
    verb.add_argument(
        "--fps", type=int, default=FPS, metavar="N", help="actions shown a second, 50 at most [%(default)s]"
    )
    verb.set_defaults(run=run_watch)


def run_watch(arguments):
    env_id, path = arguments.env, arguments.agent
    if not env_id and not path:
        raise InputError("There is nothing to watch; give --env ID, --agent FILE or both.")
    agent = load(path, env_id) if path else None
    default_seed = agent.config.seed if agent else Config.seed
    seed = default_seed if arguments.seed is None else arguments.seed
    watch(env_id or agent.spec.id, agent, seed, arguments.steps, arguments.fps, arguments.gif)
    return 0


def add_plot(verbs):
    text = "draw the learning curves of runs"
    verb = verbs.add_parser("plot", help=text, description=text.capitalize(), prog="numasync plot")
    verb.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs, also of runs that are still going on")
    verb.add_argument("--out", default="curves", metavar="FILE", help="FILE.png and FILE.svg are written [%(default)s]")
    verb.add_argument("--of", default=KINDS[0], metavar="NAME", help=f"scores: {', '.join(KINDS)} [%(default)s]")
    text = "training episodes that a point of a curve is the mean of [%(default)s]"
    verb.add_argument("--window", type=int, default=WINDOW, metavar="N", help=text)
    verb.set_defaults(run=run_plot)


def run_plot(arguments):
    for path in plot(arguments.runs, arguments.out, arguments.window, arguments.of):
        print(path)
    return 0


def add_study(verbs):
    text = "repeat an experiment of the paper: many runs, a table, a figure"
    verb = verbs.add_parser("study", help=text, description=text.capitalize(), prog="numasync study")
    named = "; ".join(f"{name}: {kind.about}" for name, kind in STUDIES.items())
    verb.add_argument("name", metavar="NAME", help=named)
    # Absent means 'as the study says', hence the suppressed defaults.
    shared = dict(default=argparse.SUPPRESS)
    verb.add_argument("--env", metavar="ID", help=f"environment id [{Config.env}]", **shared)
    text = "algorithms, comma-separated [all; optimizers: nstep_q,a3c]"
    verb.add_argument("--algos", metavar="NAME[,NAME]", help=text, **shared)
    text = "runs of each algorithm and optimiser; of threads: seeds [50; threads: 5]"
    verb.add_argument("--runs", type=int, metavar="N", help=text, **shared)
    verb.add_argument("--steps", type=int, metavar="N", help="actions of each run [as the preset says]", **shared)
    text = "workers of each run, which take turns [as the preset says; threads: 1 to 16]"
    verb.add_argument("--workers", type=int, metavar="N", help=text, **shared)
    text = f"seed of the learning rates, and of the first run [{Config.seed}]"
    verb.add_argument("--seed", type=int, metavar="N", help=text, **shared)
    text = "rates are drawn from LogUniform between --lr-low and --lr-high [{:g}]"
    verb.add_argument("--lr-low", type=float, metavar="N", help=text.format(LR_LOW), **shared)
    verb.add_argument("--lr-high", type=float, metavar="N", help=text.format(LR_HIGH), **shared)
    verb.add_argument("--jobs", type=int, metavar="N", help="runs at once; what is timed runs alone [cores]", **shared)
    text = "folder of the study; one that was stopped goes on [studies/NAME-ENV]"
    verb.add_argument("--out", metavar="DIR", help=text, **shared)
    verb.set_defaults(run=run_study)


def run_study(arguments):
    options = {name: value for name, value in vars(arguments).items() if name != "run"}
    try:
        study(**options, verbose=True)
    except WorkerError as error:
        traceback.print_exception(error.__cause__)
        print(f"numasync: {error} Finished runs are kept; the same command goes on.", file=sys.stderr)
        return EXIT_FAILED
    return 0


def add_envs(verbs):
    text = "list the environments"
    verb = verbs.add_parser("envs", help=text, description=text.capitalize(), prog="numasync envs")
    verb.add_argument("--json", action="store_true", help="print a JSON list with one object an environment")
    verb.set_defaults(run=run_envs)


def run_envs(arguments):
    # Only here, because it imports gymnasium and ale_py, for which no other verb on a jitted environment waits.
    from numasync.envs.listing import environments

    found = environments()
    print(json.dumps([row._asdict() for row in found], indent=2) if arguments.json else table(found), flush=True)
    return 0


def add_bench(verbs):
    text = "measure how fast this machine runs each part"
    verb = verbs.add_parser("bench", help=text, description=text.capitalize(), prog="numasync bench")
    verb.add_argument("--only", metavar="NAME[,NAME]", help=f"what to measure: {', '.join(SECTIONS)} [all]")
    verb.add_argument(
        "--workers", metavar="N[,N]", help="numbers of workers [powers of 2 up to the cores, and 1.5 times the cores]"
    )
    shared = dict(metavar="N", help="how often everything is measured, in turn; medians are printed [%(default)s]")
    verb.add_argument("--repetitions", type=int, default=REPETITIONS, **shared)
    text = "seconds of training for each number, over all repetitions [%(default)g]"
    verb.add_argument("--seconds", type=float, default=SECONDS, metavar="N", help=text)
    verb.add_argument("--json", action="store_true", help="print everything as one JSON object")
    verb.set_defaults(run=run_bench)


def run_bench(arguments):
    bench(arguments.only, arguments.workers, arguments.repetitions, arguments.seconds, arguments.json)
    return 0


def table(rows):
    """NamedTuples of one kind as lines, their columns aligned under the names of the fields."""
    cells = [rows[0]._fields, *([str(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)
