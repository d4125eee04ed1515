"""Webhooks of Git servers: which signatures request a sync, and that other senders learn nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from tests.connectors.test_repositories import URL, connect, waiting
from tests.connectors.test_repositories import git as git
from tests.git_server import GitServer
from tests.world import World, new_client


def push(made: dict[str, Any], ref: str = "refs/heads/main", **headers: str) -> Any:
    body = json.dumps({"ref": ref})
    path = "/api/v1/" + made["webhook_url"].partition("/api/v1/")[2]
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return new_client().generic("POST", path, body, "application/json", headers=sent)


def signature(secret: str, ref: str = "refs/heads/main") -> str:
    body = json.dumps({"ref": ref}).encode()
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("scheme", ["github", "bitbucket", "gitlab"])
def test_a_signed_webhook_asks_for_a_sync(scheme: str, world: World, git: GitServer) -> None:
    made = connect(world, git)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    secret = made["webhook_secret"]
    headers = {
        "github": {"X_Hub_Signature_256": signature(secret)},
        "bitbucket": {"X_Hub_Signature": signature(secret)},
        "gitlab": {"X_Gitlab_Token": secret},
    }[scheme]
    answer = push(made, **headers)
    assert (answer.status_code, answer.json()) == (202, {"sync": True})
    assert waiting(made) == 1


def test_a_webhook_of_another_branch_asks_for_none(world: World, git: GitServer) -> None:
    made = connect(world, git)
    other = "refs/heads/other"
    answer = push(made, other, X_Hub_Signature_256=signature(made["webhook_secret"], other))
    assert answer.json() == {"sync": False}


def test_a_webhook_without_the_right_signature_finds_nothing(world: World, git: GitServer) -> None:
    made, secret = connect(world, git), "wrong"
    unknown = {**made, "webhook_url": made["webhook_url"][:-36] + str(uuid4())}
    answers = [
        push(made),
        push(made, X_Hub_Signature_256=signature(secret)),
        push(made, X_Hub_Signature_256="sha256="),
        push(made, X_Hub_Signature_256="sha1=" + signature(made["webhook_secret"])[7:]),
        push(made, X_Gitlab_Token=secret),
        push(made, X_Gitlab_Token=""),
        push(made, X_Gitlab_Token="é"),
        push(unknown, X_Gitlab_Token=made["webhook_secret"]),
    ]
    assert {answer.status_code for answer in answers} == {404}
    renewed = world.client().post(f"{URL}/{made['id']}/webhook-secret").json()["webhook_secret"]
    assert push(made, X_Gitlab_Token=made["webhook_secret"]).status_code == 404
    assert push(made, X_Gitlab_Token=renewed).status_code == 202


def test_a_webhook_of_many_megabytes_is_refused(world: World, git: GitServer) -> None:
    made = connect(world, git)
    path = "/api/v1/" + made["webhook_url"].partition("/api/v1/")[2]
    secret = {"X-Gitlab-Token": made["webhook_secret"]}
    answer = new_client().generic(
        "POST", path, "[" + " " * (3 << 20) + "]", "application/json", headers=secret
    )
    assert answer.status_code == 413
