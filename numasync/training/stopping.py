"""Callbacks that stop a run: at a score, without improvement, after a time."""

from numasync.runtime.checks import LARGEST, as_real_number, as_whole_number
from numasync.training.callbacks import Callback, Evaluation, Start
from numasync.training.progress import RECENT_EPISODES, Progress


class StopAtScore(Callback):
    """Stop a run that plays well: as the option stop_at.

    The score is the mean of a periodic evaluation. In a run without periodic evaluations it is the mean return of the
    last 100 training episodes, once there are 100.

    score: the mean that is enough. Raises InputError where it is no number.
    """

    def __init__(self, score: float) -> None:
        self.score = as_real_number("score", score, -LARGEST, LARGEST)
        self._evaluates, self._reason = False, ""

    @property
    def reason(self) -> str:
        """The score that was reached."""
        return self._reason

    def on_start(self, start: Start) -> bool:
        """Look at the last evaluation of a run that goes on after it was interrupted."""
        self._evaluates, self._reason = start.config.eval_every > 0, ""
        return bool(start.evaluations) and self._is_enough(start.evaluations[-1])

    def on_evaluation(self, evaluation: Evaluation) -> bool:
        """Stop where the mean is high enough."""
        return self._is_enough(evaluation)

    def on_progress(self, progress: Progress) -> bool:
        """Stop where there are no periodic evaluations, and the training episodes are good enough."""
        if self._evaluates or len(progress.returns) < RECENT_EPISODES:
            return False
        mean = sum(progress.returns) / len(progress.returns)
        self._reason = f"mean return {mean:.2f} of {RECENT_EPISODES} training episodes, {self.score:g} is enough"
        return mean >= self.score

    def _is_enough(self, evaluation: Evaluation) -> bool:
        mean, steps = evaluation.scores["mean"], evaluation.steps
        if mean < self.score:
            return False
        self._reason = f"mean {mean:.2f} of the evaluation at {steps:,} steps, {self.score:g} is enough"
        return True


class StopWithoutImprovement(Callback):
    """Stop a run whose periodic evaluations no longer improve: as the option patience.

    patience: how many evaluations in a row without a new best one are enough. Raises InputError where it is no whole
    number above 0.

    A run that goes on after it was interrupted goes on counting. A run that had ended counts anew.
    """

    def __init__(self, patience: int) -> None:
        self.patience = as_whole_number("patience", patience, 1)
        self._worse = 0

    @property
    def reason(self) -> str:
        """How many evaluations brought no new best score."""
        return f"{self._worse} evaluation{'s' * (self._worse > 1)} without a new best score"

    def on_start(self, start: Start) -> bool:
        """Count the evaluations of a run that goes on after it was interrupted."""
        self._worse, enough = 0, False
        for evaluation in start.evaluations:
            if enough:  # the run was stopped then, has played its final evaluation, and has gone on
                self._worse, enough = 0, False
            else:
                enough = self.on_evaluation(evaluation)
        return enough

    def on_evaluation(self, evaluation: Evaluation) -> bool:
        """Count an evaluation."""
        self._worse = 0 if evaluation.best else self._worse + 1
        return self._worse >= self.patience


class StopAfterMinutes(Callback):
    """Stop a run after a time: as the option max_minutes.

    minutes: of training since this start of the run, without its compilation. A run that goes on has them again. Raises
    InputError where it is no number above 0.
    """

    def __init__(self, minutes: float) -> None:
        self.minutes = as_real_number("minutes", minutes, 1e-6, LARGEST)
        self._until = 0.0

    @property
    def reason(self) -> str:
        """The minutes."""
        return f"{self.minutes:g} minutes of training"

    def on_start(self, start: Start) -> None:
        """Note when the run has begun."""
        self._until = start.seconds + 60 * self.minutes

    def on_progress(self, progress: Progress) -> bool:
        """Stop where the time is over."""
        return progress.seconds >= self._until
