"""Limits of an org and the ends of its keys are told once, and closed when they are over."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from django.apps import apps
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.alerts.deciding import by_subject
from apps.alerts.deciding.by_subject import NOT_WATCHED
from apps.alerts.models import Alert, Channel, Delivery, DeliveryState, Rule
from apps.alerts.sending import delivering
from apps.connectors.configuration import MAX_ENDS, ends_of
from apps.connectors.models import Connector, UploadedFile
from apps.orgs.keys import service_accounts
from apps.orgs.keys import services as keys
from apps.orgs.models import ApiKey, Membership, Org
from apps.orgs.principals import Actor, Principal
from apps.orgs.roles import Role
from apps.runs.models import Usage
from apps.runs.usage.counting import read_measures, this_month
from tests.alerts.conftest import (
    CHANNELS,
    DELIVERIES,
    RULES,
    SECRET,
    add_rule,
    deliver,
    log_of,
    make_due,
)
from tests.alerts.receiver import Receiver, Reply
from tests.world import World, make_connector, make_pipeline

DAY = timedelta(days=1)
OPEN = "/api/v1/alerts/open"
ONE_OPEN = "alerts_alert_one_open_subject"


@pytest.fixture
def world(world: World) -> World:
    """An org without the rules that a new one has, so that each test tells by its own."""
    with world.scope():
        Rule.objects.for_org(world.org).all().delete()
    return world


def add_hook(world: World, receiver: Receiver, **rule: Any) -> UUID:
    """Create a webhook and a rule that uses it, as an admin, and return the id of the channel."""
    settings = {"url": receiver.url, "secret": SECRET}
    body = {"name": f"Hook {receiver.url}", "kind": "webhook", "settings": settings}
    channel = world.client(Role.ADMIN).post(CHANNELS, body).json()["id"]
    created = world.client(Role.ADMIN).post(RULES, {"channel_ids": [channel], **rule})
    assert created.status_code == 201, created.content
    return UUID(channel)


def set_org(world: World, **columns: Any) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(**columns)


def use_rows(world: World, rows: int, month: Any = None) -> None:
    with world.scope():
        Usage.unscoped.update_or_create(
            org=world.org, month=month or this_month(), defaults={"rows": rows}
        )


def events_of(world: World, channel: UUID) -> list[dict[str, Any]]:
    return [row["event"] for row in log_of(world, channel=channel)]


def sentences(world: World) -> list[tuple[str, str]]:
    """Return what was told, oldest first."""
    with world.scope():
        rows = Delivery.objects.for_org(world.org).order_by("created_at", "pk")
        return [(row.payload["subject"]["name"], row.payload["summary"]) for row in rows]


def test_a_limit_is_told_once_at_80_percent_and_once_when_it_is_reached(
    world: World, receiver: Receiver
) -> None:
    channel = add_hook(world, receiver, kind="limit_near")
    add_rule(world, channel, kind="limit_reached")
    set_org(world, max_rows_month=1000)
    use_rows(world, 799)
    assert by_subject.tick() == 0
    use_rows(world, 823)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    use_rows(world, 1000)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]

    near, reached = events_of(world, channel)
    assert near["subject"] == {
        "kind": "limit",
        "id": "rows_month",
        "name": "Records this month",
        "url": "http://localhost:8000/settings/usage",
    }
    assert (near["pipeline"], near["run"], near["rule"]["kind"]) == (None, None, "limit_near")
    assert near["summary"] == "is at 82% of its limit: 823 of 1,000"
    assert near["measurement"] == {"value": 0.823, "low": None, "high": 0.8, "unit": "share"}
    assert reached["summary"] == (
        "has reached its limit: 1,000 of 1,000; runs are stopped, and new ones refused, until the next month or a higher limit"
    )
    deliver(world, channel)
    assert receiver.messages[0]["events"] == [near, reached]


def test_a_limit_that_is_no_longer_reached_is_closed(world: World, receiver: Receiver) -> None:
    channel = add_hook(world, receiver, kind="limit_near")
    add_rule(world, channel, kind="limit_reached")
    set_org(world, max_rows_month=1000)
    use_rows(world, 1000)
    by_subject.tick()
    set_org(world, max_rows_month=1100)
    by_subject.tick()
    use_rows(world, 1000, month=this_month() - DAY)  # the month before does not count
    use_rows(world, 0)  # as on the first day of a month
    by_subject.tick()
    told = [(event["kind"], event["summary"]) for event in events_of(world, channel)]
    assert {kind for kind, _ in told[:2]} == {"opened"}
    assert told[2:] == [
        ("closed", "is below its limit again"),
        ("closed", "is below 80% of its limit again"),
    ]
    assert by_subject.tick() == 0


def test_each_limit_of_the_page_usage_is_told(
    world: World, receiver: Receiver, settings: Any
) -> None:
    add_hook(world, receiver, kind="limit_reached")
    settings.FILES_SIZE_PER_ORG = 5
    set_org(world, max_rows_month=7, max_bytes_month=8, max_pipelines=1, max_members=4)
    make_pipeline(world)
    with world.scope():
        Usage.unscoped.create(org=world.org, month=this_month(), rows=7, bytes=8)
        UploadedFile.unscoped.create(org=world.org, name="a.csv", size=5)
        world.org.refresh_from_db()
        measures = {each.name: each.used for each in read_measures(world.org)}
    assert by_subject.tick() == 1
    with world.scope():
        alerts = Alert.objects.for_org(world.org).values_list("subject_key", "cause__summary")
        told = dict(alerts)
    assert set(told) == set(measures) - {"running"}
    for name, summary in told.items():
        unit = " bytes" if "bytes" in name else ""
        assert f": {measures[name]}{unit} of " in summary


@pytest.fixture
def admin(world: World) -> Principal:
    user = world.users[Role.ADMIN]
    return Principal(world.org.pk, user.pk, Role.ADMIN, Actor("user", user.pk, "Admin"))


def make_key(
    world: World, by: Principal, *, ends_in: timedelta, age: timedelta = 30 * DAY, name: str = "CI"
) -> ApiKey:
    now = timezone.now()
    with world.scope():
        row = keys.create(org=world.org, by=by, name=name, role=Role.VIEWER).row
        rows = ApiKey.objects.for_org(world.org).filter(pk=row.pk)
        rows.update(expires_at=now + ends_in, created_at=now - age)
        return rows.get()


def test_a_key_that_ends_within_a_week_is_told_once(
    world: World, receiver: Receiver, admin: Principal
) -> None:
    channel = add_hook(world, receiver, kind="credential_ends")
    make_key(world, admin, ends_in=8 * DAY, name="Later")
    make_key(world, admin, ends_in=3 * DAY, age=timedelta(), name="Made for three days")
    assert by_subject.tick() == 0
    key = make_key(world, admin, ends_in=6 * DAY)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    (row,) = world.client(Role.ADMIN).get("/api/v1/alerts/deliveries").json()["results"]
    assert row["event"]["subject"]["id"] == str(key.pk)
    assert row["event"]["subject"]["url"].endswith("/settings/api-keys")
    assert sentences(world) == [
        (
            "CI",
            f"ends on {key.expires_at:%Y-%m-%d %H:%M} UTC: create a new key with the same name, and use it instead",
        )
    ]
    deliver(world, channel)
    assert receiver.messages[0]["events"][0]["subject"]["name"] == "CI"


def renew(world: World, by: Principal, key: ApiKey) -> None:
    with world.scope():
        keys.create(org=world.org, by=by, name=key.name, role=Role.VIEWER)


def revoke(world: World, by: Principal, key: ApiKey) -> None:
    with world.scope():
        keys.revoke(org=world.org, by=by, key_id=key.pk)


def end(world: World, by: Principal, key: ApiKey) -> None:
    with world.scope():
        ApiKey.objects.for_org(world.org).update(expires_at=timezone.now() - DAY)


def delete(world: World, by: Principal, key: ApiKey) -> None:
    with world.scope():
        ApiKey.objects.for_org(world.org).all().delete()


@pytest.mark.parametrize(
    ("act", "summary"),
    [
        (renew, "was renewed, or does not end soon any more"),
        (revoke, "was revoked or deleted"),
        (end, "has ended"),
        (delete, "was revoked or deleted"),
    ],
)
def test_the_alert_of_a_key_is_closed_when_it_is_renewed_or_gone(
    world: World,
    receiver: Receiver,
    admin: Principal,
    act: Callable[[World, Principal, ApiKey], None],
    summary: str,
) -> None:
    add_hook(world, receiver, kind="credential_ends")
    key = make_key(world, admin, ends_in=6 * DAY)
    by_subject.tick()
    act(world, admin, key)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    assert [told for _, told in sentences(world)][1:] == [summary]


def test_a_rotated_key_that_ends_when_the_old_one_would_have_is_told_instead_of_it(
    world: World, receiver: Receiver, admin: Principal
) -> None:
    add_hook(world, receiver, kind="credential_ends")
    key = make_key(world, admin, ends_in=6 * DAY)
    with world.scope():
        new = keys.rotate(org=world.org, by=admin, key_id=key.pk, grace=DAY).row
    by_subject.tick()
    with world.scope():
        (alert,) = Alert.objects.for_org(world.org)
    assert alert.subject_key == str(new.pk)


def test_a_key_of_a_service_account_is_told_too(
    world: World, receiver: Receiver, admin: Principal
) -> None:
    add_hook(world, receiver, kind="credential_ends")
    with world.scope():
        account = service_accounts.create(org=world.org, by=admin, name="Robot", role=Role.VIEWER)
        service_accounts.create_key(org=world.org, by=admin, member_id=account.pk, name="Robot")
        ApiKey.objects.for_org(world.org).update(
            expires_at=timezone.now() + DAY, created_at=timezone.now() - 30 * DAY
        )
    assert by_subject.tick() == 1
    assert [name for name, _ in sentences(world)] == ["Robot"]


def certificate(ends_in: timedelta) -> str:
    """Return a self-signed certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "db.example.com")])
    now = timezone.now()
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - 30 * DAY).not_valid_after(now + ends_in)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def altered_certificate(altered: bytes, by: bytes) -> str:
    """Return a certificate as PEM in which some bytes are replaced. Its signature is not checked."""
    pem = certificate(datetime(2060, 1, 1, tzinfo=UTC) - timezone.now())
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    assert altered in der
    encoded = b64encode(der.replace(altered, by)).decode()
    return f"-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n"


