"""Checks for all code: whether it is valid Python, and whether it calls functions that are not supported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager

from apps.engine.authoring.report import Report

MAX_CODE_LENGTH = 512 * 1024  # characters


def is_source_file(name: str) -> bool:
    """Whether a file of a folder or an archive is a source file. `drover._git` has the same rule for repositories."""
    return name.endswith(".py") and not name.startswith(("_", ".", "test_"))


def parse_code(code: str, report: Report) -> ast.Module | None:
    """Return the syntax tree. If the code is not valid, report an error and return None."""
    if len(code) > MAX_CODE_LENGTH:
        report.error(None, f"The code is longer than {MAX_CODE_LENGTH:,} characters.")
        return None
    try:
        return ast.parse(code)
    except SyntaxError as error:
        error_node = ast.Pass(lineno=error.lineno or 1, col_offset=max((error.offset or 1) - 1, 0))
        report.error(error_node, f"Syntax error: {error.msg}.")
    except ValueError as error:
        report.error(None, f"The code cannot be read: {error}.")
    return None


@contextmanager
def reporting_exhaustion(report: Report) -> Iterator[None]:
    """Report an error if the code in the block runs out of stack or memory."""
    try:
        yield
    except RecursionError:
        report.error(None, "The code cannot be read: it is nested too deeply.")
    except MemoryError:
        report.error(None, "The code cannot be read: reading it takes too much memory.")


_UNSUPPORTED_CALLS = {
    "eval": "eval runs text as code, which cannot be validated",
    "exec": "exec runs text as code, which cannot be validated",
    "breakpoint": "there is no console in a sandbox",
    "input": "there is no console in a sandbox",
}


def warn_of_unsupported_calls(tree: ast.Module, report: Report) -> None:
    """Warn about calls that do not work in a sandbox or cannot be validated."""
    for node in _find_calls(tree):
        if isinstance(node.func, ast.Name) and node.func.id in _UNSUPPORTED_CALLS:
            report.warn(node, f"{_UNSUPPORTED_CALLS[node.func.id].capitalize()}.")


def _find_calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))
