"""Signs that this process gets on with its work: its supervisor ends a run that shows none for too long.

Whatever moves data gives a sign in its own thread when it has moved some: a page, bytes of an answer, rows of
a COPY. No thread does nothing but give signs, so a process that hangs shows none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apps.engine.contract import Working

EVERY = 5.0  # seconds between two messages; most signs are not worth one


class Signs:
    """Those of one process. Nobody is told before `tell` is set, as in tests and in questions."""

    def __init__(self) -> None:
        self.tell: Callable[[Working], None] | None = None
        self._told = float("-inf")

    def moved(self) -> None:
        """Something moved. Cheap: call it for each piece."""
        now = time.monotonic()
        if self.tell is not None and now - self._told >= EVERY:
            self._told = now
            self.tell(Working())

    @contextmanager
    def waiting(self, what: str, seconds: float) -> Iterator[None]:
        """The block may take `seconds` without a sign: a wait that is meant, or another's long statement."""
        self._say(Working(what, seconds))
        try:
            yield
        finally:
            self._say(Working())

    def _say(self, sign: Working) -> None:
        if self.tell is not None:
            self.tell(sign)


signs = Signs()
