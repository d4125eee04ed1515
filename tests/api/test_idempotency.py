"""Idempotency-Key: one effect whatever is repeated, and nothing secret kept for it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from apps.orgs.models import Domain, IdempotencyRecord
from apps.orgs.roles import Role
from tests.world import World, client_for, make_world


def create(client: APIClient, key: str, name: str = "Marketing") -> Any:
    return client.post("/api/v1/org/domains", {"name": name}, HTTP_IDEMPOTENCY_KEY=key)


def domains(world: World) -> int:
    with world.scope():
        count: int = Domain.objects.for_org(world.org).count()
        return count


def test_the_same_key_and_body_replays_the_first_answer(world: World) -> None:
    client = world.client(Role.ADMIN)
    first, second = create(client, "k"), create(client, "k")
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second["Idempotency-Replayed"] == "true"
    assert first["ETag"] == second["ETag"]
    assert first["Content-Type"] == second["Content-Type"] == "application/json"
    assert domains(world) == 1


@pytest.mark.parametrize("change", ["body", "path", "query", "caller"])
def test_the_same_key_for_another_request_is_refused(world: World, change: str) -> None:
    client = world.client(Role.ADMIN)
    create(client, "k")
    path, body = "/api/v1/org/domains", {"name": "Marketing"}
    if change == "body":
        body = {"name": "Sales"}
    if change == "path":
        path = "/api/v1/org/api-keys"
    if change == "query":
        path += "?x=1"
    if change == "caller":
        client = world.client(Role.OWNER)
    answer = client.post(path, body, HTTP_IDEMPOTENCY_KEY="k")
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"
    assert domains(world) == 1


def test_a_key_is_the_organizations_own(world: World, stranger: World) -> None:
    assert create(world.client(Role.ADMIN), "k").status_code == 201
    answer = create(stranger.client(Role.ADMIN), "k")
    assert answer.status_code == 201
    assert "Idempotency-Replayed" not in answer


def test_an_error_leaves_no_record_so_the_repaired_state_is_asked_again(world: World) -> None:
    client = world.client(Role.ADMIN)
    taken = create(client, "first").json()["id"]
    assert create(client, "second").status_code == 409
    client.delete(f"/api/v1/org/domains/{taken}")
    assert create(client, "second").status_code == 201


def test_after_a_day_the_key_is_free(world: World) -> None:
    client = world.client(Role.ADMIN)
    create(client, "k")
    with world.scope():
        IdempotencyRecord.unscoped.update(created_at=timezone.now() - timedelta(hours=25))
    assert create(client, "k", "Sales").status_code == 201
    assert domains(world) == 2


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "\x7f"])
def test_a_bad_key_is_named(world: World, key: str) -> None:
    answer = create(world.client(Role.ADMIN), key)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert domains(world) == 0


def test_what_is_kept_to_replay_an_api_key_does_not_show_it(world: World) -> None:
    client = world.client(Role.ADMIN)
    body = {"name": "loader", "role": "viewer"}
    answers = [
        client.post("/api/v1/org/api-keys", body, HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)
    ]
    key = answers[0].json()["key"]
    assert answers[1].json()["key"] == key
    with world.scope():
        (kept,) = IdempotencyRecord.unscoped.values()
    assert key not in str(kept)
    assert key[17:60].encode() not in bytes(kept["body"])  # the secret between prefix and checksum


def test_fifty_parallel_requests_with_one_key_have_one_effect(committed_db: None) -> None:
    world = make_world()
    clients = [client_for(world.users[Role.ADMIN], world.org) for _ in range(10)]
    together = threading.Barrier(10)
    answers: list[Any] = []

    def five_times(client: APIClient) -> None:
        together.wait()
        for _ in range(5):
            answers.append(create(client, "k"))
        connection.close()

    threads = [threading.Thread(target=five_times, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 50
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in answers) == 1
    assert domains(world) == 1
