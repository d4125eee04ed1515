"""An API that returns the first pages of its rows and then waits for the test, so that a run of it cannot end too
early.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.engine.sources.api import ReceivedRequest, Reply, serve_api
from tests.runs.conftest import make_pipeline
from tests.world import World

ROWS, PAGE, HELD_AFTER = 2000, 100, 1000
PATIENCE = 60.0  # seconds; a run whose source waits longer has its own timeouts


class HeldApi:
    """`url` serves rows 1 to ROWS; those after HELD_AFTER only once `release` was called."""

    def __init__(self, patience: float) -> None:
        self.url = ""
        self._patience = patience
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def answer(self, asked: ReceivedRequest) -> Reply:
        start = int(asked.params.get("offset", 0))
        if start >= HELD_AFTER and not self._released.wait(self._patience):
            return Reply(status=500)
        return Reply([{"id": n + 1} for n in range(start, min(start + PAGE, ROWS))])

    def pipeline(self, world: World) -> Any:
        """A pipeline of the world's org that reads it."""
        source = {
            "base_url": self.url,
            "streams": [{"name": "rows", "primary_key": ["id"]}],
            "pagination": {"type": "offset", "page_size": PAGE},
            "timeout": self._patience,
        }
        return make_pipeline(world, source=source, source_kind="rest", stream="rows")


@contextmanager
def held_api(patience: float = PATIENCE) -> Iterator[HeldApi]:
    """Serve it on loopback until the block ends."""
    api = HeldApi(patience)
    with serve_api(api.answer) as server:
        api.url = server.url
        try:
            yield api
        finally:
            api.release()
