"""The cause of a failure is said once."""

from __future__ import annotations

from apps.agent.tools.causes import without_repetition

MESSAGE = "The source could not be reached: shop.example:443: no address accepts connections"
RETRY = "Retrying (Retry(total={})) after NewConnectionError('shop.example:443: no address accepts connections')"


def test_lines_that_repeat_the_cause_are_left_out() -> None:
    lines = ["reading page 1", *(RETRY.format(left) for left in (3, 2, 1)), "reading page 1"]
    assert without_repetition(MESSAGE, lines) == ["reading page 1"]


def test_a_message_without_a_cause_keeps_other_lines() -> None:
    lines = ["500 Internal Server Error", "The source returned an error (500)."]
    assert without_repetition("The source returned an error (500).", lines) == lines[:1]


def test_a_short_cause_is_no_reason_to_leave_lines_out() -> None:
    lines = ["row 1 of page 1"]
    assert without_repetition("The code raised KeyError: 1", lines) == lines
