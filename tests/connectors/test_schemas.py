"""Errors in settings name the path of the field and the problem, and never contain the value."""

from __future__ import annotations

from typing import Any

import pytest

from apps.connectors import catalogue, schemas

SECRET = "s3cret-canary"
POSTGRES = {"host": "db.test", "database": "d", "user": "u"}
STREAMS = [{"name": "a"}]
REST = {"base_url": "https://api.test", "streams": STREAMS}


def error_messages(role: str, kind: str, config: Any) -> dict[str, str]:
    """Return the message of each invalid field."""
    found = catalogue.find(role, kind)
    assert found is not None
    return {field: message for field, message, _ in schemas.errors(found.schema, config, "config")}


@pytest.mark.parametrize(
    ("kind", "config", "field", "expected_text"),
    [
        ("postgres", {**POSTGRES, "port": SECRET}, "config.port", "a whole number"),
        ("postgres", {**POSTGRES, "port": 0}, "config.port", "at least 1"),
        ("postgres", {**POSTGRES, "prot": 1}, "config.prot", "did you mean port?"),
        ("postgres", {"host": "h"}, "config.database", "required"),
        ("postgres", {**POSTGRES, "sslmode": SECRET}, "config.sslmode", "one of disable"),
        ("rest", {**REST, "base_url": SECRET}, "config.base_url", "match"),
        ("rest", {**REST, "auth": {"type": "bearer"}}, "config.auth.token", "required"),
        (
            "rest",
            {**REST, "auth": {"type": "bearer", "token": SECRET, "tken": SECRET}},
            "config.auth.tken",
            "did you mean token?",
        ),
        (
            "rest",
            {**REST, "auth": {"type": SECRET}},
            "config.auth.type",
            "one of none, api_key, bearer, basic",
        ),
        ("rest", {**REST, "auth": {"token": SECRET}}, "config.auth.type", "required"),
        ("rest", {**REST, "streams": []}, "config.streams", "At least one entry"),
        (
            "rest",
            {**REST, "streams": [{"name": "a", "pagination": {"type": "page", "page_size": 0}}]},
            "config.streams.0.pagination.page_size",
            "at least 1",
        ),
        ("rest", {**REST, "headers": {"A b": SECRET}}, "config.headers.A b", "Unknown field"),
        ("files", {"path": "", "csv": {}}, "config.path", "empty"),
        ("dummy", {"rows": 10**26}, "config.rows", "at most"),
        ("dummy", [SECRET], "config", "an object"),
    ],
)
def test_an_error_describes_the_invalid_setting_without_its_value(
    kind: str, config: Any, field: str, expected_text: str
) -> None:
    messages = error_messages("source", kind, config)
    assert expected_text in messages[field]
    assert SECRET not in str(messages.values())


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("postgres", POSTGRES),
        ("rest", REST),
        ("files", {"path": "a.csv"}),
        ("dummy", {}),
        ("pokeapi", {}),
        ("hubspot", {"authentication": {"type": "api_key", "params": {"token": "x"}}}),
    ],
)
def test_valid_settings_have_no_errors(kind: str, config: dict[str, Any]) -> None:
    assert error_messages("source", kind, config) == {}
