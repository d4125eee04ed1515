"""Choose the authentication of an API from the security schemes of an OpenAPI or Swagger document."""

from __future__ import annotations

from typing import Any

from apps.agent.sources.plan import HEADER_NAME, Authentication
from apps.agent.sources.readers.references import Document, text


def choose(document: Document, content: dict[str, Any]) -> tuple[Authentication, list[str]]:
    """Return the first supported scheme that the document requires, and notes for the user."""
    components = document.mapping(content.get("components"))
    schemes = document.mapping(
        components.get("securitySchemes") or content.get("securityDefinitions")
    )
    names = _required_names(document, content)
    if not names:
        return Authentication(), []
    notes: list[str] = []
    for name in names:
        found = _authentication(document, document.mapping(schemes.get(name)), notes)
        if found is not None:
            return found, notes
    return Authentication(), [*notes, f"The authentication {names[0]!r} is not supported."]


def _required_names(document: Document, content: dict[str, Any]) -> list[str]:
    """Return the names of the schemes that the document requires, or else those that its operations require."""
    requirements = list(document.mappings(content.get("security")))
    if not requirements and "security" not in content:
        for item in document.mapping(content.get("paths")).values():
            operation = document.mapping(document.mapping(item).get("get"))
            requirements += document.mappings(operation.get("security"))
    return list(dict.fromkeys(name for required in requirements for name in required))


def _authentication(
    document: Document, scheme: dict[str, Any], notes: list[str]
) -> Authentication | None:
    kind, name = text(scheme.get("type")), text(scheme.get("name"), 100)
    if kind == "basic":
        return Authentication(kind="basic")
    if kind == "http":
        by_scheme = {"basic": "basic", "bearer": "bearer"}
        found = by_scheme.get(text(scheme.get("scheme")).lower())
        return Authentication.model_validate({"kind": found}) if found else None
    if kind == "apiKey":
        return _key(text(scheme.get("in")), name)
    if kind == "oauth2":
        return _oauth(document, scheme, notes)
    if kind == "openIdConnect":
        notes.append("The API uses OpenID Connect: a bearer token is asked for.")
        return Authentication(kind="bearer")
    return None


def _key(place: str, name: str) -> Authentication | None:
    if place == "header" and HEADER_NAME.fullmatch(name):
        return Authentication(kind="header_key", name=name)
    if place == "query" and name:
        return Authentication(kind="query_key", name=name)
    return None


def _oauth(document: Document, scheme: dict[str, Any], notes: list[str]) -> Authentication:
    """Return client credentials if the API has them, else a refresh token, else a bearer token."""
    flows = {name: document.mapping(flow) for name, flow in _flows(document, scheme).items()}
    for flow, kind in (
        ("clientCredentials", "client_credentials"),
        ("application", "client_credentials"),
        ("authorizationCode", "refresh_token"),
        ("accessCode", "refresh_token"),
    ):
        url = text(flows.get(flow, {}).get("tokenUrl"), 500)
        if url.startswith(("https://", "http://")):
            return Authentication.model_validate({"kind": kind, "token_url": url})
    notes.append("The API uses OAuth without a usable token endpoint: a bearer token is asked for.")
    return Authentication(kind="bearer")


def _flows(document: Document, scheme: dict[str, Any]) -> dict[str, Any]:
    if "flow" in scheme:  # Swagger 2 has one flow
        return {text(scheme["flow"]): scheme}
    return document.mapping(scheme.get("flows"))
