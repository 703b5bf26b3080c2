"""`numasync study`: the paper's experiments on environments that fit a laptop, many runs at once, continued after a stop.

A study is its settings; `plan.py` makes of them the runs, `playing.py` plays one of them, `table.py` keeps what is
finished.
"""

import re
from contextlib import closing, nullcontext
from pathlib import Path
from typing import NamedTuple

from numasync.runtime.checks import check_whole_number
from numasync.runtime.affinity import cores
from numasync.errors import InputError
from numasync.tools.plots import drawing_library
from numasync.training.report import SilentStudyReport, StudyReport
from numasync.tools.studies.execution import as_finished, processes
from numasync.tools.studies.figures import draw_study
from numasync.tools.studies.plan import THREADS, make_settings, runs_of
from numasync.tools.studies.playing import final_score, learning_curve
from numasync.tools.studies.speedup import COLUMNS, speedup_lines, speedups
from numasync.tools.studies.table import POINT_COLUMNS, POINTS, RUN_COLUMNS, RUNS, Table, open_folder, write_table

FIGURE, SPEEDUPS = "figure", "speedups.csv"
MOST_JOBS = 1024


class Study(NamedTuple):
    """A study that is finished. rows: of its table, a dict a line, in the order in which runs are begun; a number that is
    missing is nan. pictures: paths of the PNG and the SVG, () where matplotlib is missing."""

    folder: Path
    rows: list
    pictures: tuple


def study(name, env="CartPole-v1", jobs=None, out=None, executor=None, verbose=False, **options):
    """Repeat an experiment of the paper on `env`; return the Study.

    name: "optimizers" (figure S5), "lr" (figure 2) or "threads" (figures 3 and 4, table 2).
    jobs: how many runs at once, each a process; as many as there are cores by default. What is timed runs alone.
    out: the folder; studies/NAME-ENV by default. Where the same study was stopped in it, this one goes on.
    executor: what runs them instead, with the `submit` of concurrent.futures.Executor. A process of its own must know
        `env`: an environment that was registered at a prompt runs on a ThreadPoolExecutor(1) only.
    verbose: print progress.
    options: algos, a text such as "a3c,nstep_q" or a list; runs (of each algorithm and optimiser; of threads: seeds);
        steps (T_max); workers; seed; lr_low and lr_high, between which rates are drawn from LogUniform. What is not
        given, and every other option of a run, comes from the presets of the environment's family.

    Raises InputError for bad input, with nothing written; WorkerError if a run failed. Then, and after Ctrl-C, the table
    keeps what is finished. A run that diverges is a result without a score.
    """
    settings = make_settings(name, env, **options)
    jobs = cores() if jobs is None else jobs
    check_whole_number("jobs", jobs, 1, MOST_JOBS)
    folder = open_folder(default_folder(settings) if out is None else out, settings)
    table = Table(folder / POINTS, POINT_COLUMNS) if name == "threads" else Table(folder / RUNS, RUN_COLUMNS)
    report = StudyReport(settings, table.path) if verbose else SilentStudyReport()
    runs = runs_of(settings)
    play_all(runs, table, executor, jobs, report)
    rows = table.rows_in_order_of(runs)
    if name == "threads":
        found = speedups(rows)
        write_table(folder / SPEEDUPS, COLUMNS, found)
        report.said(*speedup_lines(found), f"Speed-ups: {folder / SPEEDUPS}")
    return Study(folder, rows, drawn(rows, settings, folder, report))


def default_folder(settings):
    return Path("studies", re.sub(r"[^\w.-]", "-", f"{settings['study']}-{settings['env']}"))


def play_all(runs, table, executor, jobs, report):
    """Play those runs that the table does not have and add them to it."""
    to_play = [run for run in runs if not table.has(run)]
    report.started(len(runs), len(runs) - len(to_play))
    if to_play:
        with nullcontext(executor) if executor else processes(min(jobs, len(to_play))) as pool:
            try:
                add_finished(to_play, table, pool, report)
            except KeyboardInterrupt:
                report.stopped()
                raise
    report.ended()


def add_finished(runs, table, executor, report):
    """Play runs, those that are timed one by one at the end, and add each to the table as it is finished."""
    timed = [run for run in runs if run["mode"] == THREADS]
    waves = [[run for run in runs if run["mode"] != THREADS], *([run] for run in timed)]
    function = learning_curve if table.columns is POINT_COLUMNS else final_score
    with closing(as_finished(waves, function, executor)) as played:
        for run, results in played:
            table.add(run, results)
            report.finished(run, results[-1])


def drawn(rows, settings, folder, report):
    """The paths of the figure; () where matplotlib is missing, which is no reason to lose a study."""
    try:
        drawing_library()
    except InputError as error:
        report.said(f"There is no figure: {error} The same command then draws it.")
        return ()
    pictures = draw_study(rows, settings, folder / FIGURE)
    report.said(f"Figure: {' and '.join(map(str, pictures))}")
    return pictures
