"""The walks of docs/walks.md name existing functions, and each visits at most ten files, none twice."""

from __future__ import annotations

import ast
import re

import pytest

from tests.guards.source import ROOT

TEXT = (ROOT / "docs/walks.md").read_text()
STEP = re.compile(r"`([\w/]+\.py)` `([\w.]+)`")
WALKS = {part.splitlines()[0]: part for part in TEXT.split("\n## ")[1:]}


@pytest.mark.parametrize("name", WALKS)
def test_every_function_of_a_walk_exists(name: str) -> None:
    steps = STEP.findall(WALKS[name])
    assert len(steps) >= 5
    visited = [file for file, _ in steps]
    assert len(visited) <= 10
    assert sorted(set(visited)) == sorted(visited), "a file is visited twice"
    for file, function in steps:
        assert function in _names(file), f"{file} has no {function}"


def _names(file: str) -> set[str]:
    """Return the functions and classes of a module, methods as `Class.method`."""
    found: set[str] = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [
                one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            found.update(f"{node.name}.{method.name}" for method in methods)
    return found
