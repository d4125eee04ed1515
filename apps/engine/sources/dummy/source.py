"""The dummy source: pages of made-up records, with failures on demand."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from bizon.connectors.sources.dummy.src.fake_api import fake_api_call
from bizon.source.models import SourceIncrementalState
from pydantic import Field

from apps.engine.contract import CheckStep, FieldInfo, StreamInfo, SyncMode
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    RateLimitError,
    SourceError,
)
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    SourceSettings,
    frame_page,
    rows_page,
    run_checks,
)
from apps.engine.sources.dummy import generated

Failure = Literal["source", "authentication", "rate_limit", "configuration", "error", "exit"]

GENERATED_STREAM = "generated"
SMALL_STREAMS = ("creatures", "plants")
ERRORS: dict[str, type[EngineError]] = {
    "source": SourceError,
    "authentication": AuthenticationError,
    "rate_limit": RateLimitError,
    "configuration": ConfigurationError,
}


class Config(SourceSettings):
    """What to generate."""

    rows: int = Field(
        1000,
        ge=0,
        le=1_000_000_000,
        description="Records in the stream `generated`",
        examples=[1000],
    )
    page_size: int = Field(1000, ge=1, le=1_000_000, description="Records in a page")
    format: Literal["frames", "rows"] = Field(
        "frames", description="Format of pages: typed frames, or plain records"
    )
    delay: float = Field(0, ge=0, le=3600, description="Seconds to wait before each page")
    fail_after: int | None = Field(
        None, ge=0, description="Fail after this many records", examples=[500]
    )
    failure: Failure = Field(
        "source",
        description="How to fail: with a failure class, `error` (a bug), or `exit` (the process ends)",
    )
    hang_after: int | None = Field(None, ge=0, description="Hang after this many records")


class DummySource(ConnectorSource[Config]):
    Config: ClassVar[type[Config]] = Config
    incremental: ClassVar[bool] = True

    @staticmethod
    def streams() -> list[str]:
        return [*SMALL_STREAMS, GENERATED_STREAM]

    @classmethod
    def sync_modes(cls, stream: str | None) -> tuple[SyncMode, ...]:
        return ("full_refresh",) if stream in SMALL_STREAMS else ("full_refresh", "incremental")

    def check(self) -> Iterator[CheckStep]:
        return run_checks([("read", lambda: f"{self.settings.rows:,} records will be generated")])

    def discover(self) -> list[StreamInfo]:
        small_fields = (
            FieldInfo("id", "integer", nullable=False),
            FieldInfo("name", "string"),
            FieldInfo("age", "integer"),
        )
        generated_fields = (
            FieldInfo("id", "integer", nullable=False),
            FieldInfo("name", "string"),
            FieldInfo("category", "string"),
            FieldInfo("amount", "number"),
            FieldInfo("active", "boolean"),
            FieldInfo("created_at", "timestamp"),
        )
        return [
            *(StreamInfo(name, small_fields, primary_key=("id",)) for name in SMALL_STREAMS),
            StreamInfo(
                GENERATED_STREAM,
                generated_fields,
                primary_key=("id",),
                cursor_fields=("id", "created_at"),
                sync_modes=("full_refresh", "incremental"),
            ),
        ]

    def get_total_records_count(self) -> int | None:
        if self.spec.stream in SMALL_STREAMS:
            return 5
        return self.settings.rows or None

    @property
    def records_per_request(self) -> int:
        return 2 if self.spec.stream in SMALL_STREAMS else self.settings.page_size

    def get(self, pagination: Pagination = None) -> SourcePage:
        if self.spec.stream in SMALL_STREAMS:
            return self._small_page(pagination)
        return self._generated_page(_records_before(pagination or {}))

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._generated_page(_records_before(pagination or source_state.state))

    def _small_page(self, pagination: Pagination) -> SourcePage:
        self._delay_or_fail(0 if not pagination else 2)  # The first page has 2 records.
        url = f"https://api.dummy.com/v1/{self.spec.stream}"
        response = fake_api_call(url, cursor=str((pagination or {}).get("cursor", "")))
        cursor = response["next"]["cursor"]
        return rows_page(response["results"], {"cursor": cursor} if cursor else {})

    def _generated_page(self, records_before: int) -> SourcePage:
        self._delay_or_fail(records_before)
        count = max(0, min(self.settings.page_size, self.settings.rows - records_before))
        first, end = records_before + 1, records_before + count
        next_page = {"after": end} if end < self.settings.rows else {}
        state = None if next_page else {"after": end}
        if self.settings.format == "rows":
            return rows_page(generated.generate_rows(first, count), next_page, state)
        return frame_page(generated.generate_frame(first, count), next_page, state)

    def _delay_or_fail(self, records_before: int) -> None:
        if self.settings.delay:
            time.sleep(self.settings.delay)
        if self.settings.hang_after is not None and records_before >= self.settings.hang_after:
            threading.Event().wait()
        if self.settings.fail_after is not None and records_before >= self.settings.fail_after:
            self._fail(records_before)

    def _fail(self, records_before: int) -> None:
        failure = self.settings.failure
        if failure == "exit":
            os._exit(70)
        if failure == "error":
            raise RuntimeError(f"a bug after {records_before} records, as configured")
        raise ERRORS[failure](
            f"failed after {records_before:,} records, as configured",
            evidence=(f"fail_after={self.settings.fail_after}",),
            retry_after=1.0 if failure == "rate_limit" else None,
        )


def _records_before(token: Mapping[str, Any]) -> int:
    """Return the number of records before the page."""
    return int(token.get("after", 0))
