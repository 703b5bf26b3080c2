"""What a run says while it lasts and at its end. A display shows it."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numasync.agent.evaluation import MAX_EPISODE_STEPS
from numasync.config import Config
from numasync.errors import warn_of
from numasync.training.console import format_clock, format_short
from numasync.training.display import Display, Event, Status
from numasync.training.progress import Progress
from numasync.training.rate import RecentRate
from numasync.training.terminal_bar import choose_display


class Report:
    """Tells a display about the progress and the results of a run.

    config      the options of the run
    checkpoint  the path of its checkpoint; None where nothing is written
    display     what shows it; by default lines on the standard output, with a bar on a terminal
    clock       returns seconds; only differences matter
    """

    def __init__(
        self,
        config: Config,
        checkpoint: str | os.PathLike | None = None,
        display: Display | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.config, self.checkpoint, self.clock = config, checkpoint, clock
        self.display = display or choose_display()
        self.rate = RecentRate()
        self.best: tuple[float, int] | None = None  # the highest mean of a periodic evaluation, and its steps
        self.evaluation_start = 0.0

    def print_start(self, made: int = 0) -> None:
        """Say what is trained. Compilation follows. made: the steps that a run which goes on has made."""
        c = self.config
        going_on = f" going on after {made:,} steps;" if made else ""
        workers = f"{c.workers} workers" + (f" on each of {c.nodes} nodes" if c.nodes > 1 else "")
        line = f"{c.algo} on {c.env}: {workers}, {c.steps:,} steps, seed {c.seed};{going_on} compiling ..."
        folder = str(Path(self.checkpoint).parent) if self.checkpoint else None
        data = {"options": dataclasses.asdict(c), "folder": folder, "steps": made}
        self.display.show(Event("start", (line,), data))
        self.print_stage("compiling")

    def print_stage(self, stage: str) -> None:
        """Say that a stage begins. stage: a word such as 'compiling'; how long it takes is not known."""
        self.display.update(Status(stage, 0, 0, 0.0))

    def print_compilation(self, done: int, total: int, seconds: float) -> None:
        """Say how far the compilation is. The arguments: see `OnCompiled`."""
        left = format_clock(seconds / done * (total - done))
        status = Status("compiling", done, total, seconds, (f"{done} of {total} kernels", f"{left} left"))
        # Where nobody reads the output, the next line of progress says so. A run can end in good order there.
        with contextlib.suppress(BrokenPipeError):
            self.display.update(status)

    def print_progress(self, progress: Progress) -> None:
        """Say how far the training is. The supervisor calls this often."""
        rate = self.rate.add(progress.seconds, progress.steps)
        if progress.steps < progress.max_steps:
            self.display.update(training_status(progress, rate, self.best))

    def print_periodic_evaluation(self, steps: int, evaluation: dict[str, Any], best: bool) -> None:
        """Say what a periodic evaluation has found.

        steps       T when the parameters were copied
        evaluation  the scores, see `summarize`
        best        whether no evaluation before had as high a mean
        """
        if best:
            self.best = evaluation["mean"], steps
        line = f"{steps:>12,} steps: evaluation {scores_of(evaluation)}{' (best)' if best else ''}."
        self.display.show(Event("evaluation", (line,), {"steps": steps, "scores": evaluation, "best": best}))

    def print_checkpoint(self, steps: int) -> None:
        """Tell a machine that the checkpoint was written. steps: T of its parameters."""
        with contextlib.suppress(BrokenPipeError):  # as in `print_compilation`
            self.display.show(Event("checkpoint", data={"steps": steps, "path": str(self.checkpoint)}))

    def print_trouble(self, text: str) -> None:
        """Say what has gone wrong, while the run goes on. text: one sentence."""
        self.display.clear()
        warn_of(text)

    def print_end(self, progress: Progress, stopped_by: str | None = None) -> None:
        """Say that the training has ended. stopped_by: the callback that has stopped it, and why."""
        seconds = round(progress.seconds, 3)
        data = {"steps": progress.steps, "seconds": seconds, "interrupted": progress.interrupted}
        self.display.show(Event("end", end_lines(progress, stopped_by), {**data, "stopped_by": stopped_by}))

    def print_stopped(self, command: str) -> None:
        """Say how a run that was stopped goes on. command: the command line that does it."""
        self.display.show(Event("stopped", (f"Go on with: {command}",), {"command": command}))

    def print_final_evaluation(self) -> None:
        """Say that the final evaluation begins."""
        self.evaluation_start = self.clock()
        line = f"Evaluating {self.config.final_eval_episodes} episodes ..."
        self.display.show(Event("evaluating", (line,), {"done": 0, "total": self.config.final_eval_episodes}))

    def print_evaluated(self, done: int) -> None:
        """Say how far the final evaluation is. done: the episodes that have ended."""
        total, seconds = self.config.final_eval_episodes, self.clock() - self.evaluation_start
        left = format_clock(seconds / done * (total - done)) if done else "-"
        self.display.update(Status("evaluating", done, total, seconds, (f"{done} of {total} episodes", f"{left} left")))

    def print_result(self, result: dict[str, Any]) -> None:
        """Say what the final evaluation has found, if there is one, and where the agent is.

        result  what result.json has
        """
        lines = [evaluation_line(result["evaluation"])] if result["evaluation"] else []
        if self.best:
            lines.append(f"Best periodic evaluation: mean {self.best[0]:.2f} at {self.best[1]:,} steps.")
        if self.checkpoint:
            lines.append(f"Checkpoint: {self.checkpoint}")
        self.display.show(Event("result", tuple(lines), result))

    def close(self) -> None:
        """Leave the screen to others."""
        self.display.clear()


def training_status(progress: Progress, rate: float, best: tuple[float, int] | None) -> Status:
    """Return how far a training is.

    progress  the Progress
    rate      its steps a second now; 0 if that is not known
    best      the highest mean of a periodic evaluation and its steps, if there is one
    """
    steps, total, seconds, mean = progress.steps, progress.max_steps, progress.seconds, mean_return(progress)
    left = f"{format_clock(max(total - steps, 0) / rate) if rate > 0 else '-'} left"
    score = "-" if mean is None else format_score(mean)
    parts = [left, f"return {score}", f"{format_short(rate)}/s"]
    if best:
        parts.append(f"best {format_score(best[0])} at {format_short(best[1])}")
    parts.append(f"{format_short(steps)} steps")
    line = (
        f"{steps:>12,} steps ({min(steps / total, 1):4.0%})  {rate:>9,.0f}/s  {progress.episodes:>8,} episodes  "
        f"mean return {score:>8}  {left}{f'  best {format_score(best[0])} at {best[1]:,}' if best else ''}"
    )
    data = {
        "steps": steps,
        "max_steps": total,
        "seconds": round(seconds, 3),
        "steps_per_s": round(rate, 1),
        "episodes": progress.episodes,
        "mean_return": mean,
    }
    return Status("training", steps, total, seconds, tuple(parts), line, data, name="progress")


def mean_return(progress: Progress) -> float | None:
    """Return the mean return of the last training episodes, or None if none has ended."""
    return sum(progress.returns) / len(progress.returns) if progress.returns else None


def format_score(score: float) -> str:
    """Return a return or a mean of returns as text: 436.4, or 0.87."""
    return f"{score:.1f}" if abs(score) >= 10 else f"{score:.2f}"


def end_lines(progress: Progress, stopped_by: str | None = None) -> tuple[str, ...]:
    """Return lines of what a training has come to. stopped_by: the callback that has stopped it, and why."""
    rate = progress.steps / progress.seconds if progress.seconds > 0 else 0.0
    verb = "Interrupted" if progress.interrupted else "Stopped" if stopped_by else "Trained"
    clock = format_clock(progress.seconds)
    lines = [f"{verb} after {progress.steps:,} steps in {clock} ({rate:,.0f}/s), {progress.episodes:,} episodes."]
    mean = mean_return(progress)
    if mean is not None:
        lines.append(f"Mean return of the last {len(progress.returns)} training episodes: {format_score(mean)}.")
    if stopped_by:
        lines.append(f"Stopped by {stopped_by}.")
    return tuple(lines)


def scores_of(evaluation: dict[str, Any]) -> str:
    """Return the scores of an evaluation as words. evaluation: see `summarize`."""
    e = evaluation
    cut = f", {e['cut']} cut at numasync's limit of {MAX_EPISODE_STEPS:,} steps" if "cut" in e else ""
    return f"mean {e['mean']:.2f}, std {e['std']:.2f}, min {e['min']:g}, max {e['max']:g}{cut}"


def evaluation_line(evaluation: dict[str, Any]) -> str:
    """Return a line of the scores of an evaluation. evaluation: see `summarize`."""
    return f"Evaluation over {evaluation['episodes']} episodes: {scores_of(evaluation)}."
