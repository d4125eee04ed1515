"""Operators are told once that a part of the installation does not work, and once that it works again."""

from __future__ import annotations

import smtplib
from datetime import timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core import mail
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from apps.alerts.installation import checks, heartbeat, looking, routes, sending
from apps.alerts.installation.observing import LOCK, Observation, observe
from apps.alerts.kinds.answers import Answer
from apps.alerts.kinds.webhook import signature
from apps.alerts.models import (
    Delivery,
    DeliveryState,
    InstallationProblem,
    OperatorMessage,
)
from apps.auth.mailing import mail as mailing
from apps.auth.models import User
from apps.background import health
from apps.background.health import Finding
from apps.orgs.operators import diagnosis
from tests import database
from tests.alerts.receiver import Receiver, Reply
from tests.world import World

PATIENCE = timedelta(minutes=2)
SECRET = "a secret of operators"


@pytest.fixture(autouse=True)
def operators(db: None, settings: Any) -> list[str]:
    settings.OPERATOR_ADDRESSES = ["ops@example.com", "night@example.com"]
    return ["ops@example.com", "night@example.com"]


def see(part: str, *, ok: bool = False, place: str = "", seen: str = "never") -> None:
    observe([Observation(place, Finding(part, ok, seen, "Start a worker."))])


def let_pass(time: timedelta) -> None:
    """Let this time pass, for what is stored."""
    InstallationProblem.objects.update(began_at=F("began_at") - time, seen_at=F("seen_at") - time)
    OperatorMessage.objects.update(next_attempt_at=F("next_attempt_at") - time)


def subjects() -> list[str]:
    sending.send_due()
    return [str(message.subject) for message in mail.outbox]


def test_a_problem_is_told_once_when_it_lasts_and_once_when_it_is_over(
    operators: list[str],
) -> None:
    see("workers", seen="last heartbeat 90 s ago")
    assert subjects() == []
    let_pass(PATIENCE)
    see("workers", seen="last heartbeat 210 s ago")
    see("workers", seen="last heartbeat 240 s ago")
    assert subjects() == ["Drover has a problem: workers"]
    see("workers", ok=True)
    see("workers", ok=True)
    assert subjects() == ["Drover has a problem: workers", "Drover has recovered: workers"]
    began, ended = mail.outbox
    assert began.to == operators
    assert "workers: last heartbeat 210 s ago. Start a worker." in str(began.body)
    assert "workers: works again, after a problem since " in str(ended.body)
    assert not InstallationProblem.objects.exists()


def test_a_short_disturbance_is_not_told() -> None:
    see("workers")
    see("workers", ok=True)
    let_pass(PATIENCE)
    see("workers")
    assert subjects() == []


def test_what_begins_together_is_one_message() -> None:
    for part in ("workers", "scheduler"):
        see(part)
    let_pass(PATIENCE)
    workers, scheduler = (
        Observation("", Finding(part, False, "never", "Start a worker."))
        for part in ("workers", "scheduler")
    )
    observe([workers, scheduler])
    assert subjects() == ["Drover has a problem: scheduler, workers"]


def test_two_machines_have_their_own_disks() -> None:
    see("disk", place="one")
    see("disk", place="two", ok=True)
    let_pass(PATIENCE)
    see("disk", place="two", ok=True)
    see("disk", place="one", seen="0.1 GB free")
    assert subjects() == ["Drover has a problem: disk"]
    assert "disk on one: 0.1 GB free" in str(mail.outbox[0].body)


def test_the_problem_of_a_machine_that_was_replaced_ends() -> None:
    see("disk", place="one")
    let_pass(PATIENCE)
    see("disk", place="one")
    let_pass(timedelta(minutes=31))
    see("disk", place="two", ok=True)
    assert subjects()[1:] == ["Drover has recovered: disk"]


def test_a_clock_that_is_set_back_does_not_delay_what_is_told() -> None:
    see("workers")
    let_pass(-timedelta(hours=1))  # what was stored is an hour in the future
    see("workers")
    let_pass(PATIENCE)
    see("workers")
    assert subjects() == ["Drover has a problem: workers"]


def test_a_clock_that_is_set_forward_tells_only_what_is_still_seen() -> None:
    see("workers")
    let_pass(timedelta(hours=1))
    see("workers", ok=True)
    assert subjects() == []


def test_one_process_at_a_time_writes_what_was_seen() -> None:
    url = database.url_of(database.process_database_name())
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        see("workers")
        assert not InstallationProblem.objects.exists()
        other.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    see("workers")
    assert InstallationProblem.objects.count() == 1


def test_a_message_that_another_process_sends_now_is_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    see("workers")
    let_pass(PATIENCE)
    see("workers")
    message = OperatorMessage.objects.get()
    others: list[bool] = []

    def send_while_another_process_tries(*arguments: Any) -> Answer:
        if not others:
            others.append(sending._send(message))  # it has read the message before it was claimed
        return send(*arguments)

    send = routes.send
    monkeypatch.setattr(routes, "send", send_while_another_process_tries)
    assert sending.send_due() == 1
    assert others == [False]
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_away_gets_the_message_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    see("workers")
    let_pass(PATIENCE)
    see("workers")
    with monkeypatch.context() as patch:
        patch.setattr(mailing, "send", refuse)
        assert sending.send_due() == 0
    row = OperatorMessage.objects.get()
    assert (row.state, row.attempts) == (DeliveryState.PENDING, 1)
    assert "did not take the mail" in row.problem
    assert sending.send_due() == 0  # not at once
    let_pass(timedelta(seconds=31))
    assert subjects() == ["Drover has a problem: workers"]


