"""An org verifies its e-mail domains by DNS records. Users of these domains join without a mail.

A real name server answers the queries.
"""

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
from tests.orgs.scim.test_scim import add_user, directory_client
from tests.orgs.sign_in import issuer as oidc
from tests.orgs.sign_in.issuer import Issuer, call_callback, start_login
from tests.orgs.sign_in.test_sso import PASSWORD, login_problem, refresh_session, save_own_provider
from tests.world import World, make_world

PATH = "/api/v1/org/verified-domains"
DOMAIN = "acme.example"


def add_domain(world: World, domain: str = DOMAIN, by: str = "admin") -> Any:
    return world.client(by).post(PATH, {"domain": domain})


def check_domain(world: World, pk: str, by: str = "admin") -> Any:
    return world.client(by).post(f"{PATH}/{pk}/check", {})


def verify_domain(world: World, dns: NameServer, domain: str = DOMAIN) -> Any:
    """Add a domain and verify it. Return the domain as the API shows it. Its record stays published."""
    row = add_domain(world, domain).json()
    dns.texts.setdefault(row["record_name"], []).append(row["record_value"])
    result = check_domain(world, row["id"]).json()
    assert result["ok"] is True, result
    return result["domain"]


def domain_row(world: World) -> VerifiedDomain:
    with world.scope():
        row: VerifiedDomain = VerifiedDomain.objects.for_org(world.org).get()
    return row


def test_a_domain_is_verified_once_its_record_is_published(world: World, dns: NameServer) -> None:
    answer = add_domain(world, "Acme.Example.")
    assert answer.status_code == 201, answer.content
    row = answer.json()
    assert (row["domain"], row["record_name"], row["verified_at"]) == (DOMAIN, DOMAIN, None)
    assert len(row["record_value"]) > 60
    failed = check_domain(world, row["id"]).json()
    assert (failed["ok"], failed["domain"]["verified_at"]) == (False, None)
    assert "Publish it at acme.example" in failed["message"]
    dns.texts[DOMAIN] = ["v=spf1 -all", row["record_value"]]
    passed = check_domain(world, row["id"]).json()
    assert passed["ok"] is True
    assert passed["domain"]["verified_at"] is not None
    (listed,) = world.client("admin").get(PATH).json()["domains"]
    assert listed == passed["domain"]
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(object_kind="verified_domain")
        assert sorted(events.values_list("action", flat=True)) == [
            "verified_domain.add",
            "verified_domain.verify",
        ]
        assert verified_domains.is_in_verified_domain(world.org, f"ada@{DOMAIN}")
        for address in ("ada@sub.acme.example", "ada@xacme.example", f"{DOMAIN}@evil.example"):
            assert not verified_domains.is_in_verified_domain(world.org, address)


def test_members_get_403_and_strangers_cannot_see_or_change_a_domain(
    world: World, stranger: World, dns: NameServer
) -> None:
    pk = add_domain(world).json()["id"]
    for role in ("member", "viewer"):
        client = world.client(role)
        assert client.get(PATH).status_code == 403
        assert client.post(PATH, {"domain": "b.example"}).status_code == 403
        assert client.post(f"{PATH}/{pk}/check", {}).status_code == 403
        assert client.delete(f"{PATH}/{pk}").status_code == 403
    stranger_client = stranger.client("owner")
    assert stranger_client.get(PATH).json() == {"domains": []}
    assert stranger_client.post(f"{PATH}/{pk}/check", {}).status_code == 404
    assert stranger_client.delete(f"{PATH}/{pk}").status_code == 404


def test_a_domain_of_another_org_cannot_be_verified_and_the_message_does_not_name_the_org(
    world: World, stranger: World, dns: NameServer
) -> None:
    verify_domain(world, dns)
    answer = add_domain(stranger)
    assert answer.status_code == 201, "adding the domain does not reveal the other org"
    pk, value = answer.json()["id"], answer.json()["record_value"]
    assert value not in dns.texts[DOMAIN]
    without_record = check_domain(stranger, pk).json()
    assert "no TXT record with this value" in without_record["message"]
    dns.texts[DOMAIN].append(value)
    with_record = check_domain(stranger, pk).json()
    assert (with_record["ok"], with_record["domain"]["verified_at"]) == (False, None)
    assert "another organization has already verified" in with_record["message"]
    for secret in (str(world.org.pk), world.org.slug):
        assert secret not in str(with_record)
    row = domain_row(world)
    assert world.client("owner").delete(f"{PATH}/{row.pk}").status_code == 204
    assert check_domain(stranger, pk).json()["ok"] is True


