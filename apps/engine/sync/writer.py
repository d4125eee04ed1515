"""Stage gathered pages and commit each batch with its cursor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from loguru import logger

from apps.engine.destinations.base import Batch, Destination
from apps.engine.frames.decoding import SchemaJson, StreamSchema
from apps.engine.reporting.classify import Side
from apps.engine.sync.batches import Gathered, Gathering
from apps.engine.sync.checkpoints import Checkpoint, Job, StateBackend
from apps.engine.sync.pages import QueuedPage

SHOWN_REJECTS = 5  # samples logged per batch
SAY_EVERY = 5.0  # seconds between log lines about progress


class Blame:
    """Records which side is being used, so that an unexpected exception is attributed to that side."""

    def __init__(self) -> None:
        self.side: Side = "state"

    @contextmanager
    def on(self, side: Side) -> Iterator[None]:
        """Attribute failures to the side. It stays set when the block raises."""
        before, self.side = self.side, side
        yield
        self.side = before


@dataclass(slots=True)
class Totals:
    """Counted over the whole sync, earlier attempts included."""

    written: int
    rejected: int
    bytes: int
    iterations: int

    @property
    def read(self) -> int:
        """Rows that were written or rejected: read == written + rejected at every moment."""
        return self.written + self.rejected


class Writer:
    """The writing half of a run, on the main thread."""

    def __init__(
        self, destination: Destination, backend: StateBackend, job: Job, blame: Blame
    ) -> None:
        self.committed: list[Batch] = list(job.batches)
        self.totals = Totals(job.written, job.rejected, job.bytes, job.next_iteration)
        self.expected: int | None = job.total  # rows in the source, if known
        self._destination = destination
        self._backend = backend
        self._job = job
        self._blame = blame
        columns = job.columns
        self._known_columns = columns
        self._schema = StreamSchema.from_json(columns) if columns else StreamSchema()
        self._gathering = Gathering(self._schema)
        self._said = time.monotonic()

    def take(self, page: QueuedPage) -> None:
        """Gather a page. Writes the current batch if the page does not fit into it."""
        self._write_all(self._gathering.add(page))

    def flush_if_due(self) -> None:
        if self._gathering.due:
            self.flush()

    def flush(self) -> None:
        """Stage and commit everything gathered. Raises `StreamTakenOver` if another attempt owns the stream."""
        self._write_all(self._gathering.take())

    def _write_all(self, batches: Iterator[Gathered]) -> None:
        while True:
            with self._blame.on("source"):  # typing the records is the source's side
                gathered = next(batches, None)
            if gathered is None:
                return
            self._write(gathered)

    def _write(self, gathered: Gathered) -> None:
        batch = Batch(uuid4().hex, gathered.first, gathered.last, gathered.frame.height)
        staged = self._stage(gathered, batch)
        size = int(gathered.frame.estimated_size()) if staged else 0
        with self._blame.on("state"):
            self._backend.commit(
                self._job,
                Checkpoint(
                    batch=batch,
                    staged=staged,
                    rejected=len(gathered.rejected),
                    bytes=size,
                    pagination=gathered.pagination,
                    columns=self._changed_columns(),
                    next_state=gathered.next_state,
                    total=self.expected,
                ),
            )
        self._count(gathered, batch, size, staged=staged)

    def _changed_columns(self) -> SchemaJson | None:
        columns = self._schema.to_json()
        if columns == self._known_columns:
            return None
        self._known_columns = columns
        return columns

    def _stage(self, gathered: Gathered, batch: Batch) -> bool:
        """Stage a batch. An empty batch is staged only to tell the destination an empty stream's columns."""
        if not gathered.frame.height and (not gathered.frame.width or self.committed):
            return False
        with self._blame.on("destination"):
            self._destination.stage(gathered.frame, batch)
        return True

    def _count(self, gathered: Gathered, batch: Batch, size: int, *, staged: bool) -> None:
        if staged:
            self.committed.append(batch)
        self.totals.written += batch.rows
        self.totals.rejected += len(gathered.rejected)
        self.totals.bytes += size
        self.totals.iterations = gathered.last + 1
        logger.debug(
            "Checkpoint after page {}: {} rows in {} bytes", gathered.last, batch.rows, size
        )
        self._say_now_and_then()
        for rejected in gathered.rejected[:SHOWN_REJECTS]:
            logger.warning("Rejected a record: {} ({})", rejected.reason, rejected.sample)
        if len(gathered.rejected) > SHOWN_REJECTS:
            logger.warning("{} records of this batch were rejected", len(gathered.rejected))

    def _say_now_and_then(self) -> None:
        moment = time.monotonic()
        if moment - self._said < SAY_EVERY:
            return
        self._said = moment
        logger.info("{:,} rows read, {:,} of them staged", self.totals.read, self.totals.written)
