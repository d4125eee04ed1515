"""Slow checks and calls of tools, which are made without a transaction and without a database connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connection

from apps.orgs.exceptions import CheckFirst

ResultT = TypeVar("ResultT")


def with_checks(
    action: Callable[[Any], ResultT], failed: Callable[[Exception], ResultT] | None = None
) -> ResultT:
    """Return the result of `action(None)`. If it asks for a check, make the check, and call it with the result.

    If the check itself fails, return `failed(error)`. Without `failed` the error is raised.
    """
    checked: Any = None
    while True:
        try:
            return action(checked)
        except CheckFirst as needed:
            return_connection()
            try:
                checked = needed.check()
            except Exception as error:
                if failed is None:
                    raise
                return failed(error)


def return_connection() -> None:
    """Return the connection to the pool before slow work."""
    if not connection.in_atomic_block:
        connection.close()