def make_database(world: World, pem: str) -> Any:
    server = {"host": "db.example.com", "port": 5432, "database": "d", "user": "u"}
    config = {**server, "password": "secret", "sslmode": "verify-full", "ssl_root_certificate": pem}
    return make_connector(world, kind="postgres", name="Warehouse", config=config)


def test_the_certificate_of_a_connector_that_ends_is_told_until_it_is_replaced(
    world: World, receiver: Receiver
) -> None:
    channel = add_hook(world, receiver, kind="credential_ends")
    old, new = certificate(3 * DAY), certificate(400 * DAY)
    connector = make_database(world, old)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    client = world.client(Role.ADMIN)
    path = f"/api/v1/connectors/{connector.pk}"
    changed = client.patch(path, {"config": {"ssl_root_certificate": old + new}})
    assert changed.status_code == 200, changed.content
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    opened, closed = [
        row["event"]
        for row in client.get("/api/v1/alerts/deliveries", {"channel": str(channel)}).json()[
            "results"
        ]
    ][::-1]
    assert opened["subject"] == {
        "kind": "connector",
        "id": str(connector.pk),
        "name": "Warehouse",
        "url": f"http://localhost:8000/connectors/{connector.pk}",
    }
    assert opened["summary"].startswith("has a certificate that ends on ")
    assert closed["summary"] == "was renewed, or does not end soon any more"


