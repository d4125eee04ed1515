"""A repeated request with an Idempotency-Key takes effect once. Secrets in the stored response are encrypted."""

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


def create_domain(client: APIClient, key: str, name: str = "Marketing") -> Any:
    return client.post("/api/v1/org/domains", {"name": name}, HTTP_IDEMPOTENCY_KEY=key)


def count_domains(world: World) -> int:
    with world.scope():
        count: int = Domain.objects.for_org(world.org).count()
        return count


def test_the_same_key_and_body_replay_the_first_response(world: World) -> None:
    client = world.client(Role.ADMIN)
    first, second = create_domain(client, "k"), create_domain(client, "k")
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second["Idempotency-Replayed"] == "true"
    assert first["ETag"] == second["ETag"]
    assert first["Content-Type"] == second["Content-Type"] == "application/json"
    assert count_domains(world) == 1


@pytest.mark.parametrize("change", ["body", "path", "query", "caller"])
def test_the_same_key_for_another_request_is_refused(world: World, change: str) -> None:
    client = world.client(Role.ADMIN)
    create_domain(client, "k")
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
    assert count_domains(world) == 1


def test_two_organizations_can_use_the_same_key(world: World, stranger: World) -> None:
    assert create_domain(world.client(Role.ADMIN), "k").status_code == 201
    answer = create_domain(stranger.client(Role.ADMIN), "k")
    assert answer.status_code == 201
    assert "Idempotency-Replayed" not in answer


def test_after_an_error_the_same_key_can_be_used_again(world: World) -> None:
    client = world.client(Role.ADMIN)
    domain_id = create_domain(client, "first").json()["id"]
    assert create_domain(client, "second").status_code == 409
    client.delete(f"/api/v1/org/domains/{domain_id}")
    assert create_domain(client, "second").status_code == 201


def test_after_a_day_a_key_can_be_used_for_another_request(world: World) -> None:
    client = world.client(Role.ADMIN)
    create_domain(client, "k")
    with world.scope():
        IdempotencyRecord.unscoped.update(created_at=timezone.now() - timedelta(hours=25))
    assert create_domain(client, "k", "Sales").status_code == 201
    assert count_domains(world) == 2


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "\x7f"])
def test_the_error_for_an_invalid_key_names_the_header(world: World, key: str) -> None:
    answer = create_domain(world.client(Role.ADMIN), key)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert count_domains(world) == 0


def test_the_stored_response_does_not_contain_the_api_key_in_the_clear(world: World) -> None:
    client = world.client(Role.ADMIN)
    body = {"name": "loader", "role": "viewer"}
    answers = [
        client.post("/api/v1/org/api-keys", body, HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)
    ]
    key = answers[0].json()["key"]
    assert answers[1].json()["key"] == key
    with world.scope():
        (record,) = IdempotencyRecord.unscoped.values()
    assert key not in str(record)
    secret = key[17:60]  # the part between prefix and checksum
    assert secret.encode() not in bytes(record["body"])


