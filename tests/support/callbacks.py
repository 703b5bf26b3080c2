"""Callbacks for the tests: one that remembers its calls, and one that acts at its first call of a method."""

from collections.abc import Callable
from typing import Any

import numasync

METHODS = [name for name in vars(numasync.Callback) if name.startswith("on_")]


class Remembers(numasync.Callback):
    """Remembers each call: its method and what it got."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def of(self, method: str) -> list[Any]:
        """Return what the calls of a method got."""
        return [event for name, event in self.calls if name == method]


def remember(method: str) -> Callable[[Remembers, Any], None]:
    """Return a method that remembers its call."""
    return lambda self, event: self.calls.append((method, event))


for each in METHODS:
    setattr(Remembers, each, remember(each))


def acts(method: str, act: Callable[[], Any]) -> numasync.Callback:
    """Return a callback of the class Acts, which acts in one method, and returns what the act returns."""
    return type("Acts", (numasync.Callback,), {method: lambda self, event: act()})()
