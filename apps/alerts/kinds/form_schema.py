"""The settings of a kind of channel as a JSON Schema, from which pages build a form."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.connectors.schemas import Pattern


def form_schema(
    form: type[serializers.Serializer[Any]], secrets: frozenset[Pattern]
) -> dict[str, Any]:
    """Return the JSON Schema of the form. Secret settings are `writeOnly`, as in the catalogue of connectors."""
    fields = form().fields
    return {
        "type": "object",
        "properties": {
            name: {**_describe(field), **({"writeOnly": True} if (name,) in secrets else {})}
            for name, field in fields.items()
        },
        "required": [name for name, field in fields.items() if field.required],
    }


def _describe(field: serializers.Field[Any, Any, Any, Any]) -> dict[str, Any]:
    keywords: dict[str, Any] = {
        "title": field.label,
        "description": field.help_text,
        "minLength": getattr(field, "min_length", None),
        "maxLength": getattr(field, "max_length", None),
    }
    if isinstance(field, serializers.ListField):
        items = {"type": "string", "maxLength": getattr(field.child, "max_length", None)}
        keywords = {**keywords, "maxLength": None, "maxItems": field.max_length, "items": items}
    if isinstance(field, serializers.ChoiceField):
        default = None if field.required else field.default
        keywords = {**keywords, "enum": list(field.choices), "default": default}
    kept = {name: value for name, value in keywords.items() if value is not None}
    return {"type": "array" if isinstance(field, serializers.ListField) else "string", **kept}
