"""Print docs/reports/state.md, the page with every score, from the tables beside this file.

python docs/reports/state.py > docs/reports/state.md

small_runs.csv     runs of seconds: the score of 100 evaluation episodes; std where it was written down; wall_s of
                   CartPole and Catch is the median of the five seeds
minatar_runs.csv   the training curves of MinAtar; minatar_scores.csv has the scores of 100 evaluation episodes
atari_runs.csv     every evaluation of the runs on Atari; results.md explains its column thread_per
study_*.csv        the runs of the studies
"""

import csv
import statistics
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from numasync.config import make_config
from numasync.tools.human_scores import human_normalized

HERE = Path(__file__).parent
MARK = "<!-- Written by docs/reports/state.py; do not edit. -->"
ALGORITHMS = {"one_step_q": "one-step Q", "one_step_sarsa": "one-step Sarsa", "nstep_q": "n-step Q", "a3c": "A3C"}

# The versions whose workers take turns on the threads, as they do now. The other rows of atari_runs.csv are history.
TURNS = ("core", "kept core", "kept core, epsilons")
INTRODUCTION = """\
Every score that this package reports, from the tables beside this page. A score is the mean of 100 evaluation episodes
with the last parameters. Scores stand in the order of the seeds.

- Train one again: `numasync --algo NAME --env ID --seed N`, and the options of its row. With several workers no two
  runs are the same, so the score is similar, not equal.
- The highest possible score is 500 on CartPole, 1 on Catch and Recall, 1000 on InvertedPendulum, 21 on Pong.
- The presets were chosen on other seeds.
- The run with `--preset paper` was stopped after an hour, 9.3M of its 80M steps.
- [Atari](results.md), [fast environments](environments.md) and [studies](studies.md) say how each was measured.
- Of each command and seed this page has the last run. Earlier versions and failures are in [Atari](results.md)."""
SOLVED = 475  # the score from which Gymnasium calls CartPole solved


class Run(NamedTuple):
    """A finished run.

    options  the flags of its command, besides --algo, --env and --seed
    score    the mean of 100 evaluation episodes with the last parameters
    seconds  wall time of the training, or None
    """

    env: str
    algo: str
    options: str
    seed: int
    score: float
    seconds: float | None


