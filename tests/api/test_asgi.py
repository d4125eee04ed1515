"""The server's outermost layer handles slow and hostile clients before any view runs."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from apps.auth.models import LoginAttempt
from apps.orgs.roles import Role
from apps.runs.models import Output, Run
from apps.runs.outputs import storage
from config.asgi import application
from tests.web_server import web_server_in_thread
from tests.world import World, make_pipeline, make_world, token_for

Answer = tuple[int, bytes]
WaitingPaths = list[str]


async def call(
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes | None = b"",
    *,
    reads_response: bool = True,
    waiting: WaitingPaths | None = None,
) -> Answer:
    """Send a request and return the status and body of its response.

    If `body` is None, the client announces a body and never sends it. Without `reads_response` it never reads the response.
    The request adds its path to `waiting` once the server waits for the client.
    """
    messages: list[dict[str, Any]] = []
    is_body_sent = False

    async def wait_forever() -> None:
        if waiting is not None:
            waiting.append(path)
        await asyncio.Event().wait()

    async def receive() -> dict[str, Any]:
        nonlocal is_body_sent
        if body is None or is_body_sent:
            await wait_forever()
        is_body_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        messages.append(dict(message))
        if not reads_response and message["type"] == "http.response.body":
            await wait_forever()

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.1", 1),
        "server": ("localhost", 80),
        "scheme": "http",
        "http_version": "1.1",
    }
    await application(scope, receive, send)
    return messages[0]["status"], b"".join(m.get("body", b"") for m in messages[1:])


async def wait_until_blocked(waiting: WaitingPaths, tasks: list[asyncio.Task[Answer]]) -> None:
    """Wait until each of these calls waits for its client or has its response."""
    deadline = time.monotonic() + 60
    while len(waiting) + sum(task.done() for task in tasks) < len(tasks):
        assert time.monotonic() < deadline, "some requests neither wait for their client nor end"
        await asyncio.sleep(0.01)


JSON_HEADER = (b"content-type", b"application/json")
HOST_HEADER = (b"host", b"localhost")


@pytest.mark.usefixtures("committed_db")
def test_other_requests_are_served_while_large_bodies_never_arrive() -> None:
    async def send_all() -> tuple[list[Answer], Answer]:
        waiting: WaitingPaths = []
        length = str(settings.API_BODY_LIMIT + 1).encode()
        headers = [(b"content-length", length), JSON_HEADER, HOST_HEADER]
        calls = [
            call("POST", "/api/v1/auth/login", headers, None, waiting=waiting)
            for _ in range(settings.WEB_THREADS)
        ]
        tasks = [asyncio.create_task(request) for request in calls]
        await wait_until_blocked(waiting, tasks)
        try:
            other_answer = await asyncio.wait_for(call("GET", "/api/v1/runs", [HOST_HEADER]), 60)
            return [await asyncio.wait_for(task, 60) for task in tasks], other_answer
        finally:
            for task in tasks:
                task.cancel()

    refused_answers, other_answer = asyncio.run(send_all())
    assert other_answer[0] == 401  # a thread was free to respond
    assert {status for status, _ in refused_answers} == {413}
    assert b'"code":"too_large"' in refused_answers[0][1]


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize("length", [b"900", b"0" * 20 + b"900"])
def test_other_requests_are_served_while_small_bodies_never_arrive(length: bytes) -> None:
    async def send_all() -> Answer:
        headers = [(b"content-length", length), JSON_HEADER, HOST_HEADER]
        calls = [
            call("POST", "/api/v1/auth/login", headers, None) for _ in range(settings.WEB_THREADS)
        ]
        tasks = [asyncio.create_task(request) for request in calls]
        await asyncio.sleep(0.2)
        try:
            return await asyncio.wait_for(call("GET", "/api/v1/runs", [HOST_HEADER]), 10)
        finally:
            for task in tasks:
                task.cancel()

    assert asyncio.run(send_all())[0] == 401


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    with web_server_in_thread() as address:
        yield address


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize(
    ("path", "error_format"),
    [("/api/v1/auth/login", "problem"), ("/api/v1/scim/v2/Users", "scim")],
)
@pytest.mark.parametrize("partial_body", [b"", b'{"email": '])
def test_a_body_that_never_arrives_gets_408_and_its_connection_is_closed(
    server: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    error_format: str,
    partial_body: bytes,
) -> None:
    monkeypatch.setattr(settings, "BODY_WAIT", 0.2)
    request_head = (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Length: 900", "", "")
    with socket.create_connection(server, timeout=60) as connection:
        connection.sendall("\r\n".join(request_head).encode() + partial_body)
        answer = b""
        while part := connection.recv(65536):  # until the server closes the connection
            answer += part
    response_head, _, body = answer.partition(b"\r\n\r\n")
    assert response_head.startswith(b"HTTP/1.1 408 ")
    assert f"content-type: application/{error_format}+json".encode() in response_head
    assert "send the request again" in json.loads(body)["detail"]


@pytest.mark.usefixtures("committed_db")
def test_other_requests_are_served_while_clients_do_not_read_their_downloads() -> None:
    world = make_world()
    path, content = publish_file(world)
    authorization = (
        b"authorization",
        f"Bearer {token_for(world.users[Role.MEMBER], world.org)}".encode(),
    )

    async def send_all() -> tuple[Answer, Answer]:
        waiting: WaitingPaths = []
        calls = [
            call("GET", path, [authorization, HOST_HEADER], reads_response=False, waiting=waiting)
            for _ in range(settings.WEB_THREADS)
        ]
        tasks = [asyncio.create_task(request) for request in calls]
        await wait_until_blocked(waiting, tasks)
        try:
            other_answer = await asyncio.wait_for(
                call("GET", "/api/v1/runs", [authorization, HOST_HEADER]), 60
            )
            return other_answer, await asyncio.wait_for(
                call("GET", path, [authorization, HOST_HEADER]), 60
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    other_answer, download = asyncio.run(send_all())
    assert other_answer[0] == 200
    assert download == (200, content)


def publish_file(world: World) -> tuple[str, bytes]:
    """Publish a file that is larger than every buffer, and return its path and content."""
    content = bytes(range(256)) * 4096
    pipeline = make_pipeline(world)
    with world.scope():
        run = Run.unscoped.create(
            org=world.org, pipeline=pipeline, version=1, status="succeeded", trigger="manual"
        )
        key = f"org/{world.org.pk}/run/{run.pk}/rows"
        storage.write(key, content)
        Output.unscoped.create(
            org=world.org,
            run=run,
            name="rows",
            key=key,
            bytes=len(content),
            rows=1,
            media_type="a/b",
        )
    return f"/api/v1/runs/{run.pk}/outputs/rows", content


@pytest.mark.usefixtures("committed_db")
def test_a_forwarded_header_with_underscores_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`X_Forwarded_For` is not the header of the proxy, although both have the same name in CGI."""
    monkeypatch.setattr(settings, "TRUSTED_PROXIES", 1)
    body = b'{"email": "ada@example.com", "password": "wrong"}'

    async def log_in(forged_address: bytes) -> Answer:
        headers = [
            (b"x-forwarded-for", b"198.51.100.7"),  # the address that the proxy saw
            (b"x_forwarded_for", forged_address),
            (b"content-length", str(len(body)).encode()),
            JSON_HEADER,
            HOST_HEADER,
        ]
        return await call("POST", "/api/v1/auth/login", headers, body)

    asyncio.run(log_in(b"203.0.113.1"))
    asyncio.run(log_in(b"203.0.113.2"))
    addresses = {row.key for row in LoginAttempt.objects.filter(key__startswith="address:")}
    assert len(addresses) == 1
