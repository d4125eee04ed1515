"""Render the OpenAPI document as an HTML page that needs no scripts and no external hosts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.web import openapi

METHODS = ("get", "post", "put", "patch", "delete")


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return render(request, "api_docs.html", _page_context())


@lru_cache(maxsize=1)
def _page_context() -> dict[str, Any]:
    document = openapi.document()
    by_tag: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                operation = methods[method]
                by_tag[operation["tags"][0]].append(_operation_context(path, method, operation))
    schemas = document["components"]["schemas"]
    return {
        "info": document["info"],
        "tags": sorted(by_tag.items()),
        "schemas": [
            {"name": name, "fields": list(_fields(schema)), "kind": describe_type(schema)}
            for name, schema in sorted(schemas.items())
        ],
    }


def _operation_context(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"].rstrip("."),
        "public": operation.get("security", [{}]) in ([], [{}]),
        "parameters": [
            {**parameter, "kind": describe_type(parameter["schema"])}
            for parameter in operation.get("parameters", [])
        ],
        "body": _linked_component(body.get("schema")),
        "body_example": _example(body),
        "answers": [
            _response_context(status, answer) for status, answer in operation["responses"].items()
        ],
    }


def _response_context(status: str, answer: dict[str, Any]) -> dict[str, Any]:
    contents: dict[str, Any] = answer.get("content", {})
    media_type = next(iter(contents), "")
    content = contents.get(media_type, {})
    return {
        "status": status,
        "good": status < "4",
        "description": answer["description"],
        "media_type": media_type,
        "schema": _linked_component(content.get("schema")),
        "example": _example(content),
    }


def _example(content: dict[str, Any]) -> str:
    for example in content.get("examples", {}).values():
        value = example["value"]
        if isinstance(value, str):
            return value
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return ""


def _fields(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    required = set(schema.get("required", []))
    for name, field in schema.get("properties", {}).items():
        yield {
            "name": name,
            "kind": describe_type(field),
            "link": _linked_component(field),
            "required": name in required,
            "description": field.get("description", ""),
        }


def describe_type(schema: dict[str, Any]) -> str:
    """Describe a schema in a few words, like `array of string (uuid) or null`."""
    if name := _component_name(schema):
        return name
    for keyword in ("allOf", "oneOf", "anyOf"):
        if keyword in schema:
            return " or ".join(describe_type(part) for part in schema[keyword])
    types = schema.get("type", "any")
    if isinstance(types, list):
        return " or ".join(describe_type({**schema, "type": name}) for name in types)
    if types == "array":
        return f"array of {describe_type(schema.get('items', {}))}"
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"] if value is not None)
    return f"{types}{_limits(schema)}"


def _limits(schema: dict[str, Any]) -> str:
    limits = [schema["format"]] if "format" in schema else []
    labels = {"minimum": "≥", "maximum": "≤", "minLength": "at least", "maxLength": "at most"}
    limits += [f"{label} {schema[limit]}" for limit, label in labels.items() if limit in schema]
    return f" ({', '.join(limits)})" if limits else ""


def _component_name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _linked_component(schema: dict[str, Any] | None) -> str:
    """Return the component that this schema refers to or extends."""
    if not schema:
        return ""
    parts = [schema, schema.get("items", {}), *schema.get("allOf", []), *schema.get("oneOf", [])]
    return next((name for part in parts if (name := _component_name(part))), "")
