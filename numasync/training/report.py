"""What a run or a study prints on its way and at its end. Nothing else prints but watch.py and the command line
itself."""

import sys
import time

# On a terminal one line is rewritten; in a file or a pipe a new line is printed, less and less often.
TERMINAL_SECONDS = 0.5
FIRST_LINE_SECONDS = 1.0
LONGEST_LINE_SECONDS = 60.0


class Lines:
    """Lines of text, and lines of progress, which come at their own pace. file: where to; the standard output."""

    def __init__(self, file=None):
        self.file = file or sys.stdout
        self.terminal = self.file.isatty()
        self.due = 0.0
        self.interval = FIRST_LINE_SECONDS

    def _show(self, line, seconds):
        """Print a line of progress; none is due until some seconds after these have passed."""
        if self.terminal:
            self.due = seconds + TERMINAL_SECONDS
            self.file.write(f"\r{line:<100}")
            self.file.flush()
        else:
            self._print(line)
            self.due = seconds + self.interval
            self.interval = min(1.5 * self.interval, LONGEST_LINE_SECONDS)

    def _print_over(self, line):
        """A line in the place of the progress that a terminal shows."""
        self._print(f"\r{line:<100}" if self.terminal else line)

    def _print(self, line):
        print(line, file=self.file, flush=True)


class Report(Lines):
    """Progress and results of a run of `config`, whose checkpoint is at `checkpoint` (None where nothing is
    written)."""

    def __init__(self, config, checkpoint=None, file=None):
        super().__init__(file)
        self.config = config
        self.checkpoint = checkpoint

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
        if seconds >= self.due and trainer.steps < trainer.config.steps:
            self._show(progress_line(trainer), seconds)

    def scored_beside(self, steps, score, best):
        """An evaluation beside the training, of the parameters as they were at T = steps."""
        text = evaluation_line(score)[:-1]
        self._print_over(f"{steps:>12,} steps: {text[0].lower()}{text[1:]}{'; the best so far' if best else ''}.")

    def ended(self, trainer):
        self._print_over(progress_line(trainer))
        how = "Interrupted" if trainer.interrupted else "Trained"
        self._print(f"{how} after {trainer.steps:,} steps in {clock(trainer.seconds)}.")

    def evaluating(self):
        self._print(f"Evaluating {self.config.final_eval_episodes} episodes ...")

    def evaluated(self, result):
        if result["evaluation"]:
            self._print(evaluation_line(result["evaluation"]))
        if self.checkpoint:
            self._print(f"Checkpoint: {self.checkpoint}")


class SilentReport:
    def started(self):
        pass

    def progress(self, trainer):
        pass

    def scored_beside(self, steps, score, best):
        pass

    def ended(self, trainer):
        pass

    def evaluating(self):
        pass

    def evaluated(self, result):
        pass


class StudyReport(Lines):
    """Progress and end of a study with these settings, whose finished runs are in the table at `path`.

    clock: seconds, of which only differences mean something.
    """

    def __init__(self, settings, path, file=None, clock=time.perf_counter):
        super().__init__(file)
        self.settings, self.path, self.clock = settings, path, clock
        self.total = self.before = self.done = 0
        self.start = 0.0

    def started(self, total, done):
        """total: runs; done: those of them that an earlier start has finished."""
        self.total, self.before, self.done, self.start = total, done, done, self.clock()
        s, earlier = self.settings, f", {done:,} of them finished before" if done else ""
        going = "; the first ones compile ..." if done < total else "."
        self._print(f"Study of {s['study']} on {s['env']}: {counted(total, 'run')}{earlier}{going}")

    def finished(self, run, result):
        """A run, of which `result` is the last row. Prints a line if one is due."""
        self.done += 1
        seconds = self.clock() - self.start
        left = seconds / (self.done - self.before) * (self.total - self.done)
        line = f"{self.done:>6,} of {self.total:,} runs ({self.done / self.total:4.0%})  {clock(left)} left  "
        if seconds >= self.due and self.done < self.total:
            self._show(line + run_line(run, result), seconds)

    def ended(self):
        played = self.done - self.before
        if played:
            self._print_over(f"{counted(played, 'run')} in {clock(self.clock() - self.start)}.")
        self._print(f"Table: {self.path}")

    def stopped(self):
        self._print_over(f"Stopped. {self.path} keeps the finished runs; the same command goes on.")

    def said(self, *lines):
        for line in lines:
            self._print(line)


class SilentStudyReport:
    def started(self, total, done):
        pass

    def finished(self, run, result):
        pass

    def ended(self):
        pass

    def stopped(self):
        pass

    def said(self, *lines):
        pass


def run_line(run, result):
    """What a run has of its own among those of its study, and its score, which is nan where it diverged."""
    own = {
        "optimizers": f"{run['optimizer']}, lr {run['lr']:.2g}",
        "lr": f"lr {run['lr']:.2g}",
        "threads": f"{counted(run['workers'], 'worker')} in {run['mode']}",
    }
    score = f"{result['score']:.2f}" if result["score"] == result["score"] else "diverged"
    return f"{run['algo']}, {own[run['study']]}, seed {run['seed']}: {score}"


def counted(number, what):
    """1 run, or 2 runs."""
    return f"{number:,} {what}{'s' * (number != 1)}"


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
