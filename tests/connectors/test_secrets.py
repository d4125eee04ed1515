"""Secrets in settings of any structure are separated, masked and merged again."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from apps.connectors import secrets
from apps.connectors.schemas import secret_patterns
from apps.json import JsonObject, JsonValue

SECRET = {"type": "string", "writeOnly": True}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "host": {"type": "string"},
        "password": SECRET,
        "auth": {
            "oneOf": [
                {"$ref": "#/$defs/Bearer"},
                {"type": "object", "properties": {"key": SECRET, "name": {"type": "string"}}},
            ]
        },
        "headers": {"type": "object", "additionalProperties": SECRET},
        "params": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "patternProperties": {"^1": SECRET},
        },
        "keys": {"type": "array", "items": SECRET},
        "users": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "password": {"anyOf": [SECRET]}},
            },
        },
    },
    "$defs": {"Bearer": {"type": "object", "properties": {"token": SECRET}}},
}
PATTERNS = secret_patterns(SCHEMA)

plain_texts = st.text("abcdefgh", max_size=8)
secret_texts = st.text("XYZ0123456789", min_size=1, max_size=30)
names = st.text("ab.~*1", min_size=1, max_size=5)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


random_settings = objects(
    host=plain_texts,
    password=secret_texts | st.none() | st.just(""),
    auth=objects(token=secret_texts) | objects(key=secret_texts, name=plain_texts),
    headers=st.dictionaries(names, secret_texts, max_size=3),
    params=st.dictionaries(names.map("1".__add__), secret_texts, max_size=2)
    | st.dictionaries(names.map("a".__add__), plain_texts, max_size=2),
    keys=st.lists(secret_texts, max_size=3),
    users=st.lists(objects(name=plain_texts, password=secret_texts), max_size=3),
)


def test_secrets_are_found_in_every_branch_of_a_schema() -> None:
    expected = {
        ("password",),
        ("auth", "token"),
        ("auth", "key"),
        ("headers", "*"),
        ("params", re.compile("^1")),
        ("keys", "*"),
        ("users", "*", "password"),
    }
    assert expected == PATTERNS


@given(random_settings)
def test_joining_undoes_splitting(config: dict[str, Any]) -> None:
    original = deepcopy(config)
    public, secret_values = secrets.split(config, PATTERNS)
    assert secrets.join(public, secret_values) == config == original


@given(random_settings)
def test_masked_settings_contain_no_secret(config: dict[str, Any]) -> None:
    public, secret_values = secrets.split(config, PATTERNS)
    hints = secrets.hints(secret_values)
    for text in (orjson.dumps(public), orjson.dumps(secrets.mask(public, hints, PATTERNS))):
        for value in secret_values.values():
            if len(str(value)) > 4:
                assert str(value).encode() not in text
    assert all(len(hint) in (0, 4) for hint in hints.values())


@given(random_settings)
def test_sending_masked_settings_back_changes_nothing(config: dict[str, Any]) -> None:
    public, secret_values = secrets.split(config, PATTERNS)
    masked = secrets.mask(public, secrets.hints(secret_values), PATTERNS)
    merged = secrets.merge(masked, secret_values, PATTERNS)
    assert merged.errors == []
    assert merged.filled_paths == secret_values.keys()
    assert secrets.split(merged.config, PATTERNS) == (without_password(public), secret_values)


def without_password(public: JsonObject) -> JsonObject:
    """Return the settings without the password. An empty password is masked as not set, so a merge omits it."""
    return {name: value for name, value in public.items() if name != "password"}


@given(random_settings, random_settings)
def test_a_merge_uses_every_new_secret_and_otherwise_the_stored_ones(
    old_settings: dict[str, Any], new_settings: dict[str, Any]
) -> None:
    _, stored = secrets.split(old_settings, PATTERNS)
    merged = secrets.merge(new_settings, stored, PATTERNS)
    _, new_secrets = secrets.split(new_settings, PATTERNS)
    _, merged_secrets = secrets.split(merged.config, PATTERNS)
    assert all(merged_secrets[path] == value for path, value in new_secrets.items())
    assert all(
        stored[path] == merged_secrets[path] for path in merged_secrets.keys() - new_secrets.keys()
    )
    assert merged.filled_paths == merged_secrets.keys() - new_secrets.keys()
    assert not any(
        path.startswith(("headers.", "params.", "keys.", "users.")) for path in merged.filled_paths
    )


def test_a_marker_in_a_list_keeps_the_secret_with_the_same_index() -> None:
    stored = {"keys.0": "first-secret-aaaa", "keys.1": "second-secret-bbbb"}
    marker_of_second: JsonObject = {"set": True, "last4": "bbbb"}
    assert secrets.merge({"keys": [None, marker_of_second]}, stored, PATTERNS).filled_paths == {
        "keys.1"
    }
    result = secrets.merge({"keys": [marker_of_second]}, stored, PATTERNS)
    assert [(path, code) for path, _, code in result.errors] == [("keys.0", "secret_required")]


def test_entries_of_a_list_keep_their_secrets_when_they_are_moved() -> None:
    settings: JsonObject = {
        "users": [{"name": name, "password": name * 4} for name in ("ab", "cd", "ef")]
    }
    visible, stored = secrets.split(settings, PATTERNS)
    masked: Any = secrets.mask(visible, secrets.hints(stored), PATTERNS)
    first, _, last = masked["users"]
    merged = secrets.merge({"users": [last, first]}, stored, PATTERNS)
    assert merged.errors == []
    passwords = [(user["name"], user["password"]) for user in merged.config["users"]]
    assert passwords == [("ef", "efefefef"), ("ab", "abababab")]


def test_a_marker_of_another_setting_keeps_nothing() -> None:
    stored = {"password": "letters-and-digits", "users.0.password": "other"}
    marker: JsonValue = {"set": True, "path": "password"}
    result = secrets.merge({"headers": {"X-Sent": marker}, "keys": [marker]}, stored, PATTERNS)
    assert {path for path, _, _ in result.errors} == {"headers.X-Sent", "keys.0"}


def test_a_value_that_was_stored_before_its_setting_was_secret_is_masked() -> None:
    masked = secrets.mask({"headers": {"X-Key": "stored-in-plain-text"}}, {}, PATTERNS)
    assert masked == {"headers": {"X-Key": {"set": True, "last4": "text"}}}
