"""What a run prints while it trains and at its end. Nothing else prints but watch.py and the command line itself."""

import sys

# On a terminal one line is rewritten; in a file or a pipe a new line is printed, less and less often.
TERMINAL_SECONDS = 0.5
FIRST_LINE_SECONDS = 1.0
LONGEST_LINE_SECONDS = 60.0


class Report:
    """Progress and results of a run of `config`, whose checkpoint is at `checkpoint` (None where nothing is
    written)."""

    def __init__(self, config, checkpoint=None, file=None):
        self.config = config
        self.checkpoint = checkpoint
        self.file = file or sys.stdout
        self.terminal = self.file.isatty()
        self.due = 0.0
        self.interval = FIRST_LINE_SECONDS

    @staticmethod
    def silent():
        """A report that prints nothing."""
        return SilentReport()

    def started(self):
        c = self.config
        self._print(f"{c.algo} on {c.env}: {c.workers} workers, {c.steps:,} steps, seed {c.seed}; compiling ...")

    def progress(self, trainer):
        """Print a line if one is due. Called often, from the supervisor."""
        seconds = trainer.seconds
        if seconds < self.due or trainer.steps >= trainer.config.steps:
            return
        if self.terminal:
            self.due = seconds + TERMINAL_SECONDS
            self.file.write(f"\r{progress_line(trainer):<100}")
            self.file.flush()
        else:
            self._print(progress_line(trainer))
            self.due = seconds + self.interval
            self.interval = min(1.5 * self.interval, LONGEST_LINE_SECONDS)

    def scored_beside(self, steps, score, best):
        """An evaluation beside the training, of the parameters as they were at T = steps."""
        text = evaluation_line(score)[:-1]
        self._print_over(f"{steps:>12,} steps: {text[0].lower()}{text[1:]}{'; the best so far' if best else ''}.")

    def ended(self, trainer):
        self._print_over(progress_line(trainer))
        how = "Interrupted" if trainer.interrupted else "Trained"
        self._print(f"{how} after {trainer.steps:,} steps in {clock(trainer.seconds)}.")
        if not trainer.interrupted:
            self._print(f"Evaluating {self.config.eval_episodes} episodes ...")

    def evaluated(self, result):
        if result["evaluation"]:
            self._print(evaluation_line(result["evaluation"]))
        if self.checkpoint:
            self._print(f"Checkpoint: {self.checkpoint}")

    def _print_over(self, line):
        """A line in the place of the progress that a terminal shows."""
        self._print(f"\r{line:<100}" if self.terminal else line)

    def _print(self, line):
        print(line, file=self.file, flush=True)


class SilentReport:
    def started(self):
        pass

    def progress(self, trainer):
        pass

    def scored_beside(self, steps, score, best):
        pass

    def ended(self, trainer):
        pass

    def evaluated(self, result):
        pass


def progress_line(trainer):
    """Steps, steps a second, episodes, mean return of the last 100, time left."""
    steps, total, seconds = trainer.steps, trainer.config.steps, trainer.seconds
    rate = steps / seconds if seconds > 0 else 0.0
    returns = list(trainer.returns)
    mean = f"{sum(returns) / len(returns):.1f}" if returns else "-"
    left = clock(max(total - steps, 0) / rate) if rate > 0 else "-"
    return (
        f"{steps:>12,} steps ({min(steps / total, 1):4.0%})  {rate:>9,.0f}/s  {trainer.episodes:>8,} episodes  "
        f"mean return {mean:>8}  {left} left"
    )


def evaluation_line(evaluation):
    e = evaluation
    return (
        f"Evaluation over {e['episodes']} episodes: mean {e['mean']:.2f}, std {e['std']:.2f}, "
        f"min {e['min']:g}, max {e['max']:g}."
    )


def clock(seconds):
    """1:02:03 or 2:03, from seconds."""
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
