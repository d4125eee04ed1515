"""Orgs are told once that their runs fail because the storage is away, and once that it is back. Nothing of it is shown to them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from botocore.config import Config
from django.db.models import F
from django.utils import timezone
from moto.server import ThreadedMotoServer

from apps.alerts.deciding import by_subject
from apps.alerts.installation.looking import look
from apps.alerts.installation.observing import observe
from apps.alerts.models import Alert, Channel, InstallationProblem, Rule
from apps.background import health
from apps.orgs.roles import Role
from apps.runs.models import Run, Status
from tests.alerts.conftest import RULES, add_webhook, deliver, end_run, fail, log_of, make_due
from tests.alerts.receiver import Receiver
from tests.engine.destinations.servers import s3_client
from tests.world import World, make_pipeline

BUCKET = "files-of-the-installation"
LONG = timedelta(minutes=20)


class Storage:
    """An S3 server that stops and starts again at the same address."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server: ThreadedMotoServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()
        _, self.port = self._server.get_host_and_port()
        s3_client(self.url).create_bucket(Bucket=BUCKET)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


@pytest.fixture
def storage(db: None, settings: Any) -> Iterator[Storage]:
    storage = Storage()
    storage.start()
    settings.OPERATOR_ADDRESSES = ["ops@example.com"]
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": BUCKET,
                "endpoint_url": storage.url,
                "access_key": "test-key",
                "secret_key": "test-secret",
                "region_name": "us-east-1",
                "client_config": Config(
                    retries={"max_attempts": 0}, s3={"addressing_style": "path"}
                ),
            },
        },
    }
    yield storage
    storage.stop()


