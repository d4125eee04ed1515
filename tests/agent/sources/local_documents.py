"""Write the document of a local API: OpenAPI 3 as JSON or YAML, or Swagger 2."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.agent.sources.local_api import LocalApi


def document_of(api: LocalApi, base_url: str) -> str:
    if api.form == "swagger":
        return json.dumps(_swagger(api, base_url))
    content = _openapi(api, base_url)
    return yaml.safe_dump(content) if api.form == "openapi_yaml" else json.dumps(content)


def _openapi(api: LocalApi, base_url: str) -> dict[str, Any]:
    headers = {"Link": {"schema": {"type": "string"}}} if api.pagination == "link_header" else {}
    page = {"$ref": "#/components/schemas/Orders"}
    success = {
        "description": "ok",
        "headers": headers,
        "content": {"application/json": {"schema": page}},
    }
    parameters = [
        {"name": name, "in": "query", "schema": schema} for name, schema in api.query_parameters()
    ]
    scheme = _scheme(api, base_url)
    return {
        "openapi": "3.0.3",
        "info": {"title": "Shop of the test", "version": "1"},
        "servers": [{"url": base_url}],
        "security": [{"main": []}] if scheme else [],
        "paths": {
            "/orders": {"get": {"parameters": parameters, "responses": {200: success}}},
            "/status": {
                "get": {"responses": {"200": {"content": {"application/json": {"schema": {}}}}}}
            },
        },
        "components": {
            "schemas": {"Orders": api.response_schema()},
            "securitySchemes": {"main": scheme} if scheme else {},
        },
    }


def _scheme(api: LocalApi, base_url: str) -> dict[str, Any]:
    flow = {"tokenUrl": base_url.replace("/v1", "/token"), "scopes": {}}
    schemes: dict[str, dict[str, Any]] = {
        "none": {},
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
        "header_key": {"type": "apiKey", "in": "header", "name": "X-Shop-Key"},
        "query_key": {"type": "apiKey", "in": "query", "name": "shop_key"},
        "client_credentials": {"type": "oauth2", "flows": {"clientCredentials": flow}},
    }
    return schemes[api.authentication]


def _swagger(api: LocalApi, base_url: str) -> dict[str, Any]:
    parts = urlsplit(base_url)
    scheme = _swagger_scheme(api, base_url)
    parameters = [{"name": n, "in": "query", **schema} for n, schema in api.query_parameters()]
    headers = {"Link": {"type": "string"}} if api.pagination == "link_header" else {}
    success = {
        "description": "ok",
        "headers": headers,
        "schema": {"$ref": "#/definitions/Orders"},
    }
    return {
        "swagger": "2.0",
        "info": {"title": "Shop of the test", "version": "1"},
        "host": parts.netloc,
        "basePath": parts.path,
        "schemes": [parts.scheme],
        "security": [{"main": []}] if scheme else [],
        "securityDefinitions": {"main": scheme} if scheme else {},
        "paths": {"/orders": {"get": {"parameters": parameters, "responses": {"200": success}}}},
        "definitions": {"Orders": api.response_schema()},
    }


def _swagger_scheme(api: LocalApi, base_url: str) -> dict[str, Any]:
    token_url = base_url.replace("/v1", "/token")
    if api.authentication == "client_credentials":
        return {"type": "oauth2", "flow": "application", "tokenUrl": token_url, "scopes": {}}
    if api.authentication == "basic":
        return {"type": "basic"}
    if api.authentication == "bearer":  # Swagger 2 has no bearer tokens: a usual way to write them
        return {"type": "oauth2", "flow": "implicit", "authorizationUrl": token_url, "scopes": {}}
    return _scheme(api, base_url)
