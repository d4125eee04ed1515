"""Every response has an id, names the release, and is compressed if that helps."""

from __future__ import annotations

import gzip
import json
import logging

import pytest
import structlog
from django.test import Client
from rest_framework.test import APIClient

from apps.orgs.roles import Role
from tests.world import World, make_pipeline, make_world


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def test_a_response_has_the_id_of_its_request(world: World) -> None:
    client = world.client(Role.VIEWER)
    first, second = (client.get("/api/v1/pipelines")["X-Request-ID"] for _ in range(2))
    assert len(first) == 16
    assert first != second


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [("proxy-1234", True), ("short", False), ('a"b{}: forged log line', False), ("x" * 65, False)],
)
def test_only_a_plain_id_of_a_proxy_is_kept(world: World, sent: str, is_kept: bool) -> None:
    answer = world.client(Role.VIEWER).get("/api/v1/pipelines", headers={"X-Request-ID": sent})
    assert (answer["X-Request-ID"] == sent) is is_kept


class KeptLines(logging.Handler):
    """Keeps the lines as the server writes them."""

    def __init__(self) -> None:
        super().__init__()
        (self.formatter,) = (
            handler.formatter
            for handler in logging.getLogger().handlers
            if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
        )
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def test_an_error_in_drover_is_logged_with_the_id_that_the_user_sees(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("apps.pipelines.listing.fetch_page", fail)
    client = world.client(Role.VIEWER)
    client.raise_request_exception = False
    kept = KeptLines()
    logging.getLogger("django.request").addHandler(kept)
    try:
        answer = client.get("/api/v1/pipelines")
    finally:
        logging.getLogger("django.request").removeHandler(kept)
    assert answer.status_code == 500
    (line,) = (json.loads(line) for line in kept.lines)
    assert line["request_id"] == answer["X-Request-ID"]


def test_a_list_is_compressed_for_clients_that_accept_it_and_is_the_same(world: World) -> None:
    for number in range(3):
        make_pipeline(world, name=f"pipeline {number}")
    client = world.client(Role.VIEWER)
    plain = client.get("/api/v1/pipelines")
    packed = client.get("/api/v1/pipelines", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert int(packed["Content-Length"]) == len(packed.content) < len(plain.content)
    assert json.loads(gzip.decompress(packed.content)) == plain.json()


def test_an_object_keeps_the_etag_that_if_match_accepts(world: World) -> None:
    pipeline = make_pipeline(world)
    client = world.client(Role.VIEWER)
    answer = client.get(f"/api/v1/pipelines/{pipeline.pk}", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer
    assert answer["ETag"].startswith('"')


def test_the_release_is_the_same_for_all_responses_and_not_sent_with_pages(world: World) -> None:
    api = {
        APIClient().get(f"/api/v1/{path}")["X-Drover-Release"]
        for path in ("pipelines", "health/live")
    }
    assert len(api) == 1
    assert "X-Drover-Release" not in Client().get("/login")
