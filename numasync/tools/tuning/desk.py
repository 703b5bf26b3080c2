"""Who gives trials to those that play them: beside the database, also where the players are on other machines."""

from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from numasync.distributed.folder_bytes import Files, write_files
from numasync.tools.tuning.storage import Claim, Storage

# The keys of a task: the desk to ask where the database is on another machine, and what distinguishes the task.
DESK, TICKET = "desk", "ticket"


class Given(NamedTuple):
    """A trial to play.

    options  all options of its run
    folder   of its run, where the database is
    """

    options: dict[str, Any]
    folder: Path


class AnyDesk(Protocol):
    """What a player needs of a desk, near or far."""

    def claim(self, ticket: int, trials: int) -> Given | None:
        """Take a trial to play, see `Desk.claim`."""

    def report(self, ticket: int, steps: int, score: float) -> bool:
        """Write down an evaluation, see `Desk.report`."""

    def finish(
        self, ticket: int, end: str, score: float | None, steps: int, seconds: float, files: Files | None = None
    ) -> dict[str, Any]:
        """Write down the end of a trial, see `Desk.finish`."""

    def fail(self, ticket: int) -> None:
        """Mark a trial as failed."""


class Desk:
    """Gives the trials of a tuning to players, and writes down what they say. It stands where the database is.

    folder, settings  of the tuning
    """

    def __init__(self, folder: str, settings: dict[str, Any]) -> None:
        self.storage = Storage(Path(folder), settings)
        self.claims: dict[int, Claim] = {}

    def claim(self, ticket: int, trials: int) -> Given | None:
        """Take a trial to play. Return None where `trials` trials have ended or are being played.

        ticket  of the player; a player that comes again has lost its trial, which is then played anew
        """
        self.close(ticket)
        claim = self.storage.claim(trials)
        if claim is None:
            return None
        self.claims[ticket] = claim
        return Given(claim.options, claim.folder)

    def report(self, ticket: int, steps: int, score: float) -> bool:
        """Write down an evaluation at T = steps, and return whether the trial must be pruned."""
        trial = self.claims[ticket].trial
        trial.report(score, steps)
        return trial.should_prune()

    def finish(
        self, ticket: int, end: str, score: float | None, steps: int, seconds: float, files: Files | None = None
    ) -> dict[str, Any]:
        """Write down how a trial has ended, and return it as a row. files: of its run, from another machine."""
        claim = self.claims[ticket]
        write_files(claim.folder, files or {})
        row = self.storage.finish(claim, end, score, steps, seconds)
        self.close(ticket)
        return row._asdict()

    def fail(self, ticket: int) -> None:
        """Mark a trial as failed. It does not count."""
        self.storage.fail(self.claims[ticket])
        self.close(ticket)

    def close(self, ticket: int) -> None:
        """Let go of the trial of a player, if it has one."""
        claim = self.claims.pop(ticket, None)
        if claim:
            claim.close()


class FarDesk:
    """A Desk in another process of a cluster.

    actor  Ray's handle of it
    """

    def __init__(self, actor: Any) -> None:
        self.actor = actor

    def claim(self, ticket: int, trials: int) -> Given | None:
        """Take a trial to play, see `Desk.claim`."""
        return self._get(self.actor.claim.remote(ticket, trials))

    def report(self, ticket: int, steps: int, score: float) -> bool:
        """Write down an evaluation, see `Desk.report`."""
        return self._get(self.actor.report.remote(ticket, steps, score))

    def finish(
        self, ticket: int, end: str, score: float | None, steps: int, seconds: float, files: Files | None = None
    ) -> dict[str, Any]:
        """Write down the end of a trial, see `Desk.finish`."""
        return self._get(self.actor.finish.remote(ticket, end, score, steps, seconds, files))

    def fail(self, ticket: int) -> None:
        """Mark a trial as failed."""
        self._get(self.actor.fail.remote(ticket))

    def _get(self, answer: Any) -> Any:
        from ray import get

        return get(answer)


def start_desk(ray: ModuleType, folder: Path, settings: dict[str, Any]) -> FarDesk:
    """Start a Desk on this machine that all nodes of a cluster can ask. It ends with this program."""
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    actor = ray.remote(num_cpus=0, scheduling_strategy=here)(Desk)
    return FarDesk(actor.remote(str(folder.absolute()), settings))
