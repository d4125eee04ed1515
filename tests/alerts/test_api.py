"""Rules, channels and deliveries over the API: members edit them, viewers and strangers do not see them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.alerts import channels, rules
from apps.alerts.kinds import registry
from apps.alerts.models import Channel, ChannelKind, Rule
from apps.alerts.rule_kinds.registry import RULE_KINDS
from apps.orgs.members import domains
from apps.orgs.models import AuditEvent, Membership
from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from apps.orgs.walls.scope import org_scope
from tests.alerts.conftest import (
    CHANNELS,
    DELIVERIES,
    RULES,
    SECRET,
    add_rule,
    add_webhook,
    deliver,
    fail,
    log_of,
)
from tests.alerts.receiver import Receiver, Reply
from tests.world import World, make_pipeline, make_world

HOWTO = settings.BASE_DIR / "docs" / "howto" / "alerts.md"
HOOK_URL = "https://hooks.example.com/a"
WEBHOOK = {
    "name": "Hook",
    "kind": "webhook",
    "settings": {"url": HOOK_URL, "secret": SECRET},
}
KINDS = "/api/v1/alerts/kinds"
SLACK_URL = "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXX"


@pytest.mark.parametrize("name", RULE_KINDS)
def test_the_sentence_of_a_rule_contains_each_of_its_settings(name: str) -> None:
    kind = RULE_KINDS[name]
    properties: Any = kind.settings["properties"]
    chosen = {key: field.get("maximum", "high") for key, field in properties.items()}
    assert all(str(value) in kind.sentence(chosen) for value in chosen.values())
    assert kind.sentence({}) == kind.sentence(kind.with_defaults({}))


def test_a_new_org_has_rules_that_tell_its_owners(world: World) -> None:
    client = world.client(Role.OWNER)
    (channel,) = client.get(CHANNELS).json()["results"]
    rules = {rule["kind"]: rule for rule in client.get(RULES).json()["results"]}
    assert set(rules) == {
        "run_failed",
        "late",
        "limit_near",
        "limit_reached",
        "credential_ends",
        "no_worker",
        "no_storage",
    }
    late, failed = rules["late"], rules["run_failed"]
    assert (channel["name"], channel["kind"], channel["settings"]) == (
        "Owners",
        "email",
        {"to": []},
    )
    assert (failed["kind"], failed["settings"]) == ("run_failed", {})
    assert (late["kind"], late["settings"]) == ("late", {"tolerance_minutes": 30})
    assert failed["sentence"] == "A run fails"
    assert late["sentence"] == "A pipeline is late for 30 min"
    for rule in rules.values():
        assert (rule["scope"], rule["enabled"]) == ("org", True)
        assert rule["channel_ids"] == [channel["id"]]


def test_a_member_creates_changes_and_deletes_a_channel(world: World) -> None:
    client = world.client(Role.MEMBER)
    created = client.post(CHANNELS, WEBHOOK)
    assert created.status_code == 201, created.content
    address = f"{CHANNELS}/{created.json()['id']}"
    changed = client.patch(
        address,
        {"name": "On call", "settings": {"url": HOOK_URL}},
        headers={"If-Match": created["ETag"]},
    )
    assert changed.status_code == 200, changed.content
    assert changed.json()["settings"] == {
        "url": HOOK_URL,
        "secret": {"set": True, "last4": SECRET[-4:]},
    }
    stale = client.patch(address, {"name": "Late"}, headers={"If-Match": created["ETag"]})
    assert stale.status_code == 412
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(object_kind="alert_channel")
        assert list(events.order_by("id").values_list("action", flat=True)) == [
            "alert_channel.create", "alert_channel.update", "alert_channel.delete",
        ]  # fmt: skip
        assert SECRET not in str(list(events.values()))


def test_a_kept_secret_does_not_sign_messages_to_another_url(world: World) -> None:
    client = world.client(Role.MEMBER)
    created = client.post(CHANNELS, WEBHOOK).json()
    address = f"{CHANNELS}/{created['id']}"
    elsewhere = "https://evil.example.com/a"
    for kept in ({}, {"secret": created["settings"]["secret"]}):
        moved = client.patch(address, {"settings": {"url": elsewhere, **kept}})
        assert moved.status_code == 422, moved.content
        assert moved.json()["errors"][0]["field"] == "settings.secret"
    assert client.get(address).json()["settings"] == created["settings"]
    entered = client.patch(address, {"settings": {"url": elsewhere, "secret": SECRET}})
    assert entered.json()["settings"]["url"] == elsewhere


def test_a_channel_of_a_rule_that_a_member_cannot_see_is_changed_by_admins(
    world: World, stranger: World
) -> None:
    """The rule tells which API keys end. So a member could read that by a channel with another address."""
    member, admin = world.client(Role.MEMBER), world.client(Role.ADMIN)
    owners = next(c for c in admin.get(CHANNELS).json()["results"] if c["name"] == "Owners")
    address = f"{CHANNELS}/{owners['id']}"
    own = f"{CHANNELS}/{member.post(CHANNELS, WEBHOOK).json()['id']}"
    assert [client.get(address).json()["editable"] for client in (member, admin)] == [False, True]
    assert {c["name"]: c["editable"] for c in member.get(CHANNELS).json()["results"]} == {
        "Owners": False,
        WEBHOOK["name"]: True,
    }
    assert member.get(own).json()["editable"] is True
    to_member = {"settings": {"to": [world.users[Role.MEMBER].email]}}
    for refused in (member.patch(address, to_member), member.delete(address)):
        assert refused.status_code == 403, refused.content
        assert refused.json()["permission"] == "api_keys.manage"
        assert "a rule that you cannot see" in refused.json()["detail"].lower()
    assert world.client(Role.VIEWER).patch(address, to_member).status_code == 403
    assert stranger.client(Role.OWNER).patch(address, to_member).status_code == 404
    assert member.get(address).json()["settings"] == {"to": []}
    assert admin.patch(address, to_member).status_code == 200
    rules_of_channel = admin.get(RULES).json()["results"]
    (hidden,) = (rule for rule in rules_of_channel if rule["kind"] == "credential_ends")
    assert admin.patch(f"{RULES}/{hidden['id']}", {"channel_ids": []}).status_code == 200
    assert member.get(address).json()["editable"] is True
    assert member.patch(address, {"settings": {"to": []}}).status_code == 200


def test_each_kind_of_rule_is_described_and_its_defaults_are_valid(world: World) -> None:
    answer = world.client(Role.ADMIN).get(KINDS)
    assert answer.status_code == 200
    for described in answer.json()["results"]:
        kind = RULE_KINDS[described["kind"]]
        assert described["title"]
        assert described["settings"] == kind.settings
        assert not kind.errors(kind.with_defaults({}))
        assert f"| `{described['kind']}` |" in HOWTO.read_text(), (
            "docs/howto/alerts.md describes it"
        )
    assert answer.json()["count"] == len(RULE_KINDS)
    assert world.client(Role.VIEWER).get(KINDS).status_code == 403


def test_another_kind_begins_with_its_defaults(world: World) -> None:
    client = world.client(Role.MEMBER)
    channel = client.post(CHANNELS, WEBHOOK).json()
    rule = add_rule(world, channel["id"], kind="failed_in_a_row", settings={"threshold": 5})
    address = f"{RULES}/{rule['id']}"
    assert client.patch(address, {"enabled": False}).json()["settings"] == {"threshold": 5}
    assert client.patch(address, {"kind": "run_failed"}).json()["settings"] == {}
    changed = client.patch(address, {"kind": "failed_in_a_row"}).json()
    assert changed["settings"] == {"threshold": 3}
    refused = client.patch(address, {"settings": {"treshold": 5}})
    assert refused.json()["errors"] == [
        {
            "field": "settings.treshold",
            "message": "Unknown field; did you mean threshold?",
            "code": "unknown",
        }
    ]


def test_a_member_creates_changes_and_deletes_a_rule(world: World) -> None:
    client = world.client(Role.MEMBER)
    channel = client.post(CHANNELS, WEBHOOK).json()
    rule = add_rule(world, channel["id"], scope="tag", tag="Daily")
    assert rule["tag"] == "daily"
    address = f"{RULES}/{rule['id']}"
    changed = client.patch(
        address, {"kind": "failed_in_a_row", "settings": {"threshold": 3}, "scope": "org"}
    )
    assert changed.status_code == 200, changed.content
    assert (changed.json()["settings"], changed.json()["tag"]) == ({"threshold": 3}, "")
    assert client.patch(address, {"channel_ids": []}).json()["channel_ids"] == []
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("address", [CHANNELS, RULES, DELIVERIES])
def test_a_viewer_is_refused_and_a_stranger_sees_nothing(
    world: World, stranger: World, receiver: Receiver, address: str
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    deliver(world, channel)
    mine = world.client(Role.MEMBER).get(address).json()["results"]
    refused = world.client(Role.VIEWER).get(address)
    assert refused.status_code == 403
    assert "alerts.edit" in refused.json()["detail"]
    theirs = stranger.client(Role.OWNER).get(address).json()["results"]
    assert not {row["id"] for row in mine} & {row["id"] for row in theirs}


def test_a_stranger_gets_404_for_each_action(
    world: World, stranger: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    rule = add_rule(world, channel)
    fail(world, "Orders")
    delivery = log_of(world, channel=channel)[0]["id"]
    client = stranger.client(Role.OWNER)
    for answer in (
        client.get(f"{CHANNELS}/{channel}"),
        client.patch(f"{CHANNELS}/{channel}", {"name": "Mine"}),
        client.delete(f"{CHANNELS}/{channel}"),
        client.post(f"{CHANNELS}/{channel}/test"),
        client.get(f"{RULES}/{rule['id']}"),
        client.patch(f"{RULES}/{rule['id']}", {"enabled": False}),
        client.delete(f"{RULES}/{rule['id']}"),
        client.get(f"{DELIVERIES}/{delivery}"),
        client.post(f"{DELIVERIES}/{delivery}/replay"),
    ):
        assert answer.status_code == 404
    taken = client.post(RULES, {"kind": "run_failed", "channel_ids": [str(channel)]})
    assert (taken.status_code, taken.json()["errors"][0]["field"]) == (422, "channel_ids")


def test_a_domain_role_edits_the_rules_of_its_domain_only(world: World) -> None:
    with world.scope():
        domain = domains.create(org=world.org, by=SYSTEM, name="Marketing")
        membership = _membership(world, Role.VIEWER)
        domains.set_role(
            org=world.org,
            by=SYSTEM,
            domain_id=domain.pk,
            member_id=membership,
            role=Role.MEMBER,
        )
    inside = make_pipeline(world, name="Inside", domain_id=domain.pk)
    outside = make_pipeline(world, name="Outside")
    client = world.client(Role.VIEWER)
    channel = client.get(CHANNELS).json()["results"][0]["id"]

    def post(**fields: Any) -> int:
        body = {"kind": "run_failed", "channel_ids": [channel], **fields}
        return int(client.post(RULES, body).status_code)

    assert post(scope="domain", scope_id=str(domain.pk)) == 201
    assert post(scope="pipeline", scope_id=str(inside.pk)) == 201
    assert post(scope="pipeline", scope_id=str(outside.pk)) == 403
    assert post() == 403
    assert client.post(CHANNELS, WEBHOOK).status_code == 403
    assert client.delete(f"{CHANNELS}/{channel}").status_code == 403

    foreign = add_rule(world, channel, scope="pipeline", scope_id=str(outside.pk))
    address = f"{RULES}/{foreign['id']}"
    into_own_domain = {"scope": "domain", "scope_id": str(domain.pk)}
    assert client.patch(address, into_own_domain).status_code == 403
    assert client.delete(address).status_code == 403
    assert world.client(Role.MEMBER).get(address).json()["scope"] == "pipeline"


def _membership(world: World, role: Role) -> Any:
    return Membership.objects.for_org(world.org).get(user=world.users[role]).pk


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"settings": {"url": "ftp://hooks.example.com", "secret": SECRET}}, "settings.url"),
        ({"settings": {"url": "https://u:p@hooks.example.com", "secret": SECRET}}, "settings.url"),
        ({"settings": {"url": "https://hooks.example.com", "secret": "short"}}, "settings.secret"),
        ({"settings": {"url": "https://hooks.example.com"}}, "settings.secret"),
        ({"settings": {**WEBHOOK["settings"], "more": 1}}, "settings.more"),  # type: ignore[dict-item]
        ({"kind": "slack", "settings": {}}, "settings.url"),
        ({"kind": "email", "settings": {"to": ["nobody"]}}, "settings.to.0"),
        ({"kind": "pager", "settings": {}}, "kind"),
    ],
)
def test_wrong_settings_are_refused_by_their_names(
    world: World, changes: dict[str, Any], field: str
) -> None:
    answer = world.client(Role.MEMBER).post(CHANNELS, {**WEBHOOK, **changes})
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"] == field


def test_an_installation_without_private_networks_accepts_https_only(
    world: World, settings: Any
) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = False
    plain = {"url": "http://hooks.example.com", "secret": SECRET}
    answer = world.client(Role.MEMBER).post(CHANNELS, {**WEBHOOK, "settings": plain})
    assert answer.json()["errors"][0]["field"] == "settings.url"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "failed_in_a_row", "settings": {"threshold": 1}}, "settings.threshold"),
        ({"kind": "run_failed", "settings": {"threshold": 2}}, "settings.threshold"),
        ({"scope": "tag"}, "tag"),
        ({"scope": "org", "tag": "daily"}, "tag"),
        ({"scope": "domain"}, "scope_id"),
        ({"scope": "pipeline"}, "scope_id"),
        (
            {"scope": "pipeline", "scope_id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f62"},
            "scope_id",
        ),
        ({"channel_ids": ["0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f62"]}, "channel_ids"),
    ],
)
def test_wrong_rules_are_refused_by_their_names(
    world: World, fields: dict[str, Any], field: str
) -> None:
    body = {"kind": "run_failed", "channel_ids": [], **fields}
    answer = world.client(Role.MEMBER).post(RULES, body)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"] == field


def test_the_url_of_slack_is_never_shown(world: World) -> None:
    client = world.client(Role.OWNER)
    body = {"name": "Team", "kind": "slack", "settings": {"url": SLACK_URL}}
    created = client.post(CHANNELS, body)
    assert created.json()["settings"] == {"url": {"set": True, "last4": SLACK_URL[-4:]}}
    assert SLACK_URL not in str(client.get("/api/v1/org/audit").content)
    with world.scope():
        assert SLACK_URL not in str(list(Channel.objects.for_org(world.org).values()))


def test_a_name_is_used_once(world: World) -> None:
    client = world.client(Role.MEMBER)
    client.post(CHANNELS, WEBHOOK)
    again = client.post(CHANNELS, {**WEBHOOK, "name": "HOOK"})
    assert (again.status_code, again.json()["code"]) == (409, "name_taken")


def test_an_org_has_a_limited_number_of_channels_and_rules(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "MAX_CHANNELS", 1)
    monkeypatch.setattr(rules, "MAX_RULES", 1)
    client = world.client(Role.MEMBER)
    assert client.post(CHANNELS, WEBHOOK).json()["code"] == "too_many_channels"
    rule = {"kind": "run_failed", "channel_ids": []}
    assert client.post(RULES, rule).json()["code"] == "too_many_rules"


def test_what_is_being_sent_or_goes_to_a_disabled_channel_is_not_sent_again(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    client = world.client(Role.MEMBER)
    address = f"{DELIVERIES}/{log_of(world, channel=channel)[0]['id']}/replay"
    assert client.post(address).json()["code"] == "still_pending"
    client.patch(f"{CHANNELS}/{channel}", {"enabled": False})
    assert log_of(world, channel=channel)[0]["problem"] == "The channel was disabled."
    assert client.post(address).json()["code"] == "channel_disabled"
    assert client.post(f"{CHANNELS}/{channel}/test").json()["code"] == "channel_disabled"


def test_the_log_is_filtered_by_channel_pipeline_and_state(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    orders, _ = fail(world, "Orders", "Customers")
    assert len(log_of(world)) == 4
    assert len(log_of(world, channel=channel)) == 2
    assert len(log_of(world, pipeline=orders.pk)) == 2
    deliver(world, channel)
    assert {row["channel"]["id"] for row in log_of(world, state="sent")} == {str(channel)}


def test_a_channel_shows_its_newest_delivery(world: World, receiver: Receiver) -> None:
    channel = add_webhook(world, receiver)
    client = world.client(Role.MEMBER)
    assert client.get(f"{CHANNELS}/{channel}").json()["last_delivery"] is None
    fail(world, "Orders", "Customers")
    receiver.replies = [Reply(status=400, body=b"no")]
    deliver(world, channel)
    shown = client.get(f"{CHANNELS}/{channel}").json()["last_delivery"]
    newest = log_of(world, channel=channel)[-1]
    assert (shown["state"], shown["answer_status"]) == ("failed", 400)
    assert shown == {name: newest[name] for name in shown}
    listed = {row["id"]: row["last_delivery"] for row in client.get(CHANNELS).json()["results"]}
    assert listed[str(channel)] == shown
    assert client.get(f"{DELIVERIES}/{newest['id']}").json() == newest


def test_the_rules_for_a_pipeline_are_those_whose_scope_has_it(
    world: World, stranger: World
) -> None:
    with world.scope():
        domain = domains.create(org=world.org, by=SYSTEM, name="Marketing")
        Rule.objects.for_org(world.org).delete()
    orders = make_pipeline(world, name="Orders", domain_id=domain.pk, tags=["daily"])
    other = make_pipeline(world, name="Other")
    client = world.client(Role.MEMBER)
    channel = client.get(CHANNELS).json()["results"][0]["id"]
    for scope in (
        {"scope": "org"},
        {"scope": "tag", "tag": "daily"},
        {"scope": "domain", "scope_id": str(domain.pk)},
        {"scope": "pipeline", "scope_id": str(orders.pk)},
        {"scope": "tag", "tag": "weekly"},
        {"scope": "pipeline", "scope_id": str(other.pk)},
    ):
        add_rule(world, channel, **scope)

    def names(pipeline: Any, of: World = world) -> set[tuple[str, str, str]]:
        rows = of.client(Role.MEMBER).get(RULES, {"pipeline": str(pipeline)}).json()["results"]
        return {(row["scope"], row["tag"], row["scope_name"]) for row in rows}

    everywhere = ("org", "", "")
    assert names(orders.pk) == {
        everywhere,
        ("tag", "daily", ""),
        ("domain", "", "Marketing"),
        ("pipeline", "", "Orders"),
    }
    assert names(other.pk) == {everywhere, ("pipeline", "", "Other")}
    assert names(orders.pk, stranger) == set()


def test_the_schema_of_each_kind_of_channel_names_its_settings_and_secrets(world: World) -> None:
    kinds = world.client(Role.MEMBER).get(f"{CHANNELS}/kinds").json()["results"]
    assert [kind["kind"] for kind in kinds] == list(ChannelKind.values)
    for kind in kinds:
        properties = kind["settings"]["properties"]
        known = registry.KINDS[kind["kind"]]
        assert set(properties) == set(known.form().fields)
        secret = {(name,) for name, schema in properties.items() if schema.get("writeOnly")}
        assert secret == known.secrets
        assert kind["title"]
        assert kind["description"]
    assert world.client(Role.VIEWER).get(f"{CHANNELS}/kinds").status_code == 403


@pytest.mark.parametrize("address", [CHANNELS, RULES, DELIVERIES])
def test_the_lists_need_the_same_number_of_queries_for_many_rows(
    world: World, receiver: Receiver, address: str
) -> None:
    client = world.client(Role.MEMBER)
    channel = add_webhook(world, receiver)
    fail(world, "First")
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    for number in range(3):
        client.post(CHANNELS, {**WEBHOOK, "name": f"Hook {number}"})
        add_rule(world, channel, scope="tag", tag=f"tag {number}")
    fail(world, "Second", "Third")
    with CaptureQueriesContext(connection) as many:
        assert client.get(address).json()["count"] > 3
    assert len(many) == len(few)


def test_the_rows_of_orgs_that_existed_before_are_like_those_of_new_ones(world: World) -> None:
    """Migrations 0003 and 0008 add the same channel and rules by SQL. Migration 0005 has removed the column `threshold`."""
    migration = import_module("apps.alerts.migrations.0003_first_rules")
    later = import_module("apps.alerts.migrations.0012_rules_of_orgs")
    last = [
        import_module(f"apps.alerts.migrations.{name}")
        for name in ("0020_no_worker", "0021_no_storage")
    ]
    other = make_world()
    with org_scope(other.org.pk):
        Rule.objects.for_org(other.org).delete()
        Channel.objects.for_org(other.org).delete()
        with connection.cursor() as cursor:
            one_org = migration.ADD_FIRST_RULES.replace(
                "FROM orgs_org o", f"FROM orgs_org o WHERE o.id = '{other.org.pk}'"
            )
            cursor.execute(
                one_org.replace("threshold, ", "").replace("'run_failed', 1,", "'run_failed',")
            )
            for migration in (later, *last):
                rules = migration.ADD_RULES
                cursor.execute(rules.replace("AND enabled", f"AND org_id = '{other.org.pk}'"))

    def rows(of: World) -> list[dict[str, Any]]:
        client = of.client(Role.OWNER)
        found = [*client.get(CHANNELS).json()["results"], *client.get(RULES).json()["results"]]
        unlike = {"id", "created_at", "updated_at", "channel_ids"}
        like = [
            {k: v for k, v in row.items() if k not in unlike}
            for row in found
            if row["kind"] != "late"  # which no migration has added
        ]
        return sorted(like, key=lambda row: str(row["kind"]))

    assert rows(other) == rows(world)