def test_a_record_verifies_only_its_own_org_and_domain(
    world: World, stranger: World, dns: NameServer
) -> None:
    own_domain, other_domain = (
        add_domain(world).json(),
        add_domain(stranger, "other.example").json(),
    )
    dns.texts[DOMAIN] = [other_domain["record_value"]]
    dns.texts["other.example"] = [own_domain["record_value"]]
    assert check_domain(world, own_domain["id"]).json()["ok"] is False
    assert check_domain(stranger, other_domain["id"]).json()["ok"] is False


def test_a_record_behind_an_alias_does_not_verify_the_domain(world: World, dns: NameServer) -> None:
    row = add_domain(world).json()
    dns.aliases[DOMAIN] = "rented.example"
    dns.texts["rented.example"] = [row["record_value"]]
    assert check_domain(world, row["id"]).json()["ok"] is False


@pytest.mark.parametrize("failure", ["silent", "broken"])
def test_a_domain_stays_verified_when_name_servers_fail(
    world: World, dns: NameServer, failure: str
) -> None:
    pk = verify_domain(world, dns)["id"]
    (dns.silent_names if failure == "silent" else dns.broken_names).add(DOMAIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dns_records, "LOOKUP_SECONDS", 0.3)
        failed = check_domain(world, pk).json()
    assert failed["ok"] is False
    assert "could not be queried" in failed["message"]
    assert failed["domain"]["verified_at"] is not None
    assert failed["domain"]["missing_since"] is None
    assert failed["domain"]["unanswered_since"] is not None


def test_no_transaction_is_open_during_a_dns_query(
    committed_db: None, dns: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    pk = add_domain(world).json()["id"]
    in_transaction: list[bool] = []
    query_txt_records = dns_records.query_txt_records

    def record_transaction(domain: str) -> frozenset[str]:
        in_transaction.append(connection.in_atomic_block)
        return query_txt_records(domain)

    monkeypatch.setattr(dns_records, "query_txt_records", record_transaction)
    assert check_domain(world, pk).status_code == 200
    verify_domain(world, dns, "second.example")
    with world.scope():
        second_domain = VerifiedDomain.objects.for_org(world.org).get(domain="second.example")
    tasks.recheck_domain(org_id=str(world.org.pk), domain_id=str(second_domain.pk))
    assert in_transaction == [False, False, False]


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
def test_an_invalid_domain_is_rejected_with_the_name_of_the_field(
    world: World, domain: str
) -> None:
    answer = add_domain(world, domain)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"] == "domain"


def test_the_domain_of_a_public_mail_provider_is_rejected(world: World) -> None:
    answer = add_domain(world, "GMail.com")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "shared")


def test_an_international_domain_is_stored_in_its_dns_form(world: World, dns: NameServer) -> None:
    row = add_domain(world, "@Bücher.example").json()
    assert row["domain"] == "xn--bcher-kva.example"
    dns.texts["xn--bcher-kva.example"] = [row["record_value"]]
    assert check_domain(world, row["id"]).json()["ok"] is True


def test_adding_a_domain_twice_or_too_many_domains_is_a_conflict(world: World) -> None:
    add_domain(world)
    repeated = add_domain(world, "ACME.example").json()
    assert repeated["code"] == "name_taken"
    assert repeated["detail"].startswith("acme.example is already in your organization's list")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verified_domains, "MAX_DOMAINS", 1)
        assert add_domain(world, "b.example").json()["code"] == "limit_reached"


