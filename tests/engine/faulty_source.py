"""A source of numbered rows that breaks its contract in a chosen way."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from bizon.source.models import SourceIncrementalState, SourceIteration, SourceRecord
from loguru import logger

from apps.engine.failures import PositionGone
from apps.engine.process.progress import progress
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    SourceSettings,
    rows_page,
)

TITLE = "Faulty"


class Config(SourceSettings):
    rows: int = 1000
    page_size: int = 100
    delay: float = 0
    answer: str = "rows"  # "rows", or the key of a wrong answer in _ANSWERS
    after: int = 0  # the answer is wrong after this many rows
    total: str = "none"
    password: str = ""
    while_exists: str = ""  # the answer is wrong only while this file exists


class FaultySource(ConnectorSource[Config]):
    Config: ClassVar[type[Config]] = Config
    incremental: ClassVar[bool] = True

    def get_total_records_count(self) -> Any:
        if self.settings.total == "raises":
            raise ZeroDivisionError("division by zero")
        return {"none": None, "zero": 0, "text": "many", "true": self.settings.rows}[
            self.settings.total
        ]

    def get(self, pagination: Pagination = None) -> Any:
        token: dict[str, Any] = pagination or {}
        return self._answer(int(token.get("after", 0)))

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> Any:
        token: dict[str, Any] = pagination or source_state.state
        return self._answer(int(token.get("after", 0)))

    def _answer(self, after: int) -> Any:
        time.sleep(self.settings.delay)
        if self._is_wrong_now(after):
            return _ANSWERS[self.settings.answer](self, after)
        return self._correct_page(after)

    def _is_wrong_now(self, after: int) -> bool:
        fault_file = self.settings.while_exists
        if fault_file and not os.path.exists(fault_file):
            return False
        return self.settings.answer != "rows" and after >= self.settings.after

    def _correct_page(self, after: int) -> SourcePage:
        count = max(0, min(self.settings.page_size, self.settings.rows - after))
        rows = [{"id": n, "name": f"row {n}"} for n in range(after + 1, after + count + 1)]
        last_id = after + count
        next_token = {"after": last_id} if last_id < self.settings.rows else {}
        return rows_page(rows, next_token, None if next_token else {"after": last_id})


def _page_of_records(source: FaultySource, after: int) -> SourceIteration:
    page = source._correct_page(after)
    records = [SourceRecord(id=row["id"], data=row) for row in page.rows]  # type: ignore[union-attr]
    return SourceIteration(records=records, next_pagination=page.next_pagination)


def _raise_error(error: BaseException) -> Any:
    raise error


def _hang(source: FaultySource, after: int) -> Any:
    while True:
        time.sleep(60)


def _slow_page(source: FaultySource, after: int) -> SourcePage:
    time.sleep(0.1)
    return source._correct_page(after)


def _page_with_much_memory(source: FaultySource, after: int) -> SourcePage:
    """Return a page after using 300 MB, all of which is free again."""
    bytearray(b"x") * (300 << 20)
    return source._correct_page(after)


def _slow_page_with_progress(source: FaultySource, after: int) -> SourcePage:
    """Return a page slowly, and signal progress meanwhile."""
    for _ in range(8):
        time.sleep(0.12)  # longer than `progress.MIN_INTERVAL` in these tests
        progress.report()
    return source._correct_page(after)


def _same_page_again(source: FaultySource, after: int) -> Any:
    return rows_page([{"id": after}], {"after": after})


def _same_record_again(source: FaultySource, after: int) -> Any:
    return rows_page([{"id": 1}], {"after": after + 1})


def _same_keys_again(source: FaultySource, after: int) -> Any:
    """Return the same records for ever, in another order and with another value each time."""
    rows: list[dict[str, object]] = [{"id": (n + after) % 5, "served": after} for n in range(5)]
    return rows_page(rows, {"after": after + 1})


def _page_with_rejected_rows(source: FaultySource, after: int) -> Any:
    page = source._correct_page(after)
    rows: list[Any] = list(page.rows)  # type: ignore[union-attr]
    rows[0], rows[1] = "not an object", {}
    page.rows = rows  # type: ignore[union-attr]
    return page


def _lose_position(source: FaultySource, after: int) -> Any:
    """Raise PositionGone once, as if the rows that were read had been replaced during the sync."""
    os.unlink(source.settings.while_exists)
    raise PositionGone("the rows were replaced")


def _print_half_a_line(source: FaultySource, after: int) -> SourcePage:
    print(f"half a line with {source.settings.password}", end="", flush=True)
    return source._correct_page(after)


def _print_and_exit(source: FaultySource, after: int) -> Any:
    print("about to give up", flush=True)
    os._exit(41)


def _report(source: FaultySource, after: int) -> Any:
    """Log what this process inherited and may do."""
    libc = ctypes.CDLL(None)
    facts = {
        "environment": sorted(os.environ),
        "inherited": Path("/proc/self/environ").read_bytes(),
        "arguments": Path("/proc/self/cmdline").read_bytes(),
        "dumpable": libc.prctl(3, 0, 0, 0, 0),
        "session": "own" if os.getsid(0) == os.getpid() else "shared",
        "descriptors": len(os.listdir("/proc/self/fd")) - 1,
    }
    logger.info("report " + " ".join(f"{name}={value}" for name, value in facts.items()))
    return source._correct_page(after)


_ANSWERS: dict[str, Any] = {
    "none": lambda source, after: None,
    "tuple": lambda source, after: ([], {}),
    "dict": lambda source, after: {"records": []},
    "rows_none": lambda source, after: rows_page(None, {}),  # type: ignore[arg-type]
    "bad_pagination": lambda source, after: rows_page([], {"when": object()}),  # type: ignore[dict-item]
    "same_record": _same_record_again,
    "same_keys": _same_keys_again,
    "same_page": _same_page_again,
    "records": _page_of_records,
    "rejected": _page_with_rejected_rows,
    "zero_division": lambda source, after: 1 / 0,
    "system_exit": lambda source, after: sys.exit(3),
    "secret": lambda source, after: _raise_error(
        ValueError(f"bad password {source.settings.password}")
    ),
    "hang": _hang,
    "memory": _page_with_much_memory,
    "drip": _slow_page_with_progress,
    "slow": _slow_page,
    "half": _print_half_a_line,
    "exit": _print_and_exit,
    "gone": _lose_position,
    "report": _report,
}

Source = FaultySource
