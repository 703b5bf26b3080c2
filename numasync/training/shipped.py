"""The callbacks that the options of a run ask for."""

from collections.abc import Sequence
from typing import Any

from numasync.config import Config
from numasync.errors import InputError
from numasync.training.callbacks import Callback
from numasync.training.record_callbacks import TensorBoard
from numasync.training.stopping import StopAfterMinutes, StopAtScore, StopWithoutImprovement


def with_options(callbacks: Sequence[Callback], config: Config, has_folder: bool) -> list[Callback]:
    """Return the callbacks of a run: the user's, and what its options ask for.

    Raises InputError where TensorBoard's files have no folder, or need a package that is missing.
    """
    found = list(callbacks)
    if config.stop_at is not None:
        found.append(StopAtScore(config.stop_at))
    if config.patience:
        found.append(StopWithoutImprovement(config.patience))
    if config.max_minutes:
        found.append(StopAfterMinutes(config.max_minutes))
    if config.tensorboard:
        if not has_folder:
            raise InputError("tensorboard writes into the folder of the run; give the run a folder (out) too.")
        found.append(TensorBoard())
    return found


def without_reached(result: dict[str, Any] | None) -> dict[str, Any]:
    """Return options that change where a run goes on after it has ended: it has reached stop_at, and leaves it behind.

    result: what result.json had
    """
    ended = result is not None and result.get("evaluation") is not None
    reached = ended and result is not None and str(result.get("stopped_by")).startswith(StopAtScore.__name__)
    return {"stop_at": None} if reached else {}
