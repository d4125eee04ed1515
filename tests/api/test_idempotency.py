"""Idempotency-Key: a repeated request takes effect once, and no secret is stored for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory

from apps.orgs.http.views import OrgView
from apps.orgs.models import Domain, IdempotencyRecord, Membership
from apps.orgs.roles import Permission, Role
from apps.web.slow import SlowResponse
from tests.world import World, client_for, make_world, token_for


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


class SlowDomains(OrgView):
    """Creates a domain after waiting for `work`, like a view that calls a child process first."""

    permissions = {"post": Permission.DOMAINS_MANAGE}
    work: Callable[[], Any] = staticmethod(lambda: None)
    once = True

    def post(self, request: Request) -> SlowResponse:
        data: Any = request.data

        def then(_: Any) -> Response:
            made = Domain.unscoped.create(org=self.org, name=data["name"])
            return Response({"id": made.pk, "name": made.name}, 201, headers={"ETag": '"1"'})

        return SlowResponse(self.work, then, once=self.once)


def create_slowly(
    world: World,
    work: Callable[[], Any] = lambda: None,
    *,
    name: str = "Slow",
    once: bool = True,
    credential: str | None = None,
) -> Any:
    """The rendered response of SlowDomains to a request with the key "k"."""
    token = credential or token_for(world.users[Role.ADMIN], world.org)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    request = APIRequestFactory().post("/slow", {"name": name}, headers=headers)
    return SlowDomains.as_view(work=work, once=once)(request).render()


def age_claims(world: World, seconds: int) -> None:
    with world.scope():
        IdempotencyRecord.unscoped.update(created_at=timezone.now() - timedelta(seconds=seconds))


def test_a_slow_answer_is_replayed_to_the_byte(world: World) -> None:
    first, second = create_slowly(world), create_slowly(world)
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second["Idempotency-Replayed"] == "true"
    assert second["ETag"] == first["ETag"]
    assert domains(world) == 1


def test_a_duplicate_of_a_slow_request_is_told_to_wait(world: World) -> None:
    twins: list[Any] = []
    first = create_slowly(world, lambda: twins.append(create_slowly(world)))
    assert first.status_code == 201
    (twin,) = twins
    assert twin.status_code == 409
    assert b'"code":"idempotency_key_in_use"' in twin.content
    assert twin["Retry-After"] == "1"
    assert domains(world) == 1


def test_another_request_with_the_key_of_a_slow_one_is_refused(world: World) -> None:
    others: list[Any] = []
    create_slowly(world, lambda: others.append(create_slowly(world, name="Other")))
    assert b"idempotency_key_reused" in others[0].content


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_the_slow_part_releases_the_key(
    world: World, error: type[BaseException]
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(error):
        create_slowly(world, fail)
    assert create_slowly(world).status_code == 201


def test_an_error_after_the_slow_part_releases_the_key(world: World) -> None:
    assert create(world.client(Role.ADMIN), "other", "Slow").status_code == 201
    assert create_slowly(world).status_code == 409  # the name is in use
    with world.scope():
        Domain.objects.for_org(world.org).delete()
    assert create_slowly(world).status_code == 201


def test_a_claim_that_a_crash_left_is_taken_over_after_a_minute(world: World) -> None:
    answers: list[Any] = []

    def freeze() -> None:  # for longer than a claim is valid; then the parallel requests arrive
        age_claims(world, 50)
        answers.append(create_slowly(world))
        age_claims(world, 70)
        answers.append(create_slowly(world, name="Takes over"))

    frozen = create_slowly(world, freeze)
    assert [answer.status_code for answer in answers] == [409, 201]
    assert frozen.status_code == 409
    assert domains(world) == 1
    again = create_slowly(world, name="Takes over")
    assert again.content == answers[1].content


def test_who_loses_access_during_the_slow_part_changes_nothing(world: World) -> None:
    def remove() -> None:
        with world.scope():
            Membership.unscoped.filter(user=world.users[Role.ADMIN]).delete()

    assert create_slowly(world, remove).status_code == 401
    assert domains(world) == 0
    with world.scope():
        assert not IdempotencyRecord.unscoped.exists()


def test_an_api_key_that_is_revoked_during_the_slow_part_changes_nothing(world: World) -> None:
    admin = world.client(Role.ADMIN)
    made = admin.post("/api/v1/org/api-keys", {"name": "loader", "role": "admin"}).json()

    def revoke() -> None:
        assert admin.delete(f"/api/v1/org/api-keys/{made['id']}").status_code == 204

    assert create_slowly(world, revoke, credential=made["key"]).status_code == 401
    assert domains(world) == 0


def test_a_slow_request_without_changes_is_processed_again(world: World) -> None:
    looks: list[Any] = []
    for name in ("first", "second"):
        looks.append(create_slowly(world, name=name, once=False))
    assert [look.status_code for look in looks] == [201, 201]
    assert looks[0].content != looks[1].content


def test_parallel_slow_requests_with_one_key_have_one_effect(committed_db: None) -> None:
    world = make_world()
    together = threading.Barrier(5)
    answers: list[Any] = []

    def post() -> None:
        together.wait()
        answers.append(create_slowly(world))
        connection.close()

    threads = [threading.Thread(target=post) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 5
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert domains(world) == 1
