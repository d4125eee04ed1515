"""Two orgs and eight users with random actions over HTTP, compared with a small model.

For each step the model returns the expected status and the expected state. The whole database is compared at the end
of each run. 100 runs of up to 50 steps, and 400 more in `make test-long`.
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
from tests.orgs.model import ALL, RANKS, Invited, Key, OrgModel, needs, rank
from tests.world import World, make_connector, make_world, new_client, token_for

BATCHES, RUNS, STEPS = 4, 25, 50  # of one part
PARTS = [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, 5))]
orgs = st.integers(0, 1)
people = st.integers(0, 31)  # see `who`
roles = st.sampled_from(RANKS)
raised = st.sampled_from(("admin", "member", "admin", "viewer", "owner"))
picks = st.integers(0, 999)
rarely = st.sampled_from((False, False, False, False, True))
scopes = st.sampled_from(
    [(), (), ("read",), ("read", "connectors.edit"), ("members.manage",), ("api_keys.own", "read")]
)


@dataclass
class Start:
    """The state at the beginning of every run, created once."""

    worlds: list[World]
    users: list[User]
    models: list[OrgModel]
    tokens: dict[tuple[int, int], str]
    sent: list[mail.EmailMessage]


class Orgs(RuleBasedStateMachine):
    """`actor` is the number of the caller; a `pick` selects one of the existing objects."""

    reached: ClassVar[Counter[tuple[str, int]]] = Counter()
    start: ClassVar[Start]

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.worlds, self.users, self.tokens = (
            self.start.worlds,
            self.start.users,
            self.start.tokens,
        )
        self.people = [user.email for user in self.users]
        self.models = deepcopy(self.start.models)
        mail.outbox = list(self.start.sent)

    def begin(self, org: int) -> None:
        """Some of every object, so that no run spends its steps on creating them."""
        owner, member = 4 * org, 4 * org + 2
        self.add_domain(owner, org)
        self.raise_role(owner, org, 0, member, "admin", False)
        self.invite(owner, org, (owner + 4) % 8, "member")
        self.make_key(owner, org, "admin", (), 0, False)
        self.make_key(owner, org, "member", ("connectors.edit", "read"), 0, True)
        self.make_key(member, org, "member", (), 0, False)

    def teardown(self) -> None:
        try:
            for world, model in zip(self.worlds, self.models, strict=True):
                self.compare(world, model)
        finally:
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    def compare(self, world: World, model: OrgModel) -> None:
        """Compare everything in the database about an org, whatever the responses were."""
        with world.scope():
            members = Membership.objects.for_org(world.org).values_list("user__email", "role")
            overrides = DomainRole.objects.for_org(world.org).values_list(
                "domain_id", "membership__user__email", "role"
            )
            invited = Invitation.objects.for_org(world.org).open().values_list("email", "role")
            keys = ApiKey.objects.for_org(world.org).active().values_list("id", flat=True)
            connectors = Connector.objects.for_org(world.org).values_list("id", "domain_id")
            assert dict(members) == model.members
            assert model.owners()
            assert {(d, p): r for d, p, r in overrides} == model.overrides
            assert dict(invited) == {p: i.role for p, i in model.invited.items()}
            assert {str(pk) for pk in keys} == {key.id for key in model.keys if key.alive}
            assert dict(connectors) == model.connectors
            domains = Domain.objects.for_org(world.org).values_list("id", flat=True)
            assert set(domains) == set(model.domains)

    # -- callers

    def who(self, org: int, number: int) -> int:
        """Any user, but more often a member of this org, and then more often one with a high role."""
        if number < len(self.people):
            return number
        model = self.models[org]
        strongest = sorted(model.members, key=lambda each: (-rank(model.members[each]), each))
        return self.people.index(strongest[number % 7 % len(strongest)])

    def ask(self, actor: int, org: int, method: str, path: str, body: Any = None) -> Any:
        """Return a client with a token for this org, whether the user belongs to it or not."""
        return self.send(self.tokens[actor, org], method, path, body)

    def send(self, bearer: str, method: str, path: str, body: Any = None) -> Any:
        client = new_client()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {bearer}")
        return getattr(client, method)(f"/api/v1/{path}", body)

    def count(self, what: str) -> int:
        return sum(len(getattr(model, what)) for model in self.models)

    def came(self, step: str, answer: Any, wanted: int) -> None:
        assert answer.status_code == wanted, (step, answer.content)
        self.reached[step, wanted] += 1

    def refused(self, actor: int, org: int, permission: str) -> int | None:
        """Return the status before any object is looked up: not a member, or no permission anywhere."""
        model, person = self.models[org], self.people[actor]
        if person not in model.members:
            return 401
        places = [None, *(d for d, p in model.overrides if p == person)]
        return None if any(model.allows(person, permission, d) for d in places) else 403

    def member(self, org: int, of: int, foreign: bool) -> tuple[str, UUID]:
        """Return a user's address and membership in this org, or in the other one, or an unknown id."""
        place = 1 - org if foreign else org
        world, email = self.worlds[place], self.people[of]
        with world.scope():
            mine = Membership.objects.for_org(world.org).filter(user__email=email)
            return email, mine.values_list("id", flat=True).first() or uuid4()

    # -- members

    @rule(actor=people, org=orgs, of=people, role=roles, foreign=rarely)
    def change_role(self, actor: int, org: int, of: int, role: str, foreign: bool) -> None:
        actor, of = self.who(org, actor), self.who(org, of)
        model, by = self.models[org], self.people[actor]
        person, pk = self.member(org, of, foreign)
        found = not foreign and person in model.members
        answer = self.ask(actor, org, "patch", f"org/members/{pk}", {"role": role})
        if refused := self.refused(actor, org, "members.manage"):
            wanted = refused
        elif not found:
            wanted = 404
        elif not model.reaches(by, model.members[person], role):
            wanted = 403
        elif model.owners() == [person] and role != "owner":
            wanted = 409
        else:
            wanted = 200
            model.members[person] = role
        self.came("change_role", answer, wanted)

    @rule(actor=people, org=orgs, of=people, foreign=rarely)
    def remove(self, actor: int, org: int, of: int, foreign: bool) -> None:
        actor, of = self.who(org, actor), self.who(org, of)
        model, by = self.models[org], self.people[actor]
        person, pk = self.member(org, of, foreign)
        found = not foreign and person in model.members
        answer = self.ask(actor, org, "delete", f"org/members/{pk}")
        if refused := self.refused(actor, org, "members.manage"):
            wanted = refused
        elif not found:
            wanted = 404
        elif not model.reaches(by, model.members[person]):
            wanted = 403
        elif model.owners() == [person]:
            wanted = 409
        else:
            wanted = 204
            model.end(person)
        self.came("remove", answer, wanted)

    @rule(actor=people, org=orgs, goes=rarely)
    def leave(self, actor: int, org: int, goes: bool) -> None:
        if not goes:
            return  # otherwise all members would soon be removed
        actor = self.who(org, actor)
        model, by = self.models[org], self.people[actor]
        answer = self.ask(actor, org, "post", "org/leave")
        if by not in model.members:
            wanted = 401
        elif model.owners() == [by]:
            wanted = 409
        else:
            wanted = 204
            model.end(by)
        self.came("leave", answer, wanted)

    @rule(actor=people, org=orgs, to=people, foreign=rarely)
    def transfer(self, actor: int, org: int, to: int, foreign: bool) -> None:
        actor, to = self.who(org, actor), self.who(org, to)
        model, by = self.models[org], self.people[actor]
        person, pk = self.member(org, to, foreign)
        found = not foreign and person in model.members
        answer = self.ask(actor, org, "post", "org/transfer", {"member_id": str(pk)})
        if refused := self.refused(actor, org, "org.transfer"):
            wanted = refused
        elif not found:
            wanted = 404
        elif person == by:
            wanted = 422
        else:
            wanted = 204
            model.members[person], model.members[by] = "owner", "admin"
        self.came("transfer", answer, wanted)

    # -- invitations

    @rule(actor=people, org=orgs, of=people, role=roles)
    def invite(self, actor: int, org: int, of: int, role: str) -> None:
        actor, of = self.who(org, actor), self.who(org, of)
        model, by, person = self.models[org], self.people[actor], self.people[of]
        answer = self.ask(actor, org, "post", "org/invitations", {"email": person, "role": role})
        before = model.invited.get(person)
        if refused := self.refused(actor, org, "invitations.manage"):
            wanted = refused
        elif not model.reaches(by, role):
            wanted = 403
        elif person in model.members or (before and not before.expired):
            wanted = 409
        else:
            wanted = 201
            model.invited[person] = Invited(answer.json()["id"], role, self.link())
        self.came("invite", answer, wanted)

    def link(self) -> str:
        LoginAttempt.objects.all().delete()  # rate limits of mails are not tested here
        (message,) = mailbox.deliver()
        return mailbox.link(message)[1]

    def one_invited(self, org: int, pick: int, foreign: bool) -> tuple[str | None, str]:
        """Return (org, id) of a pending invitation here, or in the other org, or an unknown id."""
        listed = sorted(self.models[1 - org if foreign else org].invited.items())
        if not listed:
            return None, str(uuid4())
        person, invitation = listed[pick % len(listed)]
        return (None if foreign else person), invitation.id

    @precondition(lambda self: self.count("invited"))
    @rule(actor=people, org=orgs, pick=picks, foreign=rarely)
    def resend(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        actor = self.who(org, actor)
        model, by = self.models[org], self.people[actor]
        person, pk = self.one_invited(org, pick, foreign)
        answer = self.ask(actor, org, "post", f"org/invitations/{pk}/resend")
        if refused := self.refused(actor, org, "invitations.manage"):
            wanted = refused
        elif person is None:
            wanted = 404
        elif not model.reaches(by, model.invited[person].role):
            wanted = 403
        else:
            wanted = 200
            model.invited[person] = Invited(pk, model.invited[person].role, self.link())
        self.came("resend", answer, wanted)

    @precondition(lambda self: self.count("invited"))
    @rule(actor=people, org=orgs, pick=picks, foreign=rarely)
    def withdraw(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        actor = self.who(org, actor)
        model = self.models[org]
        person, pk = self.one_invited(org, pick, foreign)
        answer = self.ask(actor, org, "delete", f"org/invitations/{pk}")
        if refused := self.refused(actor, org, "invitations.manage"):
            wanted = refused
        elif person is None:
            wanted = 404
        else:
            wanted = 204
            del model.invited[person]
        self.came("withdraw", answer, wanted)

    @precondition(lambda self: self.count("invited"))
    @rule(org=orgs)
    def a_week_passes(self, org: int) -> None:
        """For the invitations of one org."""
        world, model = self.worlds[org], self.models[org]
        with world.scope():
            Invitation.objects.for_org(world.org).update(expires_at=timezone.now())
        for invited in model.invited.values():
            invited.expired = True

    @precondition(lambda self: bool(mail.outbox))
    @rule(actor=people, org=orgs, pick=picks, astray=rarely)
    def accept(self, actor: int, org: int, pick: int, astray: bool) -> None:
        """The invited user with the link; or any user with any link that was ever mailed."""
        links = [mailbox.link(message)[1] for message in mail.outbox]
        link = links[pick % len(links)]
        actor = self.who(org, actor)
        opened = sorted(self.models[org].invited.items())
        if opened and not astray:
            person, invitation = opened[pick % len(opened)]
            link, actor = invitation.link, self.people.index(person)
        answer = self.ask(actor, org, "post", "invitations/accept", {"token": link})
        open_ones = [
            (model, person, invited)
            for model in self.models
            for person, invited in model.invited.items()
            if invited.link == link and not invited.expired
        ]
        if not open_ones:
            wanted = 410
        elif (found := open_ones[0])[1] != self.people[actor]:
            wanted = 403
        else:
            wanted = 200
            model, person, invited = found
            model.members[person] = max(model.members.get(person, "viewer"), invited.role, key=rank)
            del model.invited[person]
        self.came("accept", answer, wanted)

    # -- domains and what is in them

    @rule(actor=people, org=orgs)
    def add_domain(self, actor: int, org: int) -> None:
        actor = self.who(org, actor)
        model = self.models[org]
        answer = self.ask(actor, org, "post", "org/domains", {"name": uuid4().hex})
        wanted = self.refused(actor, org, "domains.manage") or 201
        self.came("add_domain", answer, wanted)
        if wanted == 201:
            domain = UUID(answer.json()["id"])
            model.domains.append(domain)
            made = make_connector(self.worlds[org], domain_id=domain)
            model.connectors[made.pk] = domain

    def one_domain(self, org: int, pick: int, foreign: bool) -> tuple[bool, UUID]:
        listed = self.models[1 - org if foreign else org].domains
        if not listed:
            return False, uuid4()
        return not foreign, listed[pick % len(listed)]

    @precondition(lambda self: self.count("domains"))
    @rule(actor=people, org=orgs, pick=picks, foreign=rarely)
    def delete_domain(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        actor = self.who(org, actor)
        found, domain = self.one_domain(org, pick, foreign)
        answer = self.ask(actor, org, "delete", f"org/domains/{domain}")
        wanted = self.refused(actor, org, "domains.manage") or (204 if found else 404)
        self.came("delete_domain", answer, wanted)
        if wanted == 204:
            self.models[org].end_domain(domain)

    @precondition(lambda self: self.count("domains"))
    @rule(actor=people, org=orgs, pick=picks, of=people, role=raised, foreign=rarely)
    def raise_role(
        self, actor: int, org: int, pick: int, of: int, role: str, foreign: bool
    ) -> None:
        actor, of = self.who(org, actor), self.who(org, of)
        model = self.models[org]
        found, domain = self.one_domain(org, pick, foreign)
        person, pk = self.member(org, of, foreign)
        path = f"org/domains/{domain}/members/{pk}"
        answer = self.ask(actor, org, "put", path, {"role": role})
        member = not foreign and person in model.members
        if refused := self.refused(actor, org, "domains.manage"):
            wanted = refused
        elif role in ("owner", "viewer"):  # no such domain role, whatever the ids
            wanted = 422
        elif not found or not member:
            wanted = 404
        elif rank(role) <= rank(model.members[person]):
            wanted = 422
        else:
            wanted = 200
            model.overrides[domain, person] = role
        self.came("raise_role", answer, wanted)

    @precondition(lambda self: self.count("overrides"))
    @rule(actor=people, org=orgs, pick=picks, foreign=rarely)
    def clear_role(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        actor = self.who(org, actor)
        place = 1 - org if foreign else org
        listed = sorted(self.models[place].overrides, key=str)
        if not listed:
            return
        domain, person = listed[pick % len(listed)]
        _, pk = self.member(place, self.people.index(person), False)
        answer = self.ask(actor, org, "delete", f"org/domains/{domain}/members/{pk}")
        wanted = self.refused(actor, org, "domains.manage") or (404 if foreign else 204)
        self.came("clear_role", answer, wanted)
        if wanted == 204:
            del self.models[org].overrides[domain, person]

    def one_connector(self, org: int, pick: int, foreign: bool) -> tuple[bool, UUID]:
        listed = list(self.models[1 - org if foreign else org].connectors)
        return not foreign, listed[pick % len(listed)]

    @rule(actor=people, org=orgs, pick=picks, foreign=rarely)
    def edit(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        """An object of a domain, or of none."""
        actor = self.who(org, actor)
        model, by = self.models[org], self.people[actor]
        found, pk = self.one_connector(org, pick, foreign)
        answer = self.ask(actor, org, "patch", f"connectors/{pk}", {"description": "new"})
        if refused := self.refused(actor, org, "connectors.edit"):
            wanted = refused
        elif not found:
            wanted = 404
        else:
            allowed = model.allows(by, "connectors.edit", model.connectors[pk])
            wanted = 200 if allowed else 403
        self.came("edit", answer, wanted)

    @rule(actor=people, org=orgs)
    def look(self, actor: int, org: int) -> None:
        """The permissions that a user is shown are the real ones."""
        actor = self.who(org, actor)
        model, person = self.models[org], self.people[actor]
        told = self.ask(actor, org, "get", "auth/me").json()["organization"]
        if person not in model.members:
            assert told is None
            return
        may = {permission for permission in ALL if model.allows(person, permission)}
        assert set(told["permissions"]) == may
        raised = {str(d) for d, p in model.overrides if p == person}
        assert {each["id"] for each in told["domains"]} == raised
        for each in told["domains"]:
            inside = {p for p in ALL if model.allows(person, p, UUID(each["id"]))}
            assert set(each["permissions"]) == inside

    # -- keys

    @rule(actor=people, org=orgs, role=roles, scope=scopes, pick=picks, limited=st.booleans())
    def make_key(
        self, actor: int, org: int, role: str, scope: tuple[str, ...], pick: int, limited: bool
    ) -> None:
        actor = self.who(org, actor)
        model, by = self.models[org], self.people[actor]
        found, domain = self.one_domain(org, pick, False) if limited else (True, None)
        body = {"name": "Loader", "role": role, "scopes": scope, "domain_id": domain}
        answer = self.ask(actor, org, "post", "org/api-keys", body)
        beyond = [each for each in scope if rank(needs(each)) > rank(role)]
        if refused := self.refused(actor, org, "api_keys.own"):
            wanted = refused
        elif not found or rank(role) > rank(model.members[by]) or beyond:
            wanted = 422
        else:
            wanted = 201
            made = answer.json()
            key = Key(made["id"], made["key"], by, role, frozenset(scope), domain)
            model.keys.append(key)
        self.came("make_key", answer, wanted)

    def one_key(self, org: int, pick: int, foreign: bool) -> tuple[Key | None, str]:
        listed = self.models[1 - org if foreign else org].keys
        if not listed:
            return None, str(uuid4())
        key = listed[pick % len(listed)]
        return (None if foreign else key), key.id

    def reachable(self, org: int, by: str, key: Key | None) -> bool:
        """Active keys: the user's own, or all if the user may manage keys."""
        model = self.models[org]
        mine = key is not None and (key.maker == by or model.allows(by, "api_keys.manage"))
        return mine and cast(Key, key).alive

    @precondition(lambda self: self.count("keys"))
    @rule(actor=people, org=orgs, pick=picks, foreign=rarely)
    def revoke(self, actor: int, org: int, pick: int, foreign: bool) -> None:
        actor = self.who(org, actor)
        key, pk = self.one_key(org, pick, foreign)
        answer = self.ask(actor, org, "delete", f"org/api-keys/{pk}")
        wanted = self.refused(actor, org, "api_keys.own")
        wanted = wanted or (204 if self.reachable(org, self.people[actor], key) else 404)
        self.came("revoke", answer, wanted)
        if wanted == 204:
            cast(Key, key).alive = False

    @precondition(lambda self: self.count("keys"))
    @rule(actor=people, org=orgs, pick=picks, foreign=rarely, grace=st.booleans())
    def rotate(self, actor: int, org: int, pick: int, foreign: bool, grace: bool) -> None:
        actor = self.who(org, actor)
        model, by = self.models[org], self.people[actor]
        key, pk = self.one_key(org, pick, foreign)
        body = {"grace_seconds": 3600 if grace else 0}
        answer = self.ask(actor, org, "post", f"org/api-keys/{pk}/rotate", body)
        wanted = self.refused(actor, org, "api_keys.own")
        wanted = wanted or (201 if self.reachable(org, by, key) else 404)
        self.came("rotate", answer, wanted)
        if wanted == 201 and key is not None:
            made = answer.json()
            role = min(key.role, model.members[by], key=rank)
            new = Key(made["id"], made["key"], by, role, key.scopes, key.domain)
            model.keys.append(new)
            key.alive = grace

    @precondition(lambda self: self.count("keys"))
    @rule(org=orgs, pick=picks, thing=picks, foreign=rarely)
    def use_key(self, org: int, pick: int, thing: int, foreign: bool) -> None:
        """Revoked keys too; for a connector here or in the other org, in the key's domain or not."""
        model = self.models[org]
        key, _ = self.one_key(org, pick, False)
        if key is None:
            return
        found, pk = self.one_connector(org, thing, foreign)
        answer = self.send(key.text, "patch", f"connectors/{pk}", {"description": "by key"})
        domain = model.connectors.get(pk)
        hidden = key.domain is not None and domain != key.domain
        if not key.alive:
            wanted = 401
        elif not model.key_allows(key, "connectors.edit", key.domain):
            wanted = 403
        elif not found or hidden:
            wanted = 404
        else:
            wanted = 200
        self.came("use_key", answer, wanted)

    @precondition(lambda self: self.count("keys"))
    @rule(org=orgs, pick=picks)
    def a_key_looks(self, org: int, pick: int) -> None:
        model = self.models[org]
        key, _ = self.one_key(org, pick, False)
        if key is None:
            return
        answer = self.send(key.text, "get", "auth/me")
        self.came("a_key_looks", answer, 200 if key.alive else 401)
        if key.alive:
            told = answer.json()["organization"]
            assert set(told["permissions"]) == {p for p in ALL if model.key_allows(key, p)}
            for each in told["domains"]:
                inside = {p for p in ALL if model.key_allows(key, p, UUID(each["id"]))}
                assert set(each["permissions"]) == inside
            assert len(told["domains"]) == (key.domain is not None)

    @precondition(lambda self: self.count("keys"))
    @rule(org=orgs, pick=picks, of=people)
    def a_key_never_manages_beyond_itself(self, org: int, pick: int, of: int) -> None:
        """A key may see members only with that permission, and never keys."""
        of = self.who(org, of)
        key, _ = self.one_key(org, pick, False)
        if key is None:
            return
        model = self.models[org]
        person, pk = self.member(org, of, False)
        answer = self.send(key.text, "patch", f"org/members/{pk}", {"role": "viewer"})
        role = min(key.role, model.members.get(key.maker, "viewer"), key=rank)
        if not key.alive:
            wanted = 401
        elif not model.key_allows(key, "members.manage"):
            wanted = 403
        elif person not in model.members:
            wanted = 404
        elif rank(model.members[person]) > rank(role) or (
            model.members[person] == "owner"
            and (role != "owner" or not model.key_allows(key, "owners.manage"))
        ):
            wanted = 403
        elif model.owners() == [person]:
            wanted = 409
        else:
            wanted = 200
            model.members[person] = "viewer"
        self.came("a_key_never_manages_beyond_itself", answer, wanted)


GOOD = {"change_role", "use_key", "a_key_looks", "a_key_never_manages_beyond_itself"} | {
    "accept",
    "edit",
    "resend",
    "raise_role",
}
MADE = {"invite", "add_domain", "make_key", "rotate"}
GONE = {"remove", "leave", "transfer", "withdraw", "delete_domain", "clear_role", "revoke"}


def prepare() -> None:
    worlds = [make_world("One"), make_world("Two")]
    users = [user for world in worlds for user in world.users.values()]
    for number, user in enumerate(users):  # the same each time, as the seeds are
        user.email = f"person{number}@example.com"
        user.save(update_fields=["email"])
    models = [model_of(world) for world in worlds]
    tokens = {
        (actor, org): token_for(user, world.org)
        for actor, user in enumerate(users)
        for org, world in enumerate(worlds)
    }
    Orgs.start = Start(worlds, users, models, tokens, [])
    first = Orgs()
    for org in range(len(worlds)):
        first.begin(org)
    first.undo.__exit__(None, None, None)
    Orgs.start.models, Orgs.start.sent = first.models, mail.outbox
    Orgs.reached.clear()


def model_of(world: World) -> OrgModel:
    members = {user.email: str(role) for role, user in world.users.items()}
    return OrgModel(members, connectors={make_connector(world).pk: None})


@pytest.mark.parametrize("part", PARTS)
def test_orgs_match_the_model_after_any_sequence_of_actions(part: int, db: None) -> None:
    prepare()
    for batch in range(
        BATCHES
    ):  # each with a separate setting, because Hypothesis varies earlier examples
        run_state_machine_as_test(
            seed(BATCHES * part + batch)(Orgs),
            settings=settings(
                max_examples=RUNS,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    wanted = {200: GOOD, 201: MADE, 204: GONE}
    missed = [
        (name, status)
        for status, names in wanted.items()
        for name in names
        if not Orgs.reached[name, status]
    ]
    assert not missed, "these steps never did anything"
