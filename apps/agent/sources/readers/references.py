"""Read the nested parts of a document that nobody has checked: wrong types, and references that lead in a circle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apps.agent.sources.descriptions import Schema
from apps.agent.sources.parsing import UnreadableDocument

MAX_HOPS = 20  # references that lead to references
MAX_STEPS = 200_000
MAX_DEPTH = 5  # levels of a schema; deeper levels do not matter for a plan
KEPT = ("type", "format", "default", "minimum", "maximum", "enum", "example", "description")
MAX_KEPT_VALUES = 50  # of a list, such as the choices of a parameter


class Document:
    """The contents of a document. References to other documents are not followed."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content
        self._steps = 0
        self.has_foreign_references = False

    def mapping(self, value: Any) -> dict[str, Any]:
        """Return the mapping that the value is or refers to, or an empty one."""
        for _ in range(MAX_HOPS):
            self.count_steps()
            if not isinstance(value, dict):
                return {}
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return value
            value = self._target(reference)
        return {}

    def mappings(self, value: Any) -> Iterator[dict[str, Any]]:
        """Yield the mappings of a list."""
        for item in value if isinstance(value, list) else []:
            found = self.mapping(item)
            if found:
                yield found

    def schema(self, value: Any, levels_left: int = MAX_DEPTH) -> Schema:
        """Return a schema without references: its type, properties and items, as deep as a plan needs."""
        node = self.mapping(value)
        if not levels_left or not node:
            return {}
        schema: Schema = {name: short_value(node[name]) for name in KEPT if name in node}
        schema["type"] = _type_name(node)
        properties = {
            name: self.schema(part, levels_left - 1)
            for name, part in self.mapping(node.get("properties")).items()
        }
        for part in self._combined(node):
            merged = self.schema(part, levels_left - 1)
            properties = {**merged.get("properties", {}), **properties}
            schema = {**merged, **{k: v for k, v in schema.items() if v}}
        if properties:
            schema |= {"type": "object", "properties": properties}
        if "items" in node:
            schema |= {"type": "array", "items": self.schema(node["items"], levels_left - 1)}
        return schema

    def _combined(self, node: dict[str, Any]) -> list[Any]:
        """Return all parts of allOf, and the first alternative of oneOf or anyOf that is not null."""
        parts = list(self.mappings(node.get("allOf")))
        for name in ("oneOf", "anyOf"):
            alternatives = [a for a in self.mappings(node.get(name)) if a.get("type") != "null"]
            parts += alternatives[:1]
        return parts

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            self.has_foreign_references = True
            return None
        value: Any = self._content
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def count_steps(self, number: int = 1) -> None:
        """Count the work for the document. Raises UnreadableDocument if it is too much."""
        self._steps += number
        if self._steps > MAX_STEPS:
            raise UnreadableDocument("It has too many parts that refer to each other.")


def text(value: Any, max_length: int = 300) -> str:
    """Return a value as one line of text, or an empty text."""
    return " ".join(value.split())[:max_length] if isinstance(value, str) else ""


def short_value(value: Any) -> Any:
    """Return a value of a schema, such as its default, without what is too long for a plan.

    Many parts of a document can refer to one value, so a large value would be read many times.
    """
    if isinstance(value, list):
        return [short_value(item) for item in value[:MAX_KEPT_VALUES] if not isinstance(item, list)]
    if isinstance(value, dict):
        return None
    return value[:500] if isinstance(value, str) else value


def _type_name(node: dict[str, Any]) -> str:
    """Return the type. OpenAPI 3.1 allows a list of types."""
    declared = node.get("type")
    names = declared if isinstance(declared, list) else [declared]
    return next((n for n in names if isinstance(n, str) and n != "null"), "")
