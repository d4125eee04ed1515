"""E-mail domains that an org verifies by DNS, with a real name server, and their effects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from apps.auth.models import User
from apps.orgs import tasks
from apps.orgs.members import dns_records, verified_domains
from apps.orgs.models import AuditEvent, IdentityProvider, Membership, VerifiedDomain
from tests import mailbox
from tests.name_server import NameServer
from tests.orgs.scim.test_scim import add as provision
from tests.orgs.scim.test_scim import directory_of
from tests.orgs.sign_in import issuer as oidc
from tests.orgs.sign_in.issuer import Issuer, follow_back, start
from tests.orgs.sign_in.test_sso import PASSWORD, own_issuer, problem_of, who
from tests.world import World, make_world

PATH = "/api/v1/org/verified-domains"
DOMAIN = "acme.example"


def name(world: World, domain: str = DOMAIN, by: str = "admin") -> Any:
    return world.client(by).post(PATH, {"domain": domain})


def check(world: World, pk: str, by: str = "admin") -> Any:
    return world.client(by).post(f"{PATH}/{pk}/check", {})


def prove(world: World, dns: NameServer, domain: str = DOMAIN) -> Any:
    """The row of a verified domain; its record stays published."""
    row = name(world, domain).json()
    dns.texts.setdefault(row["record_name"], []).append(row["record_value"])
    done = check(world, row["id"]).json()
    assert done["ok"] is True, done
    return done["domain"]


def row_of(world: World) -> VerifiedDomain:
    with world.scope():
        found: VerifiedDomain = VerifiedDomain.objects.for_org(world.org).get()
    return found


def test_a_domain_counts_once_its_record_is_published(world: World, dns: NameServer) -> None:
    made = name(world, "Acme.Example.")
    assert made.status_code == 201, made.content
    row = made.json()
    assert (row["domain"], row["record_name"], row["verified_at"]) == (DOMAIN, DOMAIN, None)
    assert len(row["record_value"]) > 60
    not_yet = check(world, row["id"]).json()
    assert (not_yet["ok"], not_yet["domain"]["verified_at"]) == (False, None)
    assert "Publish it at acme.example" in not_yet["message"]
    dns.texts[DOMAIN] = ["v=spf1 -all", row["record_value"]]
    done = check(world, row["id"]).json()
    assert done["ok"] is True
    assert done["domain"]["verified_at"] is not None
    (listed,) = world.client("admin").get(PATH).json()["domains"]
    assert listed == done["domain"]
    with world.scope():
        trail = AuditEvent.objects.for_org(world.org).filter(object_kind="verified_domain")
        assert sorted(trail.values_list("action", flat=True)) == [
            "verified_domain.add",
            "verified_domain.verify",
        ]
        assert verified_domains.has_verified_domain_of(world.org, f"ada@{DOMAIN}")
        for other in ("ada@sub.acme.example", "ada@xacme.example", f"{DOMAIN}@evil.example"):
            assert not verified_domains.has_verified_domain_of(world.org, other)


def test_strangers_see_nothing_and_members_may_not(
    world: World, stranger: World, dns: NameServer
) -> None:
    pk = name(world).json()["id"]
    for role in ("member", "viewer"):
        client = world.client(role)
        assert client.get(PATH).status_code == 403
        assert client.post(PATH, {"domain": "b.example"}).status_code == 403
        assert client.post(f"{PATH}/{pk}/check", {}).status_code == 403
        assert client.delete(f"{PATH}/{pk}").status_code == 403
    theirs = stranger.client("owner")
    assert theirs.get(PATH).json() == {"domains": []}
    assert theirs.post(f"{PATH}/{pk}/check", {}).status_code == 404
    assert theirs.delete(f"{PATH}/{pk}").status_code == 404


def test_a_domain_of_another_org_is_refused_without_naming_the_org(
    world: World, stranger: World, dns: NameServer
) -> None:
    prove(world, dns)
    theirs = name(stranger)
    assert theirs.status_code == 201, "naming it tells nothing"
    pk, value = theirs.json()["id"], theirs.json()["record_value"]
    assert value not in dns.texts[DOMAIN]
    unproven = check(stranger, pk).json()
    assert "no TXT record with this value" in unproven["message"]
    dns.texts[DOMAIN].append(value)
    taken = check(stranger, pk).json()
    assert (taken["ok"], taken["domain"]["verified_at"]) == (False, None)
    assert "verified before" in taken["message"]
    for secret in (str(world.org.pk), world.org.slug):
        assert secret not in str(taken)
    mine = row_of(world)
    assert world.client("owner").delete(f"{PATH}/{mine.pk}").status_code == 204
    assert check(stranger, pk).json()["ok"] is True


def test_the_record_of_one_org_or_domain_proves_no_other(
    world: World, stranger: World, dns: NameServer
) -> None:
    mine, theirs = name(world).json(), name(stranger, "other.example").json()
    dns.texts[DOMAIN] = [theirs["record_value"]]
    dns.texts["other.example"] = [mine["record_value"]]
    assert check(world, mine["id"]).json()["ok"] is False
    assert check(stranger, theirs["id"]).json()["ok"] is False


def test_a_record_behind_an_alias_is_another_domains(world: World, dns: NameServer) -> None:
    row = name(world).json()
    dns.aliases[DOMAIN] = "rented.example"
    dns.texts["rented.example"] = [row["record_value"]]
    assert check(world, row["id"]).json()["ok"] is False


@pytest.mark.parametrize("how", ["silent", "broken"])
def test_name_servers_that_fail_change_nothing_that_was_proven(
    world: World, dns: NameServer, how: str
) -> None:
    pk = prove(world, dns)["id"]
    (dns.silent if how == "silent" else dns.broken).add(DOMAIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dns_records, "LOOKUP_SECONDS", 0.3)
        failed = check(world, pk).json()
    assert failed["ok"] is False
    assert "could not be queried" in failed["message"]
    assert failed["domain"]["verified_at"] is not None
    assert failed["domain"]["missing_since"] is None
    assert failed["domain"]["unanswered_since"] is not None


def test_dns_is_asked_without_a_transaction(
    committed_db: None, dns: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    pk = name(world).json()["id"]
    held: list[bool] = []
    real = dns_records.query_txt_records

    def asking(domain: str) -> frozenset[str]:
        held.append(connection.in_atomic_block)
        return real(domain)

    monkeypatch.setattr(dns_records, "query_txt_records", asking)
    assert check(world, pk).status_code == 200
    prove(world, dns, "second.example")
    with world.scope():
        second = VerifiedDomain.objects.for_org(world.org).get(domain="second.example")
    tasks.recheck_domain(org_id=str(world.org.pk), domain_id=str(second.pk))
    assert held == [False, False, False]


@pytest.mark.parametrize(
    "domain",
    [
        *(
            "com",
            "",
            ".",
            "a b.example",
            "ex_ample.example",
            "127.0.0.1",
            "a..example",
            "-a.example",
        ),
        *("a@b.example", "https://acme.example", "\u202eacme.example", "x" * 64 + ".example"),
    ],
)
def test_an_invalid_domain_names_the_field(world: World, domain: str) -> None:
    answer = name(world, domain)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"] == "domain"


def test_a_domain_of_everybodys_is_refused_at_once(world: World) -> None:
    answer = name(world, "GMail.com")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "shared")


def test_an_international_domain_is_kept_as_dns_has_it(world: World, dns: NameServer) -> None:
    row = name(world, "@Bücher.example").json()
    assert row["domain"] == "xn--bcher-kva.example"
    dns.texts["xn--bcher-kva.example"] = [row["record_value"]]
    assert check(world, row["id"]).json()["ok"] is True


def test_the_same_domain_twice_and_too_many_are_conflicts(world: World) -> None:
    name(world)
    again = name(world, "ACME.example").json()
    assert again["code"] == "name_taken"
    assert again["detail"].startswith("acme.example is already in your organization's list")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verified_domains, "MAX_DOMAINS", 1)
        assert name(world, "b.example").json()["code"] == "limit_reached"


class TestLookingAgain:
    def later(self, world: World, **ago: Any) -> None:
        with world.scope():
            VerifiedDomain.objects.for_org(world.org).update(
                checked_at=timezone.now() - timedelta(days=2), **ago
            )

    def look(self) -> int:
        asked = verified_domains.defer_rechecks()
        mailbox.deliver()
        return asked

    def test_a_record_that_stays_away_loses_the_domain_after_three_days(
        self, world: World, dns: NameServer
    ) -> None:
        prove(world, dns)
        assert self.look() == 0, "it was looked at today"
        dns.texts.clear()
        self.later(world)
        assert self.look() == 1
        row = row_of(world)
        assert row.verified_at is not None
        assert row.missing_since is not None
        self.later(world, missing_since=timezone.now() - timedelta(days=3))
        assert self.look() == 1
        row = row_of(world)
        assert (row.verified_at, row.missing_since) == (None, None)
        with world.scope():
            (event,) = AuditEvent.objects.for_org(world.org).filter(action="verified_domain.lapse")
            assert event.actor_kind == "system"
        assert self.look() == 0

    def test_one_that_comes_back_in_time_keeps_it(self, world: World, dns: NameServer) -> None:
        prove(world, dns)
        self.later(world, missing_since=timezone.now() - timedelta(days=2))
        assert self.look() == 1
        row = row_of(world)
        assert row.verified_at is not None
        assert row.missing_since is None

    def test_name_servers_that_never_answer_lose_it_after_two_weeks(
        self, world: World, dns: NameServer
    ) -> None:
        prove(world, dns)
        dns.broken.add(DOMAIN)
        for days, kept in ((13, True), (14, False)):
            self.later(world, unanswered_since=timezone.now() - timedelta(days=days))
            assert self.look() == 1
            assert (row_of(world).verified_at is not None) is kept
        assert row_of(world).unanswered_since is None
        with world.scope():
            assert not verified_domains.has_verified_domain_of(world.org, f"ada@{DOMAIN}")
            (event,) = AuditEvent.objects.for_org(world.org).filter(action="verified_domain.lapse")
            assert event.actor_kind == "system"

    @pytest.mark.parametrize("published", [True, False])
    def test_one_response_restarts_the_two_weeks(
        self, world: World, dns: NameServer, published: bool
    ) -> None:
        prove(world, dns)
        if not published:
            dns.texts.clear()
        self.later(world, unanswered_since=timezone.now() - timedelta(days=20))
        assert self.look() == 1
        row = row_of(world)
        assert row.verified_at is not None
        assert row.unanswered_since is None
        assert (row.missing_since is None) is published


class TestWhatItIsGoodFor:
    @pytest.fixture(scope="class")
    def issuer(self) -> Iterator[Issuer]:
        with oidc.running() as found:
            yield found

    @pytest.fixture
    def own(self, world: World, issuer: Issuer, dns: NameServer) -> World:
        own_issuer(world, issuer)
        with world.scope():
            IdentityProvider.objects.for_org(world.org).update(join_role="viewer")
        prove(world, dns)
        return world

    def enter(self, own: World, issuer: Issuer, subject: str, email: str) -> tuple[APIClient, Any]:
        issuer.know(subject, email=email, email_verified=True, name="Claimed")
        client = APIClient()
        leading = start(client, "sso", org=own.org.slug)
        return client, follow_back(client, issuer.vouch(leading["Location"], subject))

    def test_the_issuer_brings_people_of_the_domain_without_a_mail(
        self, own: World, issuer: Issuer
    ) -> None:
        client, _ = self.enter(own, issuer, "d-new", f"new@{DOMAIN}")
        me = who(client)
        assert (me["organization"]["role"], me["user"]["name"]) == ("viewer", "Claimed")
        assert mailbox.deliver() == []
        made = User.objects.get(email=f"new@{DOMAIN}")
        assert made.email_verified_at is None, "its mailbox was read by nobody"
        body = {"email": made.email, "password": PASSWORD, "organization_name": "Mine"}
        assert APIClient().post("/api/v1/auth/register", body).status_code == 202
        (message,) = mailbox.deliver()
        reset = {"token": mailbox.link(message)[1], "password": PASSWORD}
        assert APIClient().post("/api/v1/auth/password/reset", reset).status_code == 204

    def test_users_with_an_account_join_and_nothing_of_it_is_revealed(
        self, own: World, issuer: Issuer
    ) -> None:
        ada = User.objects.create_user(
            email=f"ada@{DOMAIN}", password=PASSWORD, name="Real", email_verified_at=timezone.now()
        )
        client, _ = self.enter(own, issuer, "d-ada", ada.email)
        shown = who(client)["user"]
        assert (shown["id"], shown["name"]) == (str(ada.pk), "Claimed")
        assert (shown["has_password"], shown["email_verified"]) == (None, None)

    def test_not_into_an_account_whose_password_a_stranger_may_know(
        self, own: World, issuer: Issuer
    ) -> None:
        User.objects.create_user(email=f"pre@{DOMAIN}", password=PASSWORD)
        _, answer = self.enter(own, issuer, "d-pre", f"pre@{DOMAIN}")
        assert problem_of(answer) == "confirm_first"

    @pytest.mark.parametrize("email", ["new@sub.acme.example", "new@other.example"])
    def test_people_of_other_domains_are_asked_first(
        self, own: World, issuer: Issuer, email: str
    ) -> None:
        _, answer = self.enter(own, issuer, f"d-{email}", email)
        assert problem_of(answer) == "consent_needed"

    def test_a_domain_that_was_lost_removed_or_never_proven_is_good_for_nothing(
        self, own: World, issuer: Issuer, dns: NameServer
    ) -> None:
        with own.scope():
            VerifiedDomain.objects.for_org(own.org).update(verified_at=None)
        _, answer = self.enter(own, issuer, "d-lost", f"lost@{DOMAIN}")
        assert problem_of(answer) == "consent_needed"

    def test_another_orgs_verification_does_not_count_here(
        self, own: World, issuer: Issuer, stranger: World
    ) -> None:
        own_issuer(stranger, issuer)
        with stranger.scope():
            IdentityProvider.objects.for_org(stranger.org).update(join_role="viewer")
        _, answer = self.enter(stranger, issuer, "d-stranger", f"new@{DOMAIN}")
        assert problem_of(answer) == "consent_needed"
        with stranger.scope():
            members = Membership.objects.for_org(stranger.org)
            assert not members.filter(user__email__endswith=f"@{DOMAIN}").exists()

    def test_whom_the_directory_provisions_is_let_in_without_a_mail(
        self, own: World, issuer: Issuer
    ) -> None:
        directory = directory_of(own)
        for email in (f"grace@{DOMAIN}", "grace@other.example"):
            assert provision(directory, email, externalId=email).status_code == 201
        assert [message.to for message in mailbox.deliver()] == [["grace@other.example"]]
        client, _ = self.enter(own, issuer, "d-grace", f"grace@{DOMAIN}")
        assert who(client)["organization"]["role"] == "viewer"

    def test_without_an_issuer_the_directory_still_invites(
        self, own: World, issuer: Issuer
    ) -> None:
        with own.scope():
            IdentityProvider.objects.for_org(own.org).update(enabled=False)
        assert provision(directory_of(own), f"grace@{DOMAIN}").status_code == 201
        assert [message.to for message in mailbox.deliver()] == [[f"grace@{DOMAIN}"]]


def test_where_servers_are_named_with_and_without_a_port(world: World, dns: NameServer) -> None:
    """If none are configured, the system's are used."""
    for servers, found in (
        (["192.0.2.1", "[2001:db8::1]:5353"], ["Do53:192.0.2.1@53", "Do53:2001:db8::1@5353"]),
        ([dns.address], [f"Do53:{dns.address.replace(':', '@')}"]),
    ):
        with override_settings(DNS_SERVERS=servers):
            assert [str(each) for each in dns_records._create_resolver().nameservers] == found
    assert [dns.address] == settings.DNS_SERVERS
