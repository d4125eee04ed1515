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

PUBLIC_HOST = "drover.example.com"
PATHS = (
    *("/", "/pipelines/new", "/api/v1/docs", "/api/v1/openapi.json", "/api/v1/org", "/api/nothing"),
    *("/static/docs/docs.css", "/static/nothing.js", "/operators/", "/operators/login/"),
    *("/api/v1/events", f"/api/v1/runs/{UUID(int=1)}/events", "/api/v1/metrics"),
    *("/api/v1/health/live", "/api/v1/health/ready", "/%00", "//evil.example/"),
)
FOREIGN_HOSTS = (
    *(
        "evil.example",
        f"{PUBLIC_HOST}.evil.example",
        f"evil.example:80@{PUBLIC_HOST}",
        f"{PUBLIC_HOST}@evil.example",
    ),
    *(
        "0.0.0.0",
        "10.0.0.1",
        "*",
        "",
        f"{PUBLIC_HOST}, evil.example",
        "[::2]",
        "a b",
        "\xe4.example",
    ),
)


@pytest.fixture(scope="module")
def server_port(django_db_setup: None) -> Iterator[int]:
    """Start an installation behind a proxy, and yield the port to which probes connect directly."""
    environment: Any = {
        "DROVER_DEPLOYMENT": "production",
        "DROVER_PUBLIC_URL": f"https://{PUBLIC_HOST}",
        "DROVER_ALLOWED_HOSTS": ".drover.internal",
        "DROVER_SSL_REDIRECT": "false",
    }
    with web_server(**environment) as address:
        yield int(address.rpartition(":")[2])


def send_raw(port: int, path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """Send a raw request and return the whole response."""
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
def test_a_foreign_host_is_refused_on_every_path(server_port: int, path: str) -> None:
    for method in ("GET", "POST"):
        answer = send_raw(server_port, path, "Host: evil.example", method=method)
        assert status(answer) == 400, answer
        assert PUBLIC_HOST.encode() not in answer
        assert b"internal" not in answer
        assert b"DROVER_ALLOWED_HOSTS" in answer  # tells the operator the next step


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_every_foreign_host_is_refused(server_port: int, host: str) -> None:
    for path in ("/", "/api/v1/events", "/api/v1/health/live"):
        assert status(send_raw(server_port, path, f"Host: {host}")) == 400


def test_requests_with_two_hosts_or_none_are_refused(server_port: int) -> None:
    two_hosts = (f"Host: {PUBLIC_HOST}", "Host: evil.example")
    for lines in (two_hosts, tuple(reversed(two_hosts)), ()):
        for path in ("/", "/api/v1/events"):
            assert status(send_raw(server_port, path, *lines)) == 400
    assert status(send_raw(server_port, "/api/v1/events", version="1.0")) == 400
    forwarded = ("Host: evil.example", f"X-Forwarded-Host: {PUBLIC_HOST}")
    assert status(send_raw(server_port, "/", *forwarded)) == 400


@pytest.mark.parametrize(
    "host", [PUBLIC_HOST, PUBLIC_HOST.upper(), f"{PUBLIC_HOST}:443", "a.drover.internal"]
)
def test_our_own_hosts_are_accepted(server_port: int, host: str) -> None:
    assert status(send_raw(server_port, "/api/v1/docs", f"Host: {host}")) == 200
    assert status(send_raw(server_port, "/api/v1/events", f"Host: {host}")) == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_hosts_are_accepted_for_health_and_metrics_only(
    server_port: int, host: str
) -> None:
    """The image's health check, Kubernetes and Prometheus do not know the installation's host name."""
    line = f"Host: {host}:{server_port}"
    assert status(send_raw(server_port, "/api/v1/health/live", line)) == 200
    assert (
        status(send_raw(server_port, "/api/v1/health/ready", line)) == 503
    )  # the suite has no worker
    assert status(send_raw(server_port, "/api/v1/metrics", line)) == 401
    assert status(send_raw(server_port, "/", line)) == 400
    assert status(send_raw(server_port, "/api/v1/events", line)) == 400
    assert status(send_raw(server_port, "/api/v1/health/live", version="1.0")) == 200


def test_a_probe_may_use_only_the_address_that_it_connected_to_as_host() -> None:
    live_path = "/api/v1/health/live"
    assert hosts.is_accepted("10.1.2.3:8000", path=live_path, server="10.1.2.3")
    assert hosts.is_accepted("[2001:db8::1]:8000", path=live_path, server="2001:db8::1")
    assert not hosts.is_accepted("10.1.2.4:8000", path=live_path, server="10.1.2.3")
    assert not hosts.is_accepted("10.1.2.3:8000", path="/api/v1/org", server="10.1.2.3")


def test_the_setting_refuses_a_star_and_always_includes_the_public_host() -> None:
    def read_setting(**environment: str) -> subprocess.CompletedProcess[str]:
        program = "from config import settings; print(settings.ALLOWED_HOSTS)"
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )

    refused = read_setting(DROVER_ALLOWED_HOSTS="example.com,*")
    assert refused.returncode != 0
    assert "must name hosts" in refused.stderr
    with_public_url = read_setting(
        DROVER_PUBLIC_URL="https://Drover.example.com:8443/x", DROVER_ALLOWED_HOSTS="a"
    )
    assert with_public_url.stdout.strip() == "['a', 'drover.example.com']"
    with_ipv6_url = read_setting(DROVER_PUBLIC_URL="http://[::1]:8000")
    assert with_ipv6_url.stdout.strip() == "['localhost', '127.0.0.1', '[::1]']"


def test_addresses_have_one_slash_although_the_public_url_ends_with_one() -> None:
    program = "from config import settings; print(settings.PUBLIC_URL)"
    environment = {**os.environ, "DROVER_PUBLIC_URL": "https://drover.example.com/"}
    printed = subprocess.check_output(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, text=True
    )
    assert printed.strip() == "https://drover.example.com"
