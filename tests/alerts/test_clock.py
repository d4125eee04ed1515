"""Clocks that are set back or forward, and nights with 23 or 25 hours."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from apps.background import health

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def ticks() -> Any:
    def write(*ages: int) -> None:
        """Store ticks of these ages in seconds, in this order."""
        with connection.cursor() as cursor:
            for age in ages:
                cursor.execute(
                    """INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, periodic_id)
                       VALUES (%s, extract(epoch FROM now())::bigint - %s, '')""",
                    [health.TICK_TASK, age],
                )

    return write


def scheduler_is_ok() -> bool:
    return {finding.part: finding.ok for finding in health.check_queue()}["scheduler"]


def test_ticks_of_before_the_clock_was_set_back_are_no_sign_of_life(ticks: Any) -> None:
    ticks(-3600)
    assert not scheduler_is_ok()
    ticks(5)  # the scheduler goes on with the new time
    assert scheduler_is_ok()


def test_a_heartbeat_of_before_the_clock_was_set_back_is_no_sign_of_life() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 hour')"
        )
        assert not {each.part: each.ok for each in health.check_queue()}["workers"]
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
        assert {each.part: each.ok for each in health.check_queue()}["workers"]
