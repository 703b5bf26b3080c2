"""What the workers learn from, in numbers: means over what they have counted between two readings."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from numasync.algorithms.policy import EPSILON_GREEDY
from numasync.learner.counters import COLUMNS, ENTROPY, GRAD_NORM, LOSS, MEASURED, STEPS, UPDATES, VALUE

if TYPE_CHECKING:
    from numasync.training.trainer import Trainer


class Learning(NamedTuple):
    """The learner's own numbers: means since the last reading. What is not known is None.

    updates    updates of theta since then
    loss       the loss of a step
    grad_norm  the L2 norm of an update's gradient, before it is clipped
    entropy    the entropy of the policy in nats (a3c), over one update in 16
    value      V(s) of a3c, or max_a Q(s, a) of the Q methods, over one update in 16
    lr         the learning rate now
    epsilon    the epsilon of exploration now, a mean over the workers (Q methods)
    """

    updates: int
    loss: float | None
    grad_norm: float | None
    entropy: float | None
    value: float | None
    lr: float
    epsilon: float | None


class LearningMeter:
    """Reads what the workers of a trainer have counted, while they go on. No lock is needed.

    trainer  a Trainer
    """

    def __init__(self, trainer: "Trainer") -> None:
        self.trainer, self.before = trainer, np.zeros(COLUMNS)

    def read(self, T: int) -> Learning:
        """Return what the workers have learned from since the last reading. T: the steps over all workers now."""
        now = self.trainer.learned
        new, self.before = now - self.before, now
        explores = self.trainer.algorithm.policy == EPSILON_GREEDY
        return Learning(
            updates=int(new[UPDATES]),
            loss=mean(new[LOSS], new[STEPS]),
            grad_norm=mean(new[GRAD_NORM], new[UPDATES]),
            entropy=None if explores else mean(new[ENTROPY], new[MEASURED]),
            value=mean(new[VALUE], new[MEASURED]),
            lr=self.trainer.schedule.rate(T),
            epsilon=self._epsilon(T) if explores else None,
        )

    def _epsilon(self, T: int) -> float:
        """Return the mean of what `annealed_epsilon` returns for each worker."""
        final = float(np.mean(self.trainer.final_epsilons))
        return 1.0 + min(T / self.trainer.config.epsilon_steps, 1.0) * (final - 1.0)


def mean(total: float, count: float) -> float | None:
    """Return the mean of `count` numbers that sum to `total`; None where there is none."""
    return float(total / count) if count > 0 else None
