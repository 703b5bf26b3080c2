"""A run in a folder that may hold a part of it already: begin, go on, or return what is there."""

import os
from pathlib import Path
from typing import Any

from numasync.training.display import Silent
from numasync.training.records import CONFIG, read_ends
from numasync.training.resume import resume_and_show
from numasync.training.train import train_and_show


def finish_run(folder: str | os.PathLike, **options: Any) -> dict[str, Any]:
    """Play a run to its end, from where its folder has left it, and return its result.

    A finished run is not played again. A run that was killed goes on from its last training state.

    folder   of the run; a new one begins the run
    options  of the run, as `train` takes them; a run that has begun keeps its own

    Raises what `train` and `resume` raise, and KeyboardInterrupt if the run is interrupted.
    """
    if os.path.isfile(Path(folder, CONFIG)):
        result = read_ends(Path(folder))[1]
        if result and result.get("evaluation") is not None:
            return result
        agent = resume_and_show(Silent(), folder)
    else:
        agent = train_and_show(Silent(), folder, **options)
    assert agent.result
    if agent.result["interrupted"]:
        raise KeyboardInterrupt
    return agent.result
