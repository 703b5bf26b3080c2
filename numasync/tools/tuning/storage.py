"""The trials of a tuning on disk, in a database of Optuna. Several processes and programs share it.

trials.db      the database (SQLite): every trial with its options, evaluations and score
trials/0007/   the folder of the run of trial 7
trials/*.lock  a lock of each trial that is being played: the system lets go of it when its process ends, however
claims.lock    a lock for the moment in which a process takes a trial

A trial whose process is dead is marked as failed, and another trial gets its options and its seed. It does not count.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from math import nan
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from numasync.errors import InputError, WorkerError, one_line
from numasync.runtime.files import is_locked, lock
from numasync.tools.tuning.plan import options_of, space_of
from numasync.tools.tuning.space import distribution_of

DATABASE, TRIALS, CLAIMS = "trials.db", "trials", "claims.lock"
STUDY = "tuning"
WAIT_SECONDS = 120  # for another process that writes to the database

# A trial is pruned where its best evaluation so far is below the median of the others at the same T. The first trials
# are never pruned, and no trial in the first part of its run.
UNPRUNED_TRIALS, UNPRUNED_SHARE = 5, 0.3

# The trials that are drawn at random, before the search looks at them.
RANDOM_TRIALS = 10

# How a trial has ended.
FINISHED, PRUNED, DIVERGED = "finished", "pruned", "diverged"

# What a trial keeps in the database beside its parameters.
SEED, OPTIONS, END, STEPS, SECONDS = "seed", "options", "end", "steps", "wall_s"


def import_optuna() -> ModuleType:
    """Return Optuna, which prints nothing. Raises InputError where it is missing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import optuna
    except ImportError as error:
        raise InputError('Tuning needs Optuna; pip install "numasync[tune]" installs it.') from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


@contextlib.contextmanager
def explain_database(folder: Path) -> Iterator[None]:
    """Raise WorkerError, one sentence, where the database of a tuning fails in the `with` block."""
    try:
        yield
    except import_optuna().exceptions.OptunaError as error:  # such as a full disk
        raise WorkerError(f"{folder / DATABASE} cannot be read or written: {one_line(error)}") from None


class TrialRow(NamedTuple):
    """A trial that has ended.

    number   of the trial, from 0 on
    end      FINISHED, PRUNED or DIVERGED
    score    the mean of its final evaluation; of its last one where it was pruned; nan where there is none
    steps    T at its end
    wall_s   seconds of training
    options  all options of its run
    """

    number: int
    end: str
    score: float
    steps: int
    wall_s: float
    options: dict[str, Any]


class Claim:
    """A trial that this process plays. Its lock is held until `close`.

    trial    Optuna's trial
    options  all options of its run
    folder   of its run

    It also has this attribute:

    id  what the database calls the trial
    """

    def __init__(self, trial: Any, options: dict[str, Any], folder: Path, handle: int) -> None:
        self.trial, self.options, self.folder, self._handle = trial, options, folder, handle
        self.id: int = trial._trial_id

    def close(self) -> None:
        """Let go of the trial."""
        with contextlib.suppress(OSError):
            os.unlink(lock_of(self.folder))
        os.close(self._handle)


