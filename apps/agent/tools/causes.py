"""Say the cause of a failure once. Libraries repeat it in the texts of nested exceptions and in a log line for each retry."""

from __future__ import annotations

from collections.abc import Iterable

from apps.agent.sources import marking
from apps.agent.tools.base import Answer, ToolContext
from apps.agent.tools.record_values import hide_values
from apps.engine.answers import Failure

MIN_CAUSE = 10  # characters; a shorter text may occur in other lines by chance


def without_repetition(message: str, lines: Iterable[str]) -> list[str]:
    """Return each line once, without the lines that repeat the cause that the message names."""
    cause = message.partition(": ")[2].rstrip(". ")
    if len(cause) < MIN_CAUSE:
        cause = message
    return [line for line in dict.fromkeys(lines) if cause not in line]


def failure_answer(context: ToolContext, failure: Failure, *, what: str) -> Answer:
    """Return the answer for a failure of a source or a preview, without values and with its texts marked as data."""
    message = hide_values(context, failure["message"])
    lines = [hide_values(context, line) for line in failure["evidence"]]
    error = {
        "class": failure["failure_class"],
        "message": marking.mark(message),
        "evidence": marking.mark("\n".join(without_repetition(message, lines))),
    }
    return Answer({"error": error}, f"{what} failed: {message}", ok=False)
