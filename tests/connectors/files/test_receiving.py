"""The web process receives files without occupying a thread, and nothing is left of an upload that is cut."""

from __future__ import annotations

import asyncio
import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from apps.connectors.models import FileUpload, UploadedFile
from apps.orgs.roles import Role
from apps.web import uploads
from config.asgi import application
from tests.connectors.files.test_files import CSV, FILES, folder, stored
from tests.web_server import web_server_in_thread
from tests.world import World, make_world, token_for

HOST_HEADER = (b"host", b"localhost")
LARGE = bytes(range(256)) * 4096 * 5  # 5 MiB, more than twice the limit of other bodies


@pytest.fixture
def server(committed_db: None) -> Iterator[tuple[str, int]]:
    with web_server_in_thread() as address:
        yield address


@pytest.fixture
def org(committed_db: None) -> World:
    return make_world()


def headers_of(world: World, role: Role = Role.MEMBER) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_for(world.users[role], world.org)}"}


def send(
    server: tuple[str, int], method: str, path: str, body: Any, headers: dict[str, str]
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(*server, timeout=60)
    connection.request(method, path, body, {"Host": "localhost", **headers})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def begin_request(server: tuple[str, int], world: World, name: str, size: int) -> socket.socket:
    """Send the head of an upload, and no part of its body."""
    lines = [f"POST {FILES}?name={name} HTTP/1.1", "Host: localhost", f"Content-Length: {size}"]
    lines += [f"{key}: {value}" for key, value in headers_of(world).items()]
    connection = socket.create_connection(server, timeout=60)
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def read_answer(connection: socket.socket) -> tuple[int, Any]:
    answer = b""
    while part := connection.recv(65536):  # until the server closes the connection
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def live_uploads(world: World) -> int:
    with world.scope():
        count: int = FileUpload.objects.for_org(world.org).filter(ended_at=None).count()
    return count


def test_a_large_file_is_uploaded_and_replaced_over_http(
    server: tuple[str, int], org: World
) -> None:
    status, file = send(server, "POST", f"{FILES}?name=big.bin", LARGE, headers_of(org))
    assert (status, file["bytes"]) == (201, len(LARGE))
    assert stored(org) == {"files/big.bin": LARGE}
    status, file = send(server, "PUT", f"{FILES}/{file['id']}", CSV, headers_of(org))
    assert (status, file["version"]) == (200, 2)
    assert stored(org) == {"files/big.bin": CSV}
    assert live_uploads(org) == 0


def test_a_request_that_is_refused_sends_no_body_and_leaves_nothing(
    server: tuple[str, int], org: World
) -> None:
    for headers, expected in (({}, 401), (headers_of(org, Role.VIEWER), 403)):
        status, _ = send(server, "POST", f"{FILES}?name=a.csv", CSV, headers)
        assert status == expected
    assert stored(org) == {}


def test_a_body_of_unknown_length_is_refused(server: tuple[str, int], org: World) -> None:
    status, problem = send(
        server, "POST", f"{FILES}?name=a.csv", iter([b"a", b"b"]), headers_of(org)
    )
    assert (status, problem["code"]) == (411, "length_required")


def test_a_connection_that_is_cut_leaves_nothing(server: tuple[str, int], org: World) -> None:
    with begin_request(server, org, "cut.csv", len(LARGE)) as connection:
        connection.sendall(LARGE[: 3 << 20])
        wait_until(lambda: any("uploads/" in name for name in stored(org)))
    wait_until(lambda: stored(org) == {} and live_uploads(org) == 0)
    with org.scope():
        assert not UploadedFile.objects.for_org(org.org).exists()


def test_a_client_that_sends_nothing_more_gets_408(
    server: tuple[str, int], org: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "BODY_WAIT", 0.2)
    with begin_request(server, org, "slow.csv", 900) as connection:
        connection.sendall(b"half")
        status, problem = read_answer(connection)
    assert (status, problem["code"]) == (408, "too_slow")
    wait_until(lambda: stored(org) == {} and live_uploads(org) == 0)


def test_a_client_that_sends_a_few_bytes_at_a_time_gets_408(
    server: tuple[str, int], org: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PACE_SECONDS", 0.5)
    with begin_request(server, org, "slow.csv", 900) as connection:
        while not select.select([connection], [], [], 0.02)[0]:  # until the server responds
            connection.sendall(b"x")
        status, problem = read_answer(connection)
    assert (status, problem["code"]) == (408, "too_slow")
    assert "too slowly" in problem["detail"]
    wait_until(lambda: stored(org) == {} and live_uploads(org) == 0)


def test_threads_are_free_while_bodies_do_not_arrive(
    server: tuple[str, int], org: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = settings.WEB_THREADS + uploads.THREADS + 1
    monkeypatch.setattr(settings, "FILE_UPLOADS_PER_ORG_AT_ONCE", count)
    waiting = [begin_request(server, org, f"{i}.csv", 900) for i in range(count)]
    try:
        wait_until(lambda: live_uploads(org) == count)
        status, _ = send(server, "GET", "/api/v1/runs", None, headers_of(org))
        assert status == 200
        status, _ = send(server, "POST", f"{FILES}?name=other.csv", CSV, headers_of(org))
        assert status == 429
    finally:
        for connection in waiting:
            connection.close()
    wait_until(lambda: live_uploads(org) == 0)


def test_a_process_receives_a_limited_number_of_uploads(
    server: tuple[str, int], org: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FILE_UPLOADS_PER_PROCESS", 1)
    with begin_request(server, org, "first.csv", 900):
        wait_until(lambda: live_uploads(org) == 1)
        status, problem = send(server, "POST", f"{FILES}?name=b.csv", CSV, headers_of(org))
        assert (status, problem["code"]) == (503, "busy")
    wait_until(lambda: live_uploads(org) == 0)


def test_two_replacements_at_once_leave_one_of_them_whole(
    server: tuple[str, int], org: World
) -> None:
    _, file = send(server, "POST", f"{FILES}?name=a.bin", CSV, headers_of(org))
    contents = [bytes([i]) * (2 << 20) for i in range(1, 5)]
    statuses: list[int] = []

    def replace(data: bytes) -> None:
        headers = headers_of(org)
        try:
            statuses.append(send(server, "PUT", f"{FILES}/{file['id']}", data, headers)[0])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=replace, args=[data]) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    assert stored(org)["files/a.bin"] in contents
    _, row = send(server, "GET", f"{FILES}/{file['id']}", None, headers_of(org))
    assert (row["bytes"], row["version"]) == (2 << 20, 1 + statuses.count(200))


def test_a_body_that_ends_early_is_refused(org: World) -> None:
    """A server notices this itself, so this test calls the application."""
    messages: list[Any] = []
    parts = [{"type": "http.request", "body": b"half", "more_body": False}]

    async def receive() -> Any:
        return parts.pop(0)

    async def collect(message: Any) -> None:
        messages.append(message)

    authorization = headers_of(org)["Authorization"].encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": FILES,
        "raw_path": FILES.encode(),
        "query_string": b"name=a.csv",
        "headers": [HOST_HEADER, (b"authorization", authorization), (b"content-length", b"900")],
        "client": ("192.0.2.1", 1),
        "server": ("localhost", 80),
        "scheme": "http",
        "http_version": "1.1",
    }

    async def call() -> None:
        await application(scope, receive, collect)

    asyncio.run(call())
    assert messages[0]["status"] == 400
    assert b'"code":"incomplete"' in messages[1]["body"]
    assert stored(org) == {}


def test_files_of_the_storage_are_private(server: tuple[str, int], org: World) -> None:
    send(server, "POST", f"{FILES}?name=a.csv", CSV, headers_of(org))
    path: Path = folder(org) / "files" / "a.csv"
    assert path.stat().st_mode & 0o077 == 0
