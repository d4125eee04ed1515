"""Logins with a real OpenID Connect server: a provider of the installation, and an org's own provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.socialaccount.models import SocialAccount
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from apps.auth import accounts, factors, sessions
from apps.auth.exceptions import PendingLoginExpired
from apps.auth.models import RefreshFamily, User
from apps.orgs.exceptions import PermissionMissing
from apps.orgs.models import AuditEvent, FederatedIdentity, IdentityProvider, Membership
from apps.orgs.roles import Role
from apps.orgs.sign_in import own_provider
from tests import mailbox
from tests.isolation.planted import principal
from tests.orgs.scim.test_scim import add_user, directory_client, send_patch
from tests.orgs.sign_in import issuer as oidc
from tests.orgs.sign_in.issuer import Issuer, call_callback, log_in, start_login
from tests.orgs.test_invitations import invitation_secret
from tests.world import World, client_for, make_user, make_world

PASSWORD = "correct horse battery staple"
CSRF_HEADER: dict[str, Any] = {"HTTP_X_REQUESTED_WITH": "drover"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with oidc.running_issuer() as running_issuer:
        yield running_issuer


@pytest.fixture
def installation_provider(issuer: Issuer, db: None) -> Iterator[Issuer]:
    """Configure the issuer as an identity provider of the installation."""
    fields = {
        "kind": "openid_connect",
        "label": "Acme ID",
        "client_id": "drover",
        "secret": "s" * 20,
    }
    with override_settings(IDENTITY_PROVIDERS={"oidc": {**fields, "issuer": issuer.url}}):
        yield issuer


def login_problem(answer: Any) -> str:
    """Return the problem in the URL of the login page to which the response redirects."""
    assert answer.status_code == 302, answer.content
    url = urlsplit(answer["Location"])
    assert url.path == "/login", answer["Location"]
    (code,) = parse_qs(url.query)["problem"]
    return str(code)


def refresh_session(client: APIClient) -> Any:
    """Refresh the session of this client. Return the response with the user and the org."""
    answer = client.post("/api/v1/auth/refresh", {}, **CSRF_HEADER)
    assert answer.status_code == 200, answer.content
    return answer.json()


class TestInstallationProvider:
    def test_the_login_page_lists_the_providers(self, installation_provider: Issuer) -> None:
        answer = APIClient().get("/api/v1/auth/providers")
        assert answer.json() == {"providers": [{"id": "oidc", "name": "Acme ID"}]}

    def test_a_new_user_gets_an_account_and_an_organization(
        self, installation_provider: Issuer
    ) -> None:
        installation_provider.add_user(
            "ada", email="Ada@Example.com", email_verified=True, name="Ada L."
        )
        client = APIClient()
        answer = log_in(client, installation_provider, "oidc", "ada", next="/runs")
        assert answer["Location"].startswith("/welcome#")
        assert parse_qs(urlsplit(answer["Location"]).fragment)["next"] == ["/runs"]
        session = refresh_session(client)
        assert session["user"]["email"] == "ada@example.com"
        assert session["user"]["email_verified"] is True
        assert session["user"]["has_password"] is False
        assert session["organization"]["role"] == "owner"
        second_client = APIClient()
        log_in(second_client, installation_provider, "oidc", "ada")
        assert refresh_session(second_client)["user"]["id"] == session["user"]["id"]
        assert SocialAccount.objects.get().extra_data == {}

    def test_a_verified_address_alone_does_not_log_in_to_an_existing_account(
        self, installation_provider: Issuer
    ) -> None:
        User.objects.create_user(email="grace@example.com", password=PASSWORD)
        installation_provider.add_user("grace", email="grace@example.com", email_verified=True)
        client = APIClient()
        assert login_problem(log_in(client, installation_provider, "oidc", "grace")) == "link_first"
        assert "drover_refresh" not in client.cookies

    @pytest.mark.parametrize(
        ("claims", "code"),
        [({}, "email_missing"), ({"email": "x@example.com"}, "email_not_verified")],
    )
    def test_an_unverified_address_creates_no_account(
        self, installation_provider: Issuer, claims: dict[str, Any], code: str
    ) -> None:
        installation_provider.add_user(f"unverified-{code}", **claims)
        answer = log_in(APIClient(), installation_provider, "oidc", f"unverified-{code}")
        assert login_problem(answer) == code
        assert not User.objects.exists()

    def test_a_user_can_link_a_provider_log_in_with_it_and_unlink_it(
        self, installation_provider: Issuer
    ) -> None:
        grace = User.objects.create_user(email="grace@example.com", password=PASSWORD)
        installation_provider.add_user("grace2", email="other@example.com", email_verified=True)
        client = client_for(grace, make_world().org)
        path = "/api/v1/auth/links/oidc"
        assert client.post(path, {"current_password": "wrong"}).status_code == 422
        location = client.post(path, {"current_password": PASSWORD}).json()["location"]
        answer = call_callback(client, installation_provider.log_in(location, "grace2"))
        assert answer["Location"] == "/settings/account"
        (notice,) = mailbox.deliver()
        assert notice.to == ["grace@example.com"]
        other_client = APIClient()
        log_in(other_client, installation_provider, "oidc", "grace2")
        assert refresh_session(other_client)["user"]["email"] == "grace@example.com"
        links = client.get("/api/v1/auth/links").json()["links"]
        assert [link["provider"] for link in links] == ["oidc"]
        assert client.post(f"{path}/remove", {"current_password": PASSWORD}).status_code == 204
        assert client.get("/api/v1/auth/links").json() == {"links": []}

    @pytest.mark.parametrize("change", ["password", "sessions", "session", "deactivated"])
    def test_linking_fails_if_the_session_ended_or_the_account_changed_meanwhile(
        self, installation_provider: Issuer, change: str
    ) -> None:
        """An attacker starts linking in an open session. The user then ends the session or changes the password."""
        grace = User.objects.create_user(email="grace@example.com", password=PASSWORD)
        installation_provider.add_user("late", email="late@example.com", email_verified=True)
        client = client_for(grace, make_world().org)
        answer = client.post("/api/v1/auth/links/oidc", {"current_password": PASSWORD})
        callback_url = installation_provider.log_in(answer.json()["location"], "late")
        if change == "password":
            accounts.change_password(user=grace, password="staple battery", keep_session=None)
        elif change == "sessions":
            sessions.end_all(grace.pk, reason="logged out everywhere")
        elif change == "session":
            sessions.end(RefreshFamily.objects.get(user=grace).pk, reason="logout")
        else:
            User.objects.filter(pk=grace.pk).update(is_active=False)
        assert login_problem(call_callback(client, callback_url)) == "linking_expired"
        assert not SocialAccount.objects.exists()

    def test_a_login_that_waits_for_a_second_factor_fails_once_the_provider_is_unlinked(
        self, installation_provider: Issuer
    ) -> None:
        grace = User.objects.create_user(email="grace@example.com", password=PASSWORD)
        SocialAccount.objects.create(user=grace, provider="oidc", uid="half")
        codes = set_up_second_factor(grace)
        client = client_for(grace, make_world().org)
        installation_provider.add_user("half", email="grace@example.com", email_verified=True)
        login_url = log_in(APIClient(), installation_provider, "oidc", "half")["Location"]
        challenge = parse_qs(urlsplit(login_url).fragment)["second_factor"][0]
        unlinked = client.post("/api/v1/auth/links/oidc/remove", {"current_password": PASSWORD})
        assert unlinked.status_code == 204
        body = {"challenge": challenge, "mfa_code": codes[0]}
        refused = APIClient().post("/api/v1/auth/login/continue", body)
        assert (refused.status_code, refused.json()["detail"]) == (401, str(PendingLoginExpired()))

    def test_an_identity_cannot_be_linked_to_a_second_account(
        self, installation_provider: Issuer
    ) -> None:
        installation_provider.add_user("shared", email="ada3@example.com", email_verified=True)
        log_in(APIClient(), installation_provider, "oidc", "shared")
        grace = User.objects.create_user(email="grace@example.com", password=PASSWORD)
        client = client_for(grace, make_world().org)
        body = {"current_password": PASSWORD}
        location = client.post("/api/v1/auth/links/oidc", body).json()["location"]
        answer = call_callback(client, installation_provider.log_in(location, "shared"))
        assert login_problem(answer) == "linked_elsewhere"

    def test_the_only_login_method_of_an_account_cannot_be_removed(
        self, installation_provider: Issuer
    ) -> None:
        installation_provider.add_user("only", email="only@example.com", email_verified=True)
        client = APIClient()
        log_in(client, installation_provider, "oidc", "only")
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {refresh_session(client)['access']}")
        answer = client.post("/api/v1/auth/links/oidc/remove", {"current_password": ""})
        assert (answer.status_code, answer.json()["code"]) == (409, "last_way_in")

    def test_an_invited_user_joins_only_the_org_of_the_invitation(
        self, installation_provider: Issuer, world: World
    ) -> None:
        installation_provider.add_user("invited", email="invited@example.com", email_verified=True)
        secret = invitation_secret(world, email="invited@example.com")
        client = APIClient()
        log_in(client, installation_provider, "oidc", "invited", invitation=secret)
        session = refresh_session(client)
        assert [org["id"] for org in session["organizations"]] == [str(world.org.pk)]
        assert session["organization"]["role"] == "member"

    def test_a_login_with_a_provider_still_requires_the_second_factor(
        self, installation_provider: Issuer
    ) -> None:
        grace = User.objects.create_user(email="grace@example.com", password=PASSWORD)
        SocialAccount.objects.create(user=grace, provider="oidc", uid="factor")
        installation_provider.add_user("factor", email="grace@example.com", email_verified=True)
        codes = set_up_second_factor(grace)
        client = APIClient()
        answer = log_in(client, installation_provider, "oidc", "factor")
        login_url = urlsplit(answer["Location"])
        assert login_url.path == "/login"
        assert "drover_refresh" not in client.cookies
        challenge = parse_qs(login_url.fragment)["second_factor"][0]
        path = "/api/v1/auth/login/continue"
        rejected = client.post(path, {"challenge": challenge, "mfa_code": "000000"})
        assert rejected.json()["code"] == "wrong_code"
        accepted = client.post(path, {"challenge": challenge, "mfa_code": codes[0]})
        assert accepted.status_code == 200, accepted.content
        assert accepted.json()["user"]["second_factor"] is True
        repeated = client.post(path, {"challenge": challenge, "mfa_code": codes[1]})
        assert repeated.status_code == 401

    def test_a_callback_with_the_state_of_another_browser_is_rejected(
        self, installation_provider: Issuer
    ) -> None:
        """An attacker must not be able to log a victim in by sending the callback URL of the attacker's own login."""
        installation_provider.add_user("eve", email="eve@example.com", email_verified=True)
        attacker, victim = APIClient(), APIClient()
        callback_url = installation_provider.log_in(
            start_login(attacker, "oidc")["Location"], "eve"
        )
        assert login_problem(call_callback(victim, callback_url)) == "provider_failed"
        assert not User.objects.filter(email="eve@example.com").exists()

    def test_a_callback_works_only_once(self, installation_provider: Issuer) -> None:
        installation_provider.add_user("twice", email="twice@example.com", email_verified=True)
        client = APIClient()
        callback_url = installation_provider.log_in(
            start_login(client, "oidc")["Location"], "twice"
        )
        cookie = client.cookies["drover_provider"].value
        assert call_callback(client, callback_url)["Location"].startswith("/welcome")
        client.cookies["drover_provider"] = cookie
        assert login_problem(call_callback(client, callback_url)) == "provider_failed"

    def test_a_login_uses_pkce_and_a_state(self, installation_provider: Issuer) -> None:
        query = parse_qs(urlsplit(start_login(APIClient(), "oidc")["Location"]).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["state"][0]

    def test_a_cancelled_login_is_reported_as_cancelled(
        self, installation_provider: Issuer
    ) -> None:
        client = APIClient()
        callback_url = installation_provider.deny(start_login(client, "oidc")["Location"])
        assert login_problem(call_callback(client, callback_url)) == "cancelled"

    @pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil", "x"])
    def test_a_login_never_redirects_to_another_site(
        self, installation_provider: Issuer, target: str
    ) -> None:
        installation_provider.add_user(
            "redirected", email="redirected@example.com", email_verified=True
        )
        answer = log_in(APIClient(), installation_provider, "oidc", "redirected", next=target)
        assert "evil" not in answer["Location"]

    @pytest.mark.parametrize("provider", ["google", "nobody", "sso", "org-x", f"org-{'0' * 32}"])
    def test_an_unknown_provider_is_reported_on_the_login_page(
        self, db: None, provider: str
    ) -> None:
        assert (
            login_problem(start_login(APIClient(), provider, org="no-such")) == "provider_unknown"
        )
        callback = APIClient().get(f"/api/v1/auth/{provider}/callback", {"code": "x", "state": "y"})
        assert login_problem(callback) in {"provider_unknown", "provider_failed"}


def set_up_second_factor(user: User) -> list[str]:
    """Set up an authenticator app for the user. Return the recovery codes."""
    TOTP.activate(user, generate_totp_secret())
    return list(RecoveryCodes.activate(user).generate_codes())


def save_own_provider(world: World, issuer: Issuer) -> None:
    """Save the issuer as the org's own identity provider."""
    with world.scope():
        own_provider.save_provider(
            org=world.org,
            by=principal(world, Role.OWNER),
            fields={
                "issuer": issuer.url,
                "client_id": "drover",
                "client_secret": "a secret of the issuer",
                "join_role": "",
                "enabled": True,
            },
        )


def test_an_admin_may_neither_save_nor_remove_the_provider(world: World) -> None:
    """The actions check the permission themselves, for callers that are not views."""
    with world.scope():
        admin = principal(world, Role.ADMIN)
        with pytest.raises(PermissionMissing):
            own_provider.save_provider(
                org=world.org,
                by=admin,
                fields={
                    "issuer": "https://login.example.com",
                    "client_id": "drover",
                    "client_secret": "a secret",
                    "join_role": "",
                    "enabled": True,
                },
            )
        with pytest.raises(PermissionMissing):
            own_provider.remove_provider(org=world.org, by=admin, match=None)


class TestOrgProvider:
    @pytest.fixture
    def org_world(self, world: World, issuer: Issuer) -> World:
        save_own_provider(world, issuer)
        return world

    def log_in_to_org(
        self, org_world: World, issuer: Issuer, subject: str
    ) -> tuple[APIClient, Any]:
        client = APIClient()
        redirect = start_login(client, "sso", org=org_world.org.slug)
        assert redirect["Location"].startswith(issuer.url), redirect["Location"]
        return client, call_callback(client, issuer.log_in(redirect["Location"], subject))

    def test_a_member_is_found_by_address_first_and_by_subject_later(
        self, org_world: World, issuer: Issuer
    ) -> None:
        admin = org_world.users[Role.ADMIN]
        issuer.add_user("a1", email=admin.email, email_verified=True)
        client, _ = self.log_in_to_org(org_world, issuer, "a1")
        session = refresh_session(client)
        assert (session["user"]["id"], session["organization"]["role"]) == (str(admin.pk), "admin")
        assert session["user"]["limited"] is True
        issuer.add_user("a1", email="changed@example.com", email_verified=True)
        client, _ = self.log_in_to_org(org_world, issuer, "a1")
        assert refresh_session(client)["user"]["id"] == str(admin.pk)
        with org_world.scope():
            events = AuditEvent.objects.for_org(org_world.org)
            assert events.filter(action="identity_provider.link").count() == 1

    def test_a_session_of_an_org_provider_gives_no_access_to_other_orgs_or_the_account(
        self, org_world: World, issuer: Issuer, stranger: World
    ) -> None:
        """The owner of one org chooses the issuer, so Drover must not trust it in another org."""
        victim = stranger.users[Role.OWNER]
        with org_world.scope():
            Membership.unscoped.create(org=org_world.org, user=victim, role=Role.VIEWER)
        issuer.add_user("v1", email=victim.email, email_verified=True)
        client, _ = self.log_in_to_org(org_world, issuer, "v1")
        session = refresh_session(client)
        assert [org["id"] for org in session["organizations"]] == [str(org_world.org.pk)]
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {session['access']}")
        switch = client.post("/api/v1/auth/switch", {"org": str(stranger.org.pk)})
        assert switch.status_code == 404
        refreshed = client.post(
            "/api/v1/auth/refresh", {"org": str(stranger.org.pk)}, **CSRF_HEADER
        )
        assert refreshed.status_code == 404
        for path in ("password/change", "email/change", "factors/totp", "links/oidc"):
            refused = client.post(f"/api/v1/auth/{path}", {"current_password": ""})
            assert refused.json()["code"] == "session_limited", path

    def test_a_user_who_is_not_a_member_cannot_log_in(
        self, org_world: World, issuer: Issuer
    ) -> None:
        issuer.add_user("s1", email="somebody@example.com", email_verified=True)
        client, answer = self.log_in_to_org(org_world, issuer, "s1")
        assert login_problem(answer) == "not_a_member"
        assert "drover_refresh" not in client.cookies
        assert not User.objects.filter(email="somebody@example.com").exists()

    def log_in_with_mailed_link(self, org_world: World, issuer: Issuer, subject: str) -> APIClient:
        """Open the mailed link and log in with the issuer."""
        (message,) = [m for m in mailbox.deliver() if "invites you" in m.body]
        secret = mailbox.read_link(message)[1]
        invitation = APIClient().post("/api/v1/invitations/show", {"token": secret}).json()
        client = APIClient()
        redirect = start_login(client, "sso", org=invitation["single_sign_on"], invitation=secret)
        answer = call_callback(client, issuer.log_in(redirect["Location"], subject))
        assert answer["Location"].startswith("/welcome#"), answer["Location"]
        return client

    def accept_every_user(self, org_world: World, role: str = "viewer") -> None:
        with org_world.scope():
            IdentityProvider.objects.for_org(org_world.org).update(join_role=role)

    @pytest.mark.parametrize("reason", ["every user is accepted", "invited", "provisioned"])
    def test_a_new_user_joins_only_with_the_mailed_link(
        self, org_world: World, issuer: Issuer, reason: str
    ) -> None:
        if reason == "every user is accepted":
            self.accept_every_user(org_world)
        elif reason == "invited":
            org_world.client("admin").post(
                "/api/v1/org/invitations", {"email": "new@example.com", "role": "member"}
            )
        else:
            assert add_user(directory_client(org_world), "new@example.com").status_code == 201
        issuer.add_user(f"n-{reason}", email="new@example.com", email_verified=True, name="New")
        client, answer = self.log_in_to_org(org_world, issuer, f"n-{reason}")
        assert login_problem(answer) == "consent_needed"
        assert "drover_refresh" not in client.cookies
        assert not User.objects.filter(email="new@example.com").exists()
        session = refresh_session(self.log_in_with_mailed_link(org_world, issuer, f"n-{reason}"))
        role = "member" if reason == "invited" else "viewer"
        assert (session["organization"]["role"], session["user"]["name"]) == (role, "New")
        user = User.objects.get(email="new@example.com")
        assert user.email_verified_at is not None
        assert not user.has_usable_password()
        client, _ = self.log_in_to_org(org_world, issuer, f"n-{reason}")
        assert refresh_session(client)["user"]["id"] == str(user.pk)
        assert org_world.client("admin").get("/api/v1/org/invitations").json()["count"] == 0

    def test_an_issuer_cannot_find_out_who_has_an_account_or_add_members(
        self, org_world: World, issuer: Issuer, stranger: World
    ) -> None:
        """The issuer claims addresses of other people. Addresses with and without an account get the same response,
        nobody becomes a member, and the address can still be registered.
        """
        self.accept_every_user(org_world, "member")
        victim = stranger.users[Role.OWNER]
        victim.set_password(PASSWORD)
        victim.name = "Real Name"
        victim.save()
        responses = []
        for number, email in enumerate((victim.email, "nobody@example.org")):
            issuer.add_user(f"l{number}", email=email, email_verified=True, name="Claimed")
            client, answer = self.log_in_to_org(org_world, issuer, f"l{number}")
            responses.append((answer.status_code, answer["Location"], sorted(client.cookies)))
            with org_world.scope():
                members = Membership.objects.for_org(org_world.org)
                assert not members.filter(user__email=email).exists()
        assert responses[0] == responses[1]
        assert not User.objects.filter(email="nobody@example.org").exists()
        body = {
            "email": "nobody@example.org",
            "password": PASSWORD,
            "organization_name": "My own",
        }
        assert APIClient().post("/api/v1/auth/register", body).status_code == 201
        recipients = [m.to for m in mailbox.deliver() if "invites you" in m.body]
        assert recipients == [[victim.email], ["nobody@example.org"]]

    def test_a_session_of_an_org_provider_shows_its_claims_and_no_data_of_the_account(
        self, org_world: World, issuer: Issuer
    ) -> None:
        """An API key that is created in the session does not show data of the account either."""
        admin = org_world.users[Role.ADMIN]
        admin.name = "Real Name"
        admin.email_verified_at = timezone.now()
        admin.save()
        issuer.add_user("p1", email=admin.email, email_verified=True, name="Claimed")
        client, _ = self.log_in_to_org(org_world, issuer, "p1")
        session = refresh_session(client)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {session['access']}")
        User.objects.filter(pk=admin.pk).update(email="moved@example.org")
        for answer in (session, client.get("/api/v1/auth/me").json()):
            user = answer["user"]
            assert (user["email"], user["name"]) == (admin.email, "Claimed")
            assert (user["email_verified"], user["has_password"]) == (None, None)
        created = client.post("/api/v1/org/api-keys", {"name": "mine", "role": "viewer"})
        assert created.status_code == 201, created.content
        key_client = APIClient()
        key_client.credentials(HTTP_AUTHORIZATION=f"Bearer {created.json()['key']}")
        user = key_client.get("/api/v1/auth/me").json()["user"]
        assert (user["email_verified"], user["has_password"]) == (None, None)

    def test_an_invitation_to_another_address_or_org_does_not_count_as_consent(
        self, org_world: World, issuer: Issuer, stranger: World
    ) -> None:
        self.accept_every_user(org_world)
        victim = stranger.users[Role.OWNER]
        issuer.add_user("x1", email=victim.email, email_verified=True)
        secrets = [
            invitation_secret(org_world, email="mine@example.com"),
            invitation_secret(stranger, email=f"also-{victim.email}"),
        ]
        for secret in secrets:
            client = APIClient()
            redirect = start_login(client, "sso", org=org_world.org.slug, invitation=secret)
            answer = call_callback(client, issuer.log_in(redirect["Location"], "x1"))
            assert login_problem(answer) == "consent_needed"

    def test_an_unverified_account_with_the_address_gets_no_membership(
        self, org_world: World, issuer: Issuer
    ) -> None:
        """An attacker registered the address without verifying it, and knows the password of the account."""
        User.objects.create_user(email="new@example.com", password=PASSWORD)
        self.accept_every_user(org_world)
        issuer.add_user("pre", email="new@example.com", email_verified=True)
        assert login_problem(self.log_in_to_org(org_world, issuer, "pre")[1]) == "consent_needed"
        (message,) = mailbox.deliver()
        client = APIClient()
        redirect = start_login(
            client, "sso", org=org_world.org.slug, invitation=mailbox.read_link(message)[1]
        )
        answer = call_callback(client, issuer.log_in(redirect["Location"], "pre"))
        assert login_problem(answer) == "confirm_first"

    def test_repeated_logins_send_one_mail(self, org_world: World, issuer: Issuer) -> None:
        self.accept_every_user(org_world)
        issuer.add_user("again", email="new@example.com", email_verified=True)
        for _ in range(3):
            assert (
                login_problem(self.log_in_to_org(org_world, issuer, "again")[1]) == "consent_needed"
            )
        assert len(mailbox.deliver()) == 1

    def test_a_new_issuer_removes_identities_and_sessions_of_the_previous_issuer(
        self, org_world: World, issuer: Issuer
    ) -> None:
        issuer.add_user("i1", email=org_world.users[Role.ADMIN].email, email_verified=True)
        client, _ = self.log_in_to_org(org_world, issuer, "i1")
        body = {"client_id": "x", "client_secret": "y" * 12}
        changed = org_world.client("owner").put(
            "/api/v1/org/identity-provider", {**body, "issuer": "https://other.example.com"}
        )
        assert changed.status_code == 200, changed.content
        with org_world.scope():
            assert not FederatedIdentity.objects.for_org(org_world.org).exists()
        assert client.post("/api/v1/auth/refresh", {}, **CSRF_HEADER).status_code == 401

    def test_a_user_whom_the_directory_deactivated_cannot_log_in_again(
        self, org_world: World, issuer: Issuer
    ) -> None:
        """The user cannot log in although the org accepts every user of the issuer."""
        self.accept_every_user(org_world)
        directory = directory_client(org_world)
        pk = add_user(directory, "grace@example.com").json()["id"]
        issuer.add_user("d1", email="grace@example.com", email_verified=True)
        assert (
            refresh_session(self.log_in_with_mailed_link(org_world, issuer, "d1"))["organization"][
                "role"
            ]
            == "viewer"
        )
        deactivation = {"op": "replace", "path": "active", "value": False}
        assert send_patch(directory, f"Users/{pk}", deactivation).status_code == 200
        _, answer = self.log_in_to_org(org_world, issuer, "d1")
        assert login_problem(answer) == "not_a_member"

    def test_an_unverified_address_does_not_log_in_as_a_member(
        self, org_world: World, issuer: Issuer
    ) -> None:
        issuer.add_user("u1", email=org_world.users[Role.ADMIN].email)
        assert login_problem(self.log_in_to_org(org_world, issuer, "u1")[1]) == "email_not_verified"

    def test_a_second_subject_with_the_same_address_cannot_log_in(
        self, org_world: World, issuer: Issuer
    ) -> None:
        email = org_world.users[Role.ADMIN].email
        for subject in ("first", "second"):
            issuer.add_user(subject, email=email, email_verified=True)
        self.log_in_to_org(org_world, issuer, "first")
        assert login_problem(self.log_in_to_org(org_world, issuer, "second")[1]) == "member_linked"

    def test_removing_a_member_removes_their_identity_and_access(
        self, org_world: World, issuer: Issuer
    ) -> None:
        admin = org_world.users[Role.ADMIN]
        issuer.add_user("r1", email=admin.email, email_verified=True)
        client, _ = self.log_in_to_org(org_world, issuer, "r1")
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {refresh_session(client)['access']}")
        with org_world.scope():
            Membership.objects.for_org(org_world.org).filter(user=admin).delete()
            assert not FederatedIdentity.objects.for_org(org_world.org).exists()
        assert client.get("/api/v1/org").status_code == 401
        assert login_problem(self.log_in_to_org(org_world, issuer, "r1")[1]) == "not_a_member"

    def test_requiring_single_sign_on_needs_a_provider_and_blocks_other_sessions(
        self, org_world: World, issuer: Issuer, stranger: World
    ) -> None:
        refused = stranger.client("owner").patch("/api/v1/org", {"require_sso": True})
        assert refused.json()["errors"][0]["code"] == "no_provider"
        assert (
            org_world.client("owner").patch("/api/v1/org", {"require_sso": True}).status_code == 200
        )
        blocked = org_world.client("admin").get("/api/v1/org")
        assert (blocked.status_code, blocked.json()["code"]) == (403, "sso_required")
        issuer.add_user("q1", email=org_world.users[Role.ADMIN].email, email_verified=True)
        client, _ = self.log_in_to_org(org_world, issuer, "q1")
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {refresh_session(client)['access']}")
        assert client.get("/api/v1/org").status_code == 200
        removal = org_world.client("owner").delete("/api/v1/org/identity-provider")
        assert removal.json()["code"] == "sso_required"

    def test_a_disabled_provider_cannot_be_used(self, org_world: World, issuer: Issuer) -> None:
        with org_world.scope():
            IdentityProvider.objects.for_org(org_world.org).update(enabled=False)
        assert (
            login_problem(start_login(APIClient(), "sso", org=org_world.org.slug))
            == "provider_unknown"
        )
        assert (
            login_problem(start_login(APIClient(), f"org-{org_world.org.pk}")) == "provider_unknown"
        )

    def test_the_client_secret_is_encrypted_never_returned_and_required_for_a_new_issuer(
        self, org_world: World
    ) -> None:
        client, path = org_world.client("owner"), "/api/v1/org/identity-provider"
        answer = client.get(path)
        assert answer.json()["client_secret"] == {"set": True, "last4": "suer"}
        assert b"a secret of the issuer" not in answer.content
        body = {"issuer": answer.json()["issuer"], "client_id": "other"}
        assert client.put(path, body).json()["client_secret"]["set"] is True
        rejected = client.put(path, {**body, "issuer": "https://evil.example"})
        assert rejected.json()["errors"][0]["field"] == "client_secret"
        with org_world.scope():
            row = IdentityProvider.objects.for_org(org_world.org).get()
            assert "a secret of the issuer" not in row.sealed
            events = AuditEvent.objects.for_org(org_world.org).filter(
                object_kind="identity_provider"
            )
            assert "a secret of the issuer" not in str(list(events.values()))

    def test_owners_may_save_the_provider_admins_may_read_it_and_members_may_not(
        self, org_world: World
    ) -> None:
        path = "/api/v1/org/identity-provider"
        body = {"issuer": "https://x.example", "client_id": "x", "client_secret": "y"}
        assert org_world.client("admin").get(path).status_code == 200
        assert org_world.client("admin").put(path, body).status_code == 403
        assert org_world.client("member").get(path).status_code == 403
        answer_without_provider = make_world().client("owner").get(path)
        assert (answer_without_provider.status_code, answer_without_provider.content) == (204, b"")

    def test_a_provider_that_was_changed_meanwhile_is_not_replaced(self, org_world: World) -> None:
        client, path = org_world.client("owner"), "/api/v1/org/identity-provider"
        shown = client.get(path)
        version, body = shown.headers["ETag"], {"issuer": shown.json()["issuer"]}
        changed = client.put(path, {**body, "client_id": "other"}, HTTP_IF_MATCH=version)
        assert changed.status_code == 200
        for old in (version, '"none"'):
            stale = client.put(path, {**body, "client_id": "mine"}, HTTP_IF_MATCH=old)
            assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
        assert client.delete(path, HTTP_IF_MATCH=version).status_code == 412
        assert client.get(path).json()["client_id"] == "other"
        assert client.delete(path, HTTP_IF_MATCH=changed.headers["ETag"]).status_code == 204
        assert client.get(path).headers["ETag"] == '"none"'

    def test_the_version_of_another_orgs_provider_is_not_accepted(self, org_world: World) -> None:
        path = "/api/v1/org/identity-provider"
        version = org_world.client("owner").get(path).headers["ETag"]
        body = {"issuer": "https://x.example", "client_id": "x", "client_secret": "y"}
        stranger = make_world().client("owner")
        assert stranger.put(path, body, HTTP_IF_MATCH=version).status_code == 412
        assert stranger.delete(path, HTTP_IF_MATCH=version).status_code == 404

    def test_an_admin_with_the_current_version_may_not_change_the_provider(
        self, org_world: World
    ) -> None:
        client, path = org_world.client("admin"), "/api/v1/org/identity-provider"
        version = client.get(path).headers["ETag"]
        body = {"issuer": "https://x.example", "client_id": "x", "client_secret": "y"}
        assert client.put(path, body, HTTP_IF_MATCH=version).status_code == 403
        assert client.delete(path, HTTP_IF_MATCH=version).status_code == 403

    @pytest.mark.parametrize(
        "address",
        ["ftp://x.example", "https://u:p@x.example", "https://", "javascript:alert(1)", "x"],
    )
    def test_an_invalid_issuer_is_rejected_with_the_name_of_the_field(
        self, world: World, address: str
    ) -> None:
        body = {"issuer": address, "client_id": "x", "client_secret": "y"}
        answer = world.client("owner").put("/api/v1/org/identity-provider", body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "issuer"

    def test_no_request_is_sent_to_an_issuer_on_a_private_network_unless_that_is_allowed(
        self, org_world: World
    ) -> None:
        with override_settings(ALLOW_PRIVATE_NETWORKS=False):
            answer = start_login(APIClient(), "sso", org=org_world.org.slug)
            assert login_problem(answer) == "provider_failed"

    def test_a_check_of_an_issuer_reports_each_step(self, world: World, issuer: Issuer) -> None:
        client, path = world.client("owner"), "/api/v1/org/identity-provider/check"
        valid = client.post(path, {"issuer": issuer.url}).json()
        assert valid["ok"] is True
        other_url = issuer.url.replace("localhost", "127.0.0.1")
        results = {
            s["step"]: s["ok"] for s in client.post(path, {"issuer": other_url}).json()["steps"]
        }
        assert results["discovery"] is True
        unreachable = client.post(path, {"issuer": "http://localhost:1"}).json()
        assert (unreachable["ok"], unreachable["steps"][0]["step"]) == (False, "discovery")


def test_a_session_stores_the_login_method(installation_provider: Issuer) -> None:
    installation_provider.add_user("how", email="how@example.com", email_verified=True)
    log_in(APIClient(), installation_provider, "oidc", "how")
    assert RefreshFamily.objects.get().method == "oidc"


def test_a_new_user_has_no_second_factor(db: None) -> None:
    assert factors.load_factors(make_user()).has_any is False
