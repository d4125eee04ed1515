"""Read a Postman collection (format 2.0 or 2.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import orjson

from apps.agent.sources.descriptions import (
    ApiDescription,
    Endpoint,
    Parameter,
    Schema,
)
from apps.agent.sources.needs import is_search
from apps.agent.sources.parsing import UnreadableDocument
from apps.agent.sources.plan import HEADER_NAME, Authentication, PlannedSetting
from apps.agent.sources.readers.examples import schema_of_example
from apps.agent.sources.readers.references import Document, text
from apps.json import JsonObject

MAX_REQUESTS = 3_000
MAX_FOLDER_DEPTH = 20
CHARACTERS_PER_STEP = 100  # when the body of a saved response is parsed
VARIABLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


def read(api_document: JsonObject) -> ApiDescription:
    """Return what the collection says. Requests without a saved response cannot become streams."""
    content = dict(api_document)
    document = Document(content)
    title = text(document.mapping(content.get("info")).get("name"), 100)
    variables = _variables(document, content)
    requests = list(_get_requests(document, content, MAX_FOLDER_DEPTH))[:MAX_REQUESTS]
    urls = [_fill(_raw_url(document, request), variables) for _, request in requests]
    base_url = next((base for url in urls if (base := _base_url(url))), "")
    endpoints = tuple(
        endpoint
        for (item, request), url in zip(requests, urls, strict=True)
        if _base_url(url) == base_url
        for endpoint in _endpoint(document, item, request, url)
    )
    return ApiDescription(
        title,
        _plain_names(base_url),
        _authentication(document, content, requests),
        endpoints,
        tuple(PlannedSetting(name=name) for name in _setting_names(base_url)),
        notes=_notes(len(requests), len(endpoints)),
    )


def _notes(requests: int, endpoints: int) -> tuple[str, ...]:
    missing = requests - endpoints
    if not missing:
        return ()
    return (f"{missing} requests have no saved JSON response or another host, and were left out.",)


def _variables(document: Document, content: dict[str, Any]) -> dict[str, str]:
    found = document.mappings(content.get("variable"))
    return {text(v.get("key")): text(v.get("value")) for v in found if text(v.get("value"))}


def _get_requests(
    document: Document, folder: dict[str, Any], levels_left: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    if not levels_left:
        raise UnreadableDocument("Its folders are nested too deeply.")
    for item in document.mappings(folder.get("item")):
        request = document.mapping(item.get("request"))
        if text(request.get("method")).upper() == "GET":
            yield item, request
        yield from _get_requests(document, item, levels_left - 1)


def _raw_url(document: Document, request: dict[str, Any]) -> str:
    url = request.get("url")
    return text(url, 1000) if isinstance(url, str) else text(document.mapping(url).get("raw"), 1000)


def _fill(url: str, variables: dict[str, str]) -> str:
    """Replace the collection's variables. A variable without a value stays, and becomes a setting."""
    return VARIABLE.sub(lambda match: variables.get(match[1], match[0]), url)


def _base_url(url: str) -> str:
    variable = VARIABLE.match(url)
    if variable:
        return variable[0]
    return match[0] if (match := re.match(r"https?://[^/?#]+", url)) else ""


def _setting_names(base_url: str) -> list[str]:
    return [_plain(name) for name in VARIABLE.findall(base_url)]


def _plain_names(url: str) -> str:
    return VARIABLE.sub(lambda match: f"{{{_plain(match[1])}}}", url)


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name).strip("_").lower() or "value"


def _endpoint(
    document: Document, item: dict[str, Any], request: dict[str, Any], url: str
) -> Iterator[Endpoint]:
    response = next(document.mappings(item.get("response")), {})
    schema = _schema(document, response.get("body"))
    if not schema:
        return
    path_and_query = url.removeprefix(_base_url(url))
    path = _plain_names(re.sub(r"/:(\w+)", r"/{\1}", path_and_query.partition("?")[0]))
    headers = document.mappings(response.get("header"))
    has_link = any(text(header.get("key")).lower() == "link" for header in headers)
    parameters = tuple(_query(document, request))
    yield Endpoint(path, parameters, schema, has_link, text(item.get("name")))


def _schema(document: Document, body: Any) -> Schema:
    if not isinstance(body, str):
        return {}
    document.count_steps(len(body) // CHARACTERS_PER_STEP)
    try:
        return schema_of_example(document, orjson.loads(body))
    except orjson.JSONDecodeError:
        return {}


def _query(document: Document, request: dict[str, Any]) -> Iterator[Parameter]:
    """Yield the query parameters. Only small numbers are taken over as values, because other values may be secrets.

    A parameter is required if its saved value is a variable, or the words of a search.
    """
    for entry in document.mappings(document.mapping(request.get("url")).get("query")):
        name, value = text(entry.get("key"), 100), text(entry.get("value"))
        if name:
            schema: Schema = {"default": int(value)} if re.fullmatch(r"[0-9]{1,6}", value) else {}
            is_used = entry.get("disabled") is not True
            is_required = is_used and (is_search(name) or VARIABLE.fullmatch(value) is not None)
            yield Parameter(name, "query", is_required, text(entry.get("description")), schema)


def _authentication(
    document: Document,
    content: dict[str, Any],
    requests: list[tuple[dict[str, Any], dict[str, Any]]],
) -> Authentication:
    """Return the authentication of the collection, or else of its first request that has one."""
    for owner in (content, *(request for _, request in requests)):
        auth = document.mapping(owner.get("auth"))
        kind = text(auth.get("type"))
        if kind in ("bearer", "basic"):
            return Authentication.model_validate({"kind": kind})
        if kind == "oauth2":
            return _oauth(_values(document, auth, kind))
        if kind == "apikey":
            values = _values(document, auth, kind)
            place = "query_key" if values.get("in") == "query" else "header_key"
            if HEADER_NAME.fullmatch(values.get("key", "")):
                return Authentication.model_validate({"kind": place, "name": values["key"]})
    return Authentication()


def _oauth(values: dict[str, str]) -> Authentication:
    url = values.get("accessTokenUrl", "")
    if urlsplit(url).scheme in ("http", "https") and "{" not in url:
        is_client = values.get("grant_type") == "client_credentials"
        kind = "client_credentials" if is_client else "refresh_token"
        return Authentication.model_validate({"kind": kind, "token_url": url})
    return Authentication(kind="bearer")


def _values(document: Document, auth: dict[str, Any], kind: str) -> dict[str, str]:
    """Return the names and places of an authentication. Format 2.1 has a list of {key, value}, format 2.0 a mapping."""
    parts = auth.get(kind)
    if isinstance(parts, list):
        return {text(p.get("key")): text(p.get("value"), 500) for p in document.mappings(parts)}
    return {name: text(value, 500) for name, value in document.mapping(parts).items()}
