"""The exact text of values whose types JSON lacks."""

from __future__ import annotations

import base64
import contextlib
import datetime
from typing import Any

UTC = datetime.UTC


def exact_text(value: Any) -> str:
    """Return the text of a time, bytes, or a value that `str` writes exactly, such as a decimal."""
    if isinstance(value, datetime.datetime):
        return _timestamp_text(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return _duration_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    return str(value)


def _timestamp_text(value: datetime.datetime) -> str:
    if value.tzinfo is not None:
        with contextlib.suppress(OverflowError):  # The year in UTC is 0 or 10000.
            value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds")


def _duration_text(value: datetime.timedelta) -> str:
    """Return ISO 8601, for example `-P1DT2H0.5S`."""
    sign, value = ("-", -value) if value < datetime.timedelta() else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06}".rstrip("0").rstrip(".")
    parts = [(hours, "H"), (minutes, "M")]
    clock = "".join(f"{number}{unit}" for number, unit in parts if number)
    if seconds or fraction or not (clock or value.days):
        clock += f"{seconds}{fraction}S"
    days = f"{value.days}D" if value.days else ""
    return f"{sign}P{days}{'T' if clock else ''}{clock}"
