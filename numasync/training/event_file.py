"""A file of TensorBoard's: records that grow, each written whole or not at all.

tensorboardX has the messages of TensorBoard as classes. Its own writer has a thread and a queue. Where the disk is full
the thread ends, and the next writer waits for ever. So this file writes the records itself.

A record is the length of its content (uint64), a checksum of the length, the content, and its checksum (uint32). All
numbers have their lowest byte first.
"""

import importlib.util
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numasync.errors import InputError
from numasync.runtime.files import append_bytes

VERSION = "brain.Event:2"


def check_installed() -> None:
    """Raise InputError where tensorboardX is missing."""
    if importlib.util.find_spec("tensorboardX") is None:
        raise InputError('TensorBoard\'s files need tensorboardX; pip install "numasync[tensorboard]" installs it.')


class EventFile:
    """A new file of events for TensorBoard in a folder, which is made where it is missing.

    folder  TensorBoard reads all such files in it, in the order of their names
    steps   T of the start. What older files in the folder have from there on is no longer shown

    Raises OSError where the folder or the file cannot be written.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        from tensorboardX.proto import event_pb2  # it takes a quarter of a second

        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"events.out.tfevents.{time.time_ns()}.numasync"
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(event_pb2.Event(file_version=VERSION), event_pb2.Event(step=steps, session_log=start))

    def add_numbers(self, steps: int, numbers: Mapping[str, float | None]) -> None:
        """Add a point to each curve. A number that is None is left out. Raises OSError.

        steps    T
        numbers  by the name of the curve
        """
        from tensorboardX.proto import event_pb2, summary_pb2

        known = {tag: number for tag, number in numbers.items() if number is not None}
        values = [summary_pb2.Summary.Value(tag=tag, simple_value=number) for tag, number in known.items()]
        if values:
            self._write(event_pb2.Event(step=steps, summary=summary_pb2.Summary(value=values)))

    def add_text(self, steps: int, tag: str, text: str) -> None:
        """Add a text in Markdown. Raises OSError."""
        from tensorboardX.proto import event_pb2
        from tensorboardX.summary import text as text_summary

        self._write(event_pb2.Event(step=steps, summary=text_summary(tag, text)))

    def _write(self, *events: Any) -> None:
        for event in events:
            event.wall_time = time.time()
        append_bytes(self.path, b"".join(record(event.SerializeToString()) for event in events))


def record(content: bytes) -> bytes:
    """Return a record with this content."""
    length = struct.pack("<Q", len(content))
    return length + checksum(length) + content + checksum(content)


def checksum(content: bytes) -> bytes:
    """Return the checksum of a record: CRC-32C, rotated, plus a constant."""
    from tensorboardX.crc32c import crc32c

    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