def test_fifty_parallel_requests_with_one_key_have_one_effect(committed_db: None) -> None:
    world = make_world()
    clients = [client_for(world.users[Role.ADMIN], world.org) for _ in range(10)]
    barrier = threading.Barrier(10)
    answers: list[Any] = []

    def send_five_requests(client: APIClient) -> None:
        barrier.wait()
        for _ in range(5):
            answers.append(create_domain(client, "k"))
        connection.close()

    threads = [threading.Thread(target=send_five_requests, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 50
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in answers) == 1
    assert count_domains(world) == 1


class SlowDomains(OrgView):
    """Create a domain after `work` has ended, like a view that first waits for a child process."""

    permissions = {"post": Permission.DOMAINS_MANAGE}
    work: Callable[[], Any] = staticmethod(lambda: None)
    once = True

    def post(self, request: Request) -> SlowResponse:
        data: Any = request.data

        def create_object(_: Any) -> Response:
            domain = Domain.unscoped.create(org=self.org, name=data["name"])
            return Response({"id": domain.pk, "name": domain.name}, 201, headers={"ETag": '"1"'})

        return SlowResponse(self.work, create_object, once=self.once)


def send_slow_request(
    world: World,
    work: Callable[[], Any] = lambda: None,
    *,
    name: str = "Slow",
    once: bool = True,
    credential: str | None = None,
) -> Any:
    """Send a request with the key "k" to SlowDomains and return the rendered response."""
    token = credential or token_for(world.users[Role.ADMIN], world.org)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    request = APIRequestFactory().post("/slow", {"name": name}, headers=headers)
    return SlowDomains.as_view(work=work, once=once)(request).render()


def set_claim_age(world: World, seconds: int) -> None:
    with world.scope():
        IdempotencyRecord.unscoped.update(created_at=timezone.now() - timedelta(seconds=seconds))


def test_the_response_of_a_slow_request_is_replayed_unchanged(world: World) -> None:
    first, second = send_slow_request(world), send_slow_request(world)
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second["Idempotency-Replayed"] == "true"
    assert second["ETag"] == first["ETag"]
    assert count_domains(world) == 1


def test_a_duplicate_of_a_slow_request_gets_409_with_retry_after(world: World) -> None:
    duplicates: list[Any] = []
    first = send_slow_request(world, lambda: duplicates.append(send_slow_request(world)))
    assert first.status_code == 201
    (duplicate,) = duplicates
    assert duplicate.status_code == 409
    assert b'"code":"idempotency_key_in_use"' in duplicate.content
    assert duplicate["Retry-After"] == "1"
    assert count_domains(world) == 1


def test_a_different_request_with_the_key_of_a_slow_request_is_refused(world: World) -> None:
    other_answers: list[Any] = []
    send_slow_request(world, lambda: other_answers.append(send_slow_request(world, name="Other")))
    assert b"idempotency_key_reused" in other_answers[0].content


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_the_slow_part_releases_the_key(
    world: World, error: type[BaseException]
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(error):
        send_slow_request(world, fail)
    assert send_slow_request(world).status_code == 201


def test_an_error_after_the_slow_part_releases_the_key(world: World) -> None:
    assert create_domain(world.client(Role.ADMIN), "other", "Slow").status_code == 201
    assert send_slow_request(world).status_code == 409  # the name is in use
    with world.scope():
        Domain.objects.for_org(world.org).delete()
    assert send_slow_request(world).status_code == 201


def test_a_request_that_takes_more_than_a_minute_loses_its_claim_on_the_key(world: World) -> None:
    answers: list[Any] = []

    def send_before_and_after_claim_expires() -> None:
        set_claim_age(world, 50)
        answers.append(send_slow_request(world))
        set_claim_age(world, 70)
        answers.append(send_slow_request(world, name="Takes over"))

    first = send_slow_request(world, send_before_and_after_claim_expires)
    assert [answer.status_code for answer in answers] == [409, 201]
    assert first.status_code == 409
    assert count_domains(world) == 1
    repeated = send_slow_request(world, name="Takes over")
    assert repeated.content == answers[1].content


def test_a_caller_who_loses_access_during_the_slow_part_changes_nothing(world: World) -> None:
    def remove_admin() -> None:
        with world.scope():
            Membership.unscoped.filter(user=world.users[Role.ADMIN]).delete()

    assert send_slow_request(world, remove_admin).status_code == 401
    assert count_domains(world) == 0
    with world.scope():
        assert not IdempotencyRecord.unscoped.exists()


def test_an_api_key_that_is_revoked_during_the_slow_part_changes_nothing(world: World) -> None:
    admin = world.client(Role.ADMIN)
    api_key = admin.post("/api/v1/org/api-keys", {"name": "loader", "role": "admin"}).json()

    def revoke_key() -> None:
        assert admin.delete(f"/api/v1/org/api-keys/{api_key['id']}").status_code == 204

    assert send_slow_request(world, revoke_key, credential=api_key["key"]).status_code == 401
    assert count_domains(world) == 0


def test_a_slow_request_with_once_false_is_processed_each_time(world: World) -> None:
    responses: list[Any] = []
    for name in ("first", "second"):
        responses.append(send_slow_request(world, name=name, once=False))
    assert [response.status_code for response in responses] == [201, 201]
    assert responses[0].content != responses[1].content


def test_parallel_slow_requests_with_one_key_have_one_effect(committed_db: None) -> None:
    world = make_world()
    barrier = threading.Barrier(5)
    answers: list[Any] = []

    def post() -> None:
        barrier.wait()
        answers.append(send_slow_request(world))
        connection.close()

    threads = [threading.Thread(target=post) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 5
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert count_domains(world) == 1
