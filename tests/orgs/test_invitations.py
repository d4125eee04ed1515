"""Invitations are bound to an address, work once, expire, and can be resent or withdrawn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.utils import timezone
from rest_framework.test import APIClient

from apps.auth.models import User
from apps.orgs.members import invitations
from apps.orgs.members.serializers import InvitationRow
from apps.orgs.models import AuditEvent, Invitation, Membership
from apps.orgs.roles import Role
from tests import mailbox
from tests.world import World, client_for, make_user, make_world

PASSWORD = "correct horse battery staple"
PATH = "/api/v1/org/invitations"


def invite_address(
    world: World, email: str = "grace@example.com", role: str = "member", by: str = "admin"
) -> Any:
    return world.client(by).post(PATH, {"email": email, "role": role})


def invitation_secret(world: World, **fields: Any) -> str:
    """Invite an address. Return the secret in the mailed link."""
    answer = invite_address(world, **fields)
    assert answer.status_code == 201, answer.content
    (message,) = mailbox.deliver()
    return mailbox.read_link(message)[1]


def accept_invitation(client: APIClient, secret: str) -> Any:
    return client.post("/api/v1/invitations/accept", {"token": secret})


def role_of(world: World, user: User) -> str | None:
    with world.scope():
        role: str | None = (
            Membership.objects.for_org(world.org)
            .filter(user=user)
            .values_list("role", flat=True)
            .first()
        )
    return role


def test_a_new_user_registers_with_the_link_and_becomes_a_member(world: World) -> None:
    secret = invitation_secret(world)
    invitation = APIClient().post("/api/v1/invitations/show", {"token": secret}).json()
    assert (invitation["organization"], invitation["role"]) == (world.org.name, "member")
    body = {"email": "grace@example.com", "password": PASSWORD, "invitation": secret}
    answer = APIClient().post("/api/v1/auth/register", body)
    assert answer.status_code == 201, answer.content
    assert answer.json()["organization"]["id"] == str(world.org.pk)
    assert answer.json()["user"]["email_verified"] is True
    assert len(answer.json()["organizations"]) == 1
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(object_kind="invitation")
        actions = list(events.order_by("id").values_list("action", "actor_label"))
        accepted = events.get(action="invitation.accept")
    admin = world.users[Role.ADMIN].email
    assert actions == [("invitation.create", admin), ("invitation.accept", "grace@example.com")]
    assert accepted.changes == {"role": [None, "member"], "invited_by": [None, admin]}


def test_a_user_with_an_account_accepts_and_has_access_at_once(
    world: World, stranger: World
) -> None:
    grace = stranger.users[Role.OWNER]
    client = client_for(grace, stranger.org)
    answer = accept_invitation(client, invitation_secret(world, email=grace.email, role="viewer"))
    assert answer.status_code == 200, answer.content
    assert answer.json()["organization"]["role"] == "viewer"
    org_client = APIClient()
    org_client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access']}")
    assert org_client.get("/api/v1/org").json()["id"] == str(world.org.pk)


def test_another_account_cannot_use_the_link(world: World, stranger: World) -> None:
    secret = invitation_secret(world)
    thief = stranger.users[Role.OWNER]
    answer = accept_invitation(client_for(thief, stranger.org), secret)
    assert (answer.status_code, answer.json()["code"]) == (403, "other_address")
    body = {"email": "thief@example.com", "password": PASSWORD, "invitation": secret}
    assert APIClient().post("/api/v1/auth/register", body).status_code == 403
    assert not User.objects.filter(email="thief@example.com").exists()
    assert role_of(world, thief) is None


def test_an_invitation_works_once(world: World, stranger: World) -> None:
    grace = stranger.users[Role.OWNER]
    client = client_for(grace, stranger.org)
    secret = invitation_secret(world, email=grace.email)
    assert accept_invitation(client, secret).status_code == 200
    second_answer = accept_invitation(client, secret)
    assert (second_answer.status_code, second_answer.json()["code"]) == (410, "link_spent")


def test_accepting_an_invitation_does_not_lower_the_role_of_a_member(world: World) -> None:
    admin = world.users[Role.ADMIN]
    with world.scope():
        invitation = Invitation.unscoped.create(
            org=world.org,
            email=admin.email,
            role=Role.VIEWER,
            expires_at=timezone.now() + timedelta(days=1),
        )
    invitations.deliver(org_id=world.org.pk, invitation_id=invitation.pk)
    secret = mailbox.read_link(mail.outbox[-1])[1]
    assert accept_invitation(world.client(Role.ADMIN), secret).status_code == 200
    assert role_of(world, admin) == "admin"


def test_resending_creates_a_new_link_and_the_old_link_stops_working(
    world: World, stranger: World
) -> None:
    grace = stranger.users[Role.OWNER]
    old_secret = invitation_secret(world, email=grace.email)
    client = world.client("admin")
    (row,) = client.get(PATH).json()["results"]
    assert client.post(f"{PATH}/{row['id']}/resend").status_code == 200
    invited_client = client_for(grace, stranger.org)
    # The old link stops working even before the new mail is written.
    assert accept_invitation(invited_client, old_secret).status_code == 410
    (message,) = mailbox.deliver()
    assert accept_invitation(invited_client, old_secret).status_code == 410
    assert accept_invitation(invited_client, mailbox.read_link(message)[1]).status_code == 200
    assert client.get(PATH).json()["count"] == 0


def test_withdrawn_and_expired_invitations_cannot_be_accepted(
    world: World, stranger: World
) -> None:
    grace = stranger.users[Role.OWNER]
    invited_client, client = client_for(grace, stranger.org), world.client("admin")
    withdrawn_secret = invitation_secret(world, email=grace.email)
    (row,) = client.get(PATH).json()["results"]
    assert client.delete(f"{PATH}/{row['id']}").status_code == 204
    assert accept_invitation(invited_client, withdrawn_secret).status_code == 410
    expired_secret = invitation_secret(world, email=grace.email)
    with world.scope():
        Invitation.objects.for_org(world.org).update(expires_at=timezone.now())
    assert accept_invitation(invited_client, expired_secret).status_code == 410
    assert (
        APIClient().post("/api/v1/invitations/show", {"token": expired_secret}).status_code == 410
    )
    # A new invitation replaces the expired one.
    assert invite_address(world, email=grace.email).status_code == 201


def test_a_withdrawn_invitation_is_not_mailed(world: World) -> None:
    invite_address(world)
    client = world.client("admin")
    (row,) = client.get(PATH).json()["results"]
    client.delete(f"{PATH}/{row['id']}")
    assert mailbox.deliver() == []


@pytest.mark.parametrize(
    ("by", "role", "status"),
    [
        ("admin", "admin", 201),
        ("admin", "owner", 403),
        ("owner", "owner", 201),
        ("member", "viewer", 403),
    ],
)
def test_nobody_invites_above_their_own_role(world: World, by: str, role: str, status: int) -> None:
    assert invite_address(world, by=by, role=role).status_code == status


def test_an_invited_address_or_a_member_cannot_be_invited_again(world: World) -> None:
    assert invite_address(world).status_code == 201
    assert invite_address(world).json()["code"] == "already_invited"
    member = world.users[Role.VIEWER].email
    assert invite_address(world, email=member).json()["code"] == "already_member"


def test_an_org_may_limit_invitations_to_its_email_domains(world: World) -> None:
    change = {"email_domains": ["@Example.com"]}
    assert world.client("admin").patch("/api/v1/org", change).json()["email_domains"] == [
        "example.com"
    ]
    refused = invite_address(world, email="grace@example.org")
    assert refused.status_code == 422
    assert refused.json()["errors"][0] == {
        "field": "email",
        "message": "This organization only accepts addresses of example.com.",
        "code": "domain_not_allowed",
    }
    assert invite_address(world, email="grace@sub.example.com").status_code == 422
    assert invite_address(world).status_code == 201


def test_open_invitations_count_towards_the_limit_of_members(world: World) -> None:
    world.client("owner").patch("/api/v1/org", {"max_members": 5})
    assert invite_address(world).status_code == 201
    refused = invite_address(world, email="second@example.com")
    assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
    assert (refused.json()["what"], refused.json()["limit"]) == ("members", 5)


def test_the_number_of_invitations_of_an_org_is_limited(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.auth import attempts

    low_limit = attempts.Limit("invitation", tries=2, window=timedelta(days=1))
    monkeypatch.setattr(attempts, "ORG_INVITATION_LIMIT", low_limit)
    statuses = [
        invite_address(world, email=f"{uuid4().hex}@example.com").status_code for _ in range(3)
    ]
    assert statuses == [201, 201, 429]
    assert invite_address(make_world(), email="x@example.com").status_code == 201


def test_the_number_of_mails_to_one_invited_address_is_limited(world: World) -> None:
    pk = invite_address(world, email="grace@example.com").json()["id"]
    client = world.client("admin")
    answers = [client.post(f"{PATH}/{pk}/resend") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert 3500 < int(answers[-1]["Retry-After"]) <= 3600
    assert invite_address(world, email="other@example.com").status_code == 201


def test_the_name_of_an_org_cannot_add_headers_to_the_mail(world: World) -> None:
    change = {"name": "Win\r\nBcc: everyone@example.com"}
    assert world.client("owner").patch("/api/v1/org", change).status_code == 422
    assert world.client("owner").patch("/api/v1/org", {"name": "Bcc: everyone"}).status_code == 200
    invite_address(world)
    (message,) = mailbox.deliver()
    assert "\n" not in message.subject
    assert message.recipients() == ["grace@example.com"]


def test_a_stranger_gets_404_for_an_invitation_and_a_viewer_403(
    world: World, stranger: World
) -> None:
    invite_address(world)
    with world.scope():
        pk = Invitation.objects.for_org(world.org).get().pk
    stranger_client = stranger.client("owner")
    assert stranger_client.get(PATH).json()["count"] == 0
    for answer in (
        stranger_client.delete(f"{PATH}/{pk}"),
        stranger_client.post(f"{PATH}/{pk}/resend"),
    ):
        assert answer.status_code == 404
    assert world.client("viewer").get(PATH).status_code == 403


def test_a_response_has_exactly_the_documented_fields(world: World) -> None:
    documented_fields = set(InvitationRow().fields)
    assert set(invite_address(world).json()) == documented_fields
    (listed,) = world.client("admin").get(PATH).json()["results"]
    assert set(listed) == documented_fields
    assert listed["invited_by"] == world.users[Role.ADMIN].email


def test_nobody_can_join_a_suspended_org(world: World, stranger: World) -> None:
    grace = make_user("grace")
    secret = invitation_secret(world, email=grace.email)
    with world.scope():
        world.org.suspended_at = timezone.now()
        world.org.save()
    answer = accept_invitation(client_for(grace, stranger.org), secret)
    assert (answer.status_code, answer.json()["code"]) == (423, "org_suspended")
