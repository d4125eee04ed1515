"""Read the source code as syntax trees, to find which function contains which code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class FoundNode:
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


def find_nodes(*folders: str, words: tuple[str, ...]) -> Iterator[FoundNode]:
    """Yield every node of each file below these folders that contains one of the words. Skip migrations."""
    for path in python_files(*folders):
        text = path.read_text()
        if any(word in text for word in words):
            yield from _walk_tree(ast.parse(text), str(path.relative_to(ROOT)), (), ())


def _walk_tree(
    node: ast.AST, path: str, outer_names: tuple[str, ...], parents: tuple[ast.AST, ...]
) -> Iterator[FoundNode]:
    functions = [p for p in parents if isinstance(p, ast.FunctionDef | ast.AsyncFunctionDef)]
    in_async = bool(functions) and isinstance(functions[-1], ast.AsyncFunctionDef)
    yield FoundNode(f"{path}:{'.'.join(outer_names) or '<module>'}", node, parents, in_async)
    has_name = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    inner_names = (*outer_names, node.name) if has_name else outer_names  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        yield from _walk_tree(child, path, inner_names, (*parents, node))


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
