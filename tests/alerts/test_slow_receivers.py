"""A receiver that sends byte by byte holds a delivery no longer than one time limit, with all its redirects.

Each receiver answers in the end, and each part of its answer comes in time. So a delivery without the limit is accepted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from apps.alerts.installation import heartbeat
from apps.alerts.kinds import posting

STEP = 0.1  # seconds between two bytes
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
REDIRECT = (
    b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
)
UNLIMITED = 60.0  # seconds


@dataclass
class SlowReceiver:
    """`answers` are (what is sent at once, what is sent byte by byte) for one request after the other."""

    url: str
    answers: list[tuple[bytes, bytes]]
    waits: float = 0.0  # seconds before it reads the body of a request
    paths: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def slow_receiver(*answers: tuple[bytes, bytes], waits: float = 0.0) -> Iterator[SlowReceiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.paths.append(self.path)
            receiver.ended.wait(receiver.waits)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            at_once, slowly = receiver.answers.pop(0)
            self.wfile.write(at_once)
            for byte in slowly:
                if receiver.ended.wait(STEP):
                    return
                self.wfile.write(bytes([byte]))

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """The client has closed the connection."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver = SlowReceiver(f"http://127.0.0.1:{server.server_port}", list(answers), waits)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def post(receiver: SlowReceiver, body: bytes = b"{}") -> Any:
    return posting.post(receiver.url, body, headers={}, secrets=[])


@pytest.mark.parametrize("seconds", [1.0, UNLIMITED])
def test_redirects_with_slow_bodies_share_one_time_limit(
    monkeypatch: pytest.MonkeyPatch, settings: Any, seconds: float
) -> None:
    monkeypatch.setattr(heartbeat, "TOTAL_SECONDS", seconds)
    redirect = (REDIRECT % 6, b"slowly")
    with slow_receiver(redirect, redirect, redirect, redirect, (OK, b"ok")) as receiver:
        settings.HEARTBEAT_URL = receiver.url
        assert heartbeat.beat() == (seconds == UNLIMITED)
        assert (len(receiver.paths) == 5) == (seconds == UNLIMITED)


@pytest.mark.parametrize("seconds", [1.0, UNLIMITED])
def test_slow_headers_end_at_the_time_limit(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(posting, "TOTAL_SECONDS", seconds)
    with slow_receiver((b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1234567\r\n\r\n")) as receiver:
        answer = post(receiver)
    assert answer.accepted == (seconds == UNLIMITED)
    if not answer.accepted:
        assert (answer.problem, answer.retryable) == ("The server did not answer in time.", True)


@pytest.mark.parametrize("seconds", [2.0, UNLIMITED])
def test_the_slow_body_of_a_redirect_is_cut_off_at_the_time_limit(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(posting, "TOTAL_SECONDS", seconds)
    body = b"x" * 40
    with slow_receiver((REDIRECT % len(body), body)) as receiver:
        answer = post(receiver)
    assert answer.status == 302
    assert answer.problem.startswith("The server answered 302, a redirect, which is not followed")
    assert (answer.text == body.decode()) == (seconds == UNLIMITED)
    assert receiver.paths == ["/"]


@pytest.mark.parametrize("seconds", [1.0, UNLIMITED])
def test_a_receiver_that_does_not_read_the_message_ends_at_the_time_limit(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(posting, "TOTAL_SECONDS", seconds)
    with slow_receiver((OK, b"ok"), waits=2.0) as receiver:
        answer = post(receiver, body=b" " * (1 << 25))
    assert answer.accepted == (seconds == UNLIMITED)
    assert answer.accepted or answer.retryable
