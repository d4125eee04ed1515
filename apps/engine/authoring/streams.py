"""Read the streams that a source class declares."""

from __future__ import annotations

import ast
from typing import Any

from apps.engine.authoring.classes import UNKNOWN, SourceClass, arguments, literal
from apps.engine.authoring.report import Report

STREAM = ("name", "path", "records")  # the first positional parameters of drover.Stream
MOST = 200
NAME = 200  # characters
FULL: list[str] = ["full_refresh"]
BOTH: list[str] = ["full_refresh", "incremental"]


def declared(source: SourceClass, report: Report) -> list[dict[str, Any]]:
    """Return the streams that can be read statically; warn if others are only known at run time."""
    listed = source.value("streams")
    method = source.method("streams")
    if listed is None and method is None:
        report.error(source.node, "A source must declare its streams.")
        return []
    if listed is None and method is not None:
        listed = _returned(method)
    if not isinstance(listed, ast.List | ast.Tuple):
        report.warn(listed or method, "The streams can only be known by running the code.")
        return []
    after = source.method("get_records_after") is not None
    found = [_stream(node, report, after=after) for node in listed.elts[:MOST]]
    streams = [one for one in found if one is not None]
    _require_different(streams, listed, report)
    _require_parents(streams, listed, report)
    if not listed.elts:
        report.error(listed, "A source must have at least one stream.")
    return [{name: one[name] for name in one if name != "parent"} for one in streams]


def _returned(method: ast.FunctionDef) -> ast.expr | None:
    returns = [node for node in ast.walk(method) if isinstance(node, ast.Return)]
    return returns[0].value if len(returns) == 1 else None


def _stream(node: ast.expr, report: Report, *, after: bool) -> dict[str, Any] | None:
    """With `after`, the code supports incremental syncs of every stream."""
    if isinstance(node, ast.Call):
        given = arguments(node, STREAM)
        name = literal(given.get("name"))
        cursor, since = literal(given.get("cursor_field")), literal(given.get("since"))
        follows = bool(cursor and since and UNKNOWN not in (cursor, since))
        made = {
            "sync_modes": BOTH if follows or after else FULL,
            "primary_key": _names(literal(given.get("primary_key"))),
            "cursor_field": cursor if isinstance(cursor, str) else None,
            "parent": literal(given.get("parent")),
        }
    else:
        name = literal(node)
        modes = BOTH if after else FULL
        made = {"sync_modes": modes, "primary_key": [], "cursor_field": None, "parent": UNKNOWN}
    if name is UNKNOWN:
        report.warn(node, "The name of this stream can only be known by running the code.")
        return None
    if not isinstance(name, str) or not name.strip() or len(name) > NAME:
        report.error(node, f"A stream's name must be a string of at most {NAME} characters.")
        return None
    return {"name": name, **made}


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return (
        [name for name in value if isinstance(name, str)] if isinstance(value, list | tuple) else []
    )


def _require_different(streams: list[dict[str, Any]], node: ast.expr, report: Report) -> None:
    names = [one["name"] for one in streams]
    for name in sorted({name for name in names if names.count(name) > 1}):
        report.error(node, f"There are two streams {name!r}.")


def _require_parents(streams: list[dict[str, Any]], node: ast.expr, report: Report) -> None:
    names = {one["name"] for one in streams}
    for one in streams:
        parent = one["parent"]
        if isinstance(parent, str) and parent and parent not in names:
            report.error(
                node, f"The parent of {one['name']!r} is {parent!r}, which is not a stream."
            )