def test_a_message_does_not_wait_for_a_time_that_a_wrong_clock_has_set() -> None:
    see("workers")
    let_pass(PATIENCE)
    see("workers")
    OperatorMessage.objects.update(next_attempt_at=timezone.now() + timedelta(days=365))
    assert subjects() == ["Drover has a problem: workers"]


def refuse(*_: Any, **__: Any) -> None:
    raise smtplib.SMTPServerDisconnected("gone")


def test_a_message_that_nobody_takes_for_a_day_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    see("workers")
    let_pass(PATIENCE)
    see("workers")
    monkeypatch.setattr(mailing, "send", refuse)
    OperatorMessage.objects.update(created_at=timezone.now() - timedelta(hours=24))
    sending.send_due()
    assert OperatorMessage.objects.get().state == DeliveryState.FAILED


@pytest.fixture
def hook(settings: Any, receiver: Receiver) -> Receiver:
    settings.OPERATOR_ADDRESSES = []
    settings.OPERATOR_WEBHOOK_URL, settings.OPERATOR_WEBHOOK_SECRET = receiver.url, SECRET
    settings.ALLOW_PRIVATE_NETWORKS = False  # which is about pipelines and members, not operators
    return receiver


def test_a_webhook_gets_signed_json(hook: Receiver) -> None:
    see("storage", place="web-1", seen="full")
    let_pass(PATIENCE)
    see("storage", place="web-1", seen="full")
    hook.replies.append(Reply(500))
    assert sending.send_due() == 0
    let_pass(timedelta(seconds=31))
    assert sending.send_due() == 1
    first, second = hook.messages
    assert first == second
    (problem,) = first["began"]
    assert (problem["part"], problem["place"], problem["seen"]) == ("storage", "web-1", "full")
    assert first["ended"] == []
    assert first["text"] == "storage on web-1: full. Start a worker."
    request = hook.requests[-1]
    expected = signature(SECRET, request.headers["drover-timestamp"], request.body)
    assert request.headers["drover-signature"] == f"v1={expected}"
    assert request.headers["drover-message-id"] == first["id"]


def test_operators_are_told_unless_other_addresses_are_set(settings: Any) -> None:
    settings.OPERATOR_ADDRESSES = []
    for name in ("gone", "here", "other"):
        User.objects.create(
            email=f"{name}@example.com", is_staff=name != "other", is_active=name != "gone"
        )
    assert routes.addresses() == ["here@example.com"]


def test_operators_get_no_data_of_an_org(world: World) -> None:
    """The parts and what they found are about the installation."""
    with world.scope():
        Delivery.objects.for_org(world.org).delete()
    for observation in looking.look(with_mail=True):
        text = f"{observation.finding.seen} {observation.finding.next_step}"
        assert world.org.name not in text
        assert str(world.org.pk) not in text


def test_the_parts_that_are_looked_at() -> None:
    found = {(each.finding.part, each.place != "") for each in looking.look(with_mail=True)}
    assert found == {
        ("queue", False),
        ("workers", False),
        ("scheduler", False),
        ("storage", True),
        ("disk", True),
        ("mail", True),
    }
    assert len(list(looking.look(with_mail=False))) == 5


def test_a_mail_server_that_is_away_is_not_reported_as_a_missing_setting(settings: Any) -> None:
    settings.MAIL_URL = "smtp://127.0.0.1:1"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    finding = health.check_mail()
    assert not finding.ok
    assert "start the mail server" in finding.next_step


def test_old_messages_are_deleted() -> None:
    now = timezone.now()
    for days in (89, 91):
        at = now - timedelta(days=days)
        OperatorMessage.objects.create(
            route="email", payload={}, created_at=at, next_attempt_at=at, state="sent"
        )
    sending.remove_old()
    assert OperatorMessage.objects.count() == 1


def test_the_doctor_sends_a_test_and_says_what_the_other_side_answered(
    settings: Any, receiver: Receiver
) -> None:
    settings.OPERATOR_WEBHOOK_URL = receiver.url
    receiver.replies.append(Reply(404))
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", "--send-test", stdout=out)
    assert "ok      test (e-mail)" in out.getvalue()
    assert "The server answered 404." in out.getvalue()
    assert mail.outbox[0].subject == "Test of the alerts of this installation"
    assert "This is a test." in receiver.messages[0]["text"]


def test_the_doctor_says_if_nobody_is_told(settings: Any) -> None:
    settings.OPERATOR_ADDRESSES = []
    assert checks.check_operators().ok
    settings.BEHIND_TLS = True
    finding = checks.check_operators()
    assert (finding.ok, finding.seen) == (False, "nobody is told about problems")
    assert [each.ok for each in checks.send_test()] == [False]


def test_the_scheduler_requests_the_heartbeat_address(receiver: Receiver, settings: Any) -> None:
    assert not heartbeat.beat()
    settings.HEARTBEAT_URL = receiver.url
    settings.ALLOW_PRIVATE_NETWORKS = False
    assert heartbeat.beat()
    assert checks.check_heartbeat().ok
    assert len(receiver.requests) == 1  # the check has not requested it
    receiver.replies.append(Reply(500))
    assert not heartbeat.beat()
    settings.HEARTBEAT_URL = "http://127.0.0.1:1/secret"
    assert not heartbeat.beat()
    finding = checks.check_heartbeat()
    assert not finding.ok
    assert "secret" not in finding.seen


def test_the_doctor_notices_that_the_collector_is_away(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OTLP_URL = ""
    assert diagnosis.check_telemetry().ok
    settings.OTLP_URL = "http://127.0.0.1:1"
    monkeypatch.setattr("apps.telemetry.exporting.TIMEOUT_SECONDS", 0.5)
    assert not diagnosis.check_telemetry().ok
