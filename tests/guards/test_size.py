"""Folders, modules and functions stay small."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from statistics import median, quantiles

from tests.guards.source import ROOT, files

EVERYWHERE = ("apps", "bench", "config", "local", "tests")
MAX_FILES = 20  # Python files per folder; migrations are numbered and not browsed
MAX_LINES = 450  # lines of a module
LONGEST, NINE_OF_TEN, TYPICAL = (
    60,
    18,
    7,
)  # lines of a function: the longest, 90th percentile, median


def test_no_folder_holds_more_files_than_one_can_take_in() -> None:
    counted = Counter(path.parent.relative_to(ROOT) for path in files(*EVERYWHERE))

    assert {folder: n for folder, n in counted.items() if n > MAX_FILES} == {}


def test_no_module_is_too_long() -> None:
    long = {path: n for path in files("apps", "config", "local") if (n := _lines(path)) > MAX_LINES}

    assert long == {}


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_functions_are_short() -> None:
    lengths = sorted(n for path in files("apps", "config", "local") for n in _functions(path))

    assert lengths[-1] <= LONGEST
    assert quantiles(lengths, n=10)[-1] <= NINE_OF_TEN
    assert median(lengths) <= TYPICAL


def _functions(path: Path) -> list[int]:
    """Return the lines of each function of a module, with decorators and docstring."""
    tree = ast.parse(path.read_text())
    found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [(n.end_lineno or n.lineno) - _first_line(n) + 1 for n in found]


def _first_line(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([function.lineno, *(one.lineno for one in function.decorator_list)])
