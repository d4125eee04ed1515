"""Parse documents that nobody has checked: JSON, or YAML without anchors and tags.

Every limit here exists because a document may be hostile: nested too deeply, repeating itself through YAML aliases,
or with tags that let YAML build other types.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from apps.agent.models import DocumentKind
from apps.orgs.exceptions import Invalid

MAX_BYTES = 2_000_000
TOO_LARGE = f"It is larger than {MAX_BYTES // 1_000_000} MB: send a part of it."
MAX_YAML_DEPTH = 60
MAX_YAML_EVENTS = 400_000

_IMPLICIT_TYPES = (
    ("bool", re.compile(r"^(?:true|false|True|False)$"), "tfTF"),
    ("null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""]),
    ("int", re.compile(r"^-?[0-9]{1,18}$"), "-0123456789"),
    ("float", re.compile(r"^-?[0-9]{1,18}\.[0-9]{1,18}$"), "-0123456789"),
)


class UnreadableDocument(Invalid):
    """The document cannot be used: the message says why."""

    def __init__(self, message: str) -> None:
        super().__init__([("document", message, "unreadable")])


def guess_kind(text: str) -> DocumentKind:
    """Return the kind by the first lines, without reading the document. Raises UnreadableDocument if it is too large."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise UnreadableDocument(TOO_LARGE)
    start = text[:20_000]
    if re.search(r"[\"']?\bopenapi[\"']?\s*:\s*[\"']?3\.", start):
        return DocumentKind.OPENAPI
    if re.search(r"[\"']?\bswagger[\"']?\s*:\s*[\"']?2\.", start):
        return DocumentKind.SWAGGER
    is_collection = "schema.getpostman.com" in start or '"_postman_id"' in start
    return DocumentKind.POSTMAN if is_collection else DocumentKind.TEXT


def parse(text: str) -> tuple[DocumentKind, dict[str, Any]]:
    """Return the kind of a document and its contents. A text that describes no API has no contents.

    Raises UnreadableDocument for a document that claims to describe an API and cannot be read.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise UnreadableDocument(TOO_LARGE)
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped.startswith("{"):
        return _with_kind(_parse_json(stripped))
    if re.search(r"^[\"']?(openapi|swagger)[\"']?\s*:", stripped, re.MULTILINE):
        return _with_kind(_parse_yaml(stripped))
    return DocumentKind.TEXT, {}


def _with_kind(content: Any) -> tuple[DocumentKind, dict[str, Any]]:
    if not isinstance(content, dict):
        return DocumentKind.TEXT, {}
    if str(content.get("openapi", "")).startswith("3."):
        return DocumentKind.OPENAPI, content
    if str(content.get("swagger", "")).startswith("2."):
        return DocumentKind.SWAGGER, content
    info = content.get("info")
    if isinstance(info, dict) and "item" in content:
        return DocumentKind.POSTMAN, content
    return DocumentKind.TEXT, {}


def _parse_json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError, UnicodeEncodeError) as error:
        raise UnreadableDocument(f"It is not valid JSON: {str(error)[:200]}.") from None


def _parse_yaml(text: str) -> Any:
    import yaml

    try:
        _require_harmless(yaml, text)
        return _with_text_keys(yaml.load(text, Loader=_json_loader(yaml)))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        message = " ".join(str(error).split())[:200]
        raise UnreadableDocument(f"It is not valid YAML: {message}.") from None


def _require_harmless(yaml: Any, text: str) -> None:
    """Read the events of the YAML document, which needs no recursion, before anything is built from them."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise UnreadableDocument("It uses YAML aliases (*name): convert it to JSON first.")
        if getattr(event, "tag", None) not in (None, "!"):
            raise UnreadableDocument("It uses YAML tags (!name): convert it to JSON first.")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_YAML_DEPTH or number > MAX_YAML_EVENTS:
            raise UnreadableDocument("It is nested too deeply or has too many parts.")


def _json_loader(yaml: Any) -> Any:
    """Return a YAML loader that knows only the types of JSON. Dates stay text."""
    loader: Any = type("JsonLoader", (yaml.CSafeLoader,), {"yaml_implicit_resolvers": {}})
    for name, pattern, first_characters in _IMPLICIT_TYPES:
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", pattern, list(first_characters))
    return loader


def _with_text_keys(value: Any) -> Any:
    """Return the value with text as keys, because YAML reads the key 200 as a number."""
    if isinstance(value, dict):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    return value
