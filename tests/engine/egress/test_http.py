"""HTTP requests under the egress policy, with real local servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from apps.egress.exceptions import HostRefused
from apps.egress.http import (
    BodyTooLargeError,
    BodyTooSlowError,
    PolicySession,
    apply_policy,
    read_body,
    url_without_secrets,
)

# Paths whose bodies come byte by byte for ever, with a header and the beginning of the body. A single read of the client
# waits for the whole body, for the length of a chunk, or for the end of the file name in the header of a gzip stream.
BYTE_BY_BYTE = {
    "/body": ("Content-Length", "100000", b""),
    "/chunk": ("Transfer-Encoding", "chunked", b""),
    "/gzip": ("Content-Encoding", "gzip", b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03"),
}


class Server(ThreadingHTTPServer):
    """Redirect `/to?<url>` to the URL, `/loop` to itself, and `/moved` to `target`. Send a large body for `/flood`, also with a
    redirect for `/moved-flood`, an endless one for `/drip`, and "ok" for all other paths.
    """

    def __init__(self) -> None:
        self.requests_received: list[tuple[str, dict[str, str]]] = []
        self.stop = threading.Event()
        self.target = "/"
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests_received.append(
            (self.path, {k.lower(): v for k, v in self.headers.items()})
        )
        if self.path.startswith("/to?"):
            return self._redirect(self.path[4:])
        if self.path == "/loop":
            return self._redirect("/loop")
        if self.path == "/moved":
            return self._redirect(self.server.target)
        self.send_response(302 if self.path == "/moved-flood" else 200)
        if self.path in BYTE_BY_BYTE:
            return self._send_byte_by_byte(*BYTE_BY_BYTE[self.path])
        if self.path == "/moved-flood":
            self.send_header("Location", "/")
        self.end_headers()
        if self.path == "/drip":
            while not self.server.stop.wait(0.02):
                self.wfile.write(b"x" * (1 << 16))
        with suppress(OSError):  # the client has closed the connection
            self.wfile.write(b"x" * (1 << 20) if "flood" in self.path else b"ok")
        return None

    def _send_byte_by_byte(self, header: str, value: str, start: bytes) -> None:
        self.send_header(header, value)
        self.end_headers()
        self.wfile.write(start)
        with suppress(OSError):
            while not self.server.stop.wait(0.05):
                self.wfile.write(b"1")

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def run_server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    server.server_close()
    thread.join()


server = pytest.fixture(run_server, name="server")
other_server = pytest.fixture(run_server, name="other_server")


@pytest.fixture
def private_session() -> PolicySession:
    return PolicySession(allow_private=True, timeout=(2, 2))


def test_a_private_server_is_reached_only_when_allowed(
    server: Server, private_session: PolicySession
) -> None:
    assert private_session.get(server.url).text == "ok"
    with pytest.raises(HostRefused, match=r"127\.0\.0\.1 is refused"):
        PolicySession(allow_private=False).get(server.url)
    assert len(server.requests_received) == 1


def test_a_redirect_to_a_metadata_address_is_refused(
    server: Server, private_session: PolicySession
) -> None:
    with pytest.raises(HostRefused, match="metadata"):
        private_session.get(f"{server.url}/to?http://169.254.169.254/latest/meta-data")
    assert server.requests_received[0][0].startswith("/to?")


def test_a_redirect_to_a_file_is_not_followed(
    server: Server, private_session: PolicySession
) -> None:
    with pytest.raises(requests.exceptions.InvalidSchema):
        private_session.get(f"{server.url}/to?file:///etc/passwd")


def test_the_body_of_a_redirect_that_is_not_followed_is_not_read(
    server: Server, private_session: PolicySession
) -> None:
    """A server that sends no end of it would fill the memory."""
    url = f"{server.url}/moved-flood"
    with private_session.get(url, allow_redirects=False, stream=True) as response:
        assert response.status_code == 302
        assert response.raw.tell() == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("is_plain", [False, True])
def test_a_redirect_with_a_large_body_is_not_followed(
    server: Server, private_session: PolicySession, is_plain: bool, stream: bool
) -> None:
    """`requests` would read the whole body first, also one without an end."""
    plain = requests.Session()
    apply_policy(plain, allow_private=True)
    session = plain if is_plain else private_session
    with pytest.raises(BodyTooLargeError):
        session.get(f"{server.url}/moved-flood", stream=stream)
    assert session.get(f"{server.url}/to?/x").text == "ok"


@pytest.mark.parametrize("target", ["http://[::1", "\xff\xfe"])
def test_a_redirect_that_is_not_followed_may_lead_to_an_invalid_address(
    server: Server, private_session: PolicySession, target: str
) -> None:
    server.target = target
    with private_session.get(f"{server.url}/moved", allow_redirects=False, stream=True) as response:
        assert response.status_code == 302


def test_a_request_follows_at_most_five_redirects(
    server: Server, private_session: PolicySession
) -> None:
    with pytest.raises(requests.exceptions.TooManyRedirects):
        private_session.get(f"{server.url}/loop")
    assert len(server.requests_received) == 6


def test_a_redirect_to_another_origin_carries_no_credentials(
    server: Server, other_server: Server, private_session: PolicySession
) -> None:
    secrets = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Cookie": "s=s3cret"}
    assert (
        private_session.get(f"{server.url}/to?{other_server.url}/x", headers=secrets).text == "ok"
    )
    assert "s3cret" in str(server.requests_received)
    assert "s3cret" not in str(other_server.requests_received)


def test_a_redirect_within_the_origin_keeps_credentials(
    server: Server, private_session: PolicySession
) -> None:
    private_session.get(f"{server.url}/to?/x", headers={"X-Api-Key": "s3cret"})
    assert server.requests_received[-1][1]["x-api-key"] == "s3cret"


def test_proxies_of_the_environment_are_ignored(
    server: Server, private_session: PolicySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert private_session.get(server.url).text == "ok"


def test_the_connection_uses_the_address_that_was_checked(
    server: Server, private_session: PolicySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_getaddrinfo = socket.getaddrinfo
    resolved_hosts: list[object] = []

    def resolve_to_another_address(host: object, *args: object, **kwargs: object) -> object:
        if host != "rebind.test":
            return real_getaddrinfo(host, *args, **kwargs)  # type: ignore[arg-type]
        resolved_hosts.append(host)
        address = "127.0.0.1" if len(resolved_hosts) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve_to_another_address)
    url = server.url.replace("127.0.0.1", "rebind.test")
    assert private_session.get(url).text == "ok"
    assert len(resolved_hosts) == 1


def test_a_body_over_the_limit_is_cut_off(server: Server, private_session: PolicySession) -> None:
    response = private_session.get(f"{server.url}/flood", stream=True)
    with pytest.raises(BodyTooLargeError, match="1,000 bytes"):
        read_body(response, limit=1000, seconds=5)


def test_an_endless_slow_body_is_cut_off(server: Server, private_session: PolicySession) -> None:
    response = private_session.get(f"{server.url}/drip", stream=True)
    with pytest.raises(BodyTooSlowError):
        read_body(response, limit=1 << 40, seconds=0.1)


@pytest.mark.parametrize("path", BYTE_BY_BYTE)
def test_a_server_that_sends_single_bytes_cannot_delay_the_end(
    server: Server, private_session: PolicySession, path: str
) -> None:
    response = private_session.get(f"{server.url}{path}", stream=True)
    with pytest.raises(BodyTooSlowError):  # The server never ends the body.
        read_body(response, limit=1 << 20, seconds=0.5)


def test_the_url_for_display_contains_no_secret() -> None:
    url = "https://user:s3cret@api.test:8443/v1/items?key=s3cret#s3cret"
    assert url_without_secrets(url) == "https://api.test:8443/v1/items"
