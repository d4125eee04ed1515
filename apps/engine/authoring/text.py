"""Checks that apply to all code: is it valid Python, and does it call what never works in a sandbox."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager

from apps.engine.authoring.report import Report

MAX_CODE = 512 * 1024  # characters


def is_source_file(name: str) -> bool:
    """Whether a file of a folder or an archive is a source file; `drover._git` applies the same rule to
    repositories.
    """
    return name.endswith(".py") and not name.startswith(("_", ".", "test_"))


def parsed(code: str, report: Report) -> ast.Module | None:
    """Return the syntax tree, or None after reporting an error."""
    if len(code) > MAX_CODE:
        report.error(None, f"The code is longer than {MAX_CODE:,} characters.")
        return None
    try:
        return ast.parse(code)
    except SyntaxError as error:
        place = ast.Pass(lineno=error.lineno or 1, col_offset=max((error.offset or 1) - 1, 0))
        report.error(place, f"Syntax error: {error.msg}.")
    except ValueError as error:
        report.error(None, f"The code cannot be read: {error}.")
    return None


@contextmanager
def bounded(report: Report) -> Iterator[None]:
    """Report an error when the parser runs out of stack or memory."""
    try:
        yield
    except RecursionError:
        report.error(None, "The code cannot be read: it is nested too deeply.")
    except MemoryError:
        report.error(None, "The code cannot be read: reading it takes too much memory.")


_CANNOT = {
    "eval": "eval runs text as code, which cannot be validated",
    "exec": "exec runs text as code, which cannot be validated",
    "breakpoint": "there is no console in a sandbox",
    "input": "there is no console in a sandbox",
}


def warn_of_unsupported_calls(tree: ast.Module, report: Report) -> None:
    """Warn about calls that do not work in a sandbox."""
    for node in _calls(tree):
        if isinstance(node.func, ast.Name) and node.func.id in _CANNOT:
            report.warn(node, f"{_CANNOT[node.func.id].capitalize()}.")


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))
