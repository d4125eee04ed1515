"""The interface of our sources: bizon's `AbstractSource`, plus frames, plain rows, named checks and discovery."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, ClassVar

import polars as pl
from bizon.source.config import SourceConfig
from bizon.source.models import SourceIteration
from bizon.source.source import AbstractSource
from pydantic import BaseModel, ConfigDict

from apps.engine.contract import CheckStep, SourceSpec, StorageRoot, StreamInfo
from apps.engine.frames.copied import CopiedRows
from apps.engine.frames.kept_records import FindSource
from apps.engine.frames.left_out import LeftOutRecords
from apps.engine.frames.native import NativeTable, TypeSystem
from apps.engine.shared_snapshots import HeldSnapshot
from apps.engine.source_columns import SourceColumns


class FrameIteration(SourceIteration):
    """A page as a typed frame, passed to the destination without work per record. `records` stays empty.

    If the rows are `copied`, the frame has the columns and no rows.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    frame: pl.DataFrame
    copied: CopiedRows | None = None  # rows that nobody decodes
    left_out: LeftOutRecords | None = None  # records of the page that are not in the frame
    native: NativeTable | None = None  # what the source declares about the columns
    find_source: FindSource | None = None  # set if rules or a transform have changed the records


class RowsIteration(SourceIteration):
    """A page as plain JSON-able dicts, without a `SourceRecord` per row. `records` stays empty."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    rows: list[dict[str, Any]]
    left_out: LeftOutRecords | None = None  # records of the page that are not in the rows
    native: NativeTable | None = None  # what the source declares about unchanged columns
    find_source: FindSource | None = None  # set if rules or a transform have changed the records


class StreamSource(AbstractSource):
    """A source of one kind, which reads one stream.

    `get(pagination)` returns the page at `pagination` (None or {} for the first page) as a `FrameIteration`,
    `RowsIteration` or bizon's own `SourceIteration`; `next_pagination == {}` ends the stream. The same token
    must return the same page again, because a retry of the run continues from a token, or raise PositionGone.
    Incremental sources implement `get_records_after(state, pagination)` and return `next_state` with their last
    page. Failures are raised as exceptions of `apps.engine.failures`.
    """

    Config: ClassVar[type[BaseModel]]  # the settings as the user wrote them
    # Whether a token returns the same page for ever, so that another run may continue an unfinished incremental job.
    pages_never_change: ClassVar[bool] = False
    # Whether several streams of a run can be read in one snapshot (`SourceSpec.snapshot`), which `hold_snapshot` takes.
    shares_snapshots: ClassVar[bool] = False
    # Whether the columns have types of their own, which a full refresh that replaces its table follows.
    has_typed_columns: ClassVar[bool] = False
    # Columns whose values arrive as text, whatever the source reads. A source that decides types keeps their texts.
    text_columns: frozenset[str] = frozenset()
    # Whether a field arrives in a column of text that the destination has.
    is_text_field: Callable[[str], bool] = staticmethod(lambda _name: False)
    # The columns that the stream has had, if records are not transformed.
    known_columns: frozenset[str] = frozenset()
    # Whose native types the source may declare, and the columns that exist with their native types. A column with
    # another type or without a native type (empty) must arrive as one of Drover's types.
    type_system: TypeSystem = ""
    kept_types: Mapping[str, str] = MappingProxyType({})
    # The major version of the destination's PostgreSQL, if it stores `copied` rows and nothing else reads them; else 0.
    copy_version: int = 0
    # Fields whose values must not be part of a position, because they are hashed or redacted after the page was read.
    protected_fields: frozenset[str] = frozenset()
    # Whether a transform receives the records. Their values must then be of Drover's types, also if a type is declared.
    is_transformed: bool = False

    def __init__(
        self,
        config: SourceConfig,
        *,
        spec: SourceSpec,
        files: StorageRoot,
        allow_private_networks: bool = False,
    ) -> None:
        self.spec = spec
        self.files = files
        self.allow_private_networks = allow_private_networks
        super().__init__(config)

    @staticmethod
    def streams() -> list[str]:
        """Return the names of streams that are known without connecting; empty if they depend on the connection."""
        return []

    @property
    def may_repeat_rows(self) -> bool:
        """Whether a sync may return rows that an earlier sync has returned, so that appending duplicates them."""
        return False

    def check(self) -> Iterator[CheckStep]:
        """Yield named steps (resolve, connect, authenticate, read, ...), stopping after the first that fails."""
        raise NotImplementedError

    def discover(self) -> list[StreamInfo]:
        """Return the streams of this connection, with their fields, keys and possible cursor fields."""
        raise NotImplementedError

    def stream_names(self) -> list[str]:
        """Return the names of the streams. Override it if they are known faster than what `discover` returns."""
        return [stream.name for stream in self.discover()]

    def declared_columns(self) -> SourceColumns | None:
        """Return the columns and the key of the stream as the source has declared them when it was read.

        None if it declares none. Then the columns are those of the pages.
        """
        return None

    def find_columns(self) -> SourceColumns | None:
        """Return what `declared_columns` returns, for a stream that is not read. Raises EngineError."""
        return None

    def hold_snapshot(
        self, streams: Sequence[str], *, is_required: bool, max_bytes: int | None
    ) -> AbstractContextManager[HeldSnapshot]:
        """Keep a snapshot in which these streams can be read, until the block ends.

        There is none if the streams have more than `max_bytes`. If it is not required, the settings of the source may
        also forbid it. Raises EngineError.
        """
        raise NotImplementedError

    def conclude(self) -> None:
        """Check the pages as a whole, after the last page. Raises EngineError if they are invalid."""

    def close(self) -> None:
        """Close connections, after the last page. Safe to call twice."""
        self.session.close()
