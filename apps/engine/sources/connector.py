"""Base classes of our sources: settings of one stream, pages of plain rows or frames, HTTP under the egress policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, ClassVar, Generic, TypeVar, cast

import polars as pl
from bizon.source.config import SourceConfig
from pydantic import BaseModel, ConfigDict, Field, JsonValue, SerializeAsAny
from requests.auth import AuthBase

from apps.engine.answers import FilesOfStream
from apps.engine.contract import CheckStep, SizeEstimate, SourceSpec, StorageRoot, SyncMode
from apps.engine.failures import EXPECTED_ERRORS, ConfigurationError, message_with_evidence
from apps.engine.frames.copied import CopiedRows
from apps.engine.frames.left_out import LeftOutRecords
from apps.engine.frames.native import NativeTable
from apps.engine.sources.base import FrameIteration, RowsIteration, StreamSource
from apps.engine.sources.http.session import SourceSession
from apps.engine.windows import WindowPlan, WindowRequest
from apps.json import JsonObject

SourcePage = FrameIteration | RowsIteration
Pagination = dict[str, JsonValue] | None


class SourceSettings(BaseModel):
    """Base of the connectors' settings, as users write them. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def Secret(description: str, **options: Any) -> Any:  # noqa: N802 - reads like pydantic's Field
    """Declare a field whose value is stored encrypted and never shown again."""
    extra: dict[str, JsonValue] = {"writeOnly": True, "format": "password"}
    default = options.pop("default", ...)
    return Field(default, description=description, json_schema_extra=extra, repr=False, **options)


class StreamConfig(SourceConfig):
    """The fields that bizon's producer reads (name, stream, sync mode), and the connector's own settings."""

    settings: SerializeAsAny[SourceSettings]


SettingsT = TypeVar("SettingsT", bound=SourceSettings)


class ConnectorSource(StreamSource, Generic[SettingsT]):
    """Base of our sources, which have to implement only `check`, `discover` and `get`."""

    incremental: ClassVar[bool] = False
    needs_cursor: ClassVar[bool] = False  # whether an incremental sync must name its cursor field
    size_basis: ClassVar[str] = "counted by the source"  # of the numbers of `estimate_size`
    page_limit: int | None = None  # maximum rows in a page of a preview

    def __init__(
        self,
        config: StreamConfig,
        *,
        spec: SourceSpec,
        files: StorageRoot,
        allow_private_networks: bool = False,
    ) -> None:
        self.settings = cast("SettingsT", config.settings)
        super().__init__(
            config, spec=spec, files=files, allow_private_networks=allow_private_networks
        )

    @staticmethod
    def get_config_class() -> type[SourceConfig]:
        return StreamConfig

    @classmethod
    def sync_modes(cls, stream: str | None) -> tuple[SyncMode, ...]:
        """Return the sync modes of a stream, or of the kind as a whole (None)."""
        return ("full_refresh", "incremental") if cls.incremental else ("full_refresh",)

    def get_session(self) -> SourceSession:
        return SourceSession(allow_private=self.allow_private_networks)

    def get_authenticator(self) -> AuthBase | None:
        return None

    def check_connection(self) -> tuple[bool, str | None]:
        failed_steps = [step for step in self.check() if not step.ok]
        return not failed_steps, failed_steps[0].message if failed_steps else None

    def get_total_records_count(self) -> int | None:
        return None

    @property
    def read_as(self) -> str:
        """How the records that were read last are read, in words, if the source has detected that."""
        return ""

    @property
    def records_per_request(self) -> int | None:
        """The number of records that one request returns, or None if it is not known."""
        return None

    def estimate_size(self) -> SizeEstimate:
        """Estimate what a complete read of the stream needs, with few short requests. Raises EngineError."""
        return self.size_of(self.get_total_records_count())

    def plan_window(self, request: WindowRequest, state: JsonObject) -> WindowPlan:
        """Check the window of a backfill, and divide it into chunks. `state` is the saved position. Raises EngineError."""
        raise ConfigurationError("This source cannot read a window of a stream")

    def list_files(self) -> Mapping[str, FilesOfStream]:
        """Return the files of each stream that has some, without reading them. Raises EngineError."""
        raise ConfigurationError("This source has no files")

    def size_of(self, records: int | None) -> SizeEstimate:
        """Return the estimate for a number of records that the source knows."""
        if type(records) is not int or records <= 0:
            return SizeEstimate()
        page = self.records_per_request
        return SizeEstimate(records, ceil(records / page) if page else None, self.size_basis)


def frame_page(
    frame: pl.DataFrame,
    next_pagination: JsonObject,
    next_state: JsonObject | None = None,
    left_out: LeftOutRecords | None = None,
    native: NativeTable | None = None,
    copied: CopiedRows | None = None,
) -> FrameIteration:
    """Return a page as a frame, and the records that are not in it. pydantic's validation is skipped, because all values are our own."""
    return FrameIteration.model_construct(
        frame=frame,
        copied=copied,
        left_out=left_out,
        native=native,
        records=[],
        next_pagination=dict(next_pagination),
        next_state=dict(next_state) if next_state is not None else None,
    )


def rows_page(
    rows: list[dict[str, object]],
    next_pagination: JsonObject,
    next_state: JsonObject | None = None,
    left_out: LeftOutRecords | None = None,
    native: NativeTable | None = None,
) -> RowsIteration:
    """Return a page as plain rows, and the records that are not in it. pydantic's validation is skipped, because it would copy each row."""
    return RowsIteration.model_construct(
        rows=rows,
        left_out=left_out,
        native=native,
        records=[],
        next_pagination=dict(next_pagination),
        next_state=dict(next_state) if next_state is not None else None,
    )


def run_checks(steps: Sequence[tuple[str, Callable[[], str]]]) -> Iterator[CheckStep]:
    """Run named steps in order until one fails.

    A step returns its message or raises one of EXPECTED_ERRORS.
    """
    for name, action in steps:
        started = time.perf_counter()
        try:
            ok, message = True, action()
        except EXPECTED_ERRORS as error:
            ok, message = False, message_with_evidence(error)
        yield CheckStep(name, ok, message, round((time.perf_counter() - started) * 1000, 1))
        if not ok:
            return