def see_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look as a web process does. A success of a moment ago does not count."""
    monkeypatch.setattr(health, "_storage_checked_until", 0.0)
    observe(each for each in look(with_mail=False) if each.finding.part == "storage")


def let_pass(time: timedelta) -> None:
    InstallationProblem.objects.update(began_at=F("began_at") - time)


def lose_storage(storage: Storage, monkeypatch: pytest.MonkeyPatch, *, lasts: timedelta) -> None:
    """Stop the storage, and let operators know it after this time."""
    see_storage(monkeypatch)
    assert not InstallationProblem.objects.exists(), "the storage works before"
    storage.stop()
    see_storage(monkeypatch)
    let_pass(lasts)
    see_storage(monkeypatch)
    (problem,) = InstallationProblem.objects.all()
    assert problem.part == "storage"
    assert storage.url in problem.seen, "the storage is really away"


def watch_storage(world: World, receiver: Receiver, **fields: Any) -> UUID:
    """Let a webhook be told, and nobody else."""
    with world.scope():
        Rule.objects.for_org(world.org).delete()
        Channel.objects.for_org(world.org).delete()
    return add_webhook(world, receiver, kind="no_storage", **fields)


def test_an_org_is_told_once_that_its_runs_fail_without_the_storage_and_once_that_it_is_back(
    world: World, receiver: Receiver, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = watch_storage(world, receiver)
    lose_storage(storage, monkeypatch, lasts=LONG)
    fail(world, "Orders")
    (problem,) = InstallationProblem.objects.all()
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    deliver(world, channel)
    (event,) = receiver.messages[0]["events"]
    assert (event["kind"], event["rule"]["kind"]) == ("opened", "no_storage")
    assert event["subject"]["url"].endswith("/queue")
    assert event["summary"] == (
        "fail or wait for another attempt: Drover's storage cannot be reached since "
        f"{problem.began_at:%Y-%m-%d %H:%M} UTC. Its operators are told too"
    )

    storage.start()
    see_storage(monkeypatch)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    make_due(world, channel)
    deliver(world, channel)
    (event,) = receiver.messages[1]["events"]
    assert (event["kind"], event["summary"]) == ("closed", "can use Drover's storage again")


def test_an_org_sees_nothing_of_the_storage_but_that_it_is_away(
    world: World, receiver: Receiver, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = watch_storage(world, receiver)
    lose_storage(storage, monkeypatch, lasts=LONG)
    fail(world, "Orders")
    by_subject.tick()
    deliver(world, channel)
    (problem,) = InstallationProblem.objects.all()
    (row,) = log_of(world, channel=channel)
    listed = world.client(Role.MEMBER).get("/api/v1/alerts/open").json()["results"]
    with world.scope():
        stored = list(Alert.objects.for_org(world.org).values_list("cause", flat=True))
    assert (len(listed), len(stored)) == (1, 1)
    shown = orjson.dumps([receiver.messages, row, listed, stored]).decode()
    internals = [BUCKET, storage.url, str(storage.port), problem.place, "Error", "DROVER_"]
    told_to_operators = f"{problem.seen} {problem.place} {problem.next_step}"
    assert [each for each in internals if each not in told_to_operators] == []
    assert [each for each in internals if each in shown.replace(receiver.url, "")] == []


@pytest.mark.parametrize("attempt", [0, 1])
def test_a_run_that_waits_for_another_attempt_is_told_but_not_one_that_waits_for_its_first(
    world: World,
    receiver: Receiver,
    storage: Storage,
    monkeypatch: pytest.MonkeyPatch,
    attempt: int,
) -> None:
    watch_storage(world, receiver)
    lose_storage(storage, monkeypatch, lasts=LONG)
    with world.scope():
        Run.unscoped.create(
            org=world.org,
            pipeline=make_pipeline(world),
            version=1,
            trigger="schedule",
            attempt=attempt,
            not_before=timezone.now() + timedelta(minutes=1),
        )
    assert by_subject.tick() == attempt


@pytest.mark.parametrize("what", ["no run", "success", "failed before", "soon", "rule disabled"])
def test_an_org_without_this_problem_is_told_nothing(
    world: World, receiver: Receiver, storage: Storage, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    watch_storage(world, receiver, enabled=what != "rule disabled")
    lose_storage(storage, monkeypatch, lasts=timedelta(minutes=14) if what == "soon" else LONG)
    if what != "no run":
        status = Status.SUCCEEDED if what == "success" else Status.FAILED
        run = end_run(world, make_pipeline(world), status)
        if what == "failed before":
            with world.scope():
                before = timezone.now() - timedelta(minutes=30)
                Run.objects.for_org(world.org).filter(pk=run.pk).update(finished_at=before)
    assert by_subject.tick() == 0


def test_nobody_is_told_before_the_operators(
    world: World, receiver: Receiver, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch_storage(world, receiver)
    lose_storage(storage, monkeypatch, lasts=LONG)
    InstallationProblem.objects.update(told_at=None)
    fail(world, "Orders")
    assert by_subject.tick() == 0


def test_it_stays_open_while_another_machine_cannot_reach_the_storage(
    world: World, receiver: Receiver, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch_storage(world, receiver)
    lose_storage(storage, monkeypatch, lasts=LONG)
    fail(world, "Orders")
    now = timezone.now()
    InstallationProblem.objects.create(
        part="storage", place="other", seen="no", began_at=now, seen_at=now, told_at=now
    )
    assert by_subject.tick() == 1
    storage.start()
    see_storage(monkeypatch)
    assert InstallationProblem.objects.get().place == "other"
    assert by_subject.tick() == 0
    InstallationProblem.objects.all().delete()
    assert by_subject.tick() == 1


def test_a_viewer_and_a_stranger_do_not_see_it_and_members_do(
    world: World,
    stranger: World,
    receiver: Receiver,
    storage: Storage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch_storage(world, receiver)
    lose_storage(storage, monkeypatch, lasts=LONG)
    fail(world, "Orders")
    assert by_subject.tick() == 1, "the other org has the rule too, but no runs"
    assert world.client(Role.VIEWER).get("/api/v1/alerts/open").status_code == 403
    assert stranger.client(Role.OWNER).get("/api/v1/alerts/open").json()["results"] == []
    (found,) = world.client(Role.MEMBER).get("/api/v1/alerts/open").json()["results"]
    assert found["event"]["subject"]["name"] == "Runs"
    refused = world.client(Role.MEMBER).post(
        RULES, {"kind": "no_storage", "scope": "tag", "tag": "daily", "channel_ids": []}
    )
    assert refused.json()["errors"][0]["field"] == "scope"
