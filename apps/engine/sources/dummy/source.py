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
    checked,
    frame_page,
    rows_page,
)
from apps.engine.sources.dummy import generated

Failure = Literal["source", "authentication", "rate_limit", "configuration", "error", "exit"]

GENERATED = "generated"
TALES = ("creatures", "plants")
RAISED: dict[str, type[EngineError]] = {
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
        return [*TALES, GENERATED]

    @classmethod
    def sync_modes(cls, stream: str | None) -> tuple[SyncMode, ...]:
        return ("full_refresh",) if stream in TALES else ("full_refresh", "incremental")

    def check(self) -> Iterator[CheckStep]:
        return checked([("read", lambda: f"{self.settings.rows:,} records to make up")])

    def discover(self) -> list[StreamInfo]:
        tales = (
            FieldInfo("id", "integer", nullable=False),
            FieldInfo("name", "string"),
            FieldInfo("age", "integer"),
        )
        fields = (
            FieldInfo("id", "integer", nullable=False),
            FieldInfo("name", "string"),
            FieldInfo("category", "string"),
            FieldInfo("amount", "number"),
            FieldInfo("active", "boolean"),
            FieldInfo("created_at", "timestamp"),
        )
        return [
            *(StreamInfo(name, tales, primary_key=("id",)) for name in TALES),
            StreamInfo(
                GENERATED,
                fields,
                primary_key=("id",),
                cursor_fields=("id", "created_at"),
                sync_modes=("full_refresh", "incremental"),
            ),
        ]

    def get_total_records_count(self) -> int | None:
        if self.spec.stream in TALES:
            return 5
        return self.settings.rows or None

    def get(self, pagination: Pagination = None) -> SourcePage:
        if self.spec.stream in TALES:
            return self._small_stream(pagination)
        return self._generate(_after(pagination or {}))

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._generate(_after(pagination or source_state.state))

    def _small_stream(self, pagination: Pagination) -> SourcePage:
        self._misbehave(0 if not pagination else 2)
        url = f"https://api.dummy.com/v1/{self.spec.stream}"
        answer = fake_api_call(url, cursor=str((pagination or {}).get("cursor", "")))
        following = answer["next"]["cursor"]
        return rows_page(answer["results"], {"cursor": following} if following else {})

    def _generate(self, after: int) -> SourcePage:
        self._misbehave(after)
        count = max(0, min(self.settings.page_size, self.settings.rows - after))
        reached = after + count
        more = {"after": reached} if reached < self.settings.rows else {}
        state = None if more else {"after": reached}
        if self.settings.format == "rows":
            return rows_page(generated.rows(after + 1, count), more, state)
        return frame_page(generated.frame(after + 1, count), more, state)

    def _misbehave(self, read: int) -> None:
        if self.settings.delay:
            time.sleep(self.settings.delay)
        if self.settings.hang_after is not None and read >= self.settings.hang_after:
            threading.Event().wait()
        if self.settings.fail_after is not None and read >= self.settings.fail_after:
            self._fail(read)

    def _fail(self, read: int) -> None:
        failure = self.settings.failure
        if failure == "exit":
            os._exit(70)
        if failure == "error":
            raise RuntimeError(f"a bug after {read} records, as configured")
        raise RAISED[failure](
            f"failed after {read:,} records, as configured",
            evidence=(f"fail_after={self.settings.fail_after}",),
            retry_after=1.0 if failure == "rate_limit" else None,
        )


def _after(token: Mapping[str, Any]) -> int:
    """Return the number of records before the page."""
    return int(token.get("after", 0))