class TestRecheck:
    def make_recheck_due(self, world: World, **times: Any) -> None:
        with world.scope():
            VerifiedDomain.objects.for_org(world.org).update(
                checked_at=timezone.now() - timedelta(days=2), **times
            )

    def recheck_domains(self) -> int:
        """Recheck the domains that are due. Return their number."""
        count = verified_domains.defer_rechecks()
        mailbox.deliver()
        return count

    def test_a_domain_without_its_record_lapses_after_three_days(
        self, world: World, dns: NameServer
    ) -> None:
        verify_domain(world, dns)
        assert self.recheck_domains() == 0, "the domain was checked today"
        dns.texts.clear()
        self.make_recheck_due(world)
        assert self.recheck_domains() == 1
        row = domain_row(world)
        assert row.verified_at is not None
        assert row.missing_since is not None
        self.make_recheck_due(world, missing_since=timezone.now() - timedelta(days=3))
        assert self.recheck_domains() == 1
        row = domain_row(world)
        assert (row.verified_at, row.missing_since) == (None, None)
        with world.scope():
            (event,) = AuditEvent.objects.for_org(world.org).filter(action="verified_domain.lapse")
            assert event.actor_kind == "system"
        assert self.recheck_domains() == 0

    def test_a_domain_whose_record_returns_in_time_stays_verified(
        self, world: World, dns: NameServer
    ) -> None:
        verify_domain(world, dns)
        self.make_recheck_due(world, missing_since=timezone.now() - timedelta(days=2))
        assert self.recheck_domains() == 1
        row = domain_row(world)
        assert row.verified_at is not None
        assert row.missing_since is None

    def test_a_domain_whose_name_servers_fail_for_two_weeks_lapses(
        self, world: World, dns: NameServer
    ) -> None:
        verify_domain(world, dns)
        dns.broken_names.add(DOMAIN)
        for days, is_verified in ((13, True), (14, False)):
            self.make_recheck_due(world, unanswered_since=timezone.now() - timedelta(days=days))
            assert self.recheck_domains() == 1
            assert (domain_row(world).verified_at is not None) is is_verified
        assert domain_row(world).unanswered_since is None
        with world.scope():
            assert not verified_domains.is_in_verified_domain(world.org, f"ada@{DOMAIN}")
            (event,) = AuditEvent.objects.for_org(world.org).filter(action="verified_domain.lapse")
            assert event.actor_kind == "system"

    @pytest.mark.parametrize("is_published", [True, False])
    def test_one_response_of_the_name_servers_restarts_the_two_weeks(
        self, world: World, dns: NameServer, is_published: bool
    ) -> None:
        verify_domain(world, dns)
        if not is_published:
            dns.texts.clear()
        self.make_recheck_due(world, unanswered_since=timezone.now() - timedelta(days=20))
        assert self.recheck_domains() == 1
        row = domain_row(world)
        assert row.verified_at is not None
        assert row.unanswered_since is None
        assert (row.missing_since is None) is is_published


