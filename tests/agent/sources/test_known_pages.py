"""The user approves each host once in a conversation, and each page that only a document has named."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from apps.agent.models import Approval
from apps.orgs.roles import Role
from tests.agent.conversing import Talk
from tests.agent.scripted_model import Step, use_script
from tests.world import World, make_world

PAGE = b"GET /orders. See /linked for more."


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


@contextmanager
def serve_pages() -> Iterator[tuple[str, list[str]]]:
    """Return the address of a server of documentation, and the list of the pages that were fetched."""
    fetched: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetched.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", fetched
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def pages() -> Iterator[tuple[str, list[str]]]:
    with serve_pages() as served:
        yield served


def begin_in_builder(world: World) -> Talk:
    client = world.client(Role.MEMBER)
    body = {"graph": "source_builder"}
    created = client.post("/api/v1/agent/conversations", body, format="json")
    return Talk(world, client, created.json()["id"])


def fetch(monkeypatch: pytest.MonkeyPatch, talk: Talk, text: str, *urls: str) -> None:
    """Let the user say the text, and the model fetch the pages."""
    steps = [Step(calls=[("fetch_documentation", {"url": url})]) for url in urls]
    use_script(monkeypatch, *steps, Step("I have read it."))
    talk.send(text)
    talk.work()


def approve(talk: Talk) -> None:
    assert talk.decide(talk.open_request()["id"]).status_code == 200
    talk.work()


def test_a_page_that_the_user_names_is_fetched_without_asking_once_its_host_is_approved(
    world: World, monkeypatch: pytest.MonkeyPatch, pages: tuple[str, list[str]]
) -> None:
    address, fetched = pages
    talk = begin_in_builder(world)
    fetch(monkeypatch, talk, f"read {address}/orders", f"{address}/orders")
    assert fetched == []
    assert talk.open_request()["card"]["facts"][1] == {"label": "Host", "value": "127.0.0.1"}
    approve(talk)
    fetch(monkeypatch, talk, f"now read {address}/customers.", f"{address}/customers")
    assert talk.turn()["status"] == "done"
    fetch(monkeypatch, talk, "read the first one again", f"{address}/orders")
    assert talk.turn()["status"] == "done"
    assert fetched == ["/orders", "/customers", "/orders"]


def test_a_link_of_a_document_is_not_followed_without_asking(
    world: World, monkeypatch: pytest.MonkeyPatch, pages: tuple[str, list[str]]
) -> None:
    address, fetched = pages
    talk = begin_in_builder(world)
    fetch(monkeypatch, talk, f"read {address}/a", f"{address}/a", f"{address}/linked")
    approve(talk)
    assert talk.open_request()["card"]["facts"][0]["value"] == f"{address}/linked"
    assert fetched == ["/a"]
    fetch(monkeypatch, talk, f"read {address}/a", f"{address}/a?data=secret")
    assert talk.turn()["status"] == "waiting"
    assert fetched == ["/a"]


def test_another_host_and_another_port_need_an_approval_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch, pages: tuple[str, list[str]]
) -> None:
    address, fetched = pages
    talk = begin_in_builder(world)
    with serve_pages() as (other, fetched_elsewhere):
        fetch(monkeypatch, talk, f"read {address}/a and {other}/a", f"{address}/a", f"{other}/a")
        approve(talk)
        assert talk.turn()["status"] == "waiting"
        assert (fetched, fetched_elsewhere) == (["/a"], [])


def test_a_rejected_page_and_another_conversation_approve_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, pages: tuple[str, list[str]]
) -> None:
    address, fetched = pages
    rejecting, approving, later = (begin_in_builder(world) for _ in range(3))
    fetch(monkeypatch, rejecting, f"read {address}/a", f"{address}/a")
    rejecting.decide(rejecting.open_request()["id"], "reject")
    rejecting.work()
    fetch(monkeypatch, rejecting, f"read {address}/a", f"{address}/a")
    assert rejecting.turn()["status"] == "waiting"
    assert fetched == []
    fetch(monkeypatch, approving, f"read {address}/a", f"{address}/a")
    approve(approving)
    fetch(monkeypatch, later, f"read {address}/a", f"{address}/a")
    assert later.turn()["status"] == "waiting"
    assert fetched == ["/a"]


def test_a_url_that_is_none_is_answered_without_asking(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = begin_in_builder(world)
    fetch(monkeypatch, talk, "read it", "http://[::1")
    assert talk.turn()["status"] == "done"
    with world.scope():
        assert not Approval.objects.for_org(world.org).exists()
