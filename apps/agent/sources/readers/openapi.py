"""Read an OpenAPI 3.x or Swagger 2 document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from apps.agent.sources.descriptions import (
    ApiDescription,
    Endpoint,
    Parameter,
    Schema,
)
from apps.agent.sources.plan import PlannedSetting
from apps.agent.sources.readers import security
from apps.agent.sources.readers.examples import schema_of_example
from apps.agent.sources.readers.references import Document, short_value, text
from apps.json import JsonObject

MAX_PATHS = 3_000


def read(api_document: JsonObject, *, document_url: str = "") -> ApiDescription:
    """Return what the document says. `document_url` completes a relative server URL."""
    content = dict(api_document)
    document = Document(content)
    title = text(document.mapping(content.get("info")).get("title"), 100)
    base_url, settings = _server(document, content, document_url)
    authentication, notes = security.choose(document, content)
    endpoints = tuple(_endpoints(document, content))
    if document.has_foreign_references:
        notes.append("The document refers to other documents, which were not read.")
    return ApiDescription(title, base_url, authentication, endpoints, settings, notes=tuple(notes))


def _server(
    document: Document, content: dict[str, Any], document_url: str
) -> tuple[str, tuple[PlannedSetting, ...]]:
    if "swagger" in content:
        return _swagger_server(content, document_url), ()
    server = next(document.mappings(content.get("servers")), {})
    url = text(server.get("url"), 500)
    settings, renamed = [], url
    for name, variable in document.mapping(server.get("variables")).items():
        setting_name = re.sub(r"\W", "_", name).lower()
        renamed = renamed.replace(f"{{{name}}}", f"{{{setting_name}}}")
        settings.append(_setting(setting_name, document.mapping(variable)))
    return _absolute(renamed, document_url), tuple(settings)


def _setting(name: str, variable: dict[str, Any]) -> PlannedSetting:
    default = text(variable.get("default")) or None
    return PlannedSetting(name=name, description=text(variable.get("description")), default=default)


def _swagger_server(content: dict[str, Any], document_url: str) -> str:
    host, path = text(content.get("host"), 300), text(content.get("basePath"), 200)
    schemes = content.get("schemes")
    allowed = schemes if isinstance(schemes, list) and schemes else ["https"]
    scheme = "https" if "https" in allowed else text(allowed[0])
    return _absolute(f"{scheme}://{host}{path}" if host else path, document_url)


def _absolute(url: str, document_url: str) -> str:
    if url.startswith(("http://", "https://", "{")) or not document_url:
        return url.rstrip("/")
    return urljoin(document_url, url or "/").rstrip("/")


def _endpoints(document: Document, content: dict[str, Any]) -> Iterator[Endpoint]:
    for path, item in list(document.mapping(content.get("paths")).items())[:MAX_PATHS]:
        path_item = document.mapping(item)
        operation = document.mapping(path_item.get("get"))
        if not operation or operation.get("deprecated") is True:
            continue
        response = _success(document, operation)
        schema = _response_schema(document, response)
        if schema:
            yield Endpoint(
                path=str(path),
                parameters=tuple(_parameters(document, path_item, operation)),
                response=schema,
                has_link_header="link" in {n.lower() for n in _header_names(document, response)},
                description=text(operation.get("summary")),
            )


def _header_names(document: Document, response: dict[str, Any]) -> list[str]:
    return [str(name) for name in document.mapping(response.get("headers"))]


def _success(document: Document, operation: dict[str, Any]) -> dict[str, Any]:
    responses = document.mapping(operation.get("responses"))
    for status in ("200", "2XX", "2xx", "206", "default"):
        if status in responses:
            return document.mapping(responses[status])
    return {}


def _response_schema(document: Document, response: dict[str, Any]) -> Schema:
    """Return the schema of a JSON response, or that of its example."""
    if "schema" in response:  # Swagger 2
        return document.schema(response["schema"])
    for media_type, body in document.mapping(response.get("content")).items():
        if "json" not in media_type and media_type != "*/*":
            continue
        media = document.mapping(body)
        schema = document.schema(media.get("schema"))
        if schema.get("properties") or schema.get("items"):
            return schema
        example = _example(document, media)
        return schema_of_example(document, example) if example else schema
    return {}


def _example(document: Document, media: dict[str, Any]) -> Any:
    if "example" in media:
        return media["example"]
    examples = list(document.mapping(media.get("examples")).values())
    return document.mapping(examples[0]).get("value") if examples else None


def _parameters(
    document: Document, path_item: dict[str, Any], operation: dict[str, Any]
) -> Iterator[Parameter]:
    """Yield the parameters of the path and of the operation, which replace those of the same name."""
    by_key: dict[tuple[str, str], dict[str, Any]] = {}
    for source in (path_item, operation):
        for parameter in document.mappings(source.get("parameters")):
            name, place = text(parameter.get("name"), 100), text(parameter.get("in"))
            by_key[place, name] = parameter
    for (place, name), parameter in by_key.items():
        if name and place in ("query", "path", "header"):
            yield _parameter(document, name, place, parameter)


def _parameter(document: Document, name: str, place: str, parameter: dict[str, Any]) -> Parameter:
    schema = document.schema(parameter.get("schema") or parameter)
    if "example" in parameter:
        schema["example"] = short_value(parameter["example"])
    return Parameter(
        name, place, parameter.get("required") is True, text(parameter.get("description")), schema
    )
