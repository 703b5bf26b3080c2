"""Let the programs of each environment take turns, and make the two tables: steps per second, and start-up."""

import contextlib
import tempfile
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

from numasync.errors import WorkerError
from numasync.tools.bench.measure import median_ratio, take_turns
from numasync.tools.bench.peers.session import PeerError, Session
from numasync.tools.bench.peers.table import NOT_THE_SAME, Pair, Program
from numasync.tools.bench.section import Options, Section

# How often starts are measured, at most: each start with empty caches compiles.
MAX_STARTS = 3

Say = Callable[[str], None]


class Lineup:
    """The programs that can be measured, and a sentence for each that cannot.

    pairs   what is left of what was asked for
    caches  a folder for compiled code
    """

    def __init__(self, pairs: Sequence[Pair], python: str, caches: Path) -> None:
        self.pairs, self.python, self.caches = list(pairs), python, caches
        self.notes: list[str] = []

    @property
    def programs(self) -> list[Program]:
        """Every program once: numasync's before the peers that it is compared with."""
        ordered = [program for pair in self.pairs for program in (pair.ours, pair.peer)]
        return [program for i, program in enumerate(ordered) if program not in ordered[:i]]

    def start(self, program: Program, caches: str) -> Session | None:
        """Start a program, or note why it cannot be measured. caches: the name of its own folder."""
        folder = self.caches / caches
        folder.mkdir(exist_ok=True)
        try:
            return Session(program, self.python, folder)
        except PeerError as error:
            self.leave_out(program, error)
            return None

    def leave_out(self, program: Program, error: PeerError) -> None:
        """Drop a peer and note why. Raises WorkerError for numasync itself."""
        if any(pair.ours == program for pair in self.pairs):
            raise WorkerError(f"{program.label} on {program.environment} cannot be measured: {error}") from error
        self.pairs = [pair for pair in self.pairs if pair.peer != program]
        self.notes.append(f"{program.label} on {program.environment} is left out: {error}")


def compare(pairs: Sequence[Pair], python: str, options: Options, say: Say) -> dict[str, Section]:
    """Measure the pairs, and return the sections 'peers' and 'starts'.

    pairs    what is compared
    python   the Python that runs the peers
    options  how to measure
    say      gets a line before each part, because a part takes a minute or more
    """
    peers: Section = {"rows": [], "summary": {}, "notes": []}
    starts: Section = {"rows": [], "summary": {}, "notes": []}
    for environment in dict.fromkeys(pair.peer.environment for pair in pairs):
        with tempfile.TemporaryDirectory(prefix="numasync-bench-") as caches:
            lineup = Lineup([p for p in pairs if p.peer.environment == environment], python, Path(caches))
            say(f"{environment}: starts ...")
            starts["rows"] += measure_starts(lineup, min(options.repetitions, MAX_STARTS))
            say(f"{environment}: training in turns ...")
            peers["rows"] += measure_speed(lineup, options)
            peers["notes"] += lineup.notes
    measured = {row["program"] for row in starts["rows"]}
    peers["notes"] += [text for name, texts in NOT_THE_SAME.items() if name in measured for text in texts]
    return {"peers": peers, "starts": starts}


def measure_starts(lineup: Lineup, repetitions: int) -> list[dict[str, Any]]:
    """Return a row for each program: seconds to the first update with empty caches and with full ones.

    Of a program with several settings the first is started.
    """
    first: dict[str, Program] = {}
    for program in lineup.programs:
        first.setdefault(program.module, program)
    cold: dict[str, list[float]] = {module: [] for module in first}
    warm: dict[str, list[float]] = {module: [] for module in first}
    for i in range(repetitions):
        for module, program in first.items():
            for seconds in (cold, warm):
                # The other settings of a program that fails may run; the turns will tell.
                if program in lineup.programs and (session := lineup.start(program, f"{module}{i}")):
                    with session:
                        seconds[module].append(session.seconds_to_update)
    return [
        {
            "environment": program.environment,
            "program": program.name,
            "cold_seconds": median(cold[module]),
            "warm_seconds": median(warm[module]),
        }
        for module, program in first.items()
        if cold[module] and warm[module]
    ]


def measure_speed(lineup: Lineup, options: Options) -> list[dict[str, Any]]:
    """Return a row for each pair. All programs run, and each trains in its turn while the others wait."""
    with contextlib.ExitStack() as stack:
        sessions: dict[Program, Session] = {}
        for program in lineup.programs:
            if session := lineup.start(program, f"{program.module}0"):  # the caches of its first start
                sessions[program] = stack.enter_context(session)
        readings: dict[Hashable, Callable[[], float]] = {
            program: partial(take_turn, lineup, session, options.turn) for program, session in sessions.items()
        }
        take_turns(readings, 1)  # the first episodes are short, and some code runs for the first time
        samples = take_turns(readings, options.repetitions)
    return [make_row(pair, samples[pair.peer], samples[pair.ours]) for pair in lineup.pairs]


def take_turn(lineup: Lineup, session: Session, seconds: float) -> float:
    """Return the steps per second of one turn. A program that fails is left out, and its turns are NaN."""
    try:
        return session.measure(seconds) if session.program in lineup.programs else nan
    except PeerError as error:
        lineup.leave_out(session.program, error)
        return nan


def make_row(pair: Pair, theirs: Sequence[float], ours: Sequence[float]) -> dict[str, Any]:
    """Return the row of a pair. theirs, ours: steps per second, a number for each repetition."""
    ratios = [x / y for x, y in zip(ours, theirs)]
    return {
        "environment": pair.peer.environment,
        "program": pair.peer.label,
        "steps_per_update": pair.peer.steps_per_update,
        "steps_per_s": median(theirs),
        "ours": f"t_max {pair.ours.t_max}",
        "our_steps_per_s": median(ours),
        "peer_ratio": median_ratio(ours, theirs),
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
    }
