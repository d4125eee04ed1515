"""Invitations: bound to an address, single use, resent, withdrawn, expired."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.auth.models import User
from apps.orgs.members.serializers import InvitationRow
from apps.orgs.models import AuditEvent, Invitation, Membership
from apps.orgs.roles import Role
from tests import mailbox
from tests.world import World, client_for, make_user, make_world

PASSWORD = "correct horse battery staple"
PATH = "/api/v1/org/invitations"


def invite(
    world: World, email: str = "grace@example.com", role: str = "member", by: str = "admin"
) -> Any:
    return world.client(by).post(PATH, {"email": email, "role": role})


def secret_of(world: World, **more: Any) -> str:
    answer = invite(world, **more)
    assert answer.status_code == 201, answer.content
    (message,) = mailbox.deliver()
    return mailbox.link(message)[1]


def accept(client: APIClient, secret: str) -> Any:
    return client.post("/api/v1/invitations/accept", {"token": secret})


def role_of(world: World, user: User) -> str | None:
    with world.scope():
        found: str | None = (
            Membership.objects.for_org(world.org)
            .filter(user=user)
            .values_list("role", flat=True)
            .first()
        )
    return found


def test_someone_new_makes_an_account_with_the_link_and_is_in(world: World) -> None:
    secret = secret_of(world)
    shown = APIClient().post("/api/v1/invitations/show", {"token": secret}).json()
    assert (shown["organization"], shown["role"]) == (world.org.name, "member")
    body = {"email": "grace@example.com", "password": PASSWORD, "invitation": secret}
    answer = APIClient().post("/api/v1/auth/register", body)
    assert answer.status_code == 201, answer.content
    assert answer.json()["organization"]["id"] == str(world.org.pk)
    assert answer.json()["user"]["email_verified"] is True
    assert len(answer.json()["organizations"]) == 1
    with world.scope():
        trail = AuditEvent.objects.for_org(world.org).filter(object_kind="invitation")
        actions = list(trail.order_by("id").values_list("action", "actor_label"))
    admin = world.users[Role.ADMIN].email
    assert actions == [("invitation.create", admin), ("invitation.accept", "grace@example.com")]


def test_someone_with_an_account_joins_and_works_in_the_org_at_once(
    world: World, stranger: World
) -> None:
    grace = stranger.users[Role.OWNER]
    client = client_for(grace, stranger.org)
    answer = accept(client, secret_of(world, email=grace.email, role="viewer"))
    assert answer.status_code == 200, answer.content
    assert answer.json()["organization"]["role"] == "viewer"
    joined = APIClient()
    joined.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access']}")
    assert joined.get("/api/v1/org").json()["id"] == str(world.org.pk)


def test_another_account_cannot_use_it_even_with_the_link(world: World, stranger: World) -> None:
    secret = secret_of(world)
    thief = stranger.users[Role.OWNER]
    answer = accept(client_for(thief, stranger.org), secret)
    assert (answer.status_code, answer.json()["code"]) == (403, "other_address")
    body = {"email": "thief@example.com", "password": PASSWORD, "invitation": secret}
    assert APIClient().post("/api/v1/auth/register", body).status_code == 403
    assert not User.objects.filter(email="thief@example.com").exists()
    assert role_of(world, thief) is None


def test_it_works_once(world: World, stranger: World) -> None:
    grace = stranger.users[Role.OWNER]
    client = client_for(grace, stranger.org)
    secret = secret_of(world, email=grace.email)
    assert accept(client, secret).status_code == 200
    again = accept(client, secret)
    assert (again.status_code, again.json()["code"]) == (410, "link_spent")


def test_a_member_keeps_a_higher_role(world: World) -> None:
    admin = world.users[Role.ADMIN]
    with world.scope():
        invitation = Invitation.unscoped.create(
            org=world.org,
            email=admin.email,
            role=Role.VIEWER,
            expires_at=timezone.now() + timedelta(days=1),
        )
    from apps.orgs.members import invitations

    invitations.deliver(org_id=world.org.pk, invitation_id=invitation.pk)
    from django.core import mail

    secret = mailbox.link(mail.outbox[-1])[1]
    assert accept(world.client(Role.ADMIN), secret).status_code == 200
    assert role_of(world, admin) == "admin"


def test_sending_again_makes_a_new_link_and_ends_the_old(world: World, stranger: World) -> None:
    grace = stranger.users[Role.OWNER]
    old = secret_of(world, email=grace.email)
    client = world.client("admin")
    (row,) = client.get(PATH).json()["results"]
    assert client.post(f"{PATH}/{row['id']}/resend").status_code == 200
    joiner = client_for(grace, stranger.org)
    assert accept(joiner, old).status_code == 410  # even before the new mail is written
    (message,) = mailbox.deliver()
    assert accept(joiner, old).status_code == 410
    assert accept(joiner, mailbox.link(message)[1]).status_code == 200
    assert client.get(PATH).json()["count"] == 0


def test_withdrawn_and_expired_ones_open_nothing(world: World, stranger: World) -> None:
    grace = stranger.users[Role.OWNER]
    joiner, client = client_for(grace, stranger.org), world.client("admin")
    withdrawn = secret_of(world, email=grace.email)
    (row,) = client.get(PATH).json()["results"]
    assert client.delete(f"{PATH}/{row['id']}").status_code == 204
    assert accept(joiner, withdrawn).status_code == 410
    expired = secret_of(world, email=grace.email)
    with world.scope():
        Invitation.objects.for_org(world.org).update(expires_at=timezone.now())
    assert accept(joiner, expired).status_code == 410
    assert APIClient().post("/api/v1/invitations/show", {"token": expired}).status_code == 410
    assert invite(world, email=grace.email).status_code == 201  # an expired one is replaced


def test_a_withdrawn_one_is_not_mailed(world: World) -> None:
    invite(world)
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
    assert invite(world, by=by, role=role).status_code == status


def test_an_address_is_invited_once_and_a_member_not_at_all(world: World) -> None:
    assert invite(world).status_code == 201
    assert invite(world).json()["code"] == "already_invited"
    member = world.users[Role.VIEWER].email
    assert invite(world, email=member).json()["code"] == "already_member"


def test_an_org_may_take_only_addresses_of_its_domains(world: World) -> None:
    change = {"email_domains": ["@Example.com"]}
    assert world.client("admin").patch("/api/v1/org", change).json()["email_domains"] == [
        "example.com"
    ]
    refused = invite(world, email="grace@example.org")
    assert refused.status_code == 422
    assert refused.json()["errors"][0] == {
        "field": "email",
        "message": "This organization only accepts addresses of example.com.",
        "code": "domain_not_allowed",
    }
    assert invite(world, email="grace@sub.example.com").status_code == 422
    assert invite(world).status_code == 201


def test_the_limit_of_members_counts_the_invited(world: World) -> None:
    world.client("owner").patch("/api/v1/org", {"max_members": 5})
    assert invite(world).status_code == 201
    refused = invite(world, email="second@example.com")
    assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
    assert (refused.json()["what"], refused.json()["limit"]) == ("members", 5)


def test_one_org_cannot_mail_the_world(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.auth import attempts

    few = attempts.Limit("invitation", tries=2, window=timedelta(days=1))
    monkeypatch.setattr(attempts, "ORG_INVITATION_LIMIT", few)
    statuses = [invite(world, email=f"{uuid4().hex}@example.com").status_code for _ in range(3)]
    assert statuses == [201, 201, 429]
    assert invite(make_world(), email="x@example.com").status_code == 201


def test_one_mailbox_is_not_flooded_with_invitations(world: World) -> None:
    pk = invite(world, email="grace@example.com").json()["id"]
    client = world.client("admin")
    answers = [client.post(f"{PATH}/{pk}/resend") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert 3500 < int(answers[-1]["Retry-After"]) <= 3600
    assert invite(world, email="other@example.com").status_code == 201


def test_a_name_of_an_org_cannot_forge_the_mail(world: World) -> None:
    change = {"name": "Win\r\nBcc: everyone@example.com"}
    assert world.client("owner").patch("/api/v1/org", change).status_code == 422
    assert world.client("owner").patch("/api/v1/org", {"name": "Bcc: everyone"}).status_code == 200
    invite(world)
    (message,) = mailbox.deliver()
    assert "\n" not in message.subject
    assert message.recipients() == ["grace@example.com"]


def test_a_stranger_gets_404_and_a_viewer_403(world: World, stranger: World) -> None:
    invite(world)
    with world.scope():
        pk = Invitation.objects.for_org(world.org).get().pk
    theirs = stranger.client("owner")
    assert theirs.get(PATH).json()["count"] == 0
    for answer in (theirs.delete(f"{PATH}/{pk}"), theirs.post(f"{PATH}/{pk}/resend")):
        assert answer.status_code == 404
    assert world.client("viewer").get(PATH).status_code == 403


def test_an_answer_has_the_documented_fields_and_no_others(world: World) -> None:
    documented = set(InvitationRow().fields)
    assert set(invite(world).json()) == documented
    (listed,) = world.client("admin").get(PATH).json()["results"]
    assert set(listed) == documented
    assert listed["invited_by"] == world.users[Role.ADMIN].email


def test_nobody_can_join_a_suspended_org(world: World, stranger: World) -> None:
    grace = make_user("grace")
    secret = secret_of(world, email=grace.email)
    with world.scope():
        world.org.suspended_at = timezone.now()
        world.org.save()
    answer = accept(client_for(grace, stranger.org), secret)
    assert (answer.status_code, answer.json()["code"]) == (423, "org_suspended")
