"""Validate the blackouts of a request, and convert them to the form in which they are stored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from apps.connectors.schemas import Error, join_path, unknown_fields
from apps.pipelines.schedules.blackouts import MAX_WINDOWS, WEEKDAYS, leave_no_time, parse_window

WEEKLY, WHOLE_DAYS = ("weekdays", "start", "end"), ("first_day", "last_day")
LAST_YEAR = 2200
NOT_A_DAY = f"Must be a day like 2026-12-24, before {LAST_YEAR}."
NOT_A_TIME = "Must be a time of the day like 22:00."
NOT_WEEKDAYS = f"Must be a list with some of {', '.join(WEEKDAYS)}."
NO_TIME_LEFT = "The windows leave no time of the week: remove one, or pause the schedule."


def parse_windows(value: Any, *, path: str) -> tuple[list[dict[str, Any]], list[Error]]:
    """Return the windows and the errors. If there are errors, the list is empty."""
    if not isinstance(value, list):
        return [], [(path, "Must be a list of windows.", "type")]
    if len(value) > MAX_WINDOWS:
        return [], [(path, f"At most {MAX_WINDOWS} windows.", "max_length")]
    windows: list[dict[str, Any]] = []
    errors: list[Error] = []
    for number, item in enumerate(value):
        window, found = _parse_window(item, f"{path}.{number}")
        windows.append(window)
        errors += found
    if errors:
        return [], errors
    if leave_no_time(parse_window(window) for window in windows):
        return [], [(path, NO_TIME_LEFT, "invalid")]
    return windows, []


def parse_day(value: Any) -> date | None:
    """Return the day of a text like 2026-12-24, or None."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        return None
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    return day if day.year < LAST_YEAR else None


def _parse_window(value: Any, path: str) -> tuple[dict[str, Any], list[Error]]:
    if not isinstance(value, Mapping):
        return {}, [(path, "Must be an object.", "type")]
    fields = WEEKLY if "weekdays" in value else WHOLE_DAYS
    errors: list[Error] = list(unknown_fields(value, fields, path))
    window: dict[str, Any] = {}
    for name in fields:
        window[name], message = _parse_field(name, value.get(name))
        if message:
            errors.append((join_path(path, name), message, "invalid"))
    if not errors and fields == WHOLE_DAYS and window["last_day"] < window["first_day"]:
        errors.append((join_path(path, "last_day"), "Must not be before the first day.", "invalid"))
    return window, errors


def _parse_field(name: str, value: Any) -> tuple[Any, str]:
    """Return the value to store, and what is wrong with it."""
    if name == "weekdays":
        is_valid = isinstance(value, list) and value and all(day in WEEKDAYS for day in value)
        return ([day for day in WEEKDAYS if day in value], "") if is_valid else ([], NOT_WEEKDAYS)
    if name in WHOLE_DAYS:
        day = parse_day(value)
        return (str(day), "") if day else ("", NOT_A_DAY)
    is_time = isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value, re.ASCII)
    return (value, "") if is_time else ("", NOT_A_TIME)
