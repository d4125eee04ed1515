"""The client's IP address is the peer's, or the one that the configured proxies report. Clients cannot forge it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from a2wsgi.wsgi import build_environ
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory

from apps.auth.models import LoginAttempt
from apps.orgs.models import AuditEvent, Org
from apps.orgs.roles import Role
from apps.web.addresses import client_ip, normalise_address
from local import web
from tests.web_server import ROOT, find_free_port, web_server
from tests.world import make_world, token_for

PEER = "203.0.113.9"
# Headers with which an attacker claims another address. By default uvicorn trusts the first two from loopback.
FORGED_HEADERS = (
    *("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "X-Client-IP"),
    *("X-Forwarded-Host", "X-Forwarded-Port", "True-Client-IP", "X_Forwarded_For"),
)


def make_request(*, forwarded: str | None = None, peer: str = PEER) -> Any:
    headers: Any = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return RequestFactory().get("/", REMOTE_ADDR=peer, **headers)


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (0, None, PEER),
        (0, "10.0.0.1", PEER),
        (1, None, PEER),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "10.0.0.1, 198.51.100.7", "198.51.100.7"),
        (1, "10.0.0.1,, ,198.51.100.7", "198.51.100.7"),
        (2, "10.0.0.1, 198.51.100.7, 192.0.2.1", "198.51.100.7"),
        (2, "198.51.100.7", PEER),
        (3, "10.0.0.1, 198.51.100.7", PEER),
        (1, "198.51.100.7:4711", "198.51.100.7"),
        (1, "[2001:db8::7]:443", "2001:db8::7"),
        (1, "[2001:db8::7]", "2001:db8::7"),
        (1, "fe80::1%eth0", "fe80::1"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "2001:DB8:0:0::7", "2001:db8::7"),
        (1, "10.0.0.1, unknown", PEER),
        (1, "10.0.0.1, _hidden", PEER),
        (1, "10.0.0.1, ", PEER),
        (1, "10.0.0.1, 1.2.3.4.5", PEER),
        (1, "10.0.0.1, 198.51.100.7; drop", PEER),
    ],
)
def test_the_client_is_found_by_counting_forwarded_addresses_from_the_right(
    monkeypatch: pytest.MonkeyPatch, hops: int, forwarded: str | None, expected: str
) -> None:
    monkeypatch.setattr(settings, "TRUSTED_PROXIES", hops)
    assert client_ip(make_request(forwarded=forwarded)) == expected


@pytest.mark.parametrize(("peer", "expected"), [("::ffff:192.0.2.1", "192.0.2.1"), ("", None)])
def test_the_address_of_the_peer_is_normalised(peer: str, expected: str | None) -> None:
    assert client_ip(make_request(peer=peer)) == expected
    assert normalise_address("0x7f.1") is None
    assert normalise_address("127.1") is None


def test_asgi_and_wsgi_read_several_forwarded_headers_as_one_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ASGI handles streams and WSGI handles everything else. Both must find the same address."""
    monkeypatch.setattr(settings, "TRUSTED_PROXIES", 2)
    lines = [b"10.0.0.1", b"198.51.100.7", b"192.0.2.1"]
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "http_version": "1.1",
        "client": (PEER, 1),
        "headers": [(b"x-forwarded-for", line) for line in lines],
    }
    body: Any = io.BytesIO()
    environ: Any = build_environ(scope, body)
    requests = (ASGIRequest(scope, body), WSGIRequest(environ))
    assert [client_ip(request) for request in requests] == ["198.51.100.7", "198.51.100.7"]


def test_django_trusts_no_other_forwarded_header() -> None:
    assert settings.USE_X_FORWARDED_HOST is False
    assert settings.USE_X_FORWARDED_PORT is False
    assert settings.SECURE_PROXY_SSL_HEADER is None  # this is a local installation


@pytest.mark.parametrize(("proxies", "header"), [("0", None), ("1", "HTTP_X_FORWARDED_PROTO")])
def test_the_forwarded_scheme_is_trusted_only_behind_a_proxy(
    proxies: str, header: str | None
) -> None:
    assert _read_setting("SECURE_PROXY_SSL_HEADER", DROVER_TRUSTED_PROXIES=proxies)[:1] == (
        [header] if header else []
    )


