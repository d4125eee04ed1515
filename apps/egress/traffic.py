"""Notify this process when bytes were transferred, so that its progress can be monitored."""

from __future__ import annotations

from collections.abc import Callable


class Traffic:
    """The traffic of one process. `moved` is called for each piece, from any thread; by default it does nothing."""

    def __init__(self) -> None:
        self.moved: Callable[[], None] = _ignored


def _ignored() -> None:
    """The default: ignore the notification."""


traffic = Traffic()
