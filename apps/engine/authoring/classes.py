"""Analyse a module's classes: find the source class, and read the attributes and methods of its body."""

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
    """The class that a run instantiates, with those base classes that are in the same module."""

    node: ast.ClassDef
    contract: str
    bodies: tuple[ast.ClassDef, ...]  # the class itself first, then its bases

    def method(self, name: str) -> ast.FunctionDef | None:
        for body in self.bodies:
            for node in body.body:
                if isinstance(node, ast.FunctionDef) and node.name == name:
                    return node
        return None

    def value(self, name: str) -> ast.expr | None:
        """Return the expression assigned to a class attribute, or None."""
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
    """The module's top-level classes, and the dotted names behind imported names."""

    def __init__(self, tree: ast.Module, imported: Mapping[str, str]) -> None:
        self._imported = imported
        self._by_name = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def named(self, name: str) -> ast.ClassDef | None:
        return self._by_name.get(name)

    def origin(self, node: ast.expr) -> str:
        """Return the dotted name that an expression refers to, or an empty string if it is not a name."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        first = self._imported.get(node.id, node.id) if isinstance(node, ast.Name) else ""
        return ".".join([first, *reversed(names)])

    def sources(self) -> Iterator[SourceClass]:
        """Return the source classes that no other class inherits from."""
        bases = {self.origin(base) for node in self._by_name.values() for base in node.bases}
        for name, contract in self._contracts().items():
            if name not in bases:
                node = self._by_name[name]
                yield SourceClass(node, contract, tuple(self.line(node)))

    def line(self, node: ast.ClassDef) -> list[ast.ClassDef]:
        """Return the class and its bases in this module, each once: the class first, then its bases depth first."""
        found: dict[str, ast.ClassDef] = {}
        left = [node]
        while left:
            body = left.pop()
            if body.name not in found:
                found[body.name] = body
                left.extend(reversed(self._above(body)))
        return list(found.values())

    def _above(self, node: ast.ClassDef) -> list[ast.ClassDef]:
        named = (self._by_name.get(self.origin(base)) for base in node.bases)
        return [base for base in named if base is not None]

    def _contracts(self) -> dict[str, str]:
        """Map the names of the classes that implement a contract to it, in the order of the module.

        Each class passes its contract on to its subclasses, so the work grows linearly with the text, however
        deeply the classes inherit.
        """
        derived: dict[str, list[str]] = {}
        found: dict[str, str] = {}
        for node in self._by_name.values():
            origins = [self.origin(base) for base in node.bases]
            own = next((CONTRACTS[origin] for origin in origins if origin in CONTRACTS), None)
            if own is not None:
                found[node.name] = own
            for origin in origins:
                derived.setdefault(origin, []).append(node.name)
        left = list(found)
        while left:
            name = left.pop()
            for below in derived.get(name, ()):
                if below not in found:
                    found[below] = found[name]
                    left.append(below)
        return {name: found[name] for name in self._by_name if name in found}


def literal(node: ast.AST | None) -> Any:
    """Return the value of a literal, or UNKNOWN for an expression that would have to be run."""
    if node is None:
        return UNKNOWN
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def arguments(call: ast.Call, names: tuple[str, ...]) -> dict[str, ast.expr]:
    """Return a call's arguments by name; `names` are the names of its positional parameters."""
    given = dict(zip(names, call.args, strict=False))
    return given | {word.arg: word.value for word in call.keywords if word.arg}
