"""The interface of a destination: stage batches, roll back to the last checkpoint, publish once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from apps.engine.contract import CheckStep, DestinationSpec, FileMoved, OutputFile, StorageRoot
from apps.engine.destinations.stored_rows import RowWindow, StoredRows
from apps.engine.failures import ConfigurationError
from apps.engine.frames.copied import CopiedRows
from apps.engine.frames.native import NO_NATIVE_TYPES, NativeTable, TypeSystem

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Batch:
    """A staged batch.

    A batch that is staged again has a new `id`, so it cannot collide with a write of an attempt that lost its lease.
    `first` and `last` are the engine's iteration numbers, inclusive; `rows` counts records.
    """

    id: str
    first: int
    last: int
    rows: int


@dataclass(frozen=True, slots=True)
class Publication:
    """The result of publishing: the rows of the job, and files if the destination writes files.

    `withdrawn_prefix` is the prefix of previously published files that are deleted or now belong to this publication.
    `moved` are files of earlier publications that were rewritten.
    """

    rows: int
    outputs: tuple[OutputFile, ...] = ()
    withdrawn_prefix: str | None = None
    moved: tuple[FileMoved, ...] = ()


def no_text_fields(_name: str) -> bool:
    return False


class Destination(ABC):
    """One kind of destination, bound to one job.

    The order of calls is `open(committed)`, then `stage` many times, then `publish(committed)`. `has_rows` may be called before `publish`. The engine
    commits its cursor and the batch's id together after each `stage` returns. A batch whose id was never
    committed must never be published.
    """

    Config: ClassVar[type[BaseModel]]
    type_system: ClassVar[TypeSystem] = ""  # whose native types it stores
    # The major version of its PostgreSQL after `open`, if it can stage rows as COPY has sent them; else 0.
    copy_version: int = 0
    # Set before the only batch of the job is staged. Then `stage` may leave to `publish` what makes the rows durable: after a
    # crash between them `open` raises PositionGone, and the job is read again.
    is_only_batch: bool = False
    holds_batch: bool = False  # whether `stage` has left its batch to `publish`
    longest_step_seconds: float = 4 * 3600.0  # maximum time for opening, publishing or abandoning

    def __init__(
        self,
        config: BaseModel,
        *,
        spec: DestinationSpec,
        job_id: str,
        data: StorageRoot,
        allow_private_networks: bool = False,
    ) -> None:
        self.config = config
        self.spec = spec
        self.job_id = job_id
        self.data = data
        self.allow_private_networks = allow_private_networks

    @abstractmethod
    def check(self) -> Iterator[CheckStep]:
        """Yield named steps (resolve, connect, authenticate, write, ...), stopping after the first that fails."""

    @abstractmethod
    def open(self, committed: Sequence[Batch]) -> None:
        """Prepare staging for the job and remove all staged batches that are not in `committed` (roll back)."""

    def kept_types(self) -> Mapping[str, str]:
        """Return the native types of existing columns, empty for a column without one. Call it after `open`.

        The columns of a table that will be replaced are left out, because the source chooses their types.
        """
        return {}

    def text_fields(self) -> Callable[[str], bool]:
        """Return a function that says whether a field is stored in an existing column of text. Call it after `open`.

        The values of such a field arrive as text. A table that will be replaced has no such columns, and neither has a column
        that has had no value.
        """
        return no_text_fields

    @abstractmethod
    def stage(
        self, frame: pl.DataFrame, batch: Batch, native: NativeTable = NO_NATIVE_TYPES
    ) -> None:
        """Write the frame to staging, where readers do not see it. The rows must survive a crash after this returns,
        unless `is_only_batch` is set.

        `native` has the native types of columns, by the destination's type system.
        """

    def stage_copied(
        self, rows: CopiedRows, columns: pl.DataFrame, batch: Batch, native: NativeTable
    ) -> None:
        """Write rows to staging that were not decoded, with the promises of `stage`.

        `columns` is a frame without rows, which has all columns of the stream. Called only if `copy_version` is set.
        """
        raise NotImplementedError

    def stage_nothing(self) -> None:  # noqa: B027 - most destinations need no sign of an empty job
        """Prepare to publish a job without rows. The lease is checked afterwards.

        So a destination can recognise in `publish` that the job was published meanwhile, and its record deleted.
        """

    @abstractmethod
    def publish(self, committed: Sequence[Batch]) -> Publication:
        """Make exactly the committed batches visible at once: replace, append or merge by `spec.write_mode`.

        Idempotent by `job_id`: a second call, also after a crash in the first, changes nothing and returns the
        same publication.
        """

    @abstractmethod
    def has_rows(self) -> bool:
        """Whether the table has rows that publishing would remove: of the window, if there is one. Reads at most one."""

    def has_lost_table(self) -> bool:
        """Whether the table is gone to which an earlier job of the pipeline has published rows. Call it after `open`.

        Without a record of that job, it is gone.
        """
        return False

    @abstractmethod
    def has_published(self) -> bool:
        """Whether the job has published to this very table, by the record of the destination itself. Needs no `open`."""

    def find_publication(self) -> Publication | None:
        """Return the files of a job that has published; None if it has not, or if it writes no files. Needs no `open`."""
        return None

    @abstractmethod
    def abandon(self) -> None:
        """Remove everything that the job has staged, because the sync was reset."""

    def read_rows(self, window: RowWindow) -> StoredRows:
        """Return stored records for a person who looks at them. Changes nothing, and needs no `open`.

        The data may be hostile. Implemented by the kinds of READABLE_KINDS. Raises TableGone and other EngineErrors.
        """
        raise ConfigurationError("The records of this destination cannot be shown")

    def delete_older_publications(self) -> None:  # noqa: B027 - most destinations store a bounded number
        """Delete the entries about earlier publications of this pipeline, once this job is published.

        Published rows are not deleted. A pipeline has one unfinished job at a time, so older entries are not needed
        again.
        """

    def close(self) -> None:  # noqa: B027 - most destinations have no connection
        """Close connections."""
