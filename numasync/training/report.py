"""What a run prints while it lasts and at its end."""

import os
from typing import Any

from numasync.agent.evaluation import MAX_EPISODE_STEPS
from numasync.config import Config
from numasync.errors import warn_of
from numasync.training.console import TERMINAL_SECONDS, Console, format_clock
from numasync.training.progress import Progress


class Report:
    """Prints the progress and the results of a run.

    config      the options of the run
    checkpoint  the path of its checkpoint; None where nothing is written
    console     where to print; by default the standard output
    """

    def __init__(
        self, config: Config, checkpoint: str | os.PathLike | None = None, console: Console | None = None
    ) -> None:
        self.config = config
        self.checkpoint = checkpoint
        self.console = console or Console()
        self.compilation_due = TERMINAL_SECONDS

    def print_start(self) -> None:
        """Say what is trained. Compilation follows."""
        c = self.config
        line = f"{c.algo} on {c.env}: {c.workers} workers, {c.steps:,} steps, seed {c.seed}; compiling ..."
        self.console.print_lines(line)

    def print_compilation(self, done: int, total: int, seconds: float) -> None:
        """On a terminal, say how far the compilation is. The arguments: see `OnCompiled`."""
        if self.console.terminal and seconds >= self.compilation_due:
            self.compilation_due = seconds + TERMINAL_SECONDS
            left = format_clock(seconds / done * (total - done))
            self.console.show_progress(f"compiled {done} of {total} kernels, {left} left", 0.0)

    def print_progress(self, progress: Progress) -> None:
        """Print a line of progress if one is due. The supervisor calls this often."""
        if self.console.is_due(progress.seconds) and progress.steps < progress.max_steps:
            self.console.show_progress(progress_line(progress), progress.seconds)

    def print_periodic_evaluation(self, steps: int, evaluation: dict[str, Any], best: bool) -> None:
        """Print a periodic evaluation.

        steps       T when the parameters were copied
        evaluation  the scores, see `summarize`
        best        whether no evaluation before had as high a mean
        """
        text = evaluation_line(evaluation)[:-1]
        line = f"{steps:>12,} steps: {text[0].lower()}{text[1:]}{'; the best so far' if best else ''}."
        self.console.print_over(line)

    def print_trouble(self, text: str) -> None:
        """Say what has gone wrong, while the run goes on. text: one sentence."""
        if self.console.terminal:
            self.console.print_lines("")  # after the line of progress
        warn_of(text)

    def print_end(self, progress: Progress) -> None:
        """Say that the training has ended."""
        verb = "Interrupted" if progress.interrupted else "Trained"
        self.console.print_over(progress_line(progress))
        self.console.print_lines(f"{verb} after {progress.steps:,} steps in {format_clock(progress.seconds)}.")

    def print_final_evaluation(self) -> None:
        """Say that the final evaluation begins."""
        self.console.print_lines(f"Evaluating {self.config.final_eval_episodes} episodes ...")

    def print_result(self, result: dict[str, Any]) -> None:
        """Print the final evaluation, if there is one, and where the agent is. result: as in result.json."""
        if result["evaluation"]:
            self.console.print_lines(evaluation_line(result["evaluation"]))
        if self.checkpoint:
            self.console.print_lines(f"Checkpoint: {self.checkpoint}")

    def print_stopped(self, command: str) -> None:
        """Say how a run that was stopped goes on. command: the command that does it."""
        self.console.print_lines(f"Go on with: {command}")


def progress_line(progress: Progress) -> str:
    """Return a line of steps, steps a second, episodes, mean return of the last episodes, and time left."""
    steps, total, seconds, returns = progress.steps, progress.max_steps, progress.seconds, progress.returns
    rate = steps / seconds if seconds > 0 else 0.0
    mean = f"{sum(returns) / len(returns):.1f}" if returns else "-"
    left = format_clock(max(total - steps, 0) / rate) if rate > 0 else "-"
    return (
        f"{steps:>12,} steps ({min(steps / total, 1):4.0%})  {rate:>9,.0f}/s  {progress.episodes:>8,} episodes  "
        f"mean return {mean:>8}  {left} left"
    )


def evaluation_line(evaluation: dict[str, Any]) -> str:
    """Return a line of the scores of an evaluation. evaluation: see `summarize`."""
    e = evaluation
    cut = f", {e['cut']} cut at numasync's limit of {MAX_EPISODE_STEPS:,} steps" if "cut" in e else ""
    return (
        f"Evaluation over {e['episodes']} episodes: mean {e['mean']:.2f}, std {e['std']:.2f}, "
        f"min {e['min']:g}, max {e['max']:g}{cut}."
    )