def test_a_negative_number_of_proxies_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        _read_setting("TRUSTED_PROXIES", DROVER_TRUSTED_PROXIES="-1")
    assert b"must be 0 or more" in refused.value.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("DROVER_CHILD_MEMORY_MB", "-1"), ("DROVER_DB_POOL", "0"), ("DROVER_WEB_THREADS", "0")],
)
def test_a_limit_below_one_is_refused(name: str, value: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        _read_setting("TRUSTED_PROXIES", **{name: value})
    assert f"{name} must be 1 or more, not {value}.".encode() in refused.value.stderr


def test_an_empty_setting_means_the_default() -> None:
    assert _read_setting("WEB_POOL", DROVER_DB_POOL="", DROVER_WEB_THREADS="5") == 5


def _read_setting(name: str, **environment: str) -> Any:
    program = f"import json; from config import settings; print(json.dumps(settings.{name} or []))"
    completed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "DROVER_DEPLOYMENT": "production", **environment},
        capture_output=True,
        check=True,
    )
    return json.loads(completed.stdout)


# --- Every place that starts uvicorn ---------------------------------------------------------------
def command_of_the_image() -> list[str]:
    (command,) = re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    words: list[str] = json.loads(command)
    return words


def test_uvicorn_is_started_with_proxy_headers_disabled_everywhere() -> None:
    assert "--no-proxy-headers" in web.command(port=1)
    assert "--no-proxy-headers" in command_of_the_image()
    folders = ("apps", "bench", "config", "docs", "local", "tests")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()]
    files += [file for file in ROOT.glob("*") if file.is_file() and file.suffix != ".lock"]
    uvicorn_start = re.compile(
        r"""(?<!find_processes\()["']uvicorn["']|uvicorn\.(?:run|Config|Server)|uvicorn config\b"""
    )
    suffixes = {"py", "md", "yml", "yaml", "toml", "sh", ""}
    found = {
        str(file.relative_to(ROOT))
        for file in files
        if file.suffix.removeprefix(".") in suffixes and uvicorn_start.search(_read_text(file))
    }
    checked_above = {"Dockerfile", "local/web.py"}
    assert found == checked_above | {"tests/web_server.py", "tests/api/test_addresses.py"}
    assert "proxy_headers=False" in _read_text(ROOT / "tests/web_server.py")


def _read_text(file: Path) -> str:
    try:
        return file.read_text()
    except UnicodeDecodeError:
        return ""


def command_of_make_up(port: int) -> list[str]:
    return list(web.command(port=port))


def image_command_on_loopback(port: int) -> list[str]:
    """Return the image's CMD, changed to listen on loopback and this port."""
    words = command_of_the_image()
    words[words.index("--host") + 1] = "127.0.0.1"
    words[words.index("--port") + 1] = str(port)
    return [sys.executable, "-m", *words]


@pytest.fixture(
    params=[
        pytest.param(command_of_make_up, id="make up"),
        pytest.param(image_command_on_loopback, id="image", marks=pytest.mark.long),
    ]
)
def server(request: pytest.FixtureRequest, committed_db: None) -> Iterator[str]:
    port = find_free_port()
    environment = {"DROVER_TRUSTED_PROXIES": "0", "FORWARDED_ALLOW_IPS": "*"}
    with web_server(request.param(port), port=port, **environment) as address:
        yield address


def forged_headers(number: int) -> dict[str, str]:
    return {name: "https" if "Proto" in name else f"10.0.0.{number}" for name in FORGED_HEADERS}


def test_a_real_server_ignores_forged_addresses(server: str) -> None:
    """Forged addresses must not affect the rate limits, the list of allowed networks or the audit log."""
    login = f"{server}/api/v1/auth/login"
    body = {"email": "victim@example.com", "password": "wrong"}
    statuses = [
        httpx.post(login, json=body, headers=forged_headers(number)).status_code
        for number in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2
    assert LoginAttempt.objects.values("key").distinct().count() == 2  # one IP address, one account

    world = make_world()
    bearer = {"Authorization": f"Bearer {token_for(world.users[Role.OWNER], world.org)}"}
    answer = httpx.post(
        f"{server}/api/v1/org/domains", json={"name": "x"}, headers={**bearer, **forged_headers(1)}
    )
    assert answer.status_code == 201
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).get(action="domain.create")
        assert event.ip == "127.0.0.1"
        Org.objects.filter(pk=world.org.pk).update(networks=["10.0.0.0/8"])
    for path in ("org", "events", f"runs/{UUID(int=1)}/events"):
        refused = httpx.get(f"{server}/api/v1/{path}", headers={**bearer, **forged_headers(1)})
        assert refused.status_code == 403, path
        assert refused.json()["code"] == "network_not_allowed"
