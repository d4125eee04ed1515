"""Slow checks and calls of tools, which are made without a transaction and without a database connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from django.db import connection

from apps.agent.tools.base import ToolContext
from apps.orgs.exceptions import CheckFirst
from apps.orgs.slow_calls import SlowCall
from apps.web.problems import BUSY, Problem

ResultT = TypeVar("ResultT")
BUSY_SECONDS = 10.0
BUSY_PAUSE = 0.25  # seconds between two tries
STILL_BUSY = (
    "After {seconds:.0f} seconds of waiting, too many other checks and previews of this organization still run. Make fewer of"
    " these calls at once, or try again later."
)


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


def wait_while_busy(context: ToolContext, call: SlowCall[ResultT]) -> SlowCall[ResultT]:
    """Return a call that waits for some seconds while the engine refuses it because too many other calls run.

    A program over MCP does not wait but tries again itself, because all programs share few threads.
    """
    if context.turn_id is None:
        return call
    return replace(call, run=partial(_run_when_possible, call.run))


def _run_when_possible(run: Callable[[], ResultT]) -> ResultT:
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return run()
        except Problem as problem:
            if problem.code != BUSY:
                raise
        if time.monotonic() >= deadline:
            raise Problem(429, STILL_BUSY.format(seconds=BUSY_SECONDS), BUSY)
        time.sleep(BUSY_PAUSE)
