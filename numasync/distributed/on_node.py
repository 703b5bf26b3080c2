"""One whole run on a node of a cluster. What it does and what becomes of its folder is told message by message."""

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from numasync.distributed.folder_bytes import Files, read_files, write_files
from numasync.distributed.reserved_cores import reserved_cores, stay_on
from numasync.training.records import MONITOR, STATE

# The key of a run under which a function finds the folder in which it shall play it.
FOLDER = "run_folder"
# How often a node looks for a new training state, and says how far the run is.
LOOK_SECONDS = 1.0

Run = dict[str, Any]
Rows = list[dict[str, Any]]


class Message(NamedTuple):
    """What a node says of a run.

    node   Ray's name of the node
    steps  T of the last episode that is written down
    files  the files of the folder that are new; none unless there is a new training state, or the run has ended
    rows   what the function has returned; None while it plays, and where it has failed
    error  what it has raised
    """

    node: str
    steps: int
    files: Files
    rows: Rows | None = None
    error: BaseException | None = None


def own_node() -> str:
    """Return Ray's name of the node that this process belongs to."""
    from ray import get_runtime_context

    return get_runtime_context().get_node_id()


def play_on_node(
    function: Callable[[Run], Rows], run: Run, cores: int, files: Files, node: Callable[[], str] = own_node
) -> Iterator[Message]:
    """Play a run in a folder of this machine, and yield a Message whenever there is something to say.

    function  plays a run in its folder, `run[FOLDER]`, from where the folder has left it, and returns rows
    run       what to play
    cores     how many cores it has for itself
    files     what its folder holds already
    node      returns Ray's name of this node
    """
    with tempfile.TemporaryDirectory(prefix="numasync-run-") as place, reserved_cores(cores) as own:
        folder = Path(place, "run")
        write_files(folder, files)
        _, marks = read_files(folder)  # before the run can write its first file
        player = Player(function, {**run, FOLDER: str(folder)}, own)
        steps = -1
        while not player.wait(LOOK_SECONDS):
            new, now = read_files(folder, marks) if has_new_state(folder, marks) else ({}, marks)
            marks = now
            if new or last_steps(folder) != steps:
                steps = last_steps(folder)
                yield Message(node(), steps, new)
        new, _ = read_files(folder, marks)
        yield Message(node(), last_steps(folder), new, player.rows, player.error)


class Player:
    """Calls a function in a thread that stays on some cores.

    rows, error  what it has returned or raised; None until then
    """

    def __init__(self, function: Callable[[Run], Rows], run: Run, cores: set[int]) -> None:
        self.rows: Rows | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._play, args=(function, run, cores), daemon=True)
        self._thread.start()

    def _play(self, function: Callable[[Run], Rows], run: Run, cores: set[int]) -> None:
        try:
            stay_on(cores)
            self.rows = function(run)
        except BaseException as error:
            self.error = error

    def wait(self, seconds: float) -> bool:
        """Wait for its end, and return whether it has come."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


def has_new_state(folder: Path, marks: dict[str, tuple[int, int]]) -> bool:
    """Return whether a run has written a training state since the last time. marks: of the last time."""
    try:
        about = (folder / STATE).stat()
    except OSError:
        return False
    return marks.get(STATE) != (about.st_mtime_ns, about.st_size)


def last_steps(folder: Path) -> int:
    """Return T of the last line of monitor.csv; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(folder / MONITOR, "rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - 200, 0))
        return int(file.read().split(b"\n")[-2].split(b",")[-1])
    return 0
