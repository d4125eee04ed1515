"""What every text of code goes through: is it Python at all, and what can never work in a sandbox."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager

from apps.engine.authoring.report import Report

MOST_CODE = 512 * 1024  # characters


def is_source_file(name: str) -> bool:
    """Whether a file of a folder or an archive is to be a source; `drover._git` asks the same of a repository's."""
    return name.endswith(".py") and not name.startswith(("_", ".", "test_"))


def parsed(code: str, report: Report) -> ast.Module | None:
    """The tree, or None and an error."""
    if len(code) > MOST_CODE:
        report.error(None, f"The code is longer than {MOST_CODE:,} characters.")
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
    """Turns what the interpreter has no room for into a message of the report."""
    try:
        yield
    except RecursionError:
        report.error(None, "The code cannot be read: it is nested too deeply.")
    except MemoryError:
        report.error(None, "The code cannot be read: reading it takes too much memory.")


_CANNOT = {
    "eval": "eval runs text as code; nothing of it can be read here",
    "exec": "exec runs text as code; nothing of it can be read here",
    "breakpoint": "there is no console in a sandbox",
    "input": "there is no console in a sandbox",
}


def warn_of_what_cannot_work(tree: ast.Module, report: Report) -> None:
    """Warn of calls that a sandbox has no use for."""
    for node in _calls(tree):
        if isinstance(node.func, ast.Name) and node.func.id in _CANNOT:
            report.warn(node, f"{_CANNOT[node.func.id].capitalize()}.")


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))
