"""The Google Sheets source. A local server imitates Google's API, and the tests change only the URLs."""

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
from tests.engine.sources.api import (
    Api,
    ReceivedRequest,
    Reply,
    RequestHandler,
    always_reply,
    serve_api,
)
from tests.engine.sources.reading import make_source, read_stream

CELLS = [["Faa Code", "altitude"], ["JFK", 13], ["LGA", 22]]


@pytest.fixture(scope="module")
def key() -> dict[str, str]:
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private_key.private_bytes(
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


def google_api(request: ReceivedRequest) -> Reply:
    if request.path == "/token":
        return Reply({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
    assert request.headers["authorization"] == "Bearer t"
    if "/values/" in request.path:
        rows = CELLS[:1] if "!A1" in request.path or "1:1" in request.path else CELLS
        return Reply({"range": "Sheet1", "majorDimension": "ROWS", "values": rows})
    sheet = {"properties": {"sheetId": 0, "title": "Sheet1", "index": 0, "gridProperties": {}}}
    return Reply({"properties": {"title": "Airports"}, "sheets": [sheet]})


@pytest.fixture
def use_google_api(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_urls(api: Api) -> None:
        monkeypatch.setattr(gsheets, "TOKEN_URI", f"{api.url}/token")
        for module in (gspread.http_client, gspread.urls):
            for name in dir(module):
                value = getattr(module, name)
                if isinstance(value, str) and value.startswith("https://sheets.googleapis.com"):
                    address = value.replace("https://sheets.googleapis.com", api.url)
                    monkeypatch.setattr(module, name, address)

    return set_urls


def make_gsheets_source(
    key: dict[str, str], worksheet: str = "Sheet1", *, allow_private: bool = True
) -> Any:
    config = {
        "spreadsheet_url": "https://docs.google.com/spreadsheets/d/1aBcDeFgHiJkLmNoPqRsTuVwXyZ/edit",
        "worksheet_name": worksheet,
        "service_account_key": json.dumps(key),
    }
    return make_source("gsheets", config, "worksheet", allow_private=allow_private)


def test_a_worksheet_is_read_with_column_names_for_sql(
    key: dict[str, str], use_google_api: Any
) -> None:
    with serve_api(google_api) as api:
        use_google_api(api)
        assert read_stream(make_gsheets_source(key)).rows == [
            {"faa__code": "JFK", "altitude": 13},
            {"faa__code": "LGA", "altitude": 22},
        ]
        assert all(step.ok for step in make_gsheets_source(key).check())


@pytest.mark.parametrize(
    ("respond", "error_type"),
    [
        (always_reply(Reply({"error": "invalid_grant"}, 400)), AuthenticationError),
        (
            lambda request: (
                google_api(request)
                if request.path == "/token"
                else Reply({"error": {"code": 403, "message": "no", "status": "DENIED"}}, 403)
            ),
            AuthenticationError,
        ),
        (
            lambda request: (
                google_api(request)
                if request.path == "/token"
                else Reply({"error": {"code": 500, "message": "no", "status": "X"}}, 500)
            ),
            SourceError,
        ),
    ],
)
def test_each_error_of_google_has_a_failure_class(
    key: dict[str, str], use_google_api: Any, respond: RequestHandler, error_type: type[EngineError]
) -> None:
    with serve_api(respond) as api:
        use_google_api(api)
        with pytest.raises(error_type) as raised:
            make_gsheets_source(key).get()
    assert raised.value.evidence


def test_a_missing_worksheet_is_a_configuration_failure(
    key: dict[str, str], use_google_api: Any
) -> None:
    with serve_api(google_api) as api:
        use_google_api(api)
        with pytest.raises(ConfigurationError, match="cannot be read"):
            make_gsheets_source(key, "Sheet9").get()


def test_a_key_with_another_token_uri_is_refused(key: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="token_uri"):
        make_gsheets_source({**key, "token_uri": "http://169.254.169.254/token"}).get()


@pytest.mark.parametrize(
    "text", ["{}", "[]", "not json", '{"private_key": "x", "client_email": "y"}']
)
def test_a_broken_key_is_refused(text: str, key: dict[str, str]) -> None:
    source_with_broken_key = make_gsheets_source(key)
    source_with_broken_key.settings.service_account_key = text
    with pytest.raises(ConfigurationError, match="service account key"):
        source_with_broken_key.get()


def test_private_addresses_are_refused(key: dict[str, str], use_google_api: Any) -> None:
    with serve_api(google_api) as api:
        use_google_api(api)
        with pytest.raises(EgressError, match="refused"):
            make_gsheets_source(key, allow_private=False).get()
        assert api.requests == []
