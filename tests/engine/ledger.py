"""A destination that writes JSON lines to a folder. Each batch is a file, and publishing writes `published.jsonl`.

Its settings make it fail, hang or publish slowly. The file `no_rollback` in the folder makes it skip the roll-back,
which is the negative control.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import orjson
import polars as pl
from pydantic import BaseModel

from apps.engine.contract import CheckStep, OutputFile
from apps.engine.destinations.base import Batch, Destination, Publication
from apps.engine.frames.native import NO_NATIVE_TYPES, NativeTable

TITLE = "Ledger"
SLOW_PUBLISH_SECONDS = 0.7  # the supervisor checks several times meanwhile


class LedgerConfig(BaseModel):
    folder: str
    fault: str = ""
    after: int = 0  # batches staged before the fault happens
    delay: float = 0  # seconds per batch
    password: str = ""
    while_exists: str = ""  # the fault happens only while this file exists


class LedgerDestination(Destination):
    Config: ClassVar[type[BaseModel]] = LedgerConfig
    config: LedgerConfig

    @property
    def staging(self) -> Path:
        return Path(self.config.folder) / "staging" / self.job_id

    @property
    def published_file(self) -> Path:
        return Path(self.config.folder) / "published.jsonl"

    @property
    def marker(self) -> Path:
        """The file that shows that the job has published. It contains the name of the table."""
        return Path(self.config.folder) / f"published.{self.job_id}"

    @property
    def skips_roll_back(self) -> bool:
        """Whether to skip the roll-back. A file decides it, because changed settings would start a new job."""
        return (Path(self.config.folder) / "no_rollback").exists()

    @property
    def fault(self) -> str:
        failure_flag = self.config.while_exists
        return self.config.fault if not failure_flag or os.path.exists(failure_flag) else ""

    def check(self) -> Iterator[CheckStep]:
        yield CheckStep("write", True, "always", 0.0)

    def open(self, committed: Sequence[Batch]) -> None:
        self.staging.mkdir(parents=True, exist_ok=True)
        if self.skips_roll_back:
            return
        committed_names = {f"{batch.id}.jsonl" for batch in committed}
        for file in self.staging.iterdir():
            if file.name not in committed_names:
                file.unlink()

    def stage(
        self, frame: pl.DataFrame, batch: Batch, native: NativeTable = NO_NATIVE_TYPES
    ) -> None:
        time.sleep(self.config.delay)
        if len(list(self.staging.iterdir())) >= self.config.after:
            self._apply_fault()
        draft = self.staging / f"{batch.id}.tmp"
        frame.write_ndjson(draft)
        draft.rename(self.staging / f"{batch.id}.jsonl")
        if self.fault == "exit_after_stage":
            os._exit(9)

    def publish(self, committed: Sequence[Batch]) -> Publication:
        if self.fault == "publish_fails":
            raise RuntimeError("publishing failed")
        if self.fault == "slow_publish":
            time.sleep(SLOW_PUBLISH_SECONDS)
        marker = self.marker
        names = [f"{batch.id}.jsonl" for batch in committed]
        if self.skips_roll_back:
            names = [file.name for file in sorted(self.staging.glob("*.jsonl"))]
        if not marker.exists():
            earlier_content = self._earlier_content()
            body = b"".join((self.staging / name).read_bytes() for name in names)
            draft = self.published_file.with_suffix(".tmp")
            draft.write_bytes(earlier_content + body)
            draft.rename(self.published_file)
            marker.write_text(self.spec.table)
        if self.fault == "exit_after_publish":
            os._exit(9)
        rows = sum(batch.rows for batch in committed)
        key = f"{self.data.prefix}/published.jsonl"
        size = self.published_file.stat().st_size
        output = OutputFile("published.jsonl", key, size, rows, "application/x-ndjson")
        return Publication(rows, (output,))

    def has_rows(self) -> bool:
        return self.published_file.exists() and self.published_file.stat().st_size > 0

    def has_published(self) -> bool:
        return self.marker.exists() and self.marker.read_text() == self.spec.table

    def abandon(self) -> None:
        for file in self.staging.glob("*"):
            file.unlink()
        if self.staging.exists():
            self.staging.rmdir()

    def _earlier_content(self) -> bytes:
        adds_to_published = self.spec.write_mode != "replace" and self.published_file.exists()
        return self.published_file.read_bytes() if adds_to_published else b""

    def _apply_fault(self) -> None:
        fault = self.fault
        if fault == "stage_fails":
            raise RuntimeError(f"refused with {self.config.password}")
        if fault == "disk_full":
            raise OSError(28, os.strerror(28))
        if fault == "hang":
            (Path(self.config.folder) / "hanging").touch()
            while True:
                time.sleep(60)


def published_ids(folder: Path) -> list[int]:
    """Return the ids of the published rows, in order."""
    file = folder / "published.jsonl"
    lines = file.read_bytes().splitlines() if file.exists() else []
    return sorted(orjson.loads(line)["id"] for line in lines)


Config = LedgerConfig
Destination = LedgerDestination  # type: ignore[misc]
