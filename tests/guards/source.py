"""Read the source code as syntax trees, to find which function contains which code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class FoundNode(NamedTuple):
    """A node of a syntax tree, with the function that contains it."""

    place: str  # `path:Class.function`
    node: ast.AST
    parents: tuple[ast.AST, ...]
    in_async_function: bool


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """Return the Python files below these folders, without migrations."""
    paths = [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(path for path in paths if "migrations" not in path.parts)


@cache
def syntax_tree(path: Path) -> ast.Module:
    """Parse a file once for all guards of this process, which takes longer than to walk its tree."""
    return ast.parse(path.read_text())


def find_nodes(*folders: str, words: tuple[str, ...]) -> Iterator[FoundNode]:
    """Yield every node of each file below these folders that contains one of the words. Skip migrations."""
    for path in python_files(*folders):
        text = path.read_text()
        if any(word in text for word in words):
            yield from _walk_tree(syntax_tree(path), str(path.relative_to(ROOT)))


def _walk_tree(tree: ast.Module, path: str) -> Iterator[FoundNode]:
    """Yield the nodes from top to bottom."""
    found = [FoundNode(f"{path}:<module>", tree, (), False)]
    while found:
        parent = found.pop()
        yield parent
        place, node, parents, in_async = parent
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            outer = place.removesuffix("<module>")
            place = f"{outer}{'' if outer.endswith(':') else '.'}{node.name}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            in_async = isinstance(node, ast.AsyncFunctionDef)
        parents = (*parents, node)
        children = [
            FoundNode(place, child, parents, in_async) for child in ast.iter_child_nodes(node)
        ]
        found.extend(reversed(children))


def called_name(node: ast.AST) -> str:
    """Return the last part of the name of the called function: `cursor` for `connection.cursor()`."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def assert_listed(found: set[str], allowed: dict[str, str], *, subject: str) -> None:
    """Fail if a found place is not listed with a reason, or if a listed place was not found."""
    unlisted = sorted(found - set(allowed))
    assert not unlisted, (
        f"{subject}: list these places with a reason in this guard, or change their code: {unlisted}"
    )
    stale = sorted(set(allowed) - found)
    assert not stale, f"{subject}: these listed places no longer exist, remove them: {stale}"
    assert all(len(reason) > 10 for reason in allowed.values())