class Storage:
    """The trials of a tuning.

    folder    of the tuning
    settings  of the tuning, see `plan.make_settings`

    Raises InputError where the database is damaged.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder, self.settings, self.optuna = folder, settings, import_optuna()
        (folder / TRIALS).mkdir(exist_ok=True)
        with self._alone():
            self.study = self._open()

    def _open(self) -> Any:
        steps = self.settings["fixed"]["steps"]
        pruner = self.optuna.pruners.MedianPruner(UNPRUNED_TRIALS, int(UNPRUNED_SHARE * steps))
        from sqlalchemy.engine import URL  # Optuna needs it for a database

        url = URL.create("sqlite", database=str(self.folder.absolute() / DATABASE)).render_as_string(False)
        try:
            storage = self.optuna.storages.RDBStorage(url, {"connect_args": {"timeout": WAIT_SECONDS}})
            return self.optuna.create_study(
                storage=storage, study_name=STUDY, direction="maximize", pruner=pruner, load_if_exists=True
            )
        except Exception as error:  # of SQLite, of SQLAlchemy, of Optuna
            raise InputError(f"{self.folder / DATABASE} is damaged, or no database of a tuning.") from error

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other process begin or end a trial, for the length of a `with` block.

        A trial that has ended before its lock was looked at would pass for a dead one.
        """
        handle = os.open(self.folder / CLAIMS, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            lock(handle, wait=True)
            yield
        finally:
            os.close(handle)

    def claim(self, trials: int) -> Claim | None:
        """Take a trial to play. Return None where `trials` trials have ended or are being played."""
        with self._alone():
            self._give_up_dead_trials()
            found = self.study.get_trials(deepcopy=False)
            taken = sum(trial.state.name in ("COMPLETE", "PRUNED", "RUNNING") for trial in found)
            return self._take(len(found)) if taken < trials else None

    def _take(self, n_trials: int) -> Claim:
        """Begin a trial: one that waits to be played again, or a new one. n_trials: how many the database has."""
        space = space_of(self.settings)
        distributions = {name: distribution_of(values, self.optuna.distributions) for name, values in space.items()}
        # A sampler of its own for each trial: what it draws depends on the trials before alone, not on the process.
        seed = (self.settings["seed"] + n_trials) % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.study.sampler = self.optuna.samplers.TPESampler(
                n_startup_trials=RANDOM_TRIALS, seed=seed, constant_liar=True
            )
            trial = self.study.ask(distributions)
        folder = self.folder / TRIALS / f"{trial.number:04d}"
        handle = os.open(lock_of(folder), os.O_RDWR | os.O_CREAT, 0o666)
        lock(handle)
        seed = trial.user_attrs.get(SEED, self.settings["seed"] + trial.number)
        options = options_of(self.settings, trial.params, seed)
        trial.set_user_attr(SEED, seed)
        trial.set_user_attr(OPTIONS, options)
        return Claim(trial, options, folder, handle)

    def _give_up_dead_trials(self) -> None:
        """Mark the trials as failed whose process is dead, and have them played again."""
        states = self.optuna.trial.TrialState
        for trial in self.study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            path = lock_of(self.folder / TRIALS / f"{trial.number:04d}")
            if path.exists() and is_locked(path) is not False:
                continue
            self.study.tell(trial.number, state=states.FAIL)
            if SEED in trial.user_attrs:  # otherwise it was killed before it had its options
                self.study.enqueue_trial(trial.params, user_attrs={SEED: trial.user_attrs[SEED]})
            with contextlib.suppress(OSError):
                path.unlink()

    def report(self, id: int, steps: int, score: float) -> bool:
        """Write down an evaluation of a trial, and return whether the trial must be pruned.

        id     the trial, see `Claim`
        steps  T, rounded so that trials can be compared at the same T
        score  the mean of the evaluation
        """
        trial = self.optuna.trial.Trial(self.study, id)
        trial.report(score, steps)
        return trial.should_prune()

    def finish(self, claim: Claim, end: str, score: float | None, steps: int, seconds: float) -> TrialRow:
        """Write down how a trial has ended, and return it as a row.

        claim           the trial
        end             FINISHED, PRUNED or DIVERGED
        score           the mean of the final evaluation; None for a trial that has none
        steps, seconds  T and the seconds of training at its end
        """
        for name, value in ((END, end), (STEPS, steps), (SECONDS, round(seconds, 3))):
            claim.trial.set_user_attr(name, value)
        states = self.optuna.trial.TrialState
        with self._alone():
            # A run that diverges is a bad one, and the sampler should know: to a failed one it pays no attention.
            self.study.tell(claim.trial, score, states.COMPLETE if end == FINISHED else states.PRUNED)
        return self.row_of(self.study.get_trials(deepcopy=False)[claim.trial.number])

    def fail(self, claim: Claim) -> None:
        """Mark a trial as failed. It does not count."""
        with self._alone():
            self.study.tell(claim.trial, state=self.optuna.trial.TrialState.FAIL)

    def rows(self) -> list[TrialRow]:
        """Return the trials that have ended and count, in their order."""
        states = self.optuna.trial.TrialState
        ended = self.study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
        return [self.row_of(trial) for trial in ended]

    def row_of(self, trial: Any) -> TrialRow:
        """Return a trial of Optuna as a row."""
        kept = trial.user_attrs
        score = nan if trial.value is None or kept[END] == DIVERGED else float(trial.value)
        return TrialRow(trial.number, kept[END], score, kept[STEPS], kept[SECONDS], kept[OPTIONS])


def lock_of(folder: Path) -> Path:
    """Return the path of the lock of a trial. folder: of its run."""
    return folder.with_suffix(".lock")


def best_of(rows: list[TrialRow]) -> TrialRow | None:
    """Return the trial with the highest score of a final evaluation; None where no trial has one."""
    return max((row for row in rows if row.end == FINISHED), key=lambda row: row.score, default=None)
