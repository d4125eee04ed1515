"""Parse and render JSON, and render CSV. Reject bodies that PostgreSQL cannot store."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.functional import Promise
from rest_framework import exceptions as drf
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.utils.mediatypes import media_type_matches

from apps.engine.frames import json_values
from apps.web.problems import Problem

MAX_VALUES = 200_000
MAX_DEPTH = 64  # nesting levels of objects and arrays
# Characters with which a formula begins in a spreadsheet, and the full-width forms of = + - @.
FORMULA_STARTS = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")


class JSONRenderer(BaseRenderer):
    """Renders with orjson: UUIDs, UTC times with Z, and dicts from `.values()`."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, *_: Any, **__: Any) -> bytes:
        if data is None:
            return b""
        return data if isinstance(data, bytes) else dumps(data)


def dumps(data: Any) -> bytes:
    """Encode JSON as the API does. Raises TypeError for a value that has no JSON form."""
    return orjson.dumps(
        data, default=_encode_special, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    )


def csv_line(values: Iterable[Any]) -> str:
    """Return a line of CSV. No cell is evaluated as a formula when a spreadsheet opens the file (OWASP: CSV injection)."""
    text = io.StringIO()
    csv.writer(text).writerow(_csv_cell(value) for value in values)
    return text.getvalue()


def _csv_cell(value: Any) -> str:
    text = "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _encode_special(value: Any) -> Any:
    if isinstance(value, Decimal | Promise):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class JSONParser(BaseParser):
    """Accepts only JSON objects without NUL characters. PostgreSQL cannot store NUL."""

    media_type = "application/json"

    def parse(self, stream: Any, *_: Any, **__: Any) -> Any:
        raw = stream.read(settings.API_BODY_LIMIT + 1)
        if len(raw) > settings.API_BODY_LIMIT:
            raise RequestDataTooBig
        if not raw:
            return {}
        return loads(raw)


def loads(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in `raw`. Raises ParseError (400), and Problem 422 for NUL characters."""
    if json_values.count_values(raw, MAX_VALUES) > MAX_VALUES:
        raise drf.ParseError(f"The body contains more than {MAX_VALUES:,} values.")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise drf.ParseError(f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise drf.ParseError("The body must be a JSON object.")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        refuse_deep_nesting(value)
    if b"\\u0000" in raw:
        refuse_nul(value)
    return value


def refuse_deep_nesting(value: Any) -> None:
    """Raise ParseError for more than MAX_DEPTH levels. This is a loop, because recursion could overflow the stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise drf.ParseError(f"The body is nested more than {MAX_DEPTH} levels deep.")


def refuse_nul(value: Any) -> None:
    """Raise Problem 422 that names the field with a NUL character."""
    if (path := next(_paths_with_nul(value), None)) is not None:
        errors = [(path, "NUL is not allowed.", "nul")]
        raise Problem(422, "Some fields are invalid.", "invalid", errors)


def refuse_nul_in_query(values: Mapping[str, object]) -> None:
    """Raise Problem 400 that names the query parameter with a NUL character."""
    if (path := next(_paths_with_nul(values), None)) is not None:
        errors = [(path, "NUL is not allowed.", "nul")]
        raise Problem(400, "Some query parameters are invalid.", "malformed", errors)


def _paths_with_nul(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of values and keys that contain NUL."""
    if isinstance(value, str) and "\0" in value:
        yield path
    if isinstance(value, Mapping):
        for key, inner in value.items():
            step = key.replace("\0", "\\0")
            yield from _paths_with_nul(key, f"{path}.{step}" if path else step)
            yield from _paths_with_nul(inner, f"{path}.{step}" if path else step)
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths_with_nul(inner, f"{path}.{index}")


class AlwaysJSON(BaseContentNegotiation):
    """Always responds with JSON and ignores `Accept`, as RFC 9110 12.5.1 allows."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        media_type = request.content_type or ""
        return next((p for p in parsers if media_type_matches(p.media_type, media_type)), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type
