"""The classes of a module as text: which of them is the source, and what its body says."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CONTRACTS = {
    "drover.RestSource": "rest",
    "drover.Source": "source",
    "bizon.source.source.AbstractSource": "bizon",
}
UNKNOWN = object()


@dataclass(frozen=True)
class SourceClass:
    """The class a run makes an object of, with the base classes it has in the same module."""

    node: ast.ClassDef
    contract: str
    bodies: tuple[ast.ClassDef, ...]  # itself first, then its bases

    def method(self, name: str) -> ast.FunctionDef | None:
        for body in self.bodies:
            for node in body.body:
                if isinstance(node, ast.FunctionDef) and node.name == name:
                    return node
        return None

    def value(self, name: str) -> ast.expr | None:
        """What is assigned to a class attribute."""
        for body in self.bodies:
            for node in body.body:
                if isinstance(node, ast.Assign):
                    targets: list[ast.expr] = node.targets
                elif isinstance(node, ast.AnnAssign) and node.value is not None:
                    targets = [node.target]
                else:
                    continue
                if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                    return node.value
        return None

    def inner(self, name: str) -> ast.ClassDef | None:
        for body in self.bodies:
            for node in body.body:
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return node
        return None

    def has(self, name: str) -> bool:
        return self.method(name) is not None or self.value(name) is not None


class Classes:
    """The top-level classes, and what imported names stand for."""

    def __init__(self, tree: ast.Module, imported: Mapping[str, str]) -> None:
        self._imported = imported
        self._by_name = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def named(self, name: str) -> ast.ClassDef | None:
        return self._by_name.get(name)

    def origin(self, node: ast.expr) -> str:
        """The dotted name an expression stands for, empty when it is none."""
        if isinstance(node, ast.Name):
            return self._imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{self.origin(node.value)}.{node.attr}"
        return ""

    def sources(self) -> Iterator[SourceClass]:
        """Source classes that no other one is derived from."""
        bases = {self.origin(base) for node in self._by_name.values() for base in node.bases}
        for node in self._by_name.values():
            contract = self._contract(node, set())
            if contract and node.name not in bases:
                yield SourceClass(node, contract, tuple(self._line(node, set())))

    def line(self, node: ast.ClassDef) -> list[ast.ClassDef]:
        """The class and its bases in this module."""
        return list(self._line(node, set()))

    def _contract(self, node: ast.ClassDef, seen: set[str]) -> str:
        if node.name in seen:
            return ""
        for base in node.bases:
            origin = self.origin(base)
            above = self._by_name.get(origin)
            found = CONTRACTS.get(origin) or (
                self._contract(above, seen | {node.name}) if above else ""
            )
            if found:
                return found
        return ""

    def _line(self, node: ast.ClassDef, seen: set[str]) -> Iterator[ast.ClassDef]:
        if node.name in seen:
            return
        yield node
        for base in node.bases:
            above = self._by_name.get(self.origin(base))
            if above is not None:
                yield from self._line(above, seen | {node.name})


def literal(node: ast.AST | None) -> Any:
    """The value of a literal, UNKNOWN for anything that would have to run."""
    if node is None:
        return UNKNOWN
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def arguments(call: ast.Call, names: tuple[str, ...]) -> dict[str, ast.expr]:
    """The arguments of a call by name; `names` are those of its positions."""
    given = dict(zip(names, call.args, strict=False))
    return given | {word.arg: word.value for word in call.keywords if word.arg}
