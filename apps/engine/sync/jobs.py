"""Jobs, checkpoints and leases of a stream, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bizon.source.models import SourceIncrementalState

from apps.engine.destinations.base import Batch
from apps.engine.frames.decoding import SchemaJson, StreamSchema


@dataclass(frozen=True, slots=True)
class StreamLease:
    """The right of one attempt of one run to write the state of a stream."""

    token: str
    run_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Job:
    """One sync of a stream, which may take several attempts, in its state at the start of this attempt."""

    id: str
    resumed: bool
    replaces: bool  # Publishing replaces the table, even if the write mode is append or merge.
    since: SourceIncrementalState | None  # None means that the sync reads from the beginning
    total: int | None
    columns: SchemaJson | None
    next_iteration: int = 0
    pagination: Mapping[str, Any] = field(default_factory=dict)
    exhausted: bool = False  # the last page was committed, so there is nothing more to read
    batches: tuple[Batch, ...] = ()
    written: int = 0
    rejected: int = 0
    skipped: int = 0
    bytes: int = 0
    is_finished: bool = False  # an earlier attempt has published it
    is_of_other_run: bool = False  # an earlier run has finished it, and its records are sent once
    abandoned_reason: str = ""  # why the unfinished job before this new one is not continued
    snapshot_at: str | None = None  # time of the snapshot that it shares with other streams

    def schema(self) -> StreamSchema:
        """Return the columns of the stream as they are known so far."""
        return StreamSchema.from_json(self.columns) if self.columns else StreamSchema()

    @property
    def columns_to_keep(self) -> SchemaJson | None:
        """The columns for reading from the beginning again, if all records have been read once."""
        return self.columns if self.columns and self.columns.get("is_complete") else None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The contents of one commit: the batch for the manifest, and the cursor."""

    batch: Batch
    staged: bool  # False for a batch without rows, which has nothing to publish
    rejected: int
    skipped: int
    bytes: int
    pagination: Mapping[str, Any]  # token of the page after the batch; empty after the last page
    columns: SchemaJson | None  # set if they changed since the last checkpoint
    next_state: Mapping[str, Any] | None
    total: int | None
