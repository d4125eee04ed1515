"""The server's outermost layer: what hostile clients send before any view handles it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from django.conf import settings

from apps.auth.models import LoginAttempt
from apps.orgs.roles import Role
from apps.runs.models import Output, Run
from apps.runs.outputs import storage
from config.asgi import application
from tests.world import World, make_pipeline, make_world, token_for

Answer = tuple[int, bytes]
Stuck = list[str]


async def call(
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes | None = b"",
    *,
    reads: bool = True,
    stuck: Stuck | None = None,
) -> Answer:
    """Send a request.

    With `body` None the client announces a body and never sends it; with `reads` it reads no response.
    `stuck` collects the requests that have arrived.
    """
    sent: list[dict[str, Any]] = []
    asked = False

    async def forever() -> None:
        if stuck is not None:
            stuck.append(path)
        await asyncio.Event().wait()

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if body is None or asked:
            await forever()
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))
        if not reads and message["type"] == "http.response.body":
            await forever()

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
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])


async def until_stuck(stuck: Stuck, tasks: list[asyncio.Task[Answer]]) -> None:
    """Wait until each of these calls waits for its client, or has its response."""
    deadline = time.monotonic() + 60
    while len(stuck) + sum(task.done() for task in tasks) < len(tasks):
        assert time.monotonic() < deadline, "they do not come so far"
        await asyncio.sleep(0.01)


JSON = (b"content-type", b"application/json")
HOST = (b"host", b"localhost")


@pytest.mark.usefixtures("committed_db")
def test_large_bodies_that_never_arrive_leave_room_for_others() -> None:
    async def crowd() -> tuple[list[Answer], Answer]:
        stuck: Stuck = []
        length = str(settings.API_BODY_LIMIT + 1).encode()
        slow = [(b"content-length", length), JSON, HOST]
        calls = [
            call("POST", "/api/v1/auth/login", slow, None, stuck=stuck)
            for _ in range(settings.WEB_THREADS)
        ]
        tasks = [asyncio.create_task(each) for each in calls]
        await until_stuck(stuck, tasks)
        try:
            other = await asyncio.wait_for(call("GET", "/api/v1/runs", [HOST]), 60)
            return [await asyncio.wait_for(task, 60) for task in tasks], other
        finally:
            for task in tasks:
                task.cancel()

    refused, other = asyncio.run(crowd())
    assert other[0] == 401  # a thread had time to react
    assert {status for status, _ in refused} == {413}
    assert b'"code":"too_large"' in refused[0][1]


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize("length", [b"900", b"0" * 20 + b"900"])
def test_small_bodies_that_never_arrive_leave_room_for_others(length: bytes) -> None:
    async def crowd() -> Answer:
        slow = [(b"content-length", length), JSON, HOST]
        calls = [
            call("POST", "/api/v1/auth/login", slow, None) for _ in range(settings.WEB_THREADS)
        ]
        tasks = [asyncio.create_task(each) for each in calls]
        await asyncio.sleep(0.2)
        try:
            return await asyncio.wait_for(call("GET", "/api/v1/runs", [HOST]), 10)
        finally:
            for task in tasks:
                task.cancel()

    assert asyncio.run(crowd())[0] == 401


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    """The URL of the real server, in this process."""
    config = uvicorn.Config(
        application, port=0, lifespan="off", log_level="warning", proxy_headers=False
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield running.servers[0].sockets[0].getsockname()
    running.should_exit = True
    thread.join(30)


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize(
    ("path", "form"),
    [("/api/v1/auth/login", "problem"), ("/api/v1/scim/v2/Users", "scim")],
)
@pytest.mark.parametrize("sent", [b"", b'{"email": '])
def test_a_body_that_never_comes_is_answered_and_its_connection_closed(
    server: tuple[str, int], monkeypatch: pytest.MonkeyPatch, path: str, form: str, sent: bytes
) -> None:
    monkeypatch.setattr(settings, "BODY_WAIT", 0.2)
    head = (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Length: 900", "", "")
    with socket.create_connection(server, timeout=60) as connection:
        connection.sendall("\r\n".join(head).encode() + sent)
        answer = b""
        while part := connection.recv(65536):  # until the server closes the connection
            answer += part
    lines, _, body = answer.partition(b"\r\n\r\n")
    assert lines.startswith(b"HTTP/1.1 408 ")
    assert f"content-type: application/{form}+json".encode() in lines
    assert "send the request again" in json.loads(body)["detail"]


@pytest.mark.usefixtures("committed_db")
def test_downloads_that_nobody_reads_leave_room_for_others() -> None:
    world = make_world()
    path, content = published(world)
    caller = (b"authorization", f"Bearer {token_for(world.users[Role.VIEWER], world.org)}".encode())

    async def crowd() -> tuple[Answer, Answer]:
        stuck: Stuck = []
        stalled = [
            call("GET", path, [caller, HOST], reads=False, stuck=stuck)
            for _ in range(settings.WEB_THREADS)
        ]
        tasks = [asyncio.create_task(each) for each in stalled]
        await until_stuck(stuck, tasks)
        try:
            other = await asyncio.wait_for(call("GET", "/api/v1/runs", [caller, HOST]), 60)
            return other, await asyncio.wait_for(call("GET", path, [caller, HOST]), 60)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    other, whole = asyncio.run(crowd())
    assert other[0] == 200
    assert whole == (200, content)


def published(world: World) -> tuple[str, bytes]:
    """The URL of a file that fills every buffer, and its content."""
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
def test_an_address_cannot_be_made_up_with_an_underscore(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`X_Forwarded_For` is not the proxy's header, though CGI has the same name for both."""
    monkeypatch.setattr(settings, "TRUSTED_PROXIES", 1)
    body = b'{"email": "ada@example.com", "password": "wrong"}'

    async def guess(claimed: bytes) -> Answer:
        headers = [
            (b"x-forwarded-for", b"198.51.100.7"),  # the address that the proxy saw
            (b"x_forwarded_for", claimed),
            (b"content-length", str(len(body)).encode()),
            JSON,
            HOST,
        ]
        return await call("POST", "/api/v1/auth/login", headers, body)

    asyncio.run(guess(b"203.0.113.1"))
    asyncio.run(guess(b"203.0.113.2"))
    addresses = {row.key for row in LoginAttempt.objects.filter(key__startswith="address:")}
    assert len(addresses) == 1
