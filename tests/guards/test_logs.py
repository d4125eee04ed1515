"""No field of a log line has the name of a field that every line has. It would be lost."""

from __future__ import annotations

import ast

from tests.guards.source import find_nodes

RESERVED = {"event", "level", "logger", "timestamp", "version"}
METHODS = {"debug", "info", "warning", "error", "exception", "critical"}


def test_no_log_line_loses_a_field() -> None:
    lost = {
        f"{found.place}: {keyword.arg}"
        for found in find_nodes("apps", "config", words=("logger.",))
        if isinstance(node := found.node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in METHODS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "logger"
        for keyword in node.keywords
        if keyword.arg in RESERVED
    }

    assert lost == set()
