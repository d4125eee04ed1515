"""A foreign Host header is refused everywhere, and the response reveals nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from apps.web import hosts
from tests.web_server import ROOT, web_server

PUBLIC = "drover.example.com"
PATHS = (
    *("/", "/pipelines/new", "/api/v1/docs", "/api/v1/openapi.json", "/api/v1/org", "/api/nothing"),
    *("/static/docs/docs.css", "/static/nothing.js", "/operators/", "/operators/login/"),
    *("/api/v1/events", f"/api/v1/runs/{UUID(int=1)}/events", "/api/v1/metrics"),
    *("/api/v1/health/live", "/api/v1/health/ready", "/%00", "//evil.example/"),
)
STRANGE = (
    *(
        "evil.example",
        f"{PUBLIC}.evil.example",
        f"evil.example:80@{PUBLIC}",
        f"{PUBLIC}@evil.example",
    ),
    *("0.0.0.0", "10.0.0.1", "*", "", f"{PUBLIC}, evil.example", "[::2]", "a b", "\xe4.example"),
)


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[int]:
    """An installation behind a proxy; probes connect to it directly."""
    environment: Any = {
        "DROVER_DEPLOYMENT": "production",
        "DROVER_PUBLIC_URL": f"https://{PUBLIC}",
        "DROVER_ALLOWED_HOSTS": ".drover.internal",
        "DROVER_SSL_REDIRECT": "false",
    }
    with web_server(**environment) as address:
        yield int(address.rpartition(":")[2])


def ask(port: int, path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """Return the whole response to a raw request."""
    head = "\r\n".join((f"{method} {path} HTTP/{version}", *lines, "Connection: close", "", ""))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode("latin-1"))
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("path", PATHS)
def test_a_strange_host_is_refused_on_every_path(server: int, path: str) -> None:
    for method in ("GET", "POST"):
        answer = ask(server, path, "Host: evil.example", method=method)
        assert status(answer) == 400, answer
        assert PUBLIC.encode() not in answer
        assert b"internal" not in answer
        assert b"DROVER_ALLOWED_HOSTS" in answer  # the next step, for the operator


@pytest.mark.parametrize("host", STRANGE)
def test_values_that_only_look_like_ours_are_refused(server: int, host: str) -> None:
    for path in ("/", "/api/v1/events", "/api/v1/health/live"):
        assert status(ask(server, path, f"Host: {host}")) == 400


def test_two_hosts_and_none_are_refused(server: int) -> None:
    both = (f"Host: {PUBLIC}", "Host: evil.example")
    for lines in (both, tuple(reversed(both)), ()):
        for path in ("/", "/api/v1/events"):
            assert status(ask(server, path, *lines)) == 400
    assert status(ask(server, "/api/v1/events", version="1.0")) == 400
    forwarded = ("Host: evil.example", f"X-Forwarded-Host: {PUBLIC}")
    assert status(ask(server, "/", *forwarded)) == 400


@pytest.mark.parametrize("host", [PUBLIC, PUBLIC.upper(), f"{PUBLIC}:443", "a.drover.internal"])
def test_our_own_names_are_answered(server: int, host: str) -> None:
    assert status(ask(server, "/api/v1/docs", f"Host: {host}")) == 200
    assert status(ask(server, "/api/v1/events", f"Host: {host}")) == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_probes_ask_from_inside_by_address_and_get_nothing_else(server: int, host: str) -> None:
    """The image's health check, Kubernetes and Prometheus do not know the installation's host name."""
    line = f"Host: {host}:{server}"
    assert status(ask(server, "/api/v1/health/live", line)) == 200
    assert status(ask(server, "/api/v1/health/ready", line)) == 503  # the suite has no worker
    assert status(ask(server, "/api/v1/metrics", line)) == 401
    assert status(ask(server, "/", line)) == 400
    assert status(ask(server, "/api/v1/events", line)) == 400
    assert status(ask(server, "/api/v1/health/live", version="1.0")) == 200


def test_a_probe_may_name_the_address_it_connected_to_and_no_other() -> None:
    live = "/api/v1/health/live"
    assert hosts.is_ours("10.1.2.3:8000", path=live, server="10.1.2.3")
    assert hosts.is_ours("[2001:db8::1]:8000", path=live, server="2001:db8::1")
    assert not hosts.is_ours("10.1.2.4:8000", path=live, server="10.1.2.3")
    assert not hosts.is_ours("10.1.2.3:8000", path="/api/v1/org", server="10.1.2.3")


def test_a_star_is_refused_and_the_public_name_always_answered() -> None:
    def read(**environment: str) -> subprocess.CompletedProcess[str]:
        ask = "from config import settings; print(settings.ALLOWED_HOSTS)"
        return subprocess.run(
            [sys.executable, "-c", ask],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )

    refused = read(DROVER_ALLOWED_HOSTS="example.com,*")
    assert refused.returncode != 0
    assert "must name hosts" in refused.stderr
    names = read(DROVER_PUBLIC_URL="https://Drover.example.com:8443/x", DROVER_ALLOWED_HOSTS="a")
    assert names.stdout.strip() == "['a', 'drover.example.com']"
    ours = read(DROVER_PUBLIC_URL="http://[::1]:8000")
    assert ours.stdout.strip() == "['localhost', '127.0.0.1', '[::1]']"