def read(name: str) -> list[dict[str, str]]:
    """Return the rows of a table beside this file."""
    with open(HERE / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def small_runs() -> list[Run]:
    """Return the runs of seconds."""
    return [
        Run(r["env"], r["algo"], r["options"], int(r["seed"]), float(r["score"]), float(r["wall_s"] or 0) or None)
        for r in read("small_runs.csv")
    ]


def minatar_runs() -> list[Run]:
    """Return the runs on MinAtar."""
    last = {(r["env"], r["algorithm"], r["seed"]): float(r["seconds"]) for r in read("minatar_runs.csv")}
    return [
        Run(r["env"], r["algo"], "", int(r["seed"]), float(r["score"]), last[r["env"], r["algo"], r["seed"]])
        for r in read("minatar_scores.csv")
    ]


def atari_runs() -> list[Run]:
    """Return the runs on Atari that came to their end, of each command and seed the last one."""
    runs = {}
    for r in read("atari_runs.csv"):
        if r["thread_per"] in TURNS and r["episodes"] == "100":
            steps = round(int(r["T"]), -5)
            options = "--preset paper" if r["preset"] == "paper" else ""
            if r["preset"] == "default" and steps != make_config("atari", algo=r["algo"]).steps:
                options = f"--steps {steps}"
            run = Run(r["env"], r["algo"], options, int(r["seed"]), float(r["mean"]), float(r["seconds"]))
            runs[run[:4]] = run
    return list(runs.values())


def grouped(runs: Iterable[Run]) -> dict[tuple[str, str, str], list[Run]]:
    """Return the runs of each (env, algo, options), in the order of their seeds."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        groups.setdefault(run[:3], []).append(run)
    return dict(sorted(groups.items(), key=lambda item: (item[0][0], list(ALGORITHMS).index(item[0][1]), item[0][2])))


def seeds_of(runs: list[Run]) -> str:
    """Return the seeds as text."""
    return ", ".join(str(run.seed) for run in runs)


def scores_of(runs: list[Run]) -> str:
    """Return the scores, in the order of the seeds."""
    return ", ".join(f"{run.score:.2f}" if abs(run.score) <= 1 else f"{run.score:.1f}" for run in runs)


def time_of(runs: list[Run]) -> str:
    """Return the median wall time of runs."""
    seconds = [run.seconds for run in runs if run.seconds]
    if not seconds:
        return ""
    median = statistics.median(seconds)
    return f"{median:.1f} s" if median < 100 else f"{median / 60:.0f} min"


def command(env: str, algo: str, options: str) -> str:
    """Return the command of a run, without its seed."""
    return " ".join(filter(None, ["numasync", "--algo", algo, "--env", env, options]))


def results_of(algo: str) -> Iterator[str]:
    """Yield a table of an algorithm's results. docs/fill.py puts it on the page of the algorithm."""
    yield from ("| command | seeds | scores | median time |", "|---|---|---|---|")
    for (env, name, options), runs in grouped([*small_runs(), *minatar_runs(), *atari_runs()]).items():
        if name == algo:
            cells = (f"`{command(env, name, options)}`", seeds_of(runs), scores_of(runs), time_of(runs))
            yield f"| {' | '.join(cells)} |"


def table(runs: list[Run], last: str = "", cell: Callable[[list[Run]], str] | None = None) -> Iterator[str]:
    """Yield a table of runs. last, cell: one more column, and what stands in it."""
    yield "| environment | algorithm | options | seeds | scores | median time |" + (f" {last} |" if cell else "")
    yield "|---" * (7 if cell else 6) + "|"
    for (env, algo, options), group in grouped(runs).items():
        cells = [f"`{env}`", ALGORITHMS[algo], f"`{options}`" if options else "", seeds_of(group), scores_of(group)]
        cells += [time_of(group), *([cell(group)] if cell else [])]
        yield f"| {' | '.join(cells)} |"


def human(runs: list[Run]) -> str:
    """Return the range of human-normalised scores, in percent."""
    env = runs[0].env
    shares = [human_normalized(env, run.score) for run in runs]
    return " to ".join(dict.fromkeys(f"{share:.0f} %" for share in (min(shares), max(shares))))


def study_tables() -> Iterator[str]:
    """Yield the tables of the studies."""
    for name, by in (("study_optimizers.csv", ("algo", "optimizer")), ("study_lr.csv", ("algo",))):
        groups: dict[tuple[str, ...], list[float]] = {}
        for r in read(name):
            groups.setdefault(tuple(r[column] for column in by), []).append(float(r["score"] or "nan"))
        yield from ("", f"[{name}]({name}): a learning rate for each run, CartPole, 300,000 steps.", "")
        yield f"| {' | '.join(by)} | runs | at {SOLVED} or more | median score |"
        yield "|---" * (len(by) + 3) + "|"
        for key, scores in sorted(groups.items()):
            solved = sum(score >= SOLVED for score in scores)
            cells = [*(f"`{part}`" for part in key), str(len(scores)), str(solved), f"{statistics.median(scores):.0f}"]
            yield f"| {' | '.join(cells)} |"
    speedups = [r for r in read("study_threads_speedups.csv") if r["workers"] != "1"]
    yield from (
        "",
        "[study_threads_speedups.csv](study_threads_speedups.csv): MinAtar Breakout, how many times sooner n",
    )
    yield from ("workers come to the reference score than one. A dash: not reached, or not timed.", "")
    yield from ("| algorithm | workers | in steps | in seconds |", "|---|---|---|---|")
    for r in speedups:
        cells = [f"{float(r[key]):.2f}" if r[key] else "-" for key in ("steps_speedup", "speedup")]
        yield f"| `{r['algo']}` | {r['workers']} | {' | '.join(cells)} |"


def page() -> Iterator[str]:
    """Yield the lines of the page."""
    yield from ("# State of the results", "", MARK, "", *INTRODUCTION.splitlines())
    yield from ("", "## Runs of seconds", "", *table(small_runs()))
    yield from ("", "## MinAtar", "", *table(minatar_runs()))
    yield from ("", "## Atari", "", *table(atari_runs(), "percent of a human", human))
    yield from ("", "## Studies", *study_tables())


if __name__ == "__main__":
    print("\n".join(page()))
