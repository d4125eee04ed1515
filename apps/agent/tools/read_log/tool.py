"""Read lines of a run's log."""

from __future__ import annotations

from functools import partial
from typing import Any

from apps.agent.tools.base import Answer, Effect, Level, SlowAnswer, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.links import run_link
from apps.agent.tools.read_log.arguments import ReadLog
from apps.agent.tools.record_values import hide_values_of_line
from apps.orgs.roles import Permission
from apps.runs import visibility
from apps.runs.outputs import log_pages, logs
from apps.runs.outputs.log_pages import LogResult

MAX_LINE = 500  # characters of a line
MAX_LINES_BEFORE_FILTER = 2000  # lines that are read to find the last lines of a level


def perform(context: ToolContext, arguments: ReadLog) -> SlowAnswer:
    offset, limit = arguments.offset, arguments.limit
    if offset is None:
        run = visibility.find_run(org=context.org, by=context.by, run_id=arguments.run_id)
        limit = MAX_LINES_BEFORE_FILTER
        offset = max(0, run.log_lines - limit)
    call = log_pages.read(
        org=context.org,
        by=context.by,
        run_id=arguments.run_id,
        offset=offset,
        limit=limit,
        level=arguments.level,
    )
    return SlowAnswer(call, partial(_render, context, arguments))


def _render(context: ToolContext, arguments: ReadLog, log: LogResult) -> Answer:
    lines = log.page.lines[-arguments.limit :]
    content = {
        "lines": [_line(context, line) for line in lines],
        "total": log.total,
        "next_offset": log.next_offset,
        "note": log.note,
    }
    count = len(lines)
    summary = f"Read {counted(count, 'line')} of the log."
    link = run_link(arguments.run_id)
    return Answer(content, summary, links=(link,), foreign_fields=frozenset({"lines"}))


def _line(context: ToolContext, line: dict[str, Any]) -> dict[str, object]:
    """Return the line without its fields, which may contain whole records."""
    by_code = logs.is_by_code(line["fields"])
    message = hide_values_of_line(context, str(line["message"]), by_code=by_code)
    return {
        "line": line["line"],
        "at": line["at"],
        "level": line["level"],
        "message": message[:MAX_LINE],
    }


TOOL = Tool(
    name="read_log",
    title="Read a log",
    description=(
        "Read lines of a run's log, by default the last ones. Secrets are masked, and record values are hidden unless"
        " an admin has allowed them."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ReadLog,
    perform=perform,
)
