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

YAML_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
YAML_WORDS = {
    **dict.fromkeys(("true", "True"), True),
    **dict.fromkeys(("false", "False"), False),
    **dict.fromkeys(("", "~", "null"), None),
}


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
        return _read_yaml(yaml, text)
    except (yaml.YAMLError, ValueError) as error:
        message = " ".join(str(error).split())[:200]
        raise UnreadableDocument(f"It is not valid YAML: {message}.") from None


def _read_yaml(yaml: Any, text: str) -> Any:
    """Build the value from the events of libyaml. This needs no recursion, and a third of the time of PyYAML's loader.

    The keys and values of a mapping are collected in one list. `open_lists` are the lists that have not ended yet.
    """
    open_lists: list[list[Any]] = [[]]
    for number, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        _require_harmless(yaml, event)
        if len(open_lists) > MAX_YAML_DEPTH or number > MAX_YAML_EVENTS:
            raise UnreadableDocument("It is nested too deeply or has too many parts.")
        if isinstance(event, yaml.ScalarEvent):
            is_plain = event.implicit[0]
            open_lists[-1].append(_value_of(event.value) if is_plain else event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_lists.append([])
        elif isinstance(event, yaml.CollectionEndEvent):
            values = open_lists.pop()
            is_mapping = isinstance(event, yaml.MappingEndEvent)
            open_lists[-1].append(_mapping_of(values) if is_mapping else values)
    ((value, *others),) = open_lists
    if others:
        raise UnreadableDocument("It has several YAML documents: send one of them.")
    return value


def _require_harmless(yaml: Any, event: Any) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise UnreadableDocument("It uses YAML aliases (*name): convert it to JSON first.")
    if getattr(event, "tag", None) not in (None, "!"):
        raise UnreadableDocument("It uses YAML tags (!name): convert it to JSON first.")


def _value_of(text: str) -> Any:
    """Return the value of an unquoted text. Only the types of JSON are read, so a date stays text."""
    if text in YAML_WORDS:
        return YAML_WORDS[text]
    if text[0] not in "-0123456789" or not (number := YAML_NUMBER.fullmatch(text)):
        return text
    return float(text) if number[1] else int(text)


def _mapping_of(values: list[Any]) -> dict[str, Any]:
    """Return the mapping with text as keys, because YAML reads the key 200 as a number."""
    keys = values[::2]
    if any(isinstance(key, (dict, list)) for key in keys):
        raise UnreadableDocument("It has a list or a mapping as a key.")
    return dict(zip(map(str, keys), values[1::2], strict=True))
