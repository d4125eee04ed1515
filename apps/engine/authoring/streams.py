"""Read the streams that a source class declares."""

from __future__ import annotations

import ast
from typing import Any

from apps.engine.authoring.classes import UNKNOWN, SourceClass, arguments, literal_value
from apps.engine.authoring.report import Report

STREAM_PARAMETERS = ("name", "path", "records")  # the first positional parameters of drover.Stream
MAX_STREAMS = 200
MAX_NAME_LENGTH = 200  # characters
FULL_REFRESH: list[str] = ["full_refresh"]
FULL_AND_INCREMENTAL: list[str] = ["full_refresh", "incremental"]


def read_streams(source: SourceClass, report: Report) -> list[dict[str, Any]]:
    """Return the streams that can be read without running the code. Warns if some streams cannot be read."""
    expression = source.attribute("streams")
    method = source.method("streams")
    if expression is None and method is None:
        report.error(source.node, "A source must declare its streams.")
        return []
    if expression is None and method is not None:
        expression = _returned_expression(method)
    if not isinstance(expression, ast.List | ast.Tuple):
        report.warn(expression or method, "The streams can only be known by running the code.")
        return []
    supports_incremental = source.method("get_records_after") is not None
    parsed_streams = [
        _read_stream(node, report, supports_incremental=supports_incremental)
        for node in expression.elts[:MAX_STREAMS]
    ]
    streams = [stream for stream in parsed_streams if stream is not None]
    _require_unique_names(streams, expression, report)
    _require_parents(streams, expression, report)
    if not expression.elts:
        report.error(expression, "A source must have at least one stream.")
    return [{name: stream[name] for name in stream if name != "parent"} for stream in streams]


def _returned_expression(method: ast.FunctionDef) -> ast.expr | None:
    return_nodes = [node for node in ast.walk(method) if isinstance(node, ast.Return)]
    return return_nodes[0].value if len(return_nodes) == 1 else None


def _read_stream(
    node: ast.expr, report: Report, *, supports_incremental: bool
) -> dict[str, Any] | None:
    """Return the stream of one expression in the list.

    `supports_incremental` means that the code supports incremental syncs of every stream.
    """
    if isinstance(node, ast.Call):
        values = arguments(node, STREAM_PARAMETERS)
        name = literal_value(values.get("name"))
        cursor, since = (
            literal_value(values.get("cursor_field")),
            literal_value(values.get("since")),
        )
        has_cursor = bool(cursor and since and UNKNOWN not in (cursor, since))
        stream = {
            "sync_modes": FULL_AND_INCREMENTAL
            if has_cursor or supports_incremental
            else FULL_REFRESH,
            "primary_key": _key_names(literal_value(values.get("primary_key"))),
            "cursor_field": cursor if isinstance(cursor, str) else None,
            "parent": literal_value(values.get("parent")),
        }
    else:
        name = literal_value(node)
        modes = FULL_AND_INCREMENTAL if supports_incremental else FULL_REFRESH
        stream = {"sync_modes": modes, "primary_key": [], "cursor_field": None, "parent": UNKNOWN}
    if name is UNKNOWN:
        report.warn(node, "The name of this stream can only be known by running the code.")
        return None
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME_LENGTH:
        report.error(
            node, f"A stream's name must be a string of at most {MAX_NAME_LENGTH} characters."
        )
        return None
    return {"name": name, **stream}


def _key_names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return (
        [name for name in value if isinstance(name, str)] if isinstance(value, list | tuple) else []
    )


def _require_unique_names(streams: list[dict[str, Any]], node: ast.expr, report: Report) -> None:
    names = [stream["name"] for stream in streams]
    for name in sorted({name for name in names if names.count(name) > 1}):
        report.error(node, f"There are two streams {name!r}.")


def _require_parents(streams: list[dict[str, Any]], node: ast.expr, report: Report) -> None:
    names = {stream["name"] for stream in streams}
    for stream in streams:
        parent = stream["parent"]
        if isinstance(parent, str) and parent and parent not in names:
            report.error(
                node, f"The parent of {stream['name']!r} is {parent!r}, which is not a stream."
            )
