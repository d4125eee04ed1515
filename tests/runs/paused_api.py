"""An API that returns its first pages and then waits for the test, so that a run that reads it cannot end too early."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.engine.sources.api import ReceivedRequest, Reply, serve_api
from tests.runs.conftest import make_pipeline
from tests.world import World

ROW_COUNT, PAGE_SIZE, PAUSE_AFTER = 2000, 100, 1000
MAX_PAUSE = 60.0  # seconds; after a longer pause the API returns an error


class PausedApi:
    """Serves the rows 1 to ROW_COUNT at `url`. Rows after PAUSE_AFTER are returned once `release` was called."""

    def __init__(self, max_pause: float) -> None:
        self.url = ""
        self._max_pause = max_pause
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def reply_to(self, request: ReceivedRequest) -> Reply:
        offset = int(request.params.get("offset", 0))
        if offset >= PAUSE_AFTER and not self._released.wait(self._max_pause):
            return Reply(status=500)
        return Reply([{"id": n + 1} for n in range(offset, min(offset + PAGE_SIZE, ROW_COUNT))])

    def create_pipeline(self, world: World) -> Any:
        """Create a pipeline of the world's org that reads this API."""
        source = {
            "base_url": self.url,
            "streams": [{"name": "rows", "primary_key": ["id"]}],
            "pagination": {"type": "offset", "page_size": PAGE_SIZE},
            "timeout": self._max_pause,
        }
        return make_pipeline(world, source=source, source_kind="rest", stream="rows")


@contextmanager
def paused_api(max_pause: float = MAX_PAUSE) -> Iterator[PausedApi]:
    """Serve the API on loopback until the block ends."""
    api = PausedApi(max_pause)
    with serve_api(api.reply_to) as server:
        api.url = server.url
        try:
            yield api
        finally:
            api.release()
