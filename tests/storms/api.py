"""An API of many pages, for any number of pipelines: an action happens when a given page is requested."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.engine.sources.api import Asked, Reply, serving

PAGE, PAGES = 50, 20
ROWS = PAGE * PAGES
PAUSE = 0.03  # seconds per page: several checkpoints per run

Act = Callable[[], None]


class PagedApi:
    """`url`/NAME serves the rows 1 to ROWS; a reader that waits for an action cannot end before it."""

    def __init__(self) -> None:
        self.url = ""
        self.served: Counter[str] = Counter()  # pages per reader, and of all readers under ""
        self.fired: list[str] = []
        self.faults: list[BaseException] = []
        self._acts: dict[tuple[str, int], Act] = {}
        self._silent: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._acting = threading.Lock()  # one at a time: they would disturb each other
        self._open = threading.Event()

    def hold(self) -> None:
        """Delay all responses, so that no page is returned before everything is prepared."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def stop_responding(self, reader: str) -> None:
        """Send no more responses to this reader."""
        self._silent[reader] = threading.Event()

    def resume(self) -> None:
        """Resume all responses."""
        while self._silent:
            self._silent.popitem()[1].set()

    def at(self, page: int, act: Act, *, reader: str = "") -> None:
        """Call it after so many more pages, of this reader or of all together."""
        with self._lock:
            place = self.served[reader] + page
            while (reader, place) in self._acts:
                place += 1
            self._acts[reader, place] = act

    @property
    def waiting(self) -> int:
        """Return the actions whose page was not requested yet."""
        return len(self._acts)

    def forget(self) -> None:
        """Cancel the actions that have not happened."""
        with self._lock:
            self._acts.clear()

    def answer(self, asked: Asked) -> Reply:
        self._open.wait()
        name = asked.path.split("/")[1]
        for act in self._count(name):
            self._do(act, f"{name} {self.served[name]}")
        if (silent := self._silent.get(name)) is not None:
            silent.wait()
        time.sleep(PAUSE)
        start = int(asked.params.get("offset", 0))
        return Reply([row(n) for n in range(start + 1, min(start + PAGE, ROWS) + 1)])

    def _count(self, name: str) -> list[Act]:
        with self._lock:
            self.served.update([name, ""])
            places = ((reader, self.served[reader]) for reader in (name, ""))
            return [self._acts.pop(place) for place in places if place in self._acts]

    def _do(self, act: Act, where: str) -> None:
        try:
            with self._acting:
                act()
        except BaseException as error:  # the test raises it: this thread only responds
            self.faults.append(error)
        else:
            self.fired.append(where)


def row(n: int) -> dict[str, object]:
    return {"id": n, "name": f"row {n}"}


@contextmanager
def paged_api() -> Iterator[PagedApi]:
    """Serve it on loopback until the block ends."""
    api = PagedApi()
    with serving(api.answer) as server:
        api.url = server.url
        try:
            yield api
        finally:
            api.release()
            api.resume()
