"""Folders, modules and functions stay small."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from statistics import median, quantiles

from tests.guards.source import ROOT, python_files, syntax_tree

ALL_FOLDERS = ("apps", "bench", "config", "evaluations", "local", "tests")
MAX_FILES = 20  # Python files in a folder, without migrations
MAX_LINES = 450  # lines of a module
# Lines of a function.
MAX_LENGTH = 60
MAX_90TH_PERCENTILE = 18
MAX_MEDIAN = 7


def test_no_folder_contains_too_many_files() -> None:
    counts = Counter(path.parent.relative_to(ROOT) for path in python_files(*ALL_FOLDERS))

    assert {folder: n for folder, n in counts.items() if n > MAX_FILES} == {}


def test_no_module_is_too_long() -> None:
    long_modules = {
        path: n
        for path in python_files("apps", "config", "local")
        if (n := _count_lines(path)) > MAX_LINES
    }

    assert long_modules == {}


def _count_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_functions_are_short() -> None:
    lengths = sorted(
        n for path in python_files("apps", "config", "local") for n in _function_lengths(path)
    )

    assert lengths[-1] <= MAX_LENGTH
    assert quantiles(lengths, n=10)[-1] <= MAX_90TH_PERCENTILE
    assert median(lengths) <= MAX_MEDIAN


def _function_lengths(path: Path) -> list[int]:
    """Return the number of lines of each function of a module, including decorators and docstring."""
    functions = [
        n
        for n in ast.walk(syntax_tree(path))
        if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [(n.end_lineno or n.lineno) - _first_line(n) + 1 for n in functions]


def _first_line(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
