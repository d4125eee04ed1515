"""Any JSON as a definition or schedule leads to a definition or to named errors, never to an exception."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.pipelines import definition
from apps.pipelines.definition import Connectors, Definition, Document
from apps.pipelines.schedules import plans

NONE = Connectors([])
GOOD: dict[str, Any] = {
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
        }
    ],
    "destination": {
        "kind": "postgres",
        "config": {"host": "db", "database": "d", "user": "u", "password": "p"},
    },
}

markers = st.fixed_dictionaries(
    {"set": st.booleans() | st.none()}, optional={"last4": st.text(max_size=4)}
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | markers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def paths(node: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    return [here, *(path for key, value in inner for path in paths(value, (*here, key)))]  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """The valid document with one to three parts replaced, added or removed."""
    document = deepcopy(GOOD)
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(paths(document)[1:] or [("source",)]))
        holder: Any = document
        for step in above:
            holder = holder[step]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "remove" and isinstance(holder, dict):
            holder.pop(last, None)
        elif action == "add" and isinstance(holder, dict):
            holder[draw(st.text(max_size=8))] = draw(values)
        elif isinstance(holder, dict | list):
            try:
                holder[last] = draw(values)
            except (IndexError, KeyError):
                continue
    return document


def test_the_good_document_is_good() -> None:
    built, errors = definition.build(GOOD, connectors=NONE)
    assert errors == []
    assert built.secrets == {
        "source.config.auth.token": "a-token-of-a-good-length",
        "destination.config.password": "p",
    }
    document: Any = definition.document_with_secrets(built)
    assert document["source"]["config"] == GOOD["source"]["config"]


@settings(max_examples=200, deadline=None)
@given(spoiled(), st.booleans())
def test_a_spoiled_document_is_settled_or_its_errors_have_names(sent: Any, patch: bool) -> None:
    before, _ = definition.build(GOOD, connectors=NONE)
    for built, errors in (
        definition.build(sent, connectors=NONE),
        definition.build(sent, connectors=NONE, before=before, patch=patch),
    ):
        assert all(isinstance(field, str) and message and code for field, message, code in errors)
        if not errors:
            shown = definition.mask(built.document, built.hints)
            again, wrong = definition.build(shown, connectors=NONE, before=built)
            assert (wrong, again.secrets) == ([], built.secrets)


@settings(max_examples=200, deadline=None)
@given(spoiled())
def test_no_stored_secret_reaches_a_place_it_was_not_stored_for(sent: Any) -> None:
    before, _ = definition.build(GOOD, connectors=NONE)
    built, errors = definition.build(sent, connectors=NONE, before=before, patch=True)
    token = before.secrets["source.config.auth.token"]
    if not errors and token in built.secrets.values() and token not in str(sent):
        config = built.document["source"]["config"]
        assert config
        assert config["base_url"] == GOOD["source"]["config"]["base_url"]


@settings(max_examples=200, deadline=None)
@given(values, values)
def test_any_json_is_a_schedule_or_has_errors(sent: Any, other: Any) -> None:
    before, _ = plans.parse_plan("0 0 * * *")
    for value in (sent, {"cron": sent}, {"interval_seconds": sent, "timezone": other}, {"cron": "0 0 * * *", "overlap": sent, "jitter_seconds": other}):  # fmt: skip
        for base in (None, before):
            plan, errors = plans.parse_plan(value, before=base)
            assert all(field.startswith("schedule") for field, _, _ in errors)
            assert errors or plan is None or plan.cron or plan.interval_seconds


def test_only_the_hints_of_a_definition_leave_it() -> None:
    built = Definition(*_stored())
    masked = definition.mask(built.document, built.hints)
    source, destination = masked["source"]["config"], masked["destination"]["config"]
    assert source
    assert destination
    assert source["auth"]["token"] == {"set": True, "last4": "ngth"}
    assert destination["password"] == {"set": True, "last4": ""}


def _stored() -> tuple[Document, dict[str, Any]]:
    built, _ = definition.build(GOOD, connectors=NONE)
    return built.document, built.secrets
