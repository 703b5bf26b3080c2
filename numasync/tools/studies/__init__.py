"""`numasync study`: the paper's experiments on environments that fit a laptop, many runs at once.

A study is its settings. `plan.py` makes the settings and the list of runs. `runs.py` plays one run, and `execution.py`
plays many at once. `table.py` keeps the finished runs, so that a study continues after a stop. `speedup.py` and
`figures.py` show the results.
"""

import contextlib
import os
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from numasync.agent.other_names import OTHER_OPTIONS
from numasync.distributed.on_node import FOLDER
from numasync.distributed.pool import RayPool
from numasync.errors import InputError
from numasync.runtime.checks import as_folder, as_switch
from numasync.runtime.files import safe_name
from numasync.runtime.hints import check_keywords
from numasync.tools.drawing import import_matplotlib
from numasync.tools.places import Place, choose_place, open_place
from numasync.tools.studies.execution import RunExecutor, play_waves
from numasync.tools.studies.figures import draw_study
from numasync.tools.studies.plan import THREADS, make_settings, runs_of
from numasync.tools.studies.report import StudyReport
from numasync.tools.studies.runs import final_score, learning_curve
from numasync.tools.studies.speedup import COLUMNS, speedup_lines, speedups
from numasync.tools.studies.table import (
    POINT_COLUMNS,
    POINTS,
    RUN_COLUMNS,
    RUNS,
    Table,
    identity,
    open_folder,
    write_table,
)
from numasync.training.display import Silent
from numasync.training.terminal_bar import choose_display

FIGURE, SPEEDUPS = "figure", "speedups.csv"
# The folder of the runs that are played on a cluster now.
PLAYING = "playing"
# The keywords of `make_settings`.
STUDY_OPTIONS = ("algos", "runs", "steps", "workers", "seed", "lr_low", "lr_high")


class Study(NamedTuple):
    """A finished study.

    folder    the folder with its files
    rows      the rows of its table, a dict each, in the order in which runs are begun; a missing number is nan
    pictures  the paths of the PNG and the SVG; () where matplotlib is missing
    """

    folder: Path
    rows: list[dict[str, Any]]
    pictures: tuple[Path, ...]


def study(
    name: str,
    env: str = "CartPole-v1",
    jobs: int | None = None,
    out: str | os.PathLike | None = None,
    executor: RunExecutor | None = None,
    verbose: bool = False,
    ray: str | None = None,
    cores_per_run: int | None = None,
    retries: int | None = None,
    **options: Any,
) -> Study:
    """Repeat an experiment of the paper, and return the Study.

    name      'optimizers' (figure S5), 'lr' (figure 2) or 'threads' (figures 3 and 4, table 2)
    env       environment id, see `numasync envs`
    jobs      how many runs to play at once, each in a process; by default the number of cores; timed runs are played
              one at a time
    out       the folder; by default studies/NAME-ENV; a study that was stopped in this folder continues
    executor  plays the runs instead of processes; it has the `submit` of concurrent.futures.Executor; an environment
              that was registered at a prompt is unknown in other processes, so it needs a ThreadPoolExecutor(1)
    verbose   whether to print progress
    ray       a cluster of Ray that plays the runs: HOST:PORT, 'auto' for the one on this machine, or 'local' for one
              that ends with this call; not for 'threads', which measures one machine
    cores_per_run  the cores that each run has for itself on the cluster; by default 1
    retries   how often a run goes on elsewhere whose node dies; by default 3

    These options are keywords too:

    algos            the algorithms: a text such as 'a3c,nstep_q', or a list; by default all that fit the environment,
                     for 'optimizers' n-step Q and A3C
    runs             runs of each algorithm and optimiser; for 'threads' the number of seeds; by default 50, or 5
    steps            steps of each run, over all workers
    workers          workers of each run; not for 'threads'
    seed             seed of the learning rates, and of the first run; the next run has the next seed; by default 1
    lr_low, lr_high  learning rates are drawn from LogUniform between them, by default 1e-4 and 1e-2; not for 'threads'

    Every other option of a run comes from the preset of the environment's family. A run that diverges is a result
    without a score.

    Raises InputError for bad input, and where another program works in the folder, before anything is written;
    WorkerError if a run failed. After a failure, and after Ctrl-C, the table keeps the finished runs.
    """
    check_keywords(options, STUDY_OPTIONS, "no option of a study", OTHER_OPTIONS)
    settings = make_settings(name, env, **options)
    if ray is not None and name == "threads":
        raise InputError("The study of threads measures the seconds of one machine; leave ray out.")
    place = choose_place(jobs, executor, ray, cores_per_run, retries)
    display = choose_display() if as_switch("verbose", verbose) else Silent()
    with open_folder(default_folder(settings) if out is None else as_folder("out", out), settings) as folder:
        table = Table(folder / POINTS, POINT_COLUMNS) if name == "threads" else Table(folder / RUNS, RUN_COLUMNS)
        report = StudyReport(settings, table.path, display)
        runs = runs_of(settings)
        play_missing_runs(runs, table, place, report)
        rows = table.rows_in_order_of(runs)
        return Study(folder, rows, show_results(rows, settings, folder, report))


