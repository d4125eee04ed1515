"""Our source code as syntax trees: which function uses what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mention:
    """A node inside a function; `place` is `path:Class.function`, `asynchronous` means `async def`."""

    place: str
    node: ast.AST
    parents: tuple[ast.AST, ...]
    asynchronous: bool


@cache
def files(*folders: str) -> tuple[Path, ...]:
    found = [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(path for path in found if "migrations" not in path.parts)


def mentions(*folders: str, of: tuple[str, ...]) -> Iterator[Mention]:
    """Yield every node of the files below these folders that contain one of the words, except migrations."""
    for path in files(*folders):
        text = path.read_text()
        if any(word in text for word in of):
            yield from _walk(ast.parse(text), str(path.relative_to(ROOT)), (), ())


def _walk(
    node: ast.AST, path: str, names: tuple[str, ...], parents: tuple[ast.AST, ...]
) -> Iterator[Mention]:
    functions = [p for p in parents if isinstance(p, ast.FunctionDef | ast.AsyncFunctionDef)]
    asynchronous = bool(functions) and isinstance(functions[-1], ast.AsyncFunctionDef)
    yield Mention(f"{path}:{'.'.join(names) or '<module>'}", node, parents, asynchronous)
    named = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    inner = (*names, node.name) if named else names  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, path, inner, (*parents, node))


def called(node: ast.AST) -> str:
    """Return the last name of the called function: `cursor` of `connection.cursor()`."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def compare(found: set[str], allowed: dict[str, str], *, what: str) -> None:
    """Fail for a place without a reason, and for a reason whose place does not exist any more."""
    unlisted = sorted(found - set(allowed))
    assert not unlisted, f"{what}: give a reason in this guard, or find another way: {unlisted}"
    stale = sorted(set(allowed) - found)
    assert not stale, f"{what}: these reasons are stale, remove them: {stale}"
    assert all(len(reason) > 10 for reason in allowed.values())
