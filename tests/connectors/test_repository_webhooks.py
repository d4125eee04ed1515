"""Webhooks of Git servers. Only a request with a valid signature, or with the secret, may request a sync."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from tests.connectors.test_repositories import URL, connect_repository, count_queued_syncs
from tests.connectors.test_repositories import git as git
from tests.git_server import GitServer
from tests.world import World, new_client


def send_webhook(repository: dict[str, Any], ref: str = "refs/heads/main", **headers: str) -> Any:
    body = json.dumps({"ref": ref})
    path = "/api/v1/" + repository["webhook_url"].partition("/api/v1/")[2]
    sent_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return new_client().generic("POST", path, body, "application/json", headers=sent_headers)


def signature(secret: str, ref: str = "refs/heads/main") -> str:
    body = json.dumps({"ref": ref}).encode()
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("scheme", ["github", "bitbucket", "gitlab"])
def test_a_signed_webhook_queues_a_sync(scheme: str, world: World, git: GitServer) -> None:
    repository = connect_repository(world, git)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    secret = repository["webhook_secret"]
    headers = {
        "github": {"X_Hub_Signature_256": signature(secret)},
        "bitbucket": {"X_Hub_Signature": signature(secret)},
        "gitlab": {"X_Gitlab_Token": secret},
    }[scheme]
    answer = send_webhook(repository, **headers)
    assert (answer.status_code, answer.json()) == (202, {"sync": True})
    assert count_queued_syncs(repository) == 1


def test_a_webhook_of_another_branch_queues_no_sync(world: World, git: GitServer) -> None:
    repository = connect_repository(world, git)
    other_branch = "refs/heads/other"
    answer = send_webhook(
        repository,
        other_branch,
        X_Hub_Signature_256=signature(repository["webhook_secret"], other_branch),
    )
    assert answer.json() == {"sync": False}


def test_a_webhook_without_a_valid_signature_gets_404(world: World, git: GitServer) -> None:
    repository, wrong_secret = connect_repository(world, git), "wrong"
    unknown_repository = {
        **repository,
        "webhook_url": repository["webhook_url"][:-36] + str(uuid4()),
    }
    answers = [
        send_webhook(repository),
        send_webhook(repository, X_Hub_Signature_256=signature(wrong_secret)),
        send_webhook(repository, X_Hub_Signature_256="sha256="),
        send_webhook(
            repository, X_Hub_Signature_256="sha1=" + signature(repository["webhook_secret"])[7:]
        ),
        send_webhook(repository, X_Gitlab_Token=wrong_secret),
        send_webhook(repository, X_Gitlab_Token=""),
        send_webhook(repository, X_Gitlab_Token="é"),
        send_webhook(unknown_repository, X_Gitlab_Token=repository["webhook_secret"]),
    ]
    assert {answer.status_code for answer in answers} == {404}
    new_secret = (
        world.client().post(f"{URL}/{repository['id']}/webhook-secret").json()["webhook_secret"]
    )
    assert send_webhook(repository, X_Gitlab_Token=repository["webhook_secret"]).status_code == 404
    assert send_webhook(repository, X_Gitlab_Token=new_secret).status_code == 202


def test_a_webhook_of_many_megabytes_is_refused(world: World, git: GitServer) -> None:
    repository = connect_repository(world, git)
    path = "/api/v1/" + repository["webhook_url"].partition("/api/v1/")[2]
    secret = {"X-Gitlab-Token": repository["webhook_secret"]}
    answer = new_client().generic(
        "POST", path, "[" + " " * (3 << 20) + "]", "application/json", headers=secret
    )
    assert answer.status_code == 413
