"""One real segment in full: what the kernels compute from the first observation to the new parameters, and why."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numasync.agent.agent import Agent, load
from numasync.config import Config
from numasync.envs.objects import EnvLike, as_env_id, is_local
from numasync.errors import InputError, unwritable
from numasync.runtime.checks import MOST, as_path, as_switch, as_whole_number
from numasync.runtime.files import is_special, write_atomically
from numasync.tools.explain.acting import show_acting, show_run, title_of
from numasync.tools.explain.check import check_all, describe_wrong
from numasync.tools.explain.learning import show_backward, show_loss, show_targets, show_update
from numasync.tools.explain.numbers import Numbers, play
from numasync.tools.explain.page import as_page
from numasync.tools.explain.text import as_text
from numasync.training.display import Event, Silent
from numasync.training.report import Report
from numasync.training.signature import show_options
from numasync.training.terminal_bar import choose_display
from numasync.training.train import begin_with, make_agent

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from numasync.config import TrainOptions

AFTER = 10_000


class Explanation(NamedTuple):
    """One segment, explained.

    text   for a terminal of 80 columns
    page   one HTML file that loads nothing else
    wrong  a sentence about what differs from nn/reference.py; None where every number agrees
    """

    text: str
    page: str
    wrong: str | None


@show_options
def explain(
    env: "EnvLike" = Config.env,
    algo: str = Config.algo,
    after: int = AFTER,
    episode_end: bool = False,
    html: str | os.PathLike | None = None,
    from_agent: "Agent | str | os.PathLike | None" = None,
    verbose: bool = False,
    **options: "Unpack[TrainOptions]",
) -> Explanation:
    """Train for a moment, play one more segment, and explain it: every number, its equation, and how it was checked.

    The numbers come from the kernels that train. `numasync.reference` computes each number too, and the largest
    difference stands below it.

    env          an environment as for `train`
    algo         'one_step_q', 'one_step_sarsa', 'nstep_q' or 'a3c'
    after        steps of training before the segment
    episode_end  whether to explain the first segment after them in which an episode ends; by default the first one that
                 has three steps or more, or t_max
    html         an HTML file to write; an existing one is replaced
    from_agent   an agent whose parameters the training begins with, as for `train`
    verbose      whether to print how far the compilation is

    Every other option of `train` is a keyword here too. By default there is one worker. A run with one worker repeats,
    and so does its explanation.

    OPTIONS

    Returns an Explanation: its text, its page and, if a number differs from the reference, a sentence that says which.

    Raises InputError for bad input, WorkerError where the environment fails, NotFiniteError where the training
    diverges.
    """
    after, episode_end = as_whole_number("after", after, 0, MOST), as_switch("episode_end", episode_end)
    display = choose_display() if as_switch("verbose", verbose) else Silent()
    path = None if html is None else check_page_path(as_path("html", html))
    agent = make_agent(env=as_env_id(env), algo=algo, **{"workers": 1, **options})
    if after + agent.config.t_max > agent.config.steps:
        raise InputError(f"after is {after}; it must leave a segment of the {agent.config.steps} steps of the run.")
    if from_agent is not None:
        agent = begin_with(agent, from_agent if isinstance(from_agent, Agent) else load(from_agent))
    display.show(Event("start", (f"{agent.config.algo} on {agent.config.env}: compiling ...",)))
    numbers = play(agent, after, episode_end, Report(agent.config, display=display).print_compilation)
    display.clear()
    given = {"algo": algo, "env": agent.config.env, "after": after, "episode_end": episode_end, **options}
    explanation = describe(numbers, command_of({**given, "from": from_agent}))
    if path:
        write_page(path, explanation.page)
    return explanation


def command_of(given: Mapping[str, Any]) -> str | None:
    """Return the command line that explains the same segment; None where options cannot stand on one.

    given  the options by name
    """
    words = ["numasync", "explain"]
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words += [flag] if value else [] if name == "episode_end" else [f"--no-{flag[2:]}"]
        elif isinstance(value, (str, int, float, os.PathLike)):
            words += [flag, str(value)]
        elif value is not None:
            return None
        if name == "env" and is_local(value):
            return None
    return shlex.join(words)


def describe(numbers: Numbers, command: str | None) -> Explanation:
    """Return the explanation of a segment. command: of `command_of`."""
    checks = check_all(numbers)
    wrong = describe_wrong(checks)
    differs = [check for check in checks if not check.passed]
    summary = f"Checked against nn/reference.py: all {len(checks)} quantities agree."
    if wrong:
        summary = f"{len(differs)} of {len(checks)} quantities differ from nn/reference.py. {wrong}"
    shown = (show_run, show_acting, show_targets, show_loss, show_backward, show_update)
    sections, title = [show(numbers) for show in shown], title_of(numbers)
    return Explanation(
        as_text(title, summary, sections, checks), as_page(title, summary, sections, checks, command), wrong
    )


def check_page_path(path: Path) -> Path:
    """Return the path of an HTML file. Raises InputError where no file can be written there."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path} does not end in .html; name an HTML file, such as segment.html.")
    if os.path.isdir(path) or is_special(path):
        raise InputError(f"{path} is no file; name the HTML file itself, such as segment.html.")
    if not os.path.isdir(path.parent):
        raise InputError(f"There is no folder {path.parent} for {path.name}; make it first.")
    return path


def write_page(path: Path, page: str) -> None:
    """Write the page, whole or not at all. Raises InputError where that fails."""
    try:
        write_atomically(path, lambda file: file.write(page.encode()))
    except OSError as error:
        raise unwritable(path, error) from error
