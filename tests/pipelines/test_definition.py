"""Any JSON value is accepted as a definition or schedule, or rejected with errors that name the fields."""

from __future__ import annotations

import random
import time
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.orgs.principals import SYSTEM
from apps.pipelines import definition
from apps.pipelines.definition import Connectors, Definition, Document
from apps.pipelines.schedules import plans

NO_CONNECTORS = Connectors([], by=SYSTEM)
VALID_DOCUMENT: dict[str, Any] = {
    "source": {
        "kind": "rest",
        "config": {
            "base_url": "https://api.example.com",
            "auth": {"type": "bearer", "token": "a-token-of-a-good-length"},
            "headers": {"X-Trace": "1"},
            "streams": [{"name": "weather", "path": "/weather", "params": {"a": 1}}],
        },
    },
    "streams": [
        {
            "stream": "weather",
            "table": "public.weather",
            "sync_mode": "full_refresh",
            "cursor_field": None,
            "primary_key": ["id"],
            "write_mode": "merge",
            "transforms": [{"kind": "python", "code": "def transform(record): return record"}],
            "fields": {
                "others": "keep",
                "rules": [
                    {"field": "id", "name": "key", "type": "integer"},
                    {"field": "mail", "protect": "hash"},
                    {"field": "note", "drop": True},
                ],
            },
        }
    ],
    "destination": {
        "kind": "postgres",
        "config": {"host": "db", "database": "d", "user": "u", "password": "p"},
    },
}

secret_hints = st.fixed_dictionaries(
    {"set": st.booleans() | st.none()}, optional={"last4": st.text(max_size=4)}
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | secret_hints,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def all_paths(node: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each node in a document: the keys and indexes that lead to it."""
    children = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    return [prefix, *(path for key, value in children for path in all_paths(value, (*prefix, key)))]  # fmt: skip


@st.composite
def changed_document(draw: st.DrawFn) -> Any:
    """Generate the valid document with one to three parts replaced, added or removed."""
    document = deepcopy(VALID_DOCUMENT)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(all_paths(document)[1:] or [("source",)]))
        container: Any = document
        for step in parents:
            container = container[step]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "remove" and isinstance(container, dict):
            container.pop(last, None)
        elif action == "add" and isinstance(container, dict):
            container[draw(st.text(max_size=8))] = draw(json_values)
        elif isinstance(container, dict | list):
            try:
                container[last] = draw(json_values)
            except (IndexError, KeyError):
                continue
    return document


def test_a_valid_document_has_no_errors_and_its_secrets_are_separated() -> None:
    built, errors = definition.build(VALID_DOCUMENT, connectors=NO_CONNECTORS)
    assert errors == []
    assert built.secrets == {
        "source.config.auth.token": "a-token-of-a-good-length",
        "source.config.headers.X-Trace": "1",
        "destination.config.password": "p",
    }
    document: Any = definition.document_with_secrets(built)
    assert document["source"]["config"] == VALID_DOCUMENT["source"]["config"]


def test_thousands_of_unknown_streams_are_refused_in_time() -> None:
    letters = random.Random(1)
    names = ["".join(letters.choices("ab", k=199)) for _ in range(1_000)]
    document = deepcopy(VALID_DOCUMENT)
    document["source"]["config"]["streams"] = [
        {"name": name, "path": "/weather"} for name in names[:500]
    ]
    document["streams"] = [{"stream": name, "table": f"t{n}"} for n, name in enumerate(names[500:])]
    began = time.process_time()
    _, errors = definition.build(document, connectors=NO_CONNECTORS)
    assert next(field for field, _, code in errors if code == "unknown") == "streams.0.stream"
    assert time.process_time() - began < 20.0  # it was a quarter of an hour


@settings(max_examples=200, deadline=None)
@given(changed_document(), st.booleans())
def test_a_changed_document_is_accepted_or_its_errors_name_a_field(
    document: Any, patch: bool
) -> None:
    before, _ = definition.build(VALID_DOCUMENT, connectors=NO_CONNECTORS)
    for built, errors in (
        definition.build(document, connectors=NO_CONNECTORS),
        definition.build(document, connectors=NO_CONNECTORS, previous=before, patch=patch),
    ):
        assert all(isinstance(field, str) and message and code for field, message, code in errors)
        if not errors:
            masked = definition.mask(built.document, built.hints)
            rebuilt, errors_of_rebuilt = definition.build(
                masked, connectors=NO_CONNECTORS, previous=built
            )
            assert (errors_of_rebuilt, rebuilt.secrets) == ([], built.secrets)


@settings(max_examples=200, deadline=None)
@given(changed_document())
def test_a_stored_secret_is_used_only_with_its_own_base_url(document: Any) -> None:
    before, _ = definition.build(VALID_DOCUMENT, connectors=NO_CONNECTORS)
    built, errors = definition.build(
        document, connectors=NO_CONNECTORS, previous=before, patch=True
    )
    token = before.secrets["source.config.auth.token"]
    if not errors and token in built.secrets.values() and token not in str(document):
        config = built.document["source"]["config"]
        assert config
        assert config["base_url"] == VALID_DOCUMENT["source"]["config"]["base_url"]


@settings(max_examples=200, deadline=None)
@given(json_values, json_values)
def test_any_json_is_accepted_as_a_schedule_or_has_errors(first: Any, second: Any) -> None:
    before, _ = plans.parse_plan("0 0 * * *")
    for value in (first, {"cron": first}, {"interval_seconds": first, "timezone": second}, {"cron": "0 0 * * *", "overlap": first, "jitter_seconds": second}):  # fmt: skip
        for base in (None, before):
            plan, errors = plans.parse_plan(value, before=base)
            assert all(field.startswith("schedule") for field, _, _ in errors)
            assert errors or plan is None or plan.cron or plan.interval_seconds


def test_a_masked_definition_contains_only_hints_of_its_secrets() -> None:
    built = Definition(*_document_and_secrets())
    masked = definition.mask(built.document, built.hints)
    source, destination = masked["source"]["config"], masked["destination"]["config"]
    assert source
    assert destination
    assert source["auth"]["token"] == {"set": True, "last4": "ngth"}
    assert destination["password"] == {"set": True, "last4": ""}


def _document_and_secrets() -> tuple[Document, dict[str, Any]]:
    built, _ = definition.build(VALID_DOCUMENT, connectors=NO_CONNECTORS)
    return built.document, built.secrets
