"""Collect the child's events that are not in the database yet, except its log."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from apps.engine.contract import Event, Network, OutputFile, Progress, Started, Withdrawn


@dataclass(frozen=True, slots=True)
class News:
    """The data of one write to the database."""

    launched: bool
    progress: Progress | None
    network: Network | None
    outputs: tuple[OutputFile | Withdrawn, ...]  # in the order in which they were reported


class Reported:
    """The thread that runs the child adds events; the thread that records the attempt takes them as `news`."""

    def __init__(self) -> None:
        self.latest: Progress | None = None
        self._lock = threading.Lock()
        self._launched = False
        self._progress: Progress | None = None
        self._network: Network | None = None
        self._outputs: list[OutputFile | Withdrawn] = []

    def take(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Progress):
                self.latest = self._progress = event
            elif isinstance(event, OutputFile | Withdrawn):
                self._outputs.append(event)
            elif isinstance(event, Network):
                self._network = event
            elif isinstance(event, Started):
                self._launched = True

    @property
    def has_news(self) -> bool:
        with self._lock:
            news = (self._launched, self._progress, self._network, self._outputs)
            return any(news)

    def news(self) -> News:
        """Return all new data. It stays new until `forget` is called after writing it."""
        with self._lock:
            return News(self._launched, self._progress, self._network, tuple(self._outputs))

    def forget(self, news: News) -> None:
        """Mark this data as written; data reported since then stays new."""
        with self._lock:
            self._launched = self._launched and not news.launched
            if self._progress is news.progress:
                self._progress = None
            if self._network is news.network:
                self._network = None
            del self._outputs[: len(news.outputs)]
