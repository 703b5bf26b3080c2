"""What every section of the benchmark gets, and what it returns."""

from typing import Any, NamedTuple, TypedDict


class Options(NamedTuple):
    """How to measure.

    repetitions  how often everything is measured
    seconds      seconds of training for each number, over all repetitions
    workers      the numbers of threads to measure with, ascending
    """

    repetitions: int
    seconds: float
    workers: list[int]

    @property
    def turn(self) -> float:
        """The seconds of training in one repetition."""
        return self.seconds / self.repetitions


class Section(TypedDict):
    """The result of a section, which JSON can hold.

    rows     the lines of its table, with the same keys each; `report.COLUMNS` has the headings
    summary  numbers about all rows
    notes    sentences
    """

    rows: list[dict[str, Any]]
    summary: dict[str, float]
    notes: list[str]
