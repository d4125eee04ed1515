"""An API with many pages, for many pipelines. It calls an action when a reader requests a chosen page."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.engine.sources.api import ReceivedRequest, Reply, serve_api

PAGE_SIZE, PAGES = 50, 20
ROWS = PAGE_SIZE * PAGES
PAGE_SECONDS = 0.03  # seconds for each page, so that a run has several checkpoints

Action = Callable[[], None]


class PagedApi:
    """Serve the rows 1 to ROWS at `url`/NAME, where NAME is the reader. A response waits for the page's action."""

    def __init__(self) -> None:
        self.url = ""
        # The number of requested pages by reader. The reader "" stands for all readers.
        self.request_counts: Counter[str] = Counter()
        self.called_actions: list[str] = []  # the reader and the page of each
        self.waiting_port = 0  # of the client that waits while the action of its page is called
        self.errors: list[BaseException] = []
        self._actions: dict[tuple[str, int], Action] = {}
        self._silent_readers: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._action_lock = threading.Lock()  # only one action at a time
        self._may_respond = threading.Event()

    def hold_responses(self) -> None:
        """Delay all responses until `release_responses`."""
        self._may_respond.clear()

    def release_responses(self) -> None:
        self._may_respond.set()

    def stop_responding_to(self, reader: str) -> None:
        """Send no responses to this reader until `resume_responding`."""
        self._silent_readers[reader] = threading.Event()

    def resume_responding(self) -> None:
        """Send responses to all readers again."""
        while self._silent_readers:
            self._silent_readers.popitem()[1].set()

    def call_at_request(self, request_number: int, action: Action, *, reader: str = "") -> None:
        """Call the action at the n-th page request from now, of this reader or of all readers.

        If that request already has an action, use the next request without one.
        """
        with self._lock:
            number = self.request_counts[reader] + request_number
            while (reader, number) in self._actions:
                number += 1
            self._actions[reader, number] = action

    @property
    def waiting_action_count(self) -> int:
        """The number of actions whose page was not requested yet."""
        return len(self._actions)

    def remove_actions(self) -> None:
        """Remove the actions that were not called."""
        with self._lock:
            self._actions.clear()

    def respond(self, request: ReceivedRequest) -> Reply:
        self._may_respond.wait()
        reader = request.path.split("/")[1]
        for action in self._count_request(reader):
            self._call(action, request.client_port, f"{reader} {self.request_counts[reader]}")
        if (resumed := self._silent_readers.get(reader)) is not None:
            resumed.wait()
        time.sleep(PAGE_SECONDS)
        offset = int(request.params.get("offset", 0))
        return Reply([row(n) for n in range(offset + 1, min(offset + PAGE_SIZE, ROWS) + 1)])

    def _count_request(self, reader: str) -> list[Action]:
        with self._lock:
            self.request_counts.update([reader, ""])
            keys = ((name, self.request_counts[name]) for name in (reader, ""))
            return [self._actions.pop(key) for key in keys if key in self._actions]

    def _call(self, action: Action, client_port: int, page: str) -> None:
        try:
            with self._action_lock:
                self.waiting_port = client_port
                action()
        except BaseException as error:  # `Stage` raises it in the thread of the test
            self.errors.append(error)
        else:
            self.called_actions.append(page)


def row(n: int) -> dict[str, object]:
    return {"id": n, "name": f"row {n}"}


@contextmanager
def paged_api() -> Iterator[PagedApi]:
    """Serve the API on loopback for the time of the block."""
    api = PagedApi()
    with serve_api(api.respond) as server:
        api.url = server.url
        try:
            yield api
        finally:
            api.release_responses()
            api.resume_responding()
