"""`numasync sweep`: runs with every combination of some options, each in a folder of its own.

A sweep is its grid. `plan.py` makes the runs from it, `table.py` keeps what has become of them, so that a sweep goes on
after a stop. `report.py` prints.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from numasync.agent.environment import env_options_of
from numasync.distributed.on_node import FOLDER
from numasync.runtime.checks import as_folder, as_switch
from numasync.tools.places import Place, choose_place, open_place
from numasync.tools.settings_folder import open_with_settings
from numasync.tools.studies.execution import RunExecutor, play_waves
from numasync.tools.sweeps.plan import NAME, OPTIONS, check_grid, make_runs, varied_options
from numasync.tools.sweeps.report import SweepReport
from numasync.tools.sweeps.runs import play_run
from numasync.tools.sweeps.table import SweepTable
from numasync.training.display import Silent
from numasync.training.terminal_bar import choose_display

SETTINGS, TABLE, RUNS = "sweep.json", "runs.csv", "runs"


class Sweep(NamedTuple):
    """A finished sweep.

    folder  the folder with its table, and the folder `runs` with a folder for each run
    rows    the rows of its table, a dict each, in the order of the grid; a missing number is nan
    """

    folder: Path
    rows: list[dict[str, Any]]


def sweep(
    grid: Mapping[str, Any],
    jobs: int | None = None,
    out: str | os.PathLike = "sweeps/sweep",
    executor: RunExecutor | None = None,
    verbose: bool = False,
    ray: str | None = None,
    cores_per_run: int | None = None,
    retries: int | None = None,
) -> Sweep:
    """Train with every combination of some options, and return the Sweep.

    grid      options of `train` by name; a list is tried value by value, such as
              {"env": "CartPole-v1", "algo": ["a3c", "nstep_q"], "seed": [1, 2, 3], "steps": 50_000}
    jobs      how many runs to play at once, each in a process; by default the number of cores
    out       the folder; a sweep that was stopped in this folder goes on
    executor  plays the runs instead of processes; it has the `submit` of concurrent.futures.Executor, and its
              processes see the folder
    verbose   whether to print progress
    ray       the address of a cluster of Ray that plays the runs, see `study`
    cores_per_run  the cores that each run has for itself on the cluster; by default 1
    retries   how often a run goes on elsewhere whose node dies; by default 3

    `deterministic` is true unless the grid says otherwise, so that each run repeats exactly and takes one core. A run
    that diverges is a result without a score. A run that was stopped goes on from its last training state.

    Raises InputError for bad input, and where another program works in the folder, before anything is written;
    WorkerError if a run failed. After a failure, and after Ctrl-C, the folder keeps the runs.
    """
    checked = check_grid(grid)
    runs = make_runs(checked)
    place = choose_place(jobs, executor, ray, cores_per_run, retries)
    display = choose_display() if as_switch("verbose", verbose) else Silent()
    with open_with_settings(as_folder("out", out), {"grid": checked}, SETTINGS, "sweep") as folder:
        table = SweepTable(folder / TABLE, varied_options(checked), runs)
        report = SweepReport(table, display)
        play_missing_runs(runs, folder, table, place, report)
        report.print_means()
        return Sweep(folder, table.in_order())


def play_missing_runs(
    runs: Sequence[dict[str, Any]], folder: Path, table: SweepTable, place: Place, report: SweepReport
) -> None:
    """Play the runs that are not in the table, and add them to it.

    runs    the runs of the sweep
    folder  of the sweep
    table   the runs that have ended
    place   where runs are played
    report  what to print
    """
    to_play = [{**run, FOLDER: str(folder.absolute() / RUNS / run[NAME])} for run in runs if not table.has(run)]
    report.print_start(len(runs), len(runs) - len(to_play))
    if to_play:
        envs = [env_options_of(run[OPTIONS]) for run in to_play]
        different = list({json.dumps(env): env for env in envs}.values())
        (folder / RUNS).mkdir(exist_ok=True)
        with open_place(place, len(to_play), report, different) as pool:
            try:
                with closing(play_waves([to_play], play_run, pool)) as played:
                    for run, (row,) in played:
                        table.add(run, row)
                        report.add_run(run, row)
            except KeyboardInterrupt:
                report.print_stopped()
                raise
    report.print_end()
