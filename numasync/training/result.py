"""What result.json of a run holds."""

from typing import Any

from numasync.agent.evaluation import summarize
from numasync.config import Config
from numasync.training.progress import Progress


def make_result(
    config: Config,
    progress: Progress,
    evaluation: dict[str, Any] | None,
    interrupted: bool,
    stopped_by: str | None = None,
) -> dict[str, Any]:
    """Return what result.json holds.

    config       the options of the run
    progress     the Progress at its end
    evaluation   the final evaluation; None if the run was interrupted, or the evaluation failed
    interrupted  whether the run or the evaluation was interrupted
    stopped_by   the callback that has stopped the run before its last step, and why; None where none has
    """
    return {
        "algorithm": config.algo,
        "env": config.env,
        "seed": config.seed,
        "workers": config.workers,
        "steps": progress.steps,
        "episodes": progress.episodes,
        "wall_s": round(progress.seconds, 3),
        "steps_per_s": round(progress.steps / progress.seconds, 1),
        "interrupted": interrupted,
        "stopped_by": stopped_by,
        "training": summarize(progress.returns) if progress.returns else None,
        "evaluation": evaluation,
    }
