"""What a document says about an API, in the same form for OpenAPI, Swagger and Postman."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from apps.agent.sources.plan import Authentication, FixedValue, PlannedSetting

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a request. `place` is query, path or header; `schema` is without references."""

    name: str
    place: str
    required: bool = False
    description: str = ""
    schema: Schema = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A GET request and the schema of its successful response."""

    path: str
    parameters: tuple[Parameter, ...]
    response: Schema
    has_link_header: bool = False
    description: str = ""

    def query_names(self) -> dict[str, Parameter]:
        return {p.name: p for p in self.parameters if p.place == "query"}


@dataclass(frozen=True, slots=True)
class ApiDescription:
    """An API. `notes` are sentences for the user about what the document left open."""

    title: str
    base_url: str
    authentication: Authentication
    endpoints: tuple[Endpoint, ...]
    settings: tuple[PlannedSetting, ...] = ()
    headers: tuple[FixedValue, ...] = ()
    notes: tuple[str, ...] = ()
