"""Tells this process when bytes have moved, for whoever watches that it gets on with its work."""

from __future__ import annotations

from collections.abc import Callable


class Traffic:
    """That of one process. `moved` is called for each piece, from any thread; by default nobody listens."""

    def __init__(self) -> None:
        self.moved: Callable[[], None] = _ignored


def _ignored() -> None:
    """Nobody listens."""


traffic = Traffic()
