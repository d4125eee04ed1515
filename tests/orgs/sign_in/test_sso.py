"""Identity providers against a real OpenID Connect server: the installation's, and an org's own."""

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
from apps.auth.models import RefreshFamily, User
from apps.orgs.exceptions import PermissionMissing
from apps.orgs.models import AuditEvent, FederatedIdentity, IdentityProvider, Membership
from apps.orgs.roles import Role
from apps.orgs.sign_in import own_provider
from tests import mailbox
from tests.isolation.planted import principal
from tests.orgs.scim.test_scim import add, directory_of, patch
from tests.orgs.sign_in import issuer as oidc
from tests.orgs.sign_in.issuer import Issuer, follow_back, log_in, start
from tests.orgs.test_invitations import secret_of
from tests.world import World, client_for, make_user, make_world

PASSWORD = "correct horse battery staple"
OURS: dict[str, Any] = {"HTTP_X_REQUESTED_WITH": "drover"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with oidc.running() as found:
        yield found


@pytest.fixture
def installed(issuer: Issuer, db: None) -> Iterator[Issuer]:
    """The issuer as the installation's own."""
    about = {
        "kind": "openid_connect",
        "label": "Acme ID",
        "client_id": "drover",
        "secret": "s" * 20,
    }
    with override_settings(IDENTITY_PROVIDERS={"oidc": {**about, "issuer": issuer.url}}):
        yield issuer


def problem_of(answer: Any) -> str:
    assert answer.status_code == 302, answer.content
    where = urlsplit(answer["Location"])
    assert where.path == "/login", answer["Location"]
    (code,) = parse_qs(where.query)["problem"]
    return str(code)


def who(client: APIClient) -> Any:
    """Return the user of this browser's refresh cookie."""
    answer = client.post("/api/v1/auth/refresh", {}, **OURS)
    assert answer.status_code == 200, answer.content
    return answer.json()


class TestTheInstallations:
    def test_the_login_page_shows_them(self, installed: Issuer) -> None:
        answer = APIClient().get("/api/v1/auth/providers")
        assert answer.json() == {"providers": [{"id": "oidc", "name": "Acme ID"}]}

    def test_a_new_user_gets_an_account_and_an_organization(self, installed: Issuer) -> None:
        installed.know("ada", email="Ada@Example.com", email_verified=True, name="Ada L.")
        client = APIClient()
        answer = log_in(client, installed, "oidc", "ada", next="/runs")
        assert answer["Location"].startswith("/welcome#")
        assert parse_qs(urlsplit(answer["Location"]).fragment)["next"] == ["/runs"]
        me = who(client)
        assert me["user"]["email"] == "ada@example.com"
        assert me["user"]["email_verified"] is True
        assert me["user"]["has_password"] is False
        assert me["organization"]["role"] == "owner"
        again = APIClient()
        log_in(again, installed, "oidc", "ada")
        assert who(again)["user"]["id"] == me["user"]["id"]
        assert SocialAccount.objects.get().extra_data == {}

    def test_an_address_alone_does_not_prove_an_account(self, installed: Issuer) -> None:
        User.objects.create_user(email="grace@example.com", password=PASSWORD)
        installed.know("grace", email="grace@example.com", email_verified=True)
        client = APIClient()
        assert problem_of(log_in(client, installed, "oidc", "grace")) == "link_first"
        assert "drover_refresh" not in client.cookies

    @pytest.mark.parametrize(
        ("claims", "code"),
        [({}, "email_missing"), ({"email": "x@example.com"}, "email_not_verified")],
    )
    def test_an_unverified_address_creates_no_account(
        self, installed: Issuer, claims: dict[str, Any], code: str
    ) -> None:
        installed.know(f"doubtful-{code}", **claims)
        answer = log_in(APIClient(), installed, "oidc", f"doubtful-{code}")
        assert problem_of(answer) == code
        assert not User.objects.exists()

    def test_who_links_it_can_log_in_with_it_and_unlink_it(self, installed: Issuer) -> None:
        grace = User.objects.create_user(email="grace@example.com", password=PASSWORD)
        installed.know("grace2", email="other@example.com", email_verified=True)
        client = client_for(grace, make_world().org)
        path = "/api/v1/auth/links/oidc"
        assert client.post(path, {"current_password": "wrong"}).status_code == 422
        location = client.post(path, {"current_password": PASSWORD}).json()["location"]
        done = follow_back(client, installed.vouch(location, "grace2"))
        assert done["Location"] == "/settings/account"
        (notice,) = mailbox.deliver()
        assert notice.to == ["grace@example.com"]
        elsewhere = APIClient()
        log_in(elsewhere, installed, "oidc", "grace2")
        assert who(elsewhere)["user"]["email"] == "grace@example.com"
        links = client.get("/api/v1/auth/links").json()["links"]
        assert [link["provider"] for link in links] == ["oidc"]
        assert client.post(f"{path}/remove", {"current_password": PASSWORD}).status_code == 204
        assert client.get("/api/v1/auth/links").json() == {"links": []}

    @pytest.mark.parametrize("change", ["password", "sessions", "session", "deactivated"])
    def test_a_link_that_was_asked_for_before_a_change_links_nothing(
        self, installed: Issuer, change: str
    ) -> None:
        """Another person begins linking at an open session, and its owner ends that session before they return."""
        grace = User.objects.create_user(email="grace@example.com", password=PASSWORD)
        installed.know("late", email="late@example.com", email_verified=True)
        client = client_for(grace, make_world().org)
        asked = client.post("/api/v1/auth/links/oidc", {"current_password": PASSWORD})
        back = installed.vouch(asked.json()["location"], "late")
        if change == "password":
            accounts.change_password(user=grace, password="staple battery", keep_session=None)
        elif change == "sessions":
            sessions.end_all(grace.pk, reason="logged out everywhere")
        elif change == "session":
            sessions.end(RefreshFamily.objects.get(user=grace).pk, reason="logout")
        else:
            User.objects.filter(pk=grace.pk).update(is_active=False)
        assert problem_of(follow_back(client, back)) == "link_spent"
        assert not SocialAccount.objects.exists()

    def test_who_is_half_way_in_by_a_provider_gets_no_further_once_it_is_unlinked(
        self, installed: Issuer
    ) -> None:
        grace = User.objects.create_user(email="grace@example.com", password=PASSWORD)
        SocialAccount.objects.create(user=grace, provider="oidc", uid="half")
        codes = set_up_app(grace)
        client = client_for(grace, make_world().org)
        installed.know("half", email="grace@example.com", email_verified=True)
        where = log_in(APIClient(), installed, "oidc", "half")["Location"]
        challenge = parse_qs(urlsplit(where).fragment)["second_factor"][0]
        unlinked = client.post("/api/v1/auth/links/oidc/remove", {"current_password": PASSWORD})
        assert unlinked.status_code == 204
        body = {"challenge": challenge, "mfa_code": codes[0]}
        assert APIClient().post("/api/v1/auth/login/continue", body).status_code == 401

    def test_one_identity_opens_one_account(self, installed: Issuer) -> None:
        installed.know("shared", email="ada3@example.com", email_verified=True)
        log_in(APIClient(), installed, "oidc", "shared")
        grace = User.objects.create_user(email="grace@example.com", password=PASSWORD)
        client = client_for(grace, make_world().org)
        body = {"current_password": PASSWORD}
        location = client.post("/api/v1/auth/links/oidc", body).json()["location"]
        back = follow_back(client, installed.vouch(location, "shared"))
        assert problem_of(back) == "linked_elsewhere"

    def test_the_last_way_in_cannot_be_removed(self, installed: Issuer) -> None:
        installed.know("only", email="only@example.com", email_verified=True)
        client = APIClient()
        log_in(client, installed, "oidc", "only")
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {who(client)['access']}")
        answer = client.post("/api/v1/auth/links/oidc/remove", {"current_password": ""})
        assert (answer.status_code, answer.json()["code"]) == (409, "last_way_in")

    def test_someone_invited_joins_that_organization_only(
        self, installed: Issuer, world: World
    ) -> None:
        installed.know("invited", email="invited@example.com", email_verified=True)
        secret = secret_of(world, email="invited@example.com")
        client = APIClient()
        log_in(client, installed, "oidc", "invited", invitation=secret)
        me = who(client)
        assert [org["id"] for org in me["organizations"]] == [str(world.org.pk)]
        assert me["organization"]["role"] == "member"

    def test_a_second_factor_is_still_asked_for(self, installed: Issuer) -> None:
        grace = User.objects.create_user(email="grace@example.com", password=PASSWORD)
        SocialAccount.objects.create(user=grace, provider="oidc", uid="factor")
        installed.know("factor", email="grace@example.com", email_verified=True)
        codes = set_up_app(grace)
        client = APIClient()
        answer = log_in(client, installed, "oidc", "factor")
        where = urlsplit(answer["Location"])
        assert where.path == "/login"
        assert "drover_refresh" not in client.cookies
        challenge = parse_qs(where.fragment)["second_factor"][0]
        path = "/api/v1/auth/login/continue"
        wrong = client.post(path, {"challenge": challenge, "mfa_code": "000000"})
        assert wrong.json()["code"] == "wrong_code"
        good = client.post(path, {"challenge": challenge, "mfa_code": codes[0]})
        assert good.status_code == 200, good.content
        assert good.json()["user"]["second_factor"] is True
        again = client.post(path, {"challenge": challenge, "mfa_code": codes[1]})
        assert again.status_code == 401

    def test_a_state_of_another_browser_is_refused(self, installed: Issuer) -> None:
        """An attacker who sends a victim the URL of the attacker's own login must not log the victim in."""
        installed.know("eve", email="eve@example.com", email_verified=True)
        attacker, victim = APIClient(), APIClient()
        back = installed.vouch(start(attacker, "oidc")["Location"], "eve")
        assert problem_of(follow_back(victim, back)) == "provider_failed"
        assert not User.objects.filter(email="eve@example.com").exists()

    def test_a_code_counts_once(self, installed: Issuer) -> None:
        installed.know("twice", email="twice@example.com", email_verified=True)
        client = APIClient()
        back = installed.vouch(start(client, "oidc")["Location"], "twice")
        cookie = client.cookies["drover_provider"].value
        assert follow_back(client, back)["Location"].startswith("/welcome")
        client.cookies["drover_provider"] = cookie
        assert problem_of(follow_back(client, back)) == "provider_failed"

    def test_pkce_is_asked_for(self, installed: Issuer) -> None:
        query = parse_qs(urlsplit(start(APIClient(), "oidc")["Location"]).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["state"][0]

    def test_an_abandoned_request_is_not_logged_as_an_error(self, installed: Issuer) -> None:
        client = APIClient()
        back = installed.deny(start(client, "oidc")["Location"])
        assert problem_of(follow_back(client, back)) == "cancelled"

    @pytest.mark.parametrize("where", ["https://evil.example", "//evil.example", "/\\evil", "x"])
    def test_it_never_leads_to_another_site(self, installed: Issuer, where: str) -> None:
        installed.know("led", email="led@example.com", email_verified=True)
        answer = log_in(APIClient(), installed, "oidc", "led", next=where)
        assert "evil" not in answer["Location"]

    @pytest.mark.parametrize("provider", ["google", "nobody", "sso", "org-x", f"org-{'0' * 32}"])
    def test_an_unreachable_provider_is_reported_on_the_login_page(
        self, db: None, provider: str
    ) -> None:
        assert problem_of(start(APIClient(), provider, org="no-such")) == "provider_unknown"
        back = APIClient().get(f"/api/v1/auth/{provider}/callback", {"code": "x", "state": "y"})
        assert problem_of(back) in {"provider_unknown", "provider_failed"}


def set_up_app(user: User) -> list[str]:
    """Set up an authenticator app; returns the recovery codes."""
    TOTP.activate(user, generate_totp_secret())
    return list(RecoveryCodes.activate(user).generate_codes())


def own_issuer(world: World, issuer: Issuer) -> None:
    """The org's own identity provider."""
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


def test_an_admin_neither_sets_nor_removes_the_provider_whoever_calls(world: World) -> None:
    """The verbs ask themselves: callers need not be views."""
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


class TestAnOrgsOwn:
    @pytest.fixture
    def own(self, world: World, issuer: Issuer) -> World:
        own_issuer(world, issuer)
        return world

    def enter(self, own: World, issuer: Issuer, subject: str) -> tuple[APIClient, Any]:
        client = APIClient()
        leading = start(client, "sso", org=own.org.slug)
        assert leading["Location"].startswith(issuer.url), leading["Location"]
        return client, follow_back(client, issuer.vouch(leading["Location"], subject))

    def test_a_member_gets_in_by_address_and_then_by_subject(
        self, own: World, issuer: Issuer
    ) -> None:
        admin = own.users[Role.ADMIN]
        issuer.know("a1", email=admin.email, email_verified=True)
        client, _ = self.enter(own, issuer, "a1")
        me = who(client)
        assert (me["user"]["id"], me["organization"]["role"]) == (str(admin.pk), "admin")
        assert me["user"]["limited"] is True
        issuer.know("a1", email="changed@example.com", email_verified=True)
        client, _ = self.enter(own, issuer, "a1")
        assert who(client)["user"]["id"] == str(admin.pk)
        with own.scope():
            trail = AuditEvent.objects.for_org(own.org)
            assert trail.filter(action="identity_provider.link").count() == 1

    def test_it_opens_no_other_org_and_not_the_account(
        self, own: World, issuer: Issuer, stranger: World
    ) -> None:
        """An org's owner chooses the issuer, so it must not be trusted elsewhere."""
        victim = stranger.users[Role.OWNER]
        with own.scope():
            Membership.unscoped.create(org=own.org, user=victim, role=Role.VIEWER)
        issuer.know("v1", email=victim.email, email_verified=True)
        client, _ = self.enter(own, issuer, "v1")
        me = who(client)
        assert [org["id"] for org in me["organizations"]] == [str(own.org.pk)]
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {me['access']}")
        switch = client.post("/api/v1/auth/switch", {"org": str(stranger.org.pk)})
        assert switch.status_code == 404
        wanted = client.post("/api/v1/auth/refresh", {"org": str(stranger.org.pk)}, **OURS)
        assert wanted.status_code == 404
        for path in ("password/change", "email/change", "factors/totp", "links/oidc"):
            refused = client.post(f"/api/v1/auth/{path}", {"current_password": ""})
            assert refused.json()["code"] == "session_limited", path

    def test_a_stranger_to_the_org_stays_out(self, own: World, issuer: Issuer) -> None:
        issuer.know("s1", email="somebody@example.com", email_verified=True)
        client, answer = self.enter(own, issuer, "s1")
        assert problem_of(answer) == "not_a_member"
        assert "drover_refresh" not in client.cookies
        assert not User.objects.filter(email="somebody@example.com").exists()

    def agree(self, own: World, issuer: Issuer, subject: str) -> APIClient:
        """The user opens the mailed link and logs in with the issuer."""
        (message,) = [m for m in mailbox.deliver() if "invites you" in m.body]
        secret = mailbox.link(message)[1]
        shown = APIClient().post("/api/v1/invitations/show", {"token": secret}).json()
        client = APIClient()
        leading = start(client, "sso", org=shown["single_sign_on"], invitation=secret)
        answer = follow_back(client, issuer.vouch(leading["Location"], subject))
        assert answer["Location"].startswith("/welcome#"), answer["Location"]
        return client

    def take_everyone(self, own: World, role: str = "viewer") -> None:
        with own.scope():
            IdentityProvider.objects.for_org(own.org).update(join_role=role)

    @pytest.mark.parametrize("wanted", ["everyone", "invited", "provisioned"])
    def test_who_is_wanted_agrees_by_the_mailed_link_and_joins(
        self, own: World, issuer: Issuer, wanted: str
    ) -> None:
        if wanted == "everyone":
            self.take_everyone(own)
        elif wanted == "invited":
            own.client("admin").post(
                "/api/v1/org/invitations", {"email": "new@example.com", "role": "member"}
            )
        else:
            assert add(directory_of(own), "new@example.com").status_code == 201
        issuer.know(f"n-{wanted}", email="new@example.com", email_verified=True, name="New")
        client, answer = self.enter(own, issuer, f"n-{wanted}")
        assert problem_of(answer) == "consent_needed"
        assert "drover_refresh" not in client.cookies
        assert not User.objects.filter(email="new@example.com").exists()
        me = who(self.agree(own, issuer, f"n-{wanted}"))
        role = "member" if wanted == "invited" else "viewer"
        assert (me["organization"]["role"], me["user"]["name"]) == (role, "New")
        made = User.objects.get(email="new@example.com")
        assert made.email_verified_at is not None
        assert not made.has_usable_password()
        client, _ = self.enter(own, issuer, f"n-{wanted}")
        assert who(client)["user"]["id"] == str(made.pk)
        assert own.client("admin").get("/api/v1/org/invitations").json()["count"] == 0

    def test_it_learns_nothing_of_people_it_did_not_bring_and_adds_none(
        self, own: World, issuer: Issuer, stranger: World
    ) -> None:
        """An issuer claims "I am you": an address with an account and one without get the same response, nobody
        becomes a member, and the address stays available.
        """
        self.take_everyone(own, "member")
        victim = stranger.users[Role.OWNER]
        victim.set_password(PASSWORD)
        victim.name = "Real Name"
        victim.save()
        told = []
        for number, email in enumerate((victim.email, "nobody@example.org")):
            issuer.know(f"l{number}", email=email, email_verified=True, name="Claimed")
            client, answer = self.enter(own, issuer, f"l{number}")
            told.append((answer.status_code, answer["Location"], sorted(client.cookies)))
            with own.scope():
                members = Membership.objects.for_org(own.org)
                assert not members.filter(user__email=email).exists()
        assert told[0] == told[1]
        assert not User.objects.filter(email="nobody@example.org").exists()
        body = {
            "email": "nobody@example.org",
            "password": PASSWORD,
            "organization_name": "My own",
        }
        assert APIClient().post("/api/v1/auth/register", body).status_code == 201
        asked = [m.to for m in mailbox.deliver() if "invites you" in m.body]
        assert asked == [[victim.email], ["nobody@example.org"]]

    def test_its_session_sees_its_own_claims_and_no_data_of_the_account(
        self, own: World, issuer: Issuer
    ) -> None:
        """A key created in such a session is also not shown more."""
        admin = own.users[Role.ADMIN]
        admin.name = "Real Name"
        admin.email_verified_at = timezone.now()
        admin.save()
        issuer.know("p1", email=admin.email, email_verified=True, name="Claimed")
        client, _ = self.enter(own, issuer, "p1")
        signed_in = who(client)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {signed_in['access']}")
        User.objects.filter(pk=admin.pk).update(email="moved@example.org")
        for answer in (signed_in, client.get("/api/v1/auth/me").json()):
            shown = answer["user"]
            assert (shown["email"], shown["name"]) == (admin.email, "Claimed")
            assert (shown["email_verified"], shown["has_password"]) == (None, None)
        made = client.post("/api/v1/org/api-keys", {"name": "mine", "role": "viewer"})
        assert made.status_code == 201, made.content
        robot = APIClient()
        robot.credentials(HTTP_AUTHORIZATION=f"Bearer {made.json()['key']}")
        shown = robot.get("/api/v1/auth/me").json()["user"]
        assert (shown["email_verified"], shown["has_password"]) == (None, None)

    def test_the_link_of_another_address_or_org_does_not_count_as_consent(
        self, own: World, issuer: Issuer, stranger: World
    ) -> None:
        self.take_everyone(own)
        victim = stranger.users[Role.OWNER]
        issuer.know("x1", email=victim.email, email_verified=True)
        secrets = [
            secret_of(own, email="mine@example.com"),
            secret_of(stranger, email=f"also-{victim.email}"),
        ]
        for secret in secrets:
            client = APIClient()
            leading = start(client, "sso", org=own.org.slug, invitation=secret)
            answer = follow_back(client, issuer.vouch(leading["Location"], "x1"))
            assert problem_of(answer) == "consent_needed"

    def test_an_account_registered_by_another_person_gets_no_membership(
        self, own: World, issuer: Issuer
    ) -> None:
        """Another person registered the address first, without verifying it, and knows its password."""
        User.objects.create_user(email="new@example.com", password=PASSWORD)
        self.take_everyone(own)
        issuer.know("pre", email="new@example.com", email_verified=True)
        assert problem_of(self.enter(own, issuer, "pre")[1]) == "consent_needed"
        (message,) = mailbox.deliver()
        client = APIClient()
        leading = start(client, "sso", org=own.org.slug, invitation=mailbox.link(message)[1])
        answer = follow_back(client, issuer.vouch(leading["Location"], "pre"))
        assert problem_of(answer) == "confirm_first"

    def test_asking_again_and_again_sends_one_mail(self, own: World, issuer: Issuer) -> None:
        self.take_everyone(own)
        issuer.know("again", email="new@example.com", email_verified=True)
        for _ in range(3):
            assert problem_of(self.enter(own, issuer, "again")[1]) == "consent_needed"
        assert len(mailbox.deliver()) == 1

    def test_another_issuer_knows_other_people_and_ends_the_sessions_of_the_one_before(
        self, own: World, issuer: Issuer
    ) -> None:
        issuer.know("i1", email=own.users[Role.ADMIN].email, email_verified=True)
        client, _ = self.enter(own, issuer, "i1")
        body = {"client_id": "x", "client_secret": "y" * 12}
        changed = own.client("owner").put(
            "/api/v1/org/identity-provider", {**body, "issuer": "https://other.example.com"}
        )
        assert changed.status_code == 200, changed.content
        with own.scope():
            assert not FederatedIdentity.objects.for_org(own.org).exists()
        assert client.post("/api/v1/auth/refresh", {}, **OURS).status_code == 401

    def test_whom_the_directory_deactivated_does_not_come_back(
        self, own: World, issuer: Issuer
    ) -> None:
        """Not even if the org accepts all users of the issuer."""
        self.take_everyone(own)
        directory = directory_of(own)
        pk = add(directory, "grace@example.com").json()["id"]
        issuer.know("d1", email="grace@example.com", email_verified=True)
        assert who(self.agree(own, issuer, "d1"))["organization"]["role"] == "viewer"
        out = {"op": "replace", "path": "active", "value": False}
        assert patch(directory, f"Users/{pk}", out).status_code == 200
        _, answer = self.enter(own, issuer, "d1")
        assert problem_of(answer) == "not_a_member"

    def test_an_unverified_address_is_not_a_member(self, own: World, issuer: Issuer) -> None:
        issuer.know("u1", email=own.users[Role.ADMIN].email)
        assert problem_of(self.enter(own, issuer, "u1")[1]) == "email_not_verified"

    def test_a_second_subject_does_not_become_the_same_member(
        self, own: World, issuer: Issuer
    ) -> None:
        email = own.users[Role.ADMIN].email
        for subject in ("first", "second"):
            issuer.know(subject, email=email, email_verified=True)
        self.enter(own, issuer, "first")
        assert problem_of(self.enter(own, issuer, "second")[1]) == "linked_elsewhere"

    def test_a_removed_member_is_forgotten(self, own: World, issuer: Issuer) -> None:
        admin = own.users[Role.ADMIN]
        issuer.know("r1", email=admin.email, email_verified=True)
        client, _ = self.enter(own, issuer, "r1")
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {who(client)['access']}")
        with own.scope():
            Membership.objects.for_org(own.org).filter(user=admin).delete()
            assert not FederatedIdentity.objects.for_org(own.org).exists()
        assert client.get("/api/v1/org").status_code == 401
        assert problem_of(self.enter(own, issuer, "r1")[1]) == "not_a_member"

    def test_requiring_it_shuts_other_sessions_out_and_needs_a_provider(
        self, own: World, issuer: Issuer, stranger: World
    ) -> None:
        refused = stranger.client("owner").patch("/api/v1/org", {"require_sso": True})
        assert refused.json()["errors"][0]["code"] == "no_provider"
        assert own.client("owner").patch("/api/v1/org", {"require_sso": True}).status_code == 200
        shut = own.client("admin").get("/api/v1/org")
        assert (shut.status_code, shut.json()["code"]) == (403, "sso_required")
        issuer.know("q1", email=own.users[Role.ADMIN].email, email_verified=True)
        client, _ = self.enter(own, issuer, "q1")
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {who(client)['access']}")
        assert client.get("/api/v1/org").status_code == 200
        removal = own.client("owner").delete("/api/v1/org/identity-provider")
        assert removal.json()["code"] == "sso_required"

    def test_a_switched_off_provider_opens_nothing(self, own: World, issuer: Issuer) -> None:
        with own.scope():
            IdentityProvider.objects.for_org(own.org).update(enabled=False)
        assert problem_of(start(APIClient(), "sso", org=own.org.slug)) == "provider_unknown"
        assert problem_of(start(APIClient(), f"org-{own.org.pk}")) == "provider_unknown"

    def test_its_secret_is_write_only_sealed_and_not_sent_elsewhere_unasked(
        self, own: World
    ) -> None:
        client, path = own.client("owner"), "/api/v1/org/identity-provider"
        shown = client.get(path)
        assert shown.json()["client_secret"] == {"set": True, "last4": "suer"}
        assert b"a secret of the issuer" not in shown.content
        body = {"issuer": shown.json()["issuer"], "client_id": "other"}
        assert client.put(path, body).json()["client_secret"]["set"] is True
        moved = client.put(path, {**body, "issuer": "https://evil.example"})
        assert moved.json()["errors"][0]["field"] == "client_secret"
        with own.scope():
            row = IdentityProvider.objects.for_org(own.org).get()
            assert "a secret of the issuer" not in row.sealed
            trail = AuditEvent.objects.for_org(own.org).filter(object_kind="identity_provider")
            assert "a secret of the issuer" not in str(list(trail.values()))

    def test_owners_set_it_admins_see_it_members_do_not(self, own: World) -> None:
        path = "/api/v1/org/identity-provider"
        body = {"issuer": "https://x.example", "client_id": "x", "client_secret": "y"}
        assert own.client("admin").get(path).status_code == 200
        assert own.client("admin").put(path, body).status_code == 403
        assert own.client("member").get(path).status_code == 403
        none = make_world().client("owner").get(path)
        assert (none.status_code, none.content) == (204, b"")

    @pytest.mark.parametrize(
        "address",
        ["ftp://x.example", "https://u:p@x.example", "https://", "javascript:alert(1)", "x"],
    )
    def test_a_bad_issuer_names_the_field(self, world: World, address: str) -> None:
        body = {"issuer": address, "client_id": "x", "client_secret": "y"}
        answer = world.client("owner").put("/api/v1/org/identity-provider", body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "issuer"

    def test_where_strangers_have_accounts_an_issuer_on_a_private_address_is_not_reached(
        self, own: World
    ) -> None:
        with override_settings(ALLOW_PRIVATE_NETWORKS=False):
            answer = start(APIClient(), "sso", org=own.org.slug)
            assert problem_of(answer) == "provider_failed"

    def test_checking_an_issuer_reports_the_problem(self, world: World, issuer: Issuer) -> None:
        client, path = world.client("owner"), "/api/v1/org/identity-provider/check"
        good = client.post(path, {"issuer": issuer.url}).json()
        assert good["ok"] is True
        other = issuer.url.replace("localhost", "127.0.0.1")
        named = {s["step"]: s["ok"] for s in client.post(path, {"issuer": other}).json()["steps"]}
        assert named["discovery"] is True
        away = client.post(path, {"issuer": "http://localhost:1"}).json()
        assert (away["ok"], away["steps"][0]["step"]) == (False, "discovery")


def test_sessions_say_how_they_began(installed: Issuer) -> None:
    installed.know("how", email="how@example.com", email_verified=True)
    log_in(APIClient(), installed, "oidc", "how")
    assert RefreshFamily.objects.get().method == "oidc"
    assert factors.load_factors(make_user()).has_any is False
