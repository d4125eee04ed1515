"""Access rules of an org. An org that is suspended or scheduled for deletion can be read but not changed."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from apps.auth import sessions
from apps.orgs import rules
from apps.orgs.keys import services as api_keys
from apps.orgs.models import Membership, Org
from apps.orgs.roles import Role
from apps.orgs.sign_in import responses as sign_in
from tests import mailbox
from tests.isolation.planted import principal
from tests.world import World


def session_client(world: World, role: Role, **options: Any) -> APIClient:
    session = sessions.begin(user=world.users[role], ip=None, user_agent="", **options)
    body = sign_in.login_response(session, world.org.pk)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access']}")
    return client


def update_org(world: World, **fields: Any) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(**fields)


def test_an_org_that_requires_a_second_factor_rejects_sessions_without_one(world: World) -> None:
    update_org(world, require_second_factor=True)
    client_without_factor = session_client(world, Role.OWNER)
    refused = client_without_factor.get("/api/v1/pipelines")
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_required")
    profile = client_without_factor.get("/api/v1/auth/me").json()
    assert profile["organization"]["closed"] == "second_factor_required"
    client_with_factor = session_client(world, Role.OWNER, second_factor=True)
    assert client_with_factor.get("/api/v1/pipelines").status_code == 200
    assert client_with_factor.get("/api/v1/auth/me").json()["organization"]["closed"] is None


def test_an_org_that_requires_single_sign_on_still_accepts_other_logins_of_owners(
    world: World,
) -> None:
    update_org(world, require_sso=True)
    refused = session_client(world, Role.ADMIN).get("/api/v1/pipelines")
    assert refused.json()["code"] == "sso_required"
    sso_client = session_client(world, Role.ADMIN, method="sso", only_org=world.org.pk)
    assert sso_client.get("/api/v1/pipelines").status_code == 200
    assert session_client(world, Role.OWNER).get("/api/v1/pipelines").status_code == 200


def test_only_requests_from_the_allowed_networks_are_accepted_even_with_a_key(world: World) -> None:
    with world.scope():
        owner = principal(world, Role.OWNER)
        key = api_keys.create(org=world.org, by=owner, name="k", role=Role.ADMIN).text
    update_org(world, networks=["192.0.2.0/24", "2001:db8::/32"])
    key_client = APIClient()
    key_client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    for client in (world.client("owner"), key_client):
        refused = client.get("/api/v1/org", REMOTE_ADDR="203.0.113.5")
        assert (refused.status_code, refused.json()["code"]) == (403, "network_not_allowed")
        assert client.get("/api/v1/org", REMOTE_ADDR="192.0.2.77").status_code == 200
        assert client.get("/api/v1/org", REMOTE_ADDR="2001:db8::7").status_code == 200
        assert client.get("/api/v1/org", REMOTE_ADDR="::ffff:192.0.2.7").status_code == 200


def test_a_rule_that_would_lock_the_sender_out_is_rejected(world: World) -> None:
    client = world.client("owner")
    for change, field in (
        ({"networks": ["192.0.2.0/24"]}, "networks"),
        ({"require_second_factor": True}, "require_second_factor"),
    ):
        answer = client.patch("/api/v1/org", change, REMOTE_ADDR="203.0.113.5")
        assert answer.status_code == 422, answer.content
        assert answer.json()["errors"][0]["field"] == field
        assert answer.json()["errors"][0]["code"] == "locks_out"
    org = client.get("/api/v1/org", REMOTE_ADDR="203.0.113.5").json()
    assert (org["networks"], org["require_second_factor"]) == ([], False)
    accepted = client.patch("/api/v1/org", {"networks": ["203.0.113.5"]}, REMOTE_ADDR="203.0.113.5")
    assert accepted.json()["networks"] == ["203.0.113.5/32"]


def test_an_api_key_cannot_change_access_rules(world: World) -> None:
    with world.scope():
        key = api_keys.create(
            org=world.org, by=principal(world, Role.OWNER), name="k", role=Role.OWNER
        )
    key_client = APIClient()
    key_client.credentials(HTTP_AUTHORIZATION=f"Bearer {key.text}")
    assert key_client.patch("/api/v1/org", {"email_domains": []}).status_code == 403
    assert key_client.patch("/api/v1/org", {"max_running": 3}).status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("networks", ["300.1.1.1"], "networks.0"),
        ("networks", ["10.0.0.0/99"], "networks.0"),
        ("networks", "10.0.0.0/8", "networks"),
        ("email_domains", ["not a domain"], "email_domains.0"),
        ("email_domains", ["ex\u00e4mple.com"], "email_domains.0"),
        ("max_members", 0, "max_members"),
        ("max_rows_month", 10**26, "max_rows_month"),
        ("suspended_at", None, "suspended_at"),
        ("deletion_at", None, "deletion_at"),
    ],
)
def test_an_invalid_rule_is_rejected_with_the_name_of_the_field(
    world: World, field: str, value: Any, path: str
) -> None:
    answer = world.client("owner").patch("/api/v1/org", {field: value})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [path]


@given(st.ip_addresses(), st.ip_addresses(v=4), st.integers(8, 32))
def test_is_in_networks_agrees_with_a_comparison_of_the_address_bits(
    address: Any, network_address: Any, prefix_length: int
) -> None:
    network = ipaddress.ip_network(f"{network_address}/{prefix_length}", strict=False)
    ipv4_address = address if address.version == 4 else address.ipv4_mapped
    host_bits = 32 - prefix_length
    expected = (
        ipv4_address is not None
        and int(ipv4_address) >> host_bits == int(network_address) >> host_bits
    )
    assert rules.is_in_networks(str(address), [str(network)]) == expected


def test_a_suspended_org_can_be_read_but_not_changed(world: World) -> None:
    update_org(world, suspended_at=timezone.now(), suspended_because="Unpaid.")
    client = world.client("owner")
    assert client.get("/api/v1/pipelines").status_code == 200
    refused = client.post("/api/v1/org/domains", {"name": "Marketing"})
    assert (refused.status_code, refused.json()["code"]) == (423, "org_suspended")
    assert "Unpaid." in refused.json()["detail"]
    assert client.get("/api/v1/auth/me").json()["organization"]["suspended_at"]
    assert client.post("/api/v1/auth/stream-ticket").status_code == 201


class TestDeletion:
    def delete_org(self, world: World, by: str = "owner") -> Any:
        return world.client(by).delete("/api/v1/org")

    def test_deletion_waits_for_the_grace_period_and_the_owners_are_notified(
        self, world: World
    ) -> None:
        answer = self.delete_org(world)
        assert answer.status_code == 202, answer.content
        assert answer.json()["deletion_at"] > (timezone.now() + timedelta(days=13)).isoformat()
        assert [message.to for message in mailbox.deliver()] == [[world.users[Role.OWNER].email]]
        client = world.client("owner")
        assert client.get("/api/v1/pipelines").status_code == 200
        refused = client.post("/api/v1/org/domains", {"name": "Marketing"})
        assert (refused.status_code, refused.json()["code"]) == (423, "org_deleting")

    def test_an_owner_may_cancel_the_deletion(self, world: World) -> None:
        self.delete_org(world)
        assert world.client("admin").post("/api/v1/org/restore").status_code == 403
        assert world.client("owner").post("/api/v1/org/restore").json()["deletion_at"] is None
        assert world.client("owner").post("/api/v1/org/domains", {"name": "M"}).status_code == 201

    def test_a_deletion_cannot_be_cancelled_after_the_grace_period(self, world: World) -> None:
        """Some files of the org may already be deleted."""
        self.delete_org(world)
        with world.scope():
            assert Org.objects.filter(pk=world.org.pk).update(deletion_at=timezone.now()) == 1
        refused = world.client("owner").post("/api/v1/org/restore")
        assert (refused.status_code, refused.json()["code"]) == (409, "deletion_begun")

    def test_deleting_an_org_requires_an_owner_and_a_current_etag(self, world: World) -> None:
        stale = world.client("owner").delete("/api/v1/org", HTTP_IF_MATCH='"0"')
        assert stale.status_code == 412
        assert self.delete_org(world, by="admin").status_code == 403


class TestTransfer:
    def transfer_org(self, world: World, by: str, to: Role) -> Any:
        with world.scope():
            member = Membership.objects.for_org(world.org).get(user=world.users[to])
        return world.client(by).post("/api/v1/org/transfer", {"member_id": str(member.pk)})

    def roles_by_name(self, world: World) -> dict[str, str]:
        with world.scope():
            rows = Membership.objects.for_org(world.org).values_list("user__name", "role")
            return dict(rows)

    def test_a_transfer_makes_the_member_an_owner_and_the_sender_an_admin(
        self, world: World
    ) -> None:
        assert self.transfer_org(world, "owner", Role.VIEWER).status_code == 204
        assert self.roles_by_name(world) == {
            "owner": "admin",
            "admin": "admin",
            "member": "member",
            "viewer": "owner",
        }

    def test_only_an_owner_may_transfer_the_org_and_only_to_another_member(
        self, world: World
    ) -> None:
        assert self.transfer_org(world, "admin", Role.VIEWER).status_code == 403
        assert self.transfer_org(world, "owner", Role.OWNER).status_code == 422


def test_a_user_who_creates_a_second_org_becomes_its_owner(world: World) -> None:
    answer = world.client("viewer").post("/api/v1/organizations", {"name": "Side project"})
    assert answer.status_code == 201
    body = answer.json()
    assert body["organization"]["role"] == "owner"
    assert {org["name"] for org in body["organizations"]} == {world.org.name, "Side project"}
