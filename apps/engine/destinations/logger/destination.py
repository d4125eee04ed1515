"""A destination that stores nothing: it logs a sample of each batch and counts the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loguru import logger

from apps.engine.contract import CheckStep
from apps.engine.destinations.base import Batch, Destination, Publication
from apps.engine.destinations.logger.config import LoggerConfig
from apps.engine.frames.native import NO_NATIVE_TYPES, NativeTable

if TYPE_CHECKING:
    import polars as pl

MAX_VALUE_LENGTH = 200  # characters per value in the log


class LoggerDestination(Destination):
    """Stages nothing, so nothing is rolled back: a repeated batch is logged again."""

    Config = LoggerConfig
    config: LoggerConfig

    def check(self) -> Iterator[CheckStep]:
        yield CheckStep("write", True, "Records will be written to the run's log", 0.0)

    def open(self, committed: Sequence[Batch]) -> None:
        """Nothing to do: this destination stages nothing."""

    def stage(
        self, frame: pl.DataFrame, batch: Batch, native: NativeTable = NO_NATIVE_TYPES
    ) -> None:
        logger.info("Batch {}-{}: {:,} records", batch.first, batch.last, batch.rows)
        for row in frame.head(self.config.sample_rows).iter_rows(named=True):
            values = {name: _shorten(value) for name, value in row.items()}
            logger.bind(row=values).info("Sample row: {}", values)

    def publish(self, committed: Sequence[Batch]) -> Publication:
        rows = sum(batch.rows for batch in committed)
        logger.info("{:,} rows in {:,} batches; nothing was stored", rows, len(committed))
        return Publication(rows)

    def has_rows(self) -> bool:
        return False

    def has_published(self) -> bool:
        return True  # Nothing is stored, so no table lacks rows.

    def abandon(self) -> None:
        """Nothing to do: this destination stages nothing."""


def _shorten(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"