def show_results(
    rows: Sequence[dict[str, Any]], settings: dict[str, Any], folder: Path, report: StudyReport
) -> tuple[Path, ...]:
    """Write the speed-ups of a study of threads, and draw the figure. The arguments: see `draw_figure_if_possible`.

    Returns the paths of the figure.
    """
    if settings["study"] == "threads":
        found = speedups(rows)
        write_table(folder / SPEEDUPS, COLUMNS, found)
        report.print_lines(*speedup_lines(found), f"Speed-ups: {folder / SPEEDUPS}")
    return draw_figure_if_possible(rows, settings, folder, report)


def default_folder(settings: dict[str, Any]) -> Path:
    """Return the folder of a study for which no folder is given."""
    return Path("studies", safe_name(f"{settings['study']}-{settings['env']}"))


def play_missing_runs(runs: Sequence[dict[str, Any]], table: Table, place: Place, report: StudyReport) -> None:
    """Play the runs that are not in the table, and add them to it.

    runs    the runs of the study
    table   the finished runs
    place   where they are played
    report  what to print
    """
    to_play = [run for run in runs if not table.has(run)]
    report.print_start(len(runs), len(runs) - len(to_play))
    if to_play:
        with open_place(place, len(to_play), report, [{"env": runs[0]["env"]}]) as executor:
            try:
                if isinstance(executor, RayPool):
                    to_play = [{**run, FOLDER: str(folder_of(run, table))} for run in to_play]
                play_and_add(to_play, table, executor, report)
            except KeyboardInterrupt:
                report.print_stopped()
                raise
    report.print_end()


def folder_of(run: dict[str, Any], table: Table) -> Path:
    """Return where a run is kept that is played on a cluster, until it is in the table."""
    return table.path.parent / PLAYING / safe_name("-".join(identity(run)))


def play_and_add(runs: Sequence[dict[str, Any]], table: Table, executor: RunExecutor, report: StudyReport) -> None:
    """Play runs and add each to the table when it is finished. Timed runs come last, one at a time.

    runs      the runs to play
    table     the finished runs
    executor  what plays them
    report    what to print
    """
    timed = [run for run in runs if run["mode"] == THREADS]
    waves = [[run for run in runs if run["mode"] != THREADS], *([run] for run in timed)]
    function = learning_curve if table.columns is POINT_COLUMNS else final_score
    with closing(play_waves(waves, function, executor)) as played:
        for run, results in played:
            table.add(run, results)
            report.add_run(run, results[-1])
            if FOLDER in run:
                shutil.rmtree(run[FOLDER], ignore_errors=True)
    with contextlib.suppress(OSError):  # there is none, or another run of it is kept
        (table.path.parent / PLAYING).rmdir()


def draw_figure_if_possible(
    rows: Sequence[dict[str, Any]], settings: dict[str, Any], folder: Path, report: StudyReport
) -> tuple[Path, ...]:
    """Draw the figure and return its paths, or () where matplotlib is missing: a study must not be lost for that.

    rows      the rows of the table
    settings  the settings of the study
    folder    where the figure is written
    report    what to print
    """
    try:
        import_matplotlib()
    except InputError as error:
        report.print_lines(f"There is no figure: {error} The same command then draws it.")
        return ()
    pictures = draw_study(rows, settings, folder / FIGURE)
    report.print_lines(f"Figure: {' and '.join(map(str, pictures))}")
    return pictures
