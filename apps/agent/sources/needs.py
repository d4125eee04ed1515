"""Find the values that requests need and the document does not give.

A value that several lists need, such as the account in /accounts/{account_id}/orders, is a setting of the source. A
list that needs a value of its own, such as the words of a search, is left out: without the value its stream could only
fail, and a setting would have to be filled in also by people who do not want that stream.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from apps.agent.sources.descriptions import Endpoint, Parameter
from apps.agent.sources.plan import HEADER_NAME, PLACEHOLDER, Authentication, FixedValue

SEARCH_NAMES = frozenset(
    ("q", "query", "search", "searchterm", "searchtext", "term", "terms", "keyword", "keywords")
)
# Headers that the source sends without the plan.
OWN_HEADERS = frozenset(
    ("accept", "authorization", "content-type", "content-length", "cookie", "host", "user-agent")
)


@dataclass(frozen=True, slots=True)
class Need:
    """A value that is not known. {id} in /users/{id} is another value than {id} in /tags/{id}."""

    name: str
    place: str  # "path", "query" or "header"
    path_before: str = ""


def unknown_in_path(endpoint: Endpoint) -> set[Need]:
    """Return the names in braces whose value the document does not give."""
    known = {p.name for p in endpoint.parameters if p.place == "path" and known_value(p)}
    return {
        Need(match[1], "path", endpoint.path[: match.start()])
        for match in PLACEHOLDER.finditer(endpoint.path)
        if match[1] not in known
    }


def unknown_in_query(endpoint: Endpoint, known_names: Iterable[str]) -> set[Need]:
    """Return the required query parameters without a value, except those with a known meaning, such as pages."""
    known = set(known_names)
    parameters = endpoint.query_names().values()
    return {
        Need(p.name, p.place)
        for p in parameters
        if p.required and p.name not in known and known_value(p) is None
    }


def required_headers(endpoint: Endpoint, authentication: Authentication) -> list[Parameter]:
    """Return the required headers, except those that the source sends anyway."""
    own = {*OWN_HEADERS, authentication.name.lower()}
    return [
        p
        for p in endpoint.parameters
        if p.place == "header" and p.required and p.name.lower() not in own
    ]


def unknown_headers(endpoint: Endpoint, authentication: Authentication) -> set[Need]:
    """Return the required headers without a value that can be sent."""
    headers = required_headers(endpoint, authentication)
    return {Need(p.name, "header") for p in headers if fixed_header(p) is None}


def fixed_header(parameter: Parameter) -> FixedValue | None:
    """Return the header with its value, such as the version of the API, or None without a value that can be sent."""
    value = known_value(parameter)
    if value is None or not HEADER_NAME.fullmatch(parameter.name):
        return None
    if not value.isascii() or not value.isprintable():
        return None
    return FixedValue(name=parameter.name, value=value)


def needs_for_settings(needs_of_lists: Iterable[set[Need]]) -> set[Need]:
    """Return the needs that become settings: those of two lists or more. A setting cannot fill a header."""
    counts = Counter(need for needs in needs_of_lists for need in needs)
    return {
        need
        for need, count in counts.items()
        if count > 1 and need.place != "header" and not is_search(need.name)
    }


def plain_name(name: str) -> str:
    """Return the name without spaces and signs, so that nobody takes it for a sentence of Drover."""
    return re.sub(r"[^\w.\[\]-]", "_", name)[:40]


def is_search(name: str) -> bool:
    return name.lower().replace("_", "").replace("-", "") in SEARCH_NAMES


def known_value(parameter: Parameter) -> str | None:
    """Return the default, or the only choice."""
    choices = parameter.schema.get("enum")
    first = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    value = parameter.schema.get("default", first)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)[:300] if isinstance(value, str | int | float) else None


def reason_to_leave_out(stream: str, needs: Iterable[Need]) -> str:
    """Return the sentence that says why a list was left out, and how to read it."""
    places = {"path": "path", "query": "query", "header": "headers"}
    values = [f"{plain_name(need.name)} (in the {places[need.place]})" for need in needs]
    return (
        f"{stream} was left out: its requests need a value for {', '.join(sorted(values))}, which the document does"
        " not give. To read it, add the stream to the plan with a fixed value or with a setting."
    )
