"""Random actions of eight users in two orgs over HTTP, compared with a small model.

For each step the model gives the expected status and the expected state. The whole database is compared at the end of
each example. There are 48 examples of up to 50 steps, and 400 more in `make test-long`.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar, cast
from uuid import UUID, uuid4

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from apps.auth.models import LoginAttempt, User
from apps.connectors.models import Connector
from apps.orgs.models import ApiKey, Domain, DomainRole, Invitation, Membership
from tests import mailbox
from tests.orgs.model import (
    ALL_PERMISSIONS,
    RANKS,
    ModelInvitation,
    ModelKey,
    OrgModel,
    rank,
    required_role,
)
from tests.world import World, make_connector, make_world, new_client, token_for

BATCHES, STEPS = 4, 50  # batches per part, steps per example
# The number of each part, and its examples per batch.
PARTS = [(0, 4), *(pytest.param(part, 25, marks=pytest.mark.long) for part in range(1, 5))]
org_numbers = st.integers(0, 1)
user_numbers = st.integers(0, 31)  # see `choose_user`
role_names = st.sampled_from(RANKS)
domain_role_names = st.sampled_from(("admin", "member", "admin", "viewer", "owner"))
picks = st.integers(0, 999)
mostly_false = st.sampled_from((False, False, False, False, True))
scope_lists = st.sampled_from(
    [(), (), ("read",), ("read", "connectors.edit"), ("members.manage",), ("api_keys.own", "read")]
)


@dataclass
class StartState:
    """The state at the beginning of every example, created once."""

    worlds: list[World]
    users: list[User]
    models: list[OrgModel]
    tokens: dict[tuple[int, int], str]
    mails: list[mail.EmailMessage]


class OrgsMachine(RuleBasedStateMachine):
    """`actor` and `other_user` are numbers of users. A `pick` selects one of the existing objects.

    If `foreign` is true, the object is of the other org. A `person` is an e-mail address.
    """

    status_counts: ClassVar[Counter[tuple[str, int]]] = Counter()
    start: ClassVar[StartState]

    def __init__(self) -> None:
        super().__init__()
        self.database_transaction = transaction.atomic()
        self.database_transaction.__enter__()
        self.worlds, self.users, self.tokens = (
            self.start.worlds,
            self.start.users,
            self.start.tokens,
        )
        self.emails = [user.email for user in self.users]
        self.models = deepcopy(self.start.models)
        mail.outbox = list(self.start.mails)

    def create_objects(self, org: int) -> None:
        """Create some objects of every kind, so that examples do not spend their steps on that."""
        owner, member = 4 * org, 4 * org + 2
        self.add_domain(owner, org)
        self.set_domain_role(owner, org, 0, member, "admin", False)
        self.invite_user(owner, org, (owner + 4) % 8, "member")
        self.create_key(owner, org, "admin", (), 0, False)
        self.create_key(owner, org, "member", ("connectors.edit", "read"), 0, True)
        self.create_key(member, org, "member", (), 0, False)

    def teardown(self) -> None:
        try:
            for world, model in zip(self.worlds, self.models, strict=True):
                self.compare_with_model(world, model)
        finally:
            transaction.set_rollback(True)
            self.database_transaction.__exit__(None, None, None)

    def compare_with_model(self, world: World, model: OrgModel) -> None:
        """Compare all rows of an org in the database with the model."""
        with world.scope():
            members = Membership.objects.for_org(world.org).values_list("user__email", "role")
            rows = DomainRole.objects.for_org(world.org).values_list(
                "domain_id", "membership__user__email", "role"
            )
            open_invitations = (
                Invitation.objects.for_org(world.org).unaccepted().values_list("email", "role")
            )
            keys = ApiKey.objects.for_org(world.org).active().values_list("id", flat=True)
            connectors = Connector.objects.for_org(world.org).values_list("id", "domain_id")
            assert dict(members) == model.members
            assert model.owners()
            assert {(d, p): r for d, p, r in rows} == model.domain_roles
            assert dict(open_invitations) == {p: i.role for p, i in model.invitations.items()}
            assert {str(pk) for pk in keys} == {key.id for key in model.keys if key.is_active}
            assert dict(connectors) == model.connectors
            domains = Domain.objects.for_org(world.org).values_list("id", flat=True)
            assert set(domains) == set(model.domains)

    # -- requests and their expected status

    def choose_user(self, org: int, number: int) -> int:
        """Return the index of any user, but more often of a member of this org with a high role."""
        if number < len(self.emails):
            return number
        model = self.models[org]
        by_rank = sorted(model.members, key=lambda email: (-rank(model.members[email]), email))
        return self.emails.index(by_rank[number % 7 % len(by_rank)])

    def send_as_user(self, actor: int, org: int, method: str, path: str, body: Any = None) -> Any:
        """Send a request with a token for this org. The user may not be a member of it."""
        return self.send_with_token(self.tokens[actor, org], method, path, body)

    def send_with_token(self, bearer: str, method: str, path: str, body: Any = None) -> Any:
        client = new_client()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {bearer}")
        return getattr(client, method)(f"/api/v1/{path}", body)

    def count_objects(self, attribute: str) -> int:
        return sum(len(getattr(model, attribute)) for model in self.models)

    def check_status(self, step: str, answer: Any, expected: int) -> None:
        assert answer.status_code == expected, (step, answer.content)
        self.status_counts[step, expected] += 1

    def rejected_status(self, actor: int, org: int, permission: str) -> int | None:
        """Return 401 if the user is not a member, 403 if none of their roles has the permission, and None otherwise."""
        model, person = self.models[org], self.emails[actor]
        if person not in model.members:
            return 401
        domains = [None, *(d for d, p in model.domain_roles if p == person)]
        return None if any(model.allows(person, permission, d) for d in domains) else 403

    def find_member(self, org: int, other_user: int, foreign: bool) -> tuple[str, UUID]:
        """Return a user's address, and the id of their membership here or in the other org, or an unknown id."""
        org_number = 1 - org if foreign else org
        world, email = self.worlds[org_number], self.emails[other_user]
        with world.scope():
            membership = Membership.objects.for_org(world.org).filter(user__email=email)
            return email, membership.values_list("id", flat=True).first() or uuid4()

    # -- members

    @rule(
        actor=user_numbers,
        org=org_numbers,
        other_user=user_numbers,
        role=role_names,
        foreign=mostly_false,
    )
    def change_role(self, actor: int, org: int, other_user: int, role: str, foreign: bool) -> None:
        actor, other_user = self.choose_user(org, actor), self.choose_user(org, other_user)
        model, by = self.models[org], self.emails[actor]
        person, pk = self.find_member(org, other_user, foreign)
        is_found = not foreign and person in model.members
        answer = self.send_as_user(actor, org, "patch", f"org/members/{pk}", {"role": role})
        if rejected := self.rejected_status(actor, org, "members.manage"):
            expected = rejected
        elif not is_found:
            expected = 404
        elif not model.may_manage_roles(by, model.members[person], role):
            expected = 403
        elif model.owners() == [person] and role != "owner":
            expected = 409
        else:
            expected = 200
            model.members[person] = role
        self.check_status("change_role", answer, expected)

    @rule(actor=user_numbers, org=org_numbers, other_user=user_numbers, foreign=mostly_false)
    def remove_member(self, actor: int, org: int, other_user: int, foreign: bool) -> None:
        actor, other_user = self.choose_user(org, actor), self.choose_user(org, other_user)
        model, by = self.models[org], self.emails[actor]
        person, pk = self.find_member(org, other_user, foreign)
        is_found = not foreign and person in model.members
        answer = self.send_as_user(actor, org, "delete", f"org/members/{pk}")
        if rejected := self.rejected_status(actor, org, "members.manage"):
            expected = rejected
        elif not is_found:
            expected = 404
        elif not model.may_manage_roles(by, model.members[person]):
            expected = 403
        elif model.owners() == [person]:
            expected = 409
        else:
            expected = 204
            model.remove_member(person)
        self.check_status("remove_member", answer, expected)

    @rule(actor=user_numbers, org=org_numbers, really_leaves=mostly_false)
    def leave_org(self, actor: int, org: int, really_leaves: bool) -> None:
        if not really_leaves:
            return  # so that the orgs keep most of their members
        actor = self.choose_user(org, actor)
        model, by = self.models[org], self.emails[actor]
        answer = self.send_as_user(actor, org, "post", "org/leave")
        if by not in model.members:
            expected = 401
        elif model.owners() == [by]:
            expected = 409
        else:
            expected = 204
            model.remove_member(by)
        self.check_status("leave_org", answer, expected)

    @rule(actor=user_numbers, org=org_numbers, new_owner=user_numbers, foreign=mostly_false)
    def transfer_org(self, actor: int, org: int, new_owner: int, foreign: bool) -> None:
        actor, new_owner = self.choose_user(org, actor), self.choose_user(org, new_owner)
        model, by = self.models[org], self.emails[actor]
        person, pk = self.find_member(org, new_owner, foreign)
        is_found = not foreign and person in model.members
        answer = self.send_as_user(actor, org, "post", "org/transfer", {"member_id": str(pk)})
        if rejected := self.rejected_status(actor, org, "org.transfer"):
            expected = rejected
        elif not is_found:
            expected = 404
        elif person == by:
            expected = 422
        else:
            expected = 204
            model.members[person], model.members[by] = "owner", "admin"
        self.check_status("transfer_org", answer, expected)

    # -- invitations

    @rule(actor=user_numbers, org=org_numbers, other_user=user_numbers, role=role_names)
    def invite_user(self, actor: int, org: int, other_user: int, role: str) -> None:
        actor, other_user = self.choose_user(org, actor), self.choose_user(org, other_user)
        model, by, person = self.models[org], self.emails[actor], self.emails[other_user]
        answer = self.send_as_user(
            actor, org, "post", "org/invitations", {"email": person, "role": role}
        )
        before = model.invitations.get(person)
        if rejected := self.rejected_status(actor, org, "invitations.manage"):
            expected = rejected
        elif not model.may_manage_roles(by, role):
            expected = 403
        elif person in model.members or (before and not before.expired):
            expected = 409
        else:
            expected = 201
            model.invitations[person] = ModelInvitation(
                answer.json()["id"], role, self.read_mailed_link()
            )
        self.check_status("invite_user", answer, expected)

    def read_mailed_link(self) -> str:
        LoginAttempt.objects.all().delete()  # rate limits of mails are not tested here
        (message,) = mailbox.deliver()
        return mailbox.read_link(message)[1]

    def pick_invitation(self, org: int, pick: int, foreign: bool) -> tuple[str | None, str]:
        """Return the address and id of an invitation. The address is None if it is of the other org or unknown."""
        candidates = sorted(self.models[1 - org if foreign else org].invitations.items())
        if not candidates:
            return None, str(uuid4())
        person, invitation = candidates[pick % len(candidates)]
        return (None if foreign else person), invitation.id

    @precondition(lambda self: self.count_objects("invitations"))
    @rule(actor=user_numbers, org=org_numbers, pick=picks, foreign=mostly_false)
    def resend_invitation(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        actor = self.choose_user(org, actor)
        model, by = self.models[org], self.emails[actor]
        person, pk = self.pick_invitation(org, pick, foreign)
        answer = self.send_as_user(actor, org, "post", f"org/invitations/{pk}/resend")
        if rejected := self.rejected_status(actor, org, "invitations.manage"):
            expected = rejected
        elif person is None:
            expected = 404
        elif not model.may_manage_roles(by, model.invitations[person].role):
            expected = 403
        else:
            expected = 200
            model.invitations[person] = ModelInvitation(
                pk, model.invitations[person].role, self.read_mailed_link()
            )
        self.check_status("resend_invitation", answer, expected)

    @precondition(lambda self: self.count_objects("invitations"))
    @rule(actor=user_numbers, org=org_numbers, pick=picks, foreign=mostly_false)
    def withdraw_invitation(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        actor = self.choose_user(org, actor)
        model = self.models[org]
        person, pk = self.pick_invitation(org, pick, foreign)
        answer = self.send_as_user(actor, org, "delete", f"org/invitations/{pk}")
        if rejected := self.rejected_status(actor, org, "invitations.manage"):
            expected = rejected
        elif person is None:
            expected = 404
        else:
            expected = 204
            del model.invitations[person]
        self.check_status("withdraw_invitation", answer, expected)

    @precondition(lambda self: self.count_objects("invitations"))
    @rule(org=org_numbers)
    def expire_invitations(self, org: int) -> None:
        """Let all invitations of one org expire."""
        world, model = self.worlds[org], self.models[org]
        with world.scope():
            Invitation.objects.for_org(world.org).update(expires_at=timezone.now())
        for invitation in model.invitations.values():
            invitation.expired = True

    @precondition(lambda self: bool(mail.outbox))
    @rule(actor=user_numbers, org=org_numbers, pick=picks, use_any_link=mostly_false)
    def accept_invitation(self, actor: int, org: int, pick: int, use_any_link: bool) -> None:
        """Accept as the invited user, or as any user with any link that was ever mailed."""
        links = [mailbox.read_link(message)[1] for message in mail.outbox]
        link = links[pick % len(links)]
        actor = self.choose_user(org, actor)
        invitations = sorted(self.models[org].invitations.items())
        if invitations and not use_any_link:
            person, invitation = invitations[pick % len(invitations)]
            link, actor = invitation.link, self.emails.index(person)
        answer = self.send_as_user(actor, org, "post", "invitations/accept", {"token": link})
        usable_invitations = [
            (model, person, invitation)
            for model in self.models
            for person, invitation in model.invitations.items()
            if invitation.link == link and not invitation.expired
        ]
        if not usable_invitations:
            expected = 410
        elif usable_invitations[0][1] != self.emails[actor]:
            expected = 403
        else:
            expected = 200
            model, person, invitation = usable_invitations[0]
            model.members[person] = max(
                model.members.get(person, "viewer"), invitation.role, key=rank
            )
            del model.invitations[person]
        self.check_status("accept_invitation", answer, expected)

    # -- domains and connectors

    @rule(actor=user_numbers, org=org_numbers)
    def add_domain(self, actor: int, org: int) -> None:
        actor = self.choose_user(org, actor)
        model = self.models[org]
        answer = self.send_as_user(actor, org, "post", "org/domains", {"name": uuid4().hex})
        expected = self.rejected_status(actor, org, "domains.manage") or 201
        self.check_status("add_domain", answer, expected)
        if expected == 201:
            domain = UUID(answer.json()["id"])
            model.domains.append(domain)
            connector = make_connector(self.worlds[org], domain_id=domain)
            model.connectors[connector.pk] = domain

    def pick_domain(self, org: int, pick: int, foreign: bool) -> tuple[bool, UUID]:
        candidates = self.models[1 - org if foreign else org].domains
        if not candidates:
            return False, uuid4()
        return not foreign, candidates[pick % len(candidates)]

    @precondition(lambda self: self.count_objects("domains"))
    @rule(actor=user_numbers, org=org_numbers, pick=picks, foreign=mostly_false)
    def delete_domain(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        actor = self.choose_user(org, actor)
        is_found, domain = self.pick_domain(org, pick, foreign)
        answer = self.send_as_user(actor, org, "delete", f"org/domains/{domain}")
        expected = self.rejected_status(actor, org, "domains.manage") or (204 if is_found else 404)
        self.check_status("delete_domain", answer, expected)
        if expected == 204:
            self.models[org].delete_domain(domain)

    @precondition(lambda self: self.count_objects("domains"))
    @rule(
        actor=user_numbers,
        org=org_numbers,
        pick=picks,
        other_user=user_numbers,
        role=domain_role_names,
        foreign=mostly_false,
    )
    def set_domain_role(
        self, actor: int, org: int, pick: int, other_user: int, role: str, foreign: bool
    ) -> None:
        actor, other_user = self.choose_user(org, actor), self.choose_user(org, other_user)
        model = self.models[org]
        is_found, domain = self.pick_domain(org, pick, foreign)
        person, pk = self.find_member(org, other_user, foreign)
        path = f"org/domains/{domain}/members/{pk}"
        answer = self.send_as_user(actor, org, "put", path, {"role": role})
        is_member = not foreign and person in model.members
        if rejected := self.rejected_status(actor, org, "domains.manage"):
            expected = rejected
        elif role in ("owner", "viewer"):  # the role is rejected before the ids are looked up
            expected = 422
        elif not is_found or not is_member:
            expected = 404
        elif rank(role) <= rank(model.members[person]):
            expected = 422
        else:
            expected = 200
            model.domain_roles[domain, person] = role
        self.check_status("set_domain_role", answer, expected)

    @precondition(lambda self: self.count_objects("domain_roles"))
    @rule(actor=user_numbers, org=org_numbers, pick=picks, foreign=mostly_false)
    def remove_domain_role(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        actor = self.choose_user(org, actor)
        org_number = 1 - org if foreign else org
        candidates = sorted(self.models[org_number].domain_roles, key=str)
        if not candidates:
            return
        domain, person = candidates[pick % len(candidates)]
        _, pk = self.find_member(org_number, self.emails.index(person), False)
        answer = self.send_as_user(actor, org, "delete", f"org/domains/{domain}/members/{pk}")
        expected = self.rejected_status(actor, org, "domains.manage") or (404 if foreign else 204)
        self.check_status("remove_domain_role", answer, expected)
        if expected == 204:
            del self.models[org].domain_roles[domain, person]

    def pick_connector(self, org: int, pick: int, foreign: bool) -> tuple[bool, UUID]:
        candidates = list(self.models[1 - org if foreign else org].connectors)
        return not foreign, candidates[pick % len(candidates)]

    @rule(actor=user_numbers, org=org_numbers, pick=picks, foreign=mostly_false)
    def edit_connector(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        """Edit a connector, which may belong to a domain."""
        actor = self.choose_user(org, actor)
        model, by = self.models[org], self.emails[actor]
        is_found, pk = self.pick_connector(org, pick, foreign)
        answer = self.send_as_user(actor, org, "patch", f"connectors/{pk}", {"description": "new"})
        if rejected := self.rejected_status(actor, org, "connectors.edit"):
            expected = rejected
        elif not is_found:
            expected = 404
        else:
            allowed = model.allows(by, "connectors.edit", model.connectors[pk])
            expected = 200 if allowed else 403
        self.check_status("edit_connector", answer, expected)

    @rule(actor=user_numbers, org=org_numbers)
    def check_shown_permissions(self, actor: int, org: int) -> None:
        """Compare the permissions in the user's profile with the model."""
        actor = self.choose_user(org, actor)
        model, person = self.models[org], self.emails[actor]
        organization = self.send_as_user(actor, org, "get", "auth/me").json()["organization"]
        if person not in model.members:
            assert organization is None
            return
        allowed = {permission for permission in ALL_PERMISSIONS if model.allows(person, permission)}
        assert set(organization["permissions"]) == allowed
        raised_domains = {str(d) for d, p in model.domain_roles if p == person}
        assert {entry["id"] for entry in organization["domains"]} == raised_domains
        for entry in organization["domains"]:
            allowed_in_domain = {
                p for p in ALL_PERMISSIONS if model.allows(person, p, UUID(entry["id"]))
            }
            assert set(entry["permissions"]) == allowed_in_domain

    # -- keys

    @rule(
        actor=user_numbers,
        org=org_numbers,
        role=role_names,
        scopes=scope_lists,
        pick=picks,
        in_domain=st.booleans(),
    )
    def create_key(
        self, actor: int, org: int, role: str, scopes: tuple[str, ...], pick: int, in_domain: bool
    ) -> None:
        actor = self.choose_user(org, actor)
        model, by = self.models[org], self.emails[actor]
        is_found, domain = self.pick_domain(org, pick, False) if in_domain else (True, None)
        body = {"name": "Loader", "role": role, "scopes": scopes, "domain_id": domain}
        answer = self.send_as_user(actor, org, "post", "org/api-keys", body)
        scopes_beyond_role = [name for name in scopes if rank(required_role(name)) > rank(role)]
        if rejected := self.rejected_status(actor, org, "api_keys.own"):
            expected = rejected
        elif not is_found or rank(role) > rank(model.members[by]) or scopes_beyond_role:
            expected = 422
        else:
            expected = 201
            created = answer.json()
            key = ModelKey(created["id"], created["key"], by, role, frozenset(scopes), domain)
            model.keys.append(key)
        self.check_status("create_key", answer, expected)

    def pick_key(self, org: int, pick: int, foreign: bool) -> tuple[ModelKey | None, str]:
        candidates = self.models[1 - org if foreign else org].keys
        if not candidates:
            return None, str(uuid4())
        key = candidates[pick % len(candidates)]
        return (None if foreign else key), key.id

    def may_manage_key(self, org: int, by: str, key: ModelKey | None) -> bool:
        """Return whether the key is active and the user may manage it: their own key, or any with `api_keys.manage`."""
        model = self.models[org]
        is_visible = key is not None and (key.creator == by or model.allows(by, "api_keys.manage"))
        return is_visible and cast(ModelKey, key).is_active

    @precondition(lambda self: self.count_objects("keys"))
    @rule(actor=user_numbers, org=org_numbers, pick=picks, foreign=mostly_false)
    def revoke_key(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        actor = self.choose_user(org, actor)
        key, pk = self.pick_key(org, pick, foreign)
        answer = self.send_as_user(actor, org, "delete", f"org/api-keys/{pk}")
        expected = self.rejected_status(actor, org, "api_keys.own")
        expected = expected or (204 if self.may_manage_key(org, self.emails[actor], key) else 404)
        self.check_status("revoke_key", answer, expected)
        if expected == 204:
            cast(ModelKey, key).is_active = False

    @precondition(lambda self: self.count_objects("keys"))
    @rule(
        actor=user_numbers,
        org=org_numbers,
        pick=picks,
        foreign=mostly_false,
        with_grace_period=st.booleans(),
    )
    def rotate_key(
        self, actor: int, org: int, pick: int, foreign: bool, with_grace_period: bool
    ) -> None:
        actor = self.choose_user(org, actor)
        model, by = self.models[org], self.emails[actor]
        key, pk = self.pick_key(org, pick, foreign)
        body = {"grace_seconds": 3600 if with_grace_period else 0}
        answer = self.send_as_user(actor, org, "post", f"org/api-keys/{pk}/rotate", body)
        expected = self.rejected_status(actor, org, "api_keys.own")
        expected = expected or (201 if self.may_manage_key(org, by, key) else 404)
        self.check_status("rotate_key", answer, expected)
        if expected == 201 and key is not None:
            created = answer.json()
            role = min(key.role, model.members[by], key=rank)
            new_key = ModelKey(created["id"], created["key"], by, role, key.scopes, key.domain)
            model.keys.append(new_key)
            key.is_active = with_grace_period

    @precondition(lambda self: self.count_objects("keys"))
    @rule(org=org_numbers, pick=picks, connector_pick=picks, foreign=mostly_false)
    def use_key(self, org: int, pick: int, connector_pick: int, foreign: bool) -> None:
        """Edit a connector of any org and domain with a key, which may be revoked."""
        model = self.models[org]
        key, _ = self.pick_key(org, pick, False)
        if key is None:
            return
        is_found, pk = self.pick_connector(org, connector_pick, foreign)
        answer = self.send_with_token(
            key.text, "patch", f"connectors/{pk}", {"description": "by key"}
        )
        domain = model.connectors.get(pk)
        is_hidden = key.domain is not None and domain != key.domain
        if not key.is_active:
            expected = 401
        elif not model.key_allows(key, "connectors.edit", key.domain):
            expected = 403
        elif not is_found or is_hidden:
            expected = 404
        else:
            expected = 200
        self.check_status("use_key", answer, expected)

    @precondition(lambda self: self.count_objects("keys"))
    @rule(org=org_numbers, pick=picks)
    def check_permissions_of_key(self, org: int, pick: int) -> None:
        model = self.models[org]
        key, _ = self.pick_key(org, pick, False)
        if key is None:
            return
        answer = self.send_with_token(key.text, "get", "auth/me")
        self.check_status("check_permissions_of_key", answer, 200 if key.is_active else 401)
        if key.is_active:
            organization = answer.json()["organization"]
            assert set(organization["permissions"]) == {
                p for p in ALL_PERMISSIONS if model.key_allows(key, p)
            }
            for entry in organization["domains"]:
                allowed_in_domain = {
                    p for p in ALL_PERMISSIONS if model.key_allows(key, p, UUID(entry["id"]))
                }
                assert set(entry["permissions"]) == allowed_in_domain
            assert len(organization["domains"]) == (key.domain is not None)

    @precondition(lambda self: self.count_objects("keys"))
    @rule(org=org_numbers, pick=picks, other_user=user_numbers)
    def change_role_with_key(self, org: int, pick: int, other_user: int) -> None:
        """Change a role with a key. The key may never do more than its role and its creator's role permit."""
        other_user = self.choose_user(org, other_user)
        key, _ = self.pick_key(org, pick, False)
        if key is None:
            return
        model = self.models[org]
        person, pk = self.find_member(org, other_user, False)
        answer = self.send_with_token(key.text, "patch", f"org/members/{pk}", {"role": "viewer"})
        role = min(key.role, model.members.get(key.creator, "viewer"), key=rank)
        if not key.is_active:
            expected = 401
        elif not model.key_allows(key, "members.manage"):
            expected = 403
        elif person not in model.members:
            expected = 404
        elif rank(model.members[person]) > rank(role) or (
            model.members[person] == "owner"
            and (role != "owner" or not model.key_allows(key, "owners.manage"))
        ):
            expected = 403
        elif model.owners() == [person]:
            expected = 409
        else:
            expected = 200
            model.members[person] = "viewer"
        self.check_status("change_role_with_key", answer, expected)


STEPS_WITH_200 = {
    "accept_invitation",
    "change_role",
    "change_role_with_key",
    "check_permissions_of_key",
    "edit_connector",
    "resend_invitation",
    "set_domain_role",
    "use_key",
}
STEPS_WITH_201 = {"add_domain", "create_key", "invite_user", "rotate_key"}
STEPS_WITH_204 = {
    "delete_domain",
    "leave_org",
    "remove_domain_role",
    "remove_member",
    "revoke_key",
    "transfer_org",
    "withdraw_invitation",
}


def prepare_start_state() -> None:
    worlds = [make_world("One"), make_world("Two")]
    users = [user for world in worlds for user in world.users.values()]
    for number, user in enumerate(users):
        # The addresses are fixed, so that equal seeds give equal examples.
        user.email = f"person{number}@example.com"
        user.save(update_fields=["email"])
    models = [create_model(world) for world in worlds]
    tokens = {
        (actor, org): token_for(user, world.org)
        for actor, user in enumerate(users)
        for org, world in enumerate(worlds)
    }
    OrgsMachine.start = StartState(worlds, users, models, tokens, [])
    machine = OrgsMachine()
    for org in range(len(worlds)):
        machine.create_objects(org)
    machine.database_transaction.__exit__(None, None, None)
    OrgsMachine.start.models, OrgsMachine.start.mails = machine.models, mail.outbox
    OrgsMachine.status_counts.clear()


def create_model(world: World) -> OrgModel:
    members = {user.email: str(role) for role, user in world.users.items()}
    return OrgModel(members, connectors={make_connector(world).pk: None})


@pytest.mark.parametrize(("part", "examples"), PARTS)
def test_orgs_match_the_model_after_any_sequence_of_actions(
    part: int, examples: int, db: None
) -> None:
    prepare_start_state()
    # Each batch is a new Hypothesis test, because within one test Hypothesis mostly varies earlier examples.
    for batch in range(BATCHES):
        run_state_machine_as_test(
            seed(BATCHES * part + batch)(OrgsMachine),
            settings=settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    expected = {200: STEPS_WITH_200, 201: STEPS_WITH_201, 204: STEPS_WITH_204}
    steps_without_success = [
        (name, status)
        for status, names in expected.items()
        for name in names
        if not OrgsMachine.status_counts[name, status]
    ]
    assert steps_without_success == []
