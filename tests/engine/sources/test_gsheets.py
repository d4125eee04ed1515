"""The Google Sheets source with a server that imitates Google's; only the URLs are changed."""

from __future__ import annotations

import json
from typing import Any

import gspread
import gspread.http_client
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from apps.egress.exceptions import EgressError
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    SourceError,
)
from apps.engine.sources import gsheets
from tests.engine.sources.api import Api, Asked, Reply, Script, always, serving
from tests.engine.sources.reading import build, read

CELLS = [["Faa Code", "altitude"], ["JFK", 13], ["LGA", 22]]


@pytest.fixture(scope="module")
def key() -> dict[str, str]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "client_email": "reader@project.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": pem.decode(),
    }


def google(asked: Asked) -> Reply:
    if asked.path == "/token":
        return Reply({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
    assert asked.headers["authorization"] == "Bearer t"
    if "/values/" in asked.path:
        rows = CELLS[:1] if "!A1" in asked.path or "1:1" in asked.path else CELLS
        return Reply({"range": "Sheet1", "majorDimension": "ROWS", "values": rows})
    sheet = {"properties": {"sheetId": 0, "title": "Sheet1", "index": 0, "gridProperties": {}}}
    return Reply({"properties": {"title": "Airports"}, "sheets": [sheet]})


@pytest.fixture
def pointed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def point(api: Api) -> None:
        monkeypatch.setattr(gsheets, "TOKEN_URI", f"{api.url}/token")
        for module in (gspread.http_client, gspread.urls):
            for name in dir(module):
                value = getattr(module, name)
                if isinstance(value, str) and value.startswith("https://sheets.googleapis.com"):
                    address = value.replace("https://sheets.googleapis.com", api.url)
                    monkeypatch.setattr(module, name, address)

    return point


def source(key: dict[str, str], worksheet: str = "Sheet1", *, private: bool = True) -> Any:
    config = {
        "spreadsheet_url": "https://docs.google.com/spreadsheets/d/1aBcDeFgHiJkLmNoPqRsTuVwXyZ/edit",
        "worksheet_name": worksheet,
        "service_account_key": json.dumps(key),
    }
    return build("gsheets", config, "worksheet", private=private)


def test_a_worksheet_is_read_with_names_for_sql(key: dict[str, str], pointed: Any) -> None:
    with serving(google) as api:
        pointed(api)
        assert read(source(key)).rows == [
            {"faa__code": "JFK", "altitude": 13},
            {"faa__code": "LGA", "altitude": 22},
        ]
        assert all(step.ok for step in source(key).check())


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (always(Reply({"error": "invalid_grant"}, 400)), AuthenticationError),
        (
            lambda asked: (
                google(asked)
                if asked.path == "/token"
                else Reply({"error": {"code": 403, "message": "no", "status": "DENIED"}}, 403)
            ),
            AuthenticationError,
        ),
        (
            lambda asked: (
                google(asked)
                if asked.path == "/token"
                else Reply({"error": {"code": 500, "message": "no", "status": "X"}}, 500)
            ),
            SourceError,
        ),
    ],
)
def test_what_google_refuses_has_its_class(
    key: dict[str, str], pointed: Any, script: Script, kind: type[EngineError]
) -> None:
    with serving(script) as api:
        pointed(api)
        with pytest.raises(kind) as caught:
            source(key).get()
    assert caught.value.evidence


def test_a_worksheet_that_is_not_there_is_a_configuration_failure(
    key: dict[str, str], pointed: Any
) -> None:
    with serving(google) as api:
        pointed(api)
        with pytest.raises(ConfigurationError, match="cannot be read"):
            source(key, "Sheet9").get()


def test_a_key_that_sends_its_token_request_elsewhere_is_refused(key: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="token_uri"):
        source({**key, "token_uri": "http://169.254.169.254/token"}).get()


@pytest.mark.parametrize(
    "text", ["{}", "[]", "not json", '{"private_key": "x", "client_email": "y"}']
)
def test_a_broken_key_is_refused_without_repeating_it(text: str, key: dict[str, str]) -> None:
    broken = source(key)
    broken.settings.service_account_key = text
    with pytest.raises(ConfigurationError, match="service account key"):
        broken.get()


def test_private_addresses_are_refused(key: dict[str, str], pointed: Any) -> None:
    with serving(google) as api:
        pointed(api)
        with pytest.raises(EgressError, match="refused"):
            source(key, private=False).get()
        assert api.asked == []
