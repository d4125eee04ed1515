"""Compare the rows of any two destinations: normalize the values and ignore the order."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

Row = Mapping[str, Any]


def normalize(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return moment.isoformat(timespec="microseconds")
    if isinstance(value, time):
        return time.isoformat(value, timespec="microseconds")
    if isinstance(value, date):
        return date.isoformat(value)
    if isinstance(value, float):
        value = repr(value)
    return _normalize_number(str(value))


def _normalize_number(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _normalize_time(text)
    if not number.is_finite():
        return str(number).lower()
    return str(number.normalize() + 0)


def _normalize_time(text: str) -> str:
    """Destinations write times with or without a fraction, and UTC as Z, +00 or +00:00."""
    try:
        if ":" in text and text[:1].isdigit():
            return (
                normalize(datetime.fromisoformat(text) if "-" in text else time.fromisoformat(text))
                or ""
            )
    except ValueError:
        return text
    return text


def multiset(rows: Iterable[Row]) -> Counter[tuple[tuple[str, str], ...]]:
    """Count equal rows, in any order. Fields that are null are left out."""
    return Counter(
        tuple(sorted((name, text) for name, v in row.items() if (text := normalize(v)) is not None))
        for row in rows
    )
