"""Normalise values, so that the rows of any two destinations can be compared."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

Row = Mapping[str, Any]


def spelled(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        at = value.astimezone(UTC) if value.tzinfo else value
        return at.isoformat(timespec="microseconds")
    if isinstance(value, time):
        return time.isoformat(value, timespec="microseconds")
    if isinstance(value, date):
        return date.isoformat(value)
    if isinstance(value, float):
        value = repr(value)
    return _number(str(value))


def _number(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _time(text)
    if not number.is_finite():
        return str(number).lower()
    return str(number.normalize() + 0)


def _time(text: str) -> str:
    """Times are written with or without a fraction, with Z, +00 or +00:00."""
    try:
        if ":" in text and text[:1].isdigit():
            return (
                spelled(datetime.fromisoformat(text) if "-" in text else time.fromisoformat(text))
                or ""
            )
    except ValueError:
        return text
    return text


def bag(rows: Iterable[Row]) -> Counter[tuple[tuple[str, str], ...]]:
    """Return the rows without order, and without their nulls."""
    return Counter(
        tuple(sorted((name, text) for name, v in row.items() if (text := spelled(v)) is not None))
        for row in rows
    )
