"""Buckets of users: their settings, the errors of their servers, and the addresses that requests may use."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from apps.egress.exceptions import EgressError
from apps.engine.contract import DestinationSpec, StorageRoot
from apps.engine.destinations.base import Destination
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    DestinationError,
    EngineError,
)
from apps.engine.stores.gcs import TOKEN_URI, credentials_from_key
from apps.engine.sync.build import build_destination
from tests.engine.destinations.servers import BUCKET, Servers

SECRET = "never-to-be-shown-secret"


class FixedServer(ThreadingHTTPServer):
    """Send the same `response` to every request: a status, headers and a body."""

    response: tuple[int, dict[str, str], bytes] = (200, {}, b"")

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FixedResponseHandler)
        self.requested_paths: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class FixedResponseHandler(BaseHTTPRequestHandler):
    def send_fixed_response(self) -> None:
        assert isinstance(self.server, FixedServer)
        self.server.requested_paths.append(self.path)
        status, headers, body = self.server.response
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = send_fixed_response  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """Do not log."""


@pytest.fixture
def fixed_server() -> Iterator[FixedServer]:
    server = FixedServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def s3_config(endpoint: str, **settings: Any) -> dict[str, Any]:
    return {
        "bucket_url": f"s3://{BUCKET}/x",
        "access_key_id": "test-key",
        "secret_access_key": SECRET,
        "endpoint_url": endpoint,
        **settings,
    }


def build_bucket_destination(config: dict[str, Any], *, allow_private: bool = True) -> Destination:
    return build_destination(
        DestinationSpec("parquet", config, "flights"),
        job_id="a",
        data=StorageRoot("file:///nonexistent", "unused"),
        allow_private_networks=allow_private,
    )


def open_and_return_error(destination: Destination) -> Any:
    expected: Any = (EngineError, EgressError)
    with pytest.raises(expected) as raised:
        destination.open(())
    shown_text = " ".join([str(raised.value), *raised.value.evidence])
    assert SECRET not in shown_text
    return raised.value


def error_xml(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "code", "error_type"),
    [
        (403, "AccessDenied", AuthenticationError),
        (403, "InvalidAccessKeyId", AuthenticationError),
        (403, "SignatureDoesNotMatch", AuthenticationError),
        (404, "NoSuchBucket", ConfigurationError),
        (507, "InsufficientStorage", DestinationError),
    ],
)
def test_the_error_code_of_s3_decides_the_failure_class(
    fixed_server: FixedServer, status: int, code: str, error_type: type[EngineError]
) -> None:
    fixed_server.response = (status, {}, error_xml(code, "because"))
    error = open_and_return_error(build_bucket_destination(s3_config(fixed_server.url)))
    assert type(error) is error_type
    assert error.evidence == (f"HTTP {status} {code}: because",)
    steps = list(build_bucket_destination(s3_config(fixed_server.url)).check())
    assert [(step.step, step.ok) for step in steps] == [
        ("resolve", True),
        ("connect", True),
        ("authenticate", False),
    ]


@pytest.mark.parametrize(
    ("status", "error_type"), [(401, AuthenticationError), (404, ConfigurationError)]
)
def test_the_http_status_of_gcs_decides_the_failure_class(
    fixed_server: FixedServer, status: int, error_type: type[EngineError]
) -> None:
    fixed_server.response = (
        status,
        {"Content-Type": "application/json"},
        b'{"error": {"message": "no"}}',
    )
    error = open_and_return_error(
        build_bucket_destination(
            {"bucket_url": f"gs://{BUCKET}/x", "endpoint_url": fixed_server.url}
        )
    )
    assert type(error) is error_type


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_redirect_is_not_followed(fixed_server: FixedServer, scheme: str) -> None:
    fixed_server.response = (307, {"Location": f"{fixed_server.url}/stolen"}, b"")
    config = (
        s3_config(fixed_server.url)
        if scheme == "s3"
        else {"bucket_url": f"gs://{BUCKET}/x", "endpoint_url": fixed_server.url}
    )
    open_and_return_error(build_bucket_destination(config))
    assert fixed_server.requested_paths
    assert not [path for path in fixed_server.requested_paths if "stolen" in path]


def test_an_unreachable_server_is_a_retryable_failure_of_the_destination() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = open_and_return_error(build_bucket_destination(s3_config(f"http://127.0.0.1:{port}")))
    assert isinstance(error, DestinationError)
    assert error.retryable


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_private_endpoints_are_refused_unless_allowed(servers: Servers, scheme: str) -> None:
    config = (
        s3_config(servers.s3_url)
        if scheme == "s3"
        else {"bucket_url": f"gs://{BUCKET}/x", "endpoint_url": servers.gcs_url}
    )
    error = open_and_return_error(build_bucket_destination(config, allow_private=False))
    assert isinstance(error, EgressError)
    assert "refused" in error.message
    steps = list(build_bucket_destination(config, allow_private=False).check())
    assert [(step.step, step.ok) for step in steps] == [("resolve", False)]


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_name_that_resolves_to_a_private_address_after_the_check_is_refused(
    fixed_server: FixedServer, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """DNS returns a public address first and a private one later. Every connection checks the address again."""
    fixed_server.response = (200, {}, b"")
    port = fixed_server.server_address[1]
    answers = iter(["93.184.215.14"])
    resolved_hosts: list[str] = []

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        resolved_hosts.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers, "127.0.0.1"), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    endpoint = f"http://rebinding.example:{port}"
    config = (
        s3_config(endpoint)
        if scheme == "s3"
        else {"bucket_url": f"gs://{BUCKET}/x", "endpoint_url": endpoint}
    )
    destination = build_bucket_destination(config, allow_private=False)
    first_step = next(iter(destination.check()))
    assert (first_step.step, first_step.ok) == ("resolve", True)
    assert "refused" in open_and_return_error(destination).message
    assert len(resolved_hosts) > 1
    assert fixed_server.requested_paths == []


@pytest.mark.parametrize(
    ("config", "expected_text"),
    [
        ({"bucket_url": "https://example.com/x"}, "bucket_url"),
        ({"bucket_url": "s3://Bad_Bucket"}, "bucket_url"),
        ({"bucket_url": "s3://good/../up", "access_key_id": "a", "secret_access_key": "b"}, ".."),
        ({"bucket_url": "s3://good"}, "access_key_id"),
        ({"bucket_url": "gs://good"}, "service_account_key"),
        ({"access_key_id": "a"}, "needs bucket_url"),
        (s3_config("http://x", region="evil.example/"), "region"),
        (s3_config("http://user:pass@x"), "endpoint_url"),
        (s3_config("file:///etc/passwd"), "endpoint_url"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_invalid_bucket_settings_are_refused(config: dict[str, Any], expected_text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        build_bucket_destination(config)
    assert expected_text in " ".join(raised.value.evidence)
    assert SECRET not in " ".join(raised.value.evidence)


def service_account_json(**changes: Any) -> str:
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "drover@acme.iam.gserviceaccount.com",
            "private_key": pem.decode(),
            "token_uri": "http://169.254.169.254/steal",
            **changes,
        }
    )


def test_the_token_uri_of_a_service_account_key_is_ignored() -> None:
    assert credentials_from_key(service_account_json())._token_uri == TOKEN_URI


@pytest.mark.parametrize(
    "key",
    ["not json", "[]", "{}", '{"type": "external_account"}', '{"type": "service_account"}'],
)
def test_other_kinds_of_google_keys_are_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="not the JSON key of a service account"):
        credentials_from_key(key)


def test_a_broken_private_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    key = service_account_json(private_key=f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n")
    error = open_and_return_error(
        build_bucket_destination({"bucket_url": f"gs://{BUCKET}/x", "service_account_key": key})
    )
    assert isinstance(error, ConfigurationError)
