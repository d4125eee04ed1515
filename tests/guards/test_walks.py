"""Each walk in docs/walks.md names existing functions, and visits at most ten files, each of them once."""

from __future__ import annotations

import ast
import re

import pytest

from tests.guards.source import ROOT

DOCUMENT = (ROOT / "docs/walks.md").read_text()
STEP = re.compile(r"`([\w/]+\.py)` `([\w.]+)`")
WALKS = {part.splitlines()[0]: part for part in DOCUMENT.split("\n## ")[1:]}


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_names_existing_functions_in_at_most_ten_files(name: str) -> None:
    steps = STEP.findall(WALKS[name])
    assert len(steps) >= 5
    visited = [file for file, _ in steps]
    assert len(visited) <= 10
    assert sorted(set(visited)) == sorted(visited), "a file is visited twice"
    for file, function in steps:
        assert function in _defined_names(file), f"{file} has no {function}"


def _defined_names(file: str) -> set[str]:
    """Return the names of the functions and classes of a module, and `Class.method` for methods."""
    found: set[str] = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [
                member
                for member in node.body
                if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            found.update(f"{node.name}.{method.name}" for method in methods)
    return found
