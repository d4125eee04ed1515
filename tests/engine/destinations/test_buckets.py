"""Users' buckets: settings, refusals, and the allowed addresses of requests."""

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
from apps.engine.stores.gcs import TOKEN_URI, service_account
from apps.engine.sync.build import build_destination
from tests.engine.destinations.servers import BUCKET, Servers

SECRET = "never-to-be-shown-secret"


class Refusing(ThreadingHTTPServer):
    """Responds to every request with `answer`: a status, headers and a body."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answering(BaseHTTPRequestHandler):
    def reply(self) -> None:
        assert isinstance(self.server, Refusing)
        self.server.asked.append(self.path)
        status, headers, body = self.server.answer
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = reply  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """Do not log."""


@pytest.fixture
def refusing() -> Iterator[Refusing]:
    server = Refusing()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def s3(endpoint: str, **settings: Any) -> dict[str, Any]:
    return {
        "bucket_url": f"s3://{BUCKET}/x",
        "access_key_id": "test-key",
        "secret_access_key": SECRET,
        "endpoint_url": endpoint,
        **settings,
    }


def made(config: dict[str, Any], *, allow_private: bool = True) -> Destination:
    return build_destination(
        DestinationSpec("parquet", config, "flights"),
        job_id="a",
        data=StorageRoot("file:///nonexistent", "unused"),
        allow_private_networks=allow_private,
    )


def failure(destination: Destination) -> Any:
    expected: Any = (EngineError, EgressError)
    with pytest.raises(expected) as caught:
        destination.open(())
    told = " ".join([str(caught.value), *caught.value.evidence])
    assert SECRET not in told
    return caught.value


def xml(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", AuthenticationError),
        (403, "InvalidAccessKeyId", AuthenticationError),
        (403, "SignatureDoesNotMatch", AuthenticationError),
        (404, "NoSuchBucket", ConfigurationError),
        (507, "InsufficientStorage", DestinationError),
    ],
)
def test_what_s3_answers_decides_the_class(
    refusing: Refusing, status: int, code: str, kind: type[EngineError]
) -> None:
    refusing.answer = (status, {}, xml(code, "because"))
    error = failure(made(s3(refusing.url)))
    assert type(error) is kind
    assert error.evidence == (f"HTTP {status} {code}: because",)
    steps = list(made(s3(refusing.url)).check())
    assert [(step.step, step.ok) for step in steps] == [
        ("resolve", True),
        ("connect", True),
        ("authenticate", False),
    ]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (404, ConfigurationError)]
)
def test_what_gcs_answers_decides_the_class(
    refusing: Refusing, status: int, kind: type[EngineError]
) -> None:
    refusing.answer = (
        status,
        {"Content-Type": "application/json"},
        b'{"error": {"message": "no"}}',
    )
    error = failure(made({"bucket_url": f"gs://{BUCKET}/x", "endpoint_url": refusing.url}))
    assert type(error) is kind


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_redirect_is_not_followed(refusing: Refusing, scheme: str) -> None:
    refusing.answer = (307, {"Location": f"{refusing.url}/stolen"}, b"")
    config = (
        s3(refusing.url)
        if scheme == "s3"
        else {"bucket_url": f"gs://{BUCKET}/x", "endpoint_url": refusing.url}
    )
    failure(made(config))
    assert refusing.asked
    assert not [path for path in refusing.asked if "stolen" in path]


def test_a_server_that_is_not_there_is_the_destination_s_failure() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = failure(made(s3(f"http://127.0.0.1:{port}")))
    assert isinstance(error, DestinationError)
    assert error.retryable


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_private_endpoints_are_refused_unless_allowed(servers: Servers, scheme: str) -> None:
    config = (
        s3(servers.s3)
        if scheme == "s3"
        else {"bucket_url": f"gs://{BUCKET}/x", "endpoint_url": servers.gcs}
    )
    error = failure(made(config, allow_private=False))
    assert isinstance(error, EgressError)
    assert "refused" in error.message
    steps = list(made(config, allow_private=False).check())
    assert [(step.step, step.ok) for step in steps] == [("resolve", False)]


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_name_that_resolves_to_a_private_address_after_the_check_is_refused(
    refusing: Refusing, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """DNS returns a public address first and a private one later: every connection is checked again."""
    refusing.answer = (200, {}, b"")
    port = refusing.server_address[1]
    answers = iter(["93.184.215.14"])
    asked: list[str] = []

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers, "127.0.0.1"), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    endpoint = f"http://rebinding.example:{port}"
    config = (
        s3(endpoint)
        if scheme == "s3"
        else {"bucket_url": f"gs://{BUCKET}/x", "endpoint_url": endpoint}
    )
    destination = made(config, allow_private=False)
    first = next(iter(destination.check()))
    assert (first.step, first.ok) == ("resolve", True)
    assert "refused" in failure(destination).message
    assert len(asked) > 1
    assert refusing.asked == []


@pytest.mark.parametrize(
    ("config", "about"),
    [
        ({"bucket_url": "https://example.com/x"}, "bucket_url"),
        ({"bucket_url": "s3://Bad_Bucket"}, "bucket_url"),
        ({"bucket_url": "s3://good/../up", "access_key_id": "a", "secret_access_key": "b"}, ".."),
        ({"bucket_url": "s3://good"}, "access_key_id"),
        ({"bucket_url": "gs://good"}, "service_account_key"),
        ({"access_key_id": "a"}, "needs bucket_url"),
        (s3("http://x", region="evil.example/"), "region"),
        (s3("http://user:pass@x"), "endpoint_url"),
        (s3("file:///etc/passwd"), "endpoint_url"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_settings_that_cannot_work_are_refused(config: dict[str, Any], about: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(config)
    assert about in " ".join(caught.value.evidence)
    assert SECRET not in " ".join(caught.value.evidence)


def key_file(**changes: Any) -> str:
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


def test_a_service_account_key_does_not_choose_where_it_is_sent() -> None:
    assert service_account(key_file())._token_uri == TOKEN_URI


@pytest.mark.parametrize(
    "key",
    ["not json", "[]", "{}", '{"type": "external_account"}', '{"type": "service_account"}'],
)
def test_other_kinds_of_google_keys_are_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="not the JSON key of a service account"):
        service_account(key)


def test_a_broken_private_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    key = key_file(private_key=f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n")
    error = failure(made({"bucket_url": f"gs://{BUCKET}/x", "service_account_key": key}))
    assert isinstance(error, ConfigurationError)