@pytest.mark.parametrize(
    ("altered", "by"),
    [
        pytest.param(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", id="of an unknown version"),
        pytest.param(b"\x18\x0f2060", b"\x18\x0f0000", id="that ends in the year 0"),
    ],
)
def test_nothing_is_told_of_a_certificate_that_cannot_be_read(
    world: World, receiver: Receiver, altered: bytes, by: bytes
) -> None:
    add_hook(world, receiver, kind="credential_ends")
    make_database(world, altered_certificate(altered, by))
    assert by_subject.tick() == 0


def token(ends_in: timedelta, **claims: Any) -> str:
    """Return a JSON Web Token, as issuers of access tokens make them."""
    claims = {"sub": "drover", "exp": timezone.now() + ends_in, **claims}
    return jwt.encode(claims, "a key of the issuer " * 2)


def make_api(world: World, value: str, name: str = "Shop") -> Any:
    config = {
        "base_url": "https://api.example.com",
        "auth": {"type": "bearer", "token": value},
        "streams": [{"name": "orders", "path": "/orders"}],
    }
    return make_connector(world, kind="rest", name=name, config=config)


def test_the_token_of_a_connector_that_ends_is_told_until_it_is_replaced(
    world: World, receiver: Receiver
) -> None:
    add_hook(world, receiver, kind="credential_ends")
    old, new = token(3 * DAY), token(400 * DAY)
    connector = make_api(world, old)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    client = world.client(Role.ADMIN)
    changed = client.patch(
        f"/api/v1/connectors/{connector.pk}", {"config": {"auth": {"type": "bearer", "token": new}}}
    )
    assert changed.status_code == 200, changed.content
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    (_, opened), (_, closed) = sentences(world)
    assert opened.startswith("has a token that ends on ")
    assert closed == "was renewed, or does not end soon any more"


def test_a_token_that_was_issued_for_a_few_days_is_not_told(
    world: World, receiver: Receiver
) -> None:
    """A program renews it, so its owners would be told each time."""
    add_hook(world, receiver, kind="credential_ends")
    issued = {"iat": timezone.now() - DAY}
    make_api(world, token(2 * DAY, **issued))
    assert by_subject.tick() == 0
    make_api(world, token(2 * DAY, iat=timezone.now() - 30 * DAY), name="Other shop")
    assert by_subject.tick() == 1


def let_pass(world: World, time: timedelta) -> None:
    """Let this time pass, for the ends of all connectors and for what was told of them."""
    seconds = int(time.total_seconds())
    with world.scope():
        for connector in Connector.objects.for_org(world.org):
            connector.ends = [{**end, "at": end["at"] - seconds} for end in connector.ends]
            connector.save(update_fields=["ends"])
        for alert in Alert.objects.for_org(world.org):
            *about, ends_at = alert.subject_key.split(" ")
            alert.subject_key = " ".join([*about, str(int(ends_at) - seconds)])
            alert.save(update_fields=["subject_key"])


def test_a_token_that_has_ended_closes_the_alert(world: World, receiver: Receiver) -> None:
    add_hook(world, receiver, kind="credential_ends")
    make_api(world, token(3 * DAY))
    by_subject.tick()
    let_pass(world, 4 * DAY)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    assert [summary for _, summary in sentences(world)][1:] == ["has ended"]


def make_api_with_tokens(world: World, *values: str) -> Any:
    config = {
        "base_url": "https://api.example.com",
        "auth": {"type": "bearer", "token": values[0]},
        "headers": {f"X-Token-{number}": value for number, value in enumerate(values[1:])},
        "streams": [{"name": "orders", "path": "/orders"}],
    }
    return make_connector(world, kind="rest", name="Shop", config=config)


@pytest.mark.parametrize("first", [timedelta(hours=-2), 3 * DAY], ids=["ended", "ends too"])
def test_each_token_is_told_once_also_if_another_one_ends_before_it(
    world: World, receiver: Receiver, first: timedelta
) -> None:
    add_hook(world, receiver, kind="credential_ends")
    make_api_with_tokens(world, token(first), token(10 * DAY), token(40 * DAY))
    count = int(first > timedelta())
    assert by_subject.tick() == count
    let_pass(world, 5 * DAY)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    let_pass(world, 30 * DAY)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    let_pass(world, 30 * DAY)
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    told = sorted(summary.partition(" on ")[0] for _, summary in sentences(world))
    assert told == ["has a token that ends"] * (2 + count) + ["has ended"] * (2 + count)


def test_two_tokens_that_end_soon_are_told_each_and_one_that_is_replaced_is_closed(
    world: World, receiver: Receiver
) -> None:
    channel = add_hook(world, receiver, kind="credential_ends")
    connector = make_api_with_tokens(world, token(3 * DAY), token(5 * DAY))
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    new = {"config": {"auth": {"type": "bearer", "token": token(400 * DAY)}}}
    changed = world.client(Role.ADMIN).patch(f"/api/v1/connectors/{connector.pk}", new)
    assert changed.status_code == 200, changed.content
    assert [by_subject.tick(), by_subject.tick()] == [1, 0]
    log = world.client(Role.ADMIN).get(DELIVERIES, {"channel": str(channel)}).json()["results"]
    assert [row["kind"] for row in log[::-1]] == ["opened", "opened", "closed"]
    assert {row["event"]["subject"]["id"] for row in log} == {str(connector.pk)}
    with world.scope():
        (still_open,) = Alert.objects.for_org(world.org).filter(closed_at=None)
    assert still_open.cause["summary"] in [row["event"]["summary"] for row in log]


def test_a_connector_with_many_tokens_sends_few_alerts(world: World, receiver: Receiver) -> None:
    add_hook(world, receiver, kind="credential_ends")
    tokens = " ".join(token(3 * DAY + timedelta(seconds=number)) for number in range(50))
    make_api(world, tokens)
    by_subject.tick()
    assert len(sentences(world)) == MAX_ENDS


@pytest.mark.parametrize(
    "value",
    [
        "an opaque token of 40 characters, or so..",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",  # without exp
        "eyJhbGciOiJub25lIn0.eyJleHAiOiJzb29uIn0.",  # "exp": "soon"
        "eyJhbGciOiJub25lIn0.eyJleHAiOjFlOTl9.",  # "exp": 1e99
        "eyJhbGciOiJub25lIn0.eyJ-.x",  # no JSON
    ],
)
def test_nothing_is_told_of_a_token_that_does_not_say_when_it_ends(
    world: World, receiver: Receiver, value: str
) -> None:
    add_hook(world, receiver, kind="credential_ends")
    make_api(world, value)
    assert by_subject.tick() == 0


@pytest.mark.parametrize("part", ["-eyJ", "-eyJa.eyJ", "eyJa."])
def test_a_token_is_found_in_a_text_with_many_beginnings_of_tokens(part: str) -> None:
    """A search that read to the end from each beginning would take an hour."""
    settings = {"body": f"{part * 200_000} {token(3 * DAY)}"}
    assert [end["what"] for end in ends_of(settings)] == ["token"]


def test_ends_that_were_stored_before_are_read_by_a_migration(
    world: World, receiver: Receiver
) -> None:
    add_hook(world, receiver, kind="credential_ends")
    make_api(world, token(3 * DAY))
    lost = make_api(world, token(3 * DAY), name="Lost")
    make_database(world, certificate(3 * DAY))
    migration = import_module("apps.connectors.migrations.0017_ends")
    with world.scope():
        rows = Connector.objects.for_org(world.org)
        rows.update(ends=[])
        rows.filter(pk=lost.pk).update(sealed="sealed by a lost key")
        assert by_subject.tick() == 0
        migration.read_ends(apps, None)
    by_subject.tick()
    assert sorted(name for name, _ in sentences(world)) == ["Shop", "Warehouse"]


def test_a_member_who_may_not_see_all_keys_sees_nothing_about_them(
    world: World, receiver: Receiver, admin: Principal
) -> None:
    channel = add_hook(world, receiver, kind="credential_ends")
    make_key(world, admin, ends_in=DAY)
    by_subject.tick()
    world.client(Role.ADMIN).post(f"{CHANNELS}/{channel}/test")
    member, owner = world.client(Role.MEMBER), world.client(Role.ADMIN)

    def count(path: str) -> tuple[int, int]:
        return len(member.get(path).json()["results"]), len(owner.get(path).json()["results"])

    assert count("/api/v1/alerts/deliveries") == (1, 2)  # the test is shown
    assert count(RULES) == (0, 1)
    rule = owner.get(RULES).json()["results"][0]["id"]
    assert member.get(f"{RULES}/{rule}").status_code == 404
    kinds = "/api/v1/alerts/kinds"
    assert "credential_ends" not in {row["kind"] for row in member.get(kinds).json()["results"]}
    refused = member.post(RULES, {"kind": "credential_ends", "channel_ids": [str(channel)]})
    assert refused.status_code == 403


def test_a_member_sees_no_key_when_its_rule_gets_another_kind(
    world: World, receiver: Receiver, admin: Principal
) -> None:
    add_hook(world, receiver, kind="credential_ends")
    make_key(world, admin, ends_in=DAY, name="Payroll")
    by_subject.tick()
    member, owner = world.client(Role.MEMBER), world.client(Role.ADMIN)
    (rule,) = owner.get(RULES).json()["results"]
    assert (
        owner.patch(f"{RULES}/{rule['id']}", {"kind": "limit_near", "settings": {}}).status_code
        == 200
    )

    assert [len(each.get(OPEN).json()["results"]) for each in (member, owner)] == [0, 1]
    by_subject.tick()
    assert [summary for _, summary in sentences(world)][1:] == [NOT_WATCHED]
    assert [len(each.get(DELIVERIES).json()["results"]) for each in (member, owner)] == [0, 2]


@pytest.mark.parametrize("kind", ["limit_near", "limit_reached", "credential_ends"])
def test_a_rule_about_the_org_has_its_scope_and_does_not_belong_to_pipelines(
    world: World, receiver: Receiver, kind: str
) -> None:
    channel = add_hook(world, receiver, kind=kind)
    pipeline = make_pipeline(world)
    client = world.client(Role.ADMIN)
    body = {"kind": kind, "channel_ids": [str(channel)]}
    scope = {"scope": "pipeline", "scope_id": str(pipeline.pk)}
    refused = client.post(RULES, {**body, **scope})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "scope"
    assert client.get(RULES, {"pipeline": str(pipeline.pk)}).json()["results"] == []


def make_limit(world: World, admin: Principal) -> None:
    set_org(world, max_rows_month=10)
    use_rows(world, 10)


def make_ending_key(world: World, admin: Principal) -> None:
    make_key(world, admin, ends_in=DAY)


KINDS = [
    ("limit_near", make_limit),
    ("limit_reached", make_limit),
    ("credential_ends", make_ending_key),
]


@pytest.mark.parametrize(("kind", "make"), KINDS)
def test_a_disabled_rule_opens_nothing_and_closes_quietly(
    world: World, receiver: Receiver, admin: Principal, kind: str, make: Callable[..., None]
) -> None:
    add_hook(world, receiver, kind=kind)
    make(world, admin)
    by_subject.tick()
    with world.scope():
        Rule.objects.for_org(world.org).update(enabled=False)
    assert by_subject.tick() == 0
    set_org(world, max_rows_month=None)
    delete(world, admin, ApiKey())
    assert by_subject.tick() == 1
    assert len(sentences(world)) == 1
    make(world, admin)
    assert by_subject.tick() == 0


@pytest.mark.parametrize(("kind", "make"), KINDS)
def test_a_suspended_org_and_another_org_are_left_alone(
    world: World,
    stranger: World,
    receiver: Receiver,
    admin: Principal,
    kind: str,
    make: Callable[..., None],
) -> None:
    add_hook(stranger, receiver, kind=kind)
    make(world, admin)
    assert by_subject.tick() == 0
    with stranger.scope():
        assert not Delivery.objects.for_org(stranger.org).exists()
    add_hook(world, receiver, kind=kind)
    for column in ("suspended_at", "deletion_at"):
        set_org(world, **{column: timezone.now()})
        assert by_subject.tick() == 0
        set_org(world, **{column: None})
    assert by_subject.tick() == 1


def test_an_open_alert_stays_open_while_the_org_is_suspended(
    world: World, receiver: Receiver, admin: Principal
) -> None:
    add_hook(world, receiver, kind="limit_reached")
    make_limit(world, admin)
    by_subject.tick()
    set_org(world, suspended_at=timezone.now(), max_rows_month=None)
    assert by_subject.tick() == 0
    set_org(world, suspended_at=None)
    assert by_subject.tick() == 1


def test_what_a_rule_of_another_kind_has_opened_is_closed(
    world: World, receiver: Receiver, admin: Principal
) -> None:
    add_hook(world, receiver, kind="limit_reached")
    make_limit(world, admin)
    by_subject.tick()
    client = world.client(Role.ADMIN)
    (rule,) = client.get(RULES).json()["results"]
    client.patch(f"{RULES}/{rule['id']}", {"kind": "run_failed"})
    by_subject.tick()
    assert [summary for _, summary in sentences(world)][1:] == [NOT_WATCHED]


def test_one_org_with_a_fault_does_not_keep_the_others_from_being_watched(
    world: World,
    stranger: World,
    receiver: Receiver,
    admin: Principal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_hook(world, receiver, kind="limit_reached")
    make_limit(world, admin)
    make_limit(stranger, admin)  # the rules of a new org
    watch = by_subject.watch

    def fail_for_one(*, org_id: UUID) -> bool:
        if org_id == stranger.org.pk:
            raise ZeroDivisionError
        return watch(org_id=org_id)

    monkeypatch.setattr(by_subject, "watch", fail_for_one)
    with pytest.raises(ZeroDivisionError):
        by_subject.tick()
    assert len(sentences(world)) == 1


def test_a_tick_that_finds_nothing_makes_one_query(world: World, receiver: Receiver) -> None:
    add_hook(world, receiver, kind="limit_near")
    set_org(world, max_rows_month=1000, max_pipelines=100)
    with CaptureQueriesContext(connection) as captured:
        assert by_subject.tick() == 0
    assert len(captured) == 1


def test_two_alerts_of_a_rule_about_the_same_subject_cannot_be_open(
    world: World, receiver: Receiver, admin: Principal
) -> None:
    add_hook(world, receiver, kind="limit_reached")
    make_limit(world, admin)
    by_subject.tick()
    with world.scope():
        alert = Alert.objects.for_org(world.org).get()
        alert.pk = UUID(int=1)
        with pytest.raises(IntegrityError, match=ONE_OPEN), transaction.atomic():
            alert.save(force_insert=True)


def test_the_events_of_a_limit_arrive_in_order(
    world: World, receiver: Receiver, admin: Principal
) -> None:
    """While the first event is being sent again, the second one waits."""
    channel = add_hook(world, receiver, kind="limit_reached")
    make_limit(world, admin)
    by_subject.tick()
    receiver.replies.append(Reply(500))
    deliver(world, channel)
    set_org(world, max_rows_month=None)
    by_subject.tick()
    with world.scope():
        Delivery.objects.for_org(world.org).filter(message_id__isnull=False).update(
            next_attempt_at=timezone.now() + timedelta(hours=1)
        )
        Channel.objects.for_org(world.org).update(grouped_until=None)
    assert delivering.tick() == 0
    deliver(world, channel)
    assert len(receiver.requests) == 1
    make_due(world, channel)
    deliver(world, channel)
    make_due(world, channel)
    deliver(world, channel)
    kinds = [message["events"][0]["kind"] for message in receiver.messages]
    assert kinds == ["opened", "opened", "closed"]
    with world.scope():
        states = set(Delivery.objects.for_org(world.org).values_list("state", flat=True))
    assert states == {DeliveryState.SENT}


def test_the_owners_of_a_new_org_get_a_mail_about_a_limit_and_a_key(stranger: World) -> None:
    set_org(stranger, max_members=1)
    user = stranger.users[Role.OWNER]
    owner = Principal(stranger.org.pk, user.pk, Role.OWNER, Actor("user", user.pk, "Owner"))
    make_key(stranger, owner, ends_in=DAY, name="Nightly")
    by_subject.tick()
    with stranger.scope():
        channel = Delivery.objects.for_org(stranger.org).values_list("channel_id", flat=True)[0]
        members = Membership.objects.for_org(stranger.org).count()
    deliver(stranger, channel)
    (message,) = mail.outbox
    assert message.subject == "3 alerts"
    text = " ".join(str(message.body).split())
    assert f"“Members” has reached its limit: {members} of 1" in text
    assert "“Nightly” ends on " in text
