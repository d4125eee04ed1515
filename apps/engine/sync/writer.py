"""Stage pages in batches, and commit a checkpoint for each batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from loguru import logger

from apps.engine.destinations.base import Batch, Destination
from apps.engine.failures import ContractError
from apps.engine.frames.contracts import ColumnContract
from apps.engine.frames.decoding import SchemaJson
from apps.engine.frames.left_out import without_value
from apps.engine.reporting.classify import Side
from apps.engine.sync.batches import BatchBuilder, GatheredBatch
from apps.engine.sync.checkpoints import StateBackend
from apps.engine.sync.jobs import Checkpoint, Job
from apps.engine.sync.left_out_files import LeftOutFiles
from apps.engine.sync.pages import QueuedPage

MAX_LOGGED_REJECTS = 5  # rejected records that are logged per batch
MAX_NAMED_COLUMNS = 10  # columns that a message names
LOG_EVERY = 5.0  # seconds between log lines about progress


class TypesChanged(Exception):
    """The sync has to be read once more, because columns became text. `columns` are those of all records."""

    def __init__(self, names: str, columns: SchemaJson) -> None:
        super().__init__(names)
        self.names = names
        self.columns = columns


class SideTracker:
    """Tracks which side is in use, so that an unexpected exception is attributed to that side."""

    def __init__(self) -> None:
        self.side: Side = "state"

    @contextmanager
    def using(self, side: Side) -> Iterator[None]:
        """Attribute failures in the block to the side. The side stays set if the block raises an exception."""
        previous, self.side = self.side, side
        yield
        self.side = previous


@dataclass(slots=True)
class Totals:
    """The counts of the whole sync, including earlier attempts."""

    written: int
    rejected: int
    skipped: int
    bytes: int
    iterations: int

    @classmethod
    def of(cls, job: Job) -> Totals:
        return cls(job.written, job.rejected, job.skipped, job.bytes, job.next_iteration)

    @property
    def read(self) -> int:
        """The number of records that were written, rejected or skipped."""
        return self.written + self.rejected + self.skipped


class Writer:
    """Writes the pages of a run to its destination, on the main thread."""

    def __init__(
        self,
        destination: Destination,
        backend: StateBackend,
        job: Job,
        left_out_files: LeftOutFiles,
        side_tracker: SideTracker,
        contract: ColumnContract,
    ) -> None:
        self.committed: list[Batch] = list(job.batches)
        self.totals = Totals.of(job)
        self.expected_rows: int | None = job.total  # rows in the source, if known
        self._destination = destination
        self._backend = backend
        self._job = job
        self._left_out_files = left_out_files
        self._side_tracker = side_tracker
        columns = job.columns
        self._known_columns = columns
        self._schema = contract.schema
        self._contract = contract
        self._logged_columns: set[str] = set()
        self._builder = BatchBuilder(self._contract)
        self._logged_at = time.monotonic()
        self._is_respelled_logged = False

    @property
    def left_out_columns(self) -> set[str]:
        """The new columns that the contract has left out so far."""
        return self._contract.left_out

    def arrive_as_text(self, is_text_field: Callable[[str], bool]) -> None:
        """Convert the values of these fields to text, because the destination has columns of text for them."""
        self._schema.is_text_field = is_text_field

    def add_page(self, page: QueuedPage) -> None:
        """Add a page. Write the current batch if pages follow that do not fit into it."""
        self._write_all(self._builder.add(page))

    def flush_if_due(self) -> None:
        if self._builder.is_due:
            self.flush()

    def flush(self) -> None:
        """Stage and commit all pages that were added. Raises `StreamTakenOver` if another attempt owns the stream."""
        self._write_all(self._builder.take_all())

    def require_known_types(self) -> None:
        """Raise TypesChanged if columns became text after values were staged with another spelling."""
        schema = self._schema
        if not schema.respelled:
            return
        names = ", ".join(map(repr, sorted(schema.respelled)[:MAX_NAMED_COLUMNS]))
        if schema.is_complete:
            raise ContractError(
                f"The source was read twice, and its values have changed their types in between: {names}. Run it again"
            )
        raise TypesChanged(names, schema.complete().to_json())

    def _write_all(self, batches: Iterator[GatheredBatch]) -> None:
        while True:
            with self._side_tracker.using("source"):  # `next` converts the records of the source.
                gathered = next(batches, None)
            if gathered is None:
                return
            self._write(gathered)

    def _write(self, gathered: GatheredBatch) -> None:
        if self._schema.respelled:
            if self._schema.is_complete:
                self.require_known_types()
            self._log_respelled()
            return  # The rest is only read to know the types of all columns.
        batch = Batch(uuid4().hex, gathered.first, gathered.last, gathered.row_count)
        self._destination.is_only_batch = not gathered.first and not gathered.pagination
        staged = self._stage(gathered, batch)
        size = gathered.size if staged else 0
        with self._side_tracker.using("state"):
            # They are counted, because a stream whose records are all rejected fills storage too.
            size += self._left_out_files.store(gathered.first, gathered.left_out)
            self._backend.commit(
                self._job,
                Checkpoint(
                    batch=batch,
                    staged=staged,
                    rejected=gathered.left_out.count("rejected"),
                    skipped=gathered.left_out.count("skipped"),
                    bytes=size,
                    pagination=gathered.pagination,
                    columns=self._changed_columns(),
                    next_state=gathered.next_state,
                    total=self.expected_rows,
                ),
            )
        self._count_batch(gathered, batch, size, staged=staged)

    def _log_respelled(self) -> None:
        if not self._is_respelled_logged:
            self._is_respelled_logged = True
            logger.info("A column has turned to text: reading on to know the types of all columns")

    def _log_left_out_columns(self) -> None:
        new = self._contract.left_out - self._logged_columns
        if new:
            self._logged_columns |= new
            names = ", ".join(map(repr, sorted(new)[:MAX_NAMED_COLUMNS]))
            logger.warning("{:,} new columns are left out by the contract: {}", len(new), names)

    def _changed_columns(self) -> SchemaJson | None:
        columns = self._schema.to_json()
        if columns == self._known_columns:
            return None
        self._known_columns = columns
        return columns

    def _stage(self, gathered: GatheredBatch, batch: Batch) -> bool:
        """Stage a batch and return whether it was staged.

        An empty batch with columns is staged if it is the first one, so that the destination receives the columns.
        """
        if not gathered.row_count and (not gathered.frame.width or self.committed):
            return False
        with self._side_tracker.using("destination"):
            if gathered.copied is not None:
                self._destination.stage_copied(
                    gathered.copied, gathered.frame, batch, self._schema.native
                )
            else:
                self._destination.stage(gathered.frame, batch, self._schema.native)
        return True

    def _count_batch(
        self, gathered: GatheredBatch, batch: Batch, size: int, *, staged: bool
    ) -> None:
        if staged:
            self.committed.append(batch)
        self.totals.written += batch.rows
        rejected_count = gathered.left_out.count("rejected")
        self.totals.rejected += rejected_count
        self.totals.skipped += gathered.left_out.count("skipped")
        self.totals.bytes += size
        self.totals.iterations = gathered.last + 1
        logger.debug(
            "Checkpoint after page {}: {} records in {} bytes", gathered.last, batch.rows, size
        )
        self._log_progress()
        self._log_left_out_columns()
        for rejected in gathered.left_out.kept("rejected")[:MAX_LOGGED_REJECTS]:
            reason = without_value(rejected.reason)
            logger.warning("Rejected a record: {} ({})", reason, rejected.position)
        if rejected_count > MAX_LOGGED_REJECTS:
            logger.warning("{:,} records of this batch were rejected", rejected_count)

    def _log_progress(self) -> None:
        now = time.monotonic()
        if now - self._logged_at < LOG_EVERY:
            return
        self._logged_at = now
        logger.info("{:,} rows read, {:,} of them staged", self.totals.read, self.totals.written)
