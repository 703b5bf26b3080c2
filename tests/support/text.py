"""What the tests check of messages, and names of tests."""

import re
from typing import Any

from numasync.runtime.checks import show


def is_one_sentence(message: str) -> bool:
    """Return whether a message is one sentence on one line."""
    return message.endswith(".") and ". " not in message and "\n" not in message


def without_address(value: Any) -> str:
    """Return a value as a short text for the name of a test: it is the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", show(value))
