"""Analyse the classes of a module: find the source class, and read its attributes and methods."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# The kind of class that a source implements, by the base class.
CONTRACTS = {
    "drover.RestSource": "rest",
    "drover.Source": "source",
    "bizon.source.source.AbstractSource": "bizon",
}
UNKNOWN = object()  # stands for a value that only running the code would show


@dataclass(frozen=True)
class SourceClass:
    """The class of which a run creates an instance, with its base classes in the same module."""

    node: ast.ClassDef
    contract: str
    class_nodes: tuple[ast.ClassDef, ...]  # first the class itself, then its base classes

    def method(self, name: str) -> ast.FunctionDef | None:
        for class_node in self.class_nodes:
            for node in class_node.body:
                if isinstance(node, ast.FunctionDef) and node.name == name:
                    return node
        return None

    def attribute(self, name: str) -> ast.expr | None:
        """Return the expression assigned to a class attribute, or None."""
        for class_node in self.class_nodes:
            for node in class_node.body:
                if isinstance(node, ast.Assign):
                    targets: list[ast.expr] = node.targets
                elif isinstance(node, ast.AnnAssign) and node.value is not None:
                    targets = [node.target]
                else:
                    continue
                if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                    return node.value
        return None

    def inner_class(self, name: str) -> ast.ClassDef | None:
        for class_node in self.class_nodes:
            for node in class_node.body:
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return node
        return None

    def defines(self, name: str) -> bool:
        return self.method(name) is not None or self.attribute(name) is not None


class Classes:
    """The top-level classes of a module, and the dotted origins of its imported names."""

    def __init__(self, tree: ast.Module, imported_names: Mapping[str, str]) -> None:
        self._imported_names = imported_names
        self._by_name = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def find(self, name: str) -> ast.ClassDef | None:
        return self._by_name.get(name)

    def origin(self, node: ast.expr) -> str:
        """Return the dotted name that an expression refers to, or an empty string if it is not a name."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        first = self._imported_names.get(node.id, node.id) if isinstance(node, ast.Name) else ""
        return ".".join([first, *reversed(names)])

    def source_classes(self) -> Iterator[SourceClass]:
        """Yield the source classes from which no other class inherits."""
        bases = {self.origin(base) for node in self._by_name.values() for base in node.bases}
        for name, contract in self._contracts().items():
            if name not in bases:
                node = self._by_name[name]
                yield SourceClass(node, contract, tuple(self.with_bases(node)))

    def with_bases(self, node: ast.ClassDef) -> list[ast.ClassDef]:
        """Return the class and its base classes in this module, without duplicates, in depth-first order."""
        classes_by_name: dict[str, ast.ClassDef] = {}
        pending = [node]
        while pending:
            class_node = pending.pop()
            if class_node.name not in classes_by_name:
                classes_by_name[class_node.name] = class_node
                pending.extend(reversed(self._bases_of(class_node)))
        return list(classes_by_name.values())

    def _bases_of(self, node: ast.ClassDef) -> list[ast.ClassDef]:
        bases = (self._by_name.get(self.origin(base)) for base in node.bases)
        return [base for base in bases if base is not None]

    def _contracts(self) -> dict[str, str]:
        """Return the contract of each class that implements one, in the order of the module.

        Each class passes its contract to its subclasses. So the time is linear in the size of the code, however deep
        the inheritance is.
        """
        subclasses: dict[str, list[str]] = {}
        contracts: dict[str, str] = {}
        for node in self._by_name.values():
            origins = [self.origin(base) for base in node.bases]
            own_contract = next(
                (CONTRACTS[origin] for origin in origins if origin in CONTRACTS), None
            )
            if own_contract is not None:
                contracts[node.name] = own_contract
            for origin in origins:
                subclasses.setdefault(origin, []).append(node.name)
        pending = list(contracts)
        while pending:
            name = pending.pop()
            for subclass in subclasses.get(name, ()):
                if subclass not in contracts:
                    contracts[subclass] = contracts[name]
                    pending.append(subclass)
        return {name: contracts[name] for name in self._by_name if name in contracts}


def literal_value(node: ast.AST | None) -> Any:
    """Return the value of a literal, or UNKNOWN for an expression whose value only running the code would show."""
    if node is None:
        return UNKNOWN
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def arguments(call: ast.Call, names: tuple[str, ...]) -> dict[str, ast.expr]:
    """Return the arguments of a call by name. `names` are the names of the positional parameters."""
    values = dict(zip(names, call.args, strict=False))
    return values | {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
