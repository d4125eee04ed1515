"""Collect the child's events, except log lines, until they are written to the database."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from apps.engine.contract import (
    Event,
    FileEvent,
    FileMoved,
    FilesWithdrawn,
    Network,
    OutputFile,
    Progress,
    Started,
)
from apps.engine.source_columns import SourceColumns


@dataclass(frozen=True, slots=True)
class NewData:
    """The data of one write to the database."""

    launched: bool
    progress: Progress | None
    network: Network | None
    outputs: tuple[FileEvent, ...]  # in the order in which they were reported
    columns: Mapping[str, SourceColumns]  # by stream


class UnwrittenEvents:
    """Events that are not in the database yet.

    The thread that runs the child adds events. The thread that records the attempt writes them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.is_first_start = True  # whether no child has started yet
        self._launched = False
        self._progress: Progress | None = None
        self._network: Network | None = None
        self._outputs: list[FileEvent] = []
        self._columns: dict[str, SourceColumns] = {}

    def add_event(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Progress):
                self._progress = event
            elif isinstance(event, OutputFile | FilesWithdrawn | FileMoved):
                self._outputs.append(event)
            elif isinstance(event, Network):
                self._network = event
            elif isinstance(event, Started) and self.is_first_start:
                self._launched, self.is_first_start = True, False

    def add_columns(self, stream: str, columns: SourceColumns) -> None:
        """Add what the child of a stream has found in its source."""
        with self._lock:
            self._columns[stream] = columns

    @property
    def has_new_data(self) -> bool:
        with self._lock:
            found = (self._launched, self._progress, self._network, self._outputs, self._columns)
            return any(found)

    def new_data(self) -> NewData:
        """Return all new data. It stays new until `mark_recorded` is called after writing it."""
        with self._lock:
            return NewData(
                self._launched,
                self._progress,
                self._network,
                tuple(self._outputs),
                dict(self._columns),
            )

    def mark_recorded(self, written: NewData) -> None:
        """Mark this data as written. Data that was added since then stays new."""
        with self._lock:
            self._launched = self._launched and not written.launched
            if self._progress is written.progress:
                self._progress = None
            if self._network is written.network:
                self._network = None
            del self._outputs[: len(written.outputs)]
            for stream, columns in written.columns.items():
                if self._columns[stream] is columns:
                    del self._columns[stream]
