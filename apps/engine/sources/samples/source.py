"""The source of sample data. Each run finds the records that have appeared until it began."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import polars as pl
from bizon.source.models import SourceIncrementalState

from apps.engine.contract import CheckStep, FieldInfo, StreamInfo, SyncMode
from apps.engine.failures import StreamMissing
from apps.engine.frames.columns import column_of
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    SourceSettings,
    frame_page,
    run_checks,
)
from apps.engine.sources.samples import generated

PAGE_SIZE = 5_000  # records


class Config(SourceSettings):
    """Sample data has no settings."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A stream: its records by number, how many there are at a time, its primary key and its cursor."""

    generate: Callable[[int, int], pl.DataFrame]
    count: Callable[[datetime], int]
    primary_key: tuple[str, ...]
    cursor: str


SAMPLES = {
    "flights": Sample(generated.generate_flights, generated.count_flights, ("id",), "scheduled_at"),
    "weather": Sample(
        generated.generate_weather,
        generated.count_weather,
        ("airport", "observed_at"),
        "observed_at",
    ),
}


class SamplesSource(ConnectorSource[Config]):
    Config: ClassVar[type[Config]] = Config
    incremental: ClassVar[bool] = True
    pages_never_change: ClassVar[bool] = True

    @staticmethod
    def streams() -> list[str]:
        return list(SAMPLES)

    def check(self) -> Iterator[CheckStep]:
        return run_checks([("read", lambda: f"The streams are {' and '.join(SAMPLES)}")])

    def discover(self) -> list[StreamInfo]:
        modes: tuple[SyncMode, ...] = ("full_refresh", "incremental")
        return [
            StreamInfo(name, _fields_of(sample), sample.primary_key, (sample.cursor,), modes)
            for name, sample in SAMPLES.items()
        ]

    def get_total_records_count(self) -> int | None:
        return self._sample.count(datetime.now(UTC))

    @property
    def records_per_request(self) -> int:
        return self.page_limit or PAGE_SIZE

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._page(pagination or {"after": 0})

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._page(pagination or source_state.state)

    @property
    def _sample(self) -> Sample:
        sample = SAMPLES.get(self.spec.stream)
        if sample is None:
            raise StreamMissing(f"The sample data has no stream {self.spec.stream!r}")
        return sample

    def _page(self, token: Mapping[str, Any]) -> SourcePage:
        """Return the page after the first `after` records. `end` is the number of records when the run began."""
        before = int(token["after"])
        end = int(token.get("end") or self._sample.count(datetime.now(UTC)))
        count = max(0, min(self.records_per_request, end - before))
        frame = self._sample.generate(before, count)
        after = before + count
        if after < end:
            return frame_page(frame, {"after": after, "end": end})
        return frame_page(frame, {}, {"after": max(after, before)})


def _fields_of(sample: Sample) -> tuple[FieldInfo, ...]:
    schema = sample.generate(0, 0).schema
    return tuple(
        FieldInfo(name, column_of(dtype).field_type, nullable=name not in sample.primary_key)
        for name, dtype in schema.items()
    )
