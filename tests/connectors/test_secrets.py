"""Split, mask and merge settings of any structure."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from apps.connectors import secrets
from apps.connectors.schemas import secret_patterns
from apps.json import JsonObject

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

plain = st.text("abcdefgh", max_size=8)
secret = st.text("XYZ0123456789", min_size=1, max_size=30)
names = st.text("ab.~*1", min_size=1, max_size=5)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


configs = objects(
    host=plain,
    password=secret | st.none() | st.just(""),
    auth=objects(token=secret) | objects(key=secret, name=plain),
    headers=st.dictionaries(names, secret, max_size=3),
    keys=st.lists(secret, max_size=3),
    users=st.lists(objects(name=plain, password=secret), max_size=3),
)


def test_secrets_are_found_in_every_branch() -> None:
    expected = {
        ("password",),
        ("auth", "token"),
        ("auth", "key"),
        ("headers", "*"),
        ("keys", "*"),
        ("users", "*", "password"),
    }
    assert expected == PATTERNS


@given(configs)
def test_joining_undoes_splitting(config: dict[str, Any]) -> None:
    before = deepcopy(config)
    shown, found = secrets.split(config, PATTERNS)
    assert secrets.join(shown, found) == config == before


@given(configs)
def test_nothing_secret_is_left_in_what_is_shown(config: dict[str, Any]) -> None:
    shown, found = secrets.split(config, PATTERNS)
    hints = secrets.hints(found)
    for text in (orjson.dumps(shown), orjson.dumps(secrets.mask(shown, hints, PATTERNS))):
        for value in found.values():
            if len(str(value)) > 4:
                assert str(value).encode() not in text
    assert all(len(hint) in (0, 4) for hint in hints.values())


@given(configs)
def test_sending_back_what_was_shown_changes_nothing(config: dict[str, Any]) -> None:
    shown, found = secrets.split(config, PATTERNS)
    masked = secrets.mask(shown, secrets.hints(found), PATTERNS)
    merged = secrets.merge(masked, found, PATTERNS)
    assert merged.errors == []
    assert merged.filled_paths == found.keys()
    assert secrets.split(merged.config, PATTERNS) == (shown_again(shown), found)


def shown_again(shown: JsonObject) -> JsonObject:
    """An empty secret is shown as not set, so sending it back leaves it out."""
    return {name: value for name, value in shown.items() if name != "password"}


@given(configs, configs)
def test_a_merge_keeps_only_what_was_stored_and_uses_all_that_was_sent(
    before: dict[str, Any], sent: dict[str, Any]
) -> None:
    _, stored = secrets.split(before, PATTERNS)
    merged = secrets.merge(sent, stored, PATTERNS)
    _, new = secrets.split(sent, PATTERNS)
    _, result = secrets.split(merged.config, PATTERNS)
    assert all(result[path] == value for path, value in new.items())
    assert all(stored[path] == result[path] for path in result.keys() - new.keys())
    assert merged.filled_paths == result.keys() - new.keys()
    assert not any(path.startswith(("headers.", "keys.", "users.")) for path in merged.filled_paths)


def test_a_marker_in_a_list_keeps_the_secret_of_its_place() -> None:
    stored = {"keys.0": "first-secret-aaaa", "keys.1": "second-secret-bbbb"}
    second: JsonObject = {"set": True, "last4": "bbbb"}
    assert secrets.merge({"keys": [None, second]}, stored, PATTERNS).filled_paths == {"keys.1"}
    moved = secrets.merge({"keys": [second]}, stored, PATTERNS)
    assert [(path, code) for path, _, code in moved.errors] == [("keys.0", "secret_required")]