class TestLoginsOfDomainUsers:
    @pytest.fixture(scope="class")
    def issuer(self) -> Iterator[Issuer]:
        with oidc.running_issuer() as running_issuer:
            yield running_issuer

    @pytest.fixture
    def org_world(self, world: World, issuer: Issuer, dns: NameServer) -> World:
        save_own_provider(world, issuer)
        with world.scope():
            IdentityProvider.objects.for_org(world.org).update(join_role="viewer")
        verify_domain(world, dns)
        return world

    def log_in_to_org(
        self, org_world: World, issuer: Issuer, subject: str, email: str
    ) -> tuple[APIClient, Any]:
        issuer.add_user(subject, email=email, email_verified=True, name="Claimed")
        client = APIClient()
        redirect = start_login(client, "sso", org=org_world.org.slug)
        return client, call_callback(client, issuer.log_in(redirect["Location"], subject))

    def test_new_users_of_the_domain_can_log_in_without_a_mail(
        self, org_world: World, issuer: Issuer
    ) -> None:
        client, _ = self.log_in_to_org(org_world, issuer, "d-new", f"new@{DOMAIN}")
        session = refresh_session(client)
        assert (session["organization"]["role"], session["user"]["name"]) == ("viewer", "Claimed")
        assert mailbox.deliver() == []
        user = User.objects.get(email=f"new@{DOMAIN}")
        assert user.email_verified_at is None, "nobody has proven access to the mailbox"
        body = {"email": user.email, "password": PASSWORD, "organization_name": "Mine"}
        assert APIClient().post("/api/v1/auth/register", body).status_code == 202
        (message,) = mailbox.deliver()
        reset = {"token": mailbox.read_link(message)[1], "password": PASSWORD}
        assert APIClient().post("/api/v1/auth/password/reset", reset).status_code == 204

    def test_a_user_with_an_account_joins_without_revealing_its_data(
        self, org_world: World, issuer: Issuer
    ) -> None:
        ada = User.objects.create_user(
            email=f"ada@{DOMAIN}", password=PASSWORD, name="Real", email_verified_at=timezone.now()
        )
        client, _ = self.log_in_to_org(org_world, issuer, "d-ada", ada.email)
        user = refresh_session(client)["user"]
        assert (user["id"], user["name"]) == (str(ada.pk), "Claimed")
        assert (user["has_password"], user["email_verified"]) == (None, None)

    def test_an_unverified_account_with_the_address_cannot_be_used(
        self, org_world: World, issuer: Issuer
    ) -> None:
        User.objects.create_user(email=f"pre@{DOMAIN}", password=PASSWORD)
        _, answer = self.log_in_to_org(org_world, issuer, "d-pre", f"pre@{DOMAIN}")
        assert login_problem(answer) == "confirm_first"

    @pytest.mark.parametrize("email", ["new@sub.acme.example", "new@other.example"])
    def test_users_of_other_domains_must_consent_first(
        self, org_world: World, issuer: Issuer, email: str
    ) -> None:
        _, answer = self.log_in_to_org(org_world, issuer, f"d-{email}", email)
        assert login_problem(answer) == "consent_needed"

    def test_users_of_a_domain_that_is_not_verified_must_consent_first(
        self, org_world: World, issuer: Issuer, dns: NameServer
    ) -> None:
        with org_world.scope():
            VerifiedDomain.objects.for_org(org_world.org).update(verified_at=None)
        _, answer = self.log_in_to_org(org_world, issuer, "d-lost", f"lost@{DOMAIN}")
        assert login_problem(answer) == "consent_needed"

    def test_a_domain_that_another_org_verified_has_no_effect(
        self, org_world: World, issuer: Issuer, stranger: World
    ) -> None:
        save_own_provider(stranger, issuer)
        with stranger.scope():
            IdentityProvider.objects.for_org(stranger.org).update(join_role="viewer")
        _, answer = self.log_in_to_org(stranger, issuer, "d-stranger", f"new@{DOMAIN}")
        assert login_problem(answer) == "consent_needed"
        with stranger.scope():
            members = Membership.objects.for_org(stranger.org)
            assert not members.filter(user__email__endswith=f"@{DOMAIN}").exists()

    def test_a_provisioned_user_of_the_domain_joins_without_a_mail(
        self, org_world: World, issuer: Issuer
    ) -> None:
        directory = directory_client(org_world)
        for email in (f"grace@{DOMAIN}", "grace@other.example"):
            assert add_user(directory, email, externalId=email).status_code == 201
        assert [message.to for message in mailbox.deliver()] == [["grace@other.example"]]
        client, _ = self.log_in_to_org(org_world, issuer, "d-grace", f"grace@{DOMAIN}")
        assert refresh_session(client)["organization"]["role"] == "viewer"

    def test_a_provisioned_user_is_invited_by_mail_while_the_provider_is_disabled(
        self, org_world: World, issuer: Issuer
    ) -> None:
        with org_world.scope():
            IdentityProvider.objects.for_org(org_world.org).update(enabled=False)
        assert add_user(directory_client(org_world), f"grace@{DOMAIN}").status_code == 201
        assert [message.to for message in mailbox.deliver()] == [[f"grace@{DOMAIN}"]]


def test_name_servers_can_be_configured_with_and_without_a_port(
    world: World, dns: NameServer
) -> None:
    for servers, expected in (
        (["192.0.2.1", "[2001:db8::1]:5353"], ["Do53:192.0.2.1@53", "Do53:2001:db8::1@5353"]),
        ([dns.address], [f"Do53:{dns.address.replace(':', '@')}"]),
    ):
        with override_settings(DNS_SERVERS=servers):
            assert [
                str(server) for server in dns_records._create_resolver().nameservers
            ] == expected
    assert [dns.address] == settings.DNS_SERVERS
