"""Secrets of the settings are masked in all output, in every encoding."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.engine import catalogue
from apps.engine.reporting.redaction import (
    MASK,
    Redactor,
    is_secret_name,
    remove_secrets,
    secrets_of,
)
from apps.engine.sources.rest.config import SECRET_PARAMS

SECRETS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=6)


@given(SECRETS)
def test_a_secret_is_masked_in_text_json_urls_and_reprs(secret: str) -> None:
    redactor = Redactor(secrets_of({"password": secret}))
    for encoded in (secret, json.dumps(secret), quote(secret, safe=""), repr(secret)):
        assert secret not in redactor.mask_text(f"before {encoded} after")
        assert MASK in redactor.mask_text(f"before {encoded} after")


@pytest.mark.parametrize(
    ("config", "secret"),
    [
        ({"auth": {"api_key": "k-123456"}}, "k-123456"),
        ({"headers": {"Authorization": "Bearer abcdef"}}, "Bearer abcdef"),
        ({"options": [{"client_secret": "xyz-xyz"}]}, "xyz-xyz"),
        ({"dsn": "postgresql://u:p4ssw0rd@h/db"}, "p4ssw0rd"),
        ({"dsn": "postgresql://u:p4ss%40word@h/db"}, "p4ss@word"),
        ({"dsn": "host=h user=u password=p4ssw0rd"}, "p4ssw0rd"),
        ({"url": "https://h/x?token=tok-tok&page=1"}, "tok-tok"),
        ({"anything": "mysql://u:p4ssw0rd@h/db"}, "p4ssw0rd"),
        ({"service_account_key": '{"private_key": "-----KEY-----"}'}, "-----KEY-----"),
        ({"authentication": {"params": {"token": "t-0-k-e-n"}}}, "t-0-k-e-n"),
    ],
)
def test_secrets_are_found_at_any_depth(config: dict[str, object], secret: str) -> None:
    assert MASK in Redactor(secrets_of(config)).mask_text(f"it was {secret}!")
    assert secret not in Redactor(secrets_of(config)).mask_text(f"it was {secret}!")


def test_control_characters_are_escaped_after_secrets_are_masked() -> None:
    redactor = Redactor(["pass\x1bword"])
    redacted = redactor.mask_text("a pass\x1bword\tb\nc\r\x1b[2J\x9b1m\u202e é")
    assert redacted == f"a {MASK}\tb\nc\\u000d\\u001b[2J\\u009b1m\\u202e é"
    assert redactor.mask_value({"a\x1b": ["\x07"]}) == {"a\\u001b": ["\\u0007"]}


def test_every_secret_of_the_catalogue_has_the_name_of_a_secret() -> None:
    for kind in [*catalogue.sources(), *catalogue.destinations()]:
        for path in kind.secret_paths:
            if not path.endswith("headers.*"):
                assert any(map(is_secret_name, path.split("."))), f"{kind.kind}: {path}"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "api-key",
            "API_KEY",
            "accessToken",
            "secret_id",
            "password",
            "app_key",
            "application-key",
        ),
        *("signing_key", "sig", "signature", "auth", "authorization", "credential", "session_id"),
    ],
)
def test_headers_and_secret_parameters_of_requests_are_masked(name: str) -> None:
    assert re.search(SECRET_PARAMS, name)
    config = {
        "headers": {"X-Shop": "letters", "Accept": "text/csv"},
        "params": {name: "digits", "q": "plain"},
    }
    redactor = Redactor(secrets_of(config))
    assert redactor.mask_text("letters digits plain text/csv") == f"{MASK} {MASK} plain text/csv"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", "Bearer abcdef"),
        ("X-Authorization", "token  abcdef"),
        ("Cookie", "session=abcdef; theme=dark"),
    ],
)
def test_a_credential_of_a_header_is_masked_without_its_scheme_too(header: str, value: str) -> None:
    redactor = Redactor(secrets_of({"headers": {header: value}}))
    assert redactor.mask_text("abcdef has expired") == f"{MASK} has expired"
    assert redactor.mask_text(value).startswith(MASK)


def test_a_number_as_a_secret_parameter_is_masked() -> None:
    redactor = Redactor(secrets_of({"params": {"token": 73519284, "page": 1000}}))
    assert redactor.mask_text("73519284 1000") == f"{MASK} 1000"


def test_a_basic_login_that_a_server_echoes_is_masked() -> None:
    config = {"auth": {"type": "basic", "username": "ada", "password": "päss:word"}}
    header = base64.b64encode("ada:päss:word".encode()).decode()
    redacted = Redactor(secrets_of(config)).mask_text(f"you sent Authorization: Basic {header}")
    assert header not in redacted


def test_the_host_of_a_database_is_not_masked() -> None:
    redactor = Redactor(secrets_of({"url": "postgresql://u:p4ssw0rd@db.example.com/shop"}))
    assert "db.example.com" in redactor.mask_text("could not connect to db.example.com")


def test_unknown_credentials_in_a_url_are_masked() -> None:
    assert Redactor().mask_text("GET https://me:unknown@h/x") == f"GET https://{MASK}@h/x"


@pytest.mark.parametrize("secret", ["s3cr3t-käse", "tr0ub4dor&3", "hunter"])
@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
@pytest.mark.parametrize("after", [b"", b"x", b"xy"])
def test_a_secret_inside_bytes_is_masked_in_base64_and_in_hexadecimal(
    secret: str, before: bytes, after: bytes
) -> None:
    redactor = Redactor([secret])
    value = before + secret.encode() + after
    texts = [base64.b64encode(value).decode(), value.hex(), value.hex().upper()]
    assert all(MASK in text for text in redactor.mask_records(texts))
    others = [base64.b64encode(bytes(range(256))).decode(), bytes(range(256)).hex()]
    assert redactor.mask_records(others) == others


def test_text_inside_fields_is_masked() -> None:
    redactor = Redactor(["s3cret"])
    assert redactor.mask_value({"a": ["s3cret", 1], "s3cret": None}) == {"a": [MASK, 1], MASK: None}


@pytest.mark.parametrize("name", ["password", "apiKey", "api_key", "access_token", "client_secret"])
def test_names_of_secrets_are_recognised(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["table", "primary_key", "cursor_field", "monkey", "keyset"])
def test_other_names_are_not_names_of_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_settings_that_differ_only_in_secrets_are_equal_without_them() -> None:
    first = {"host": "a", "password": "x", "auth": {"token": "y", "type": "bearer"}}
    second = {"host": "a", "password": "z", "auth": {"token": "w", "type": "bearer"}}
    assert remove_secrets(first) == remove_secrets(second)
    assert remove_secrets(first) == {"host": "a", "auth": {"type": "bearer"}}
    assert remove_secrets({"url": "https://u:p@h"}) == remove_secrets({"url": "https://u:q@h"})
    assert remove_secrets({"url": "https://h"}) != remove_secrets({"url": "https://i"})
