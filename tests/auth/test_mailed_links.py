"""Verify an address, reset a password and change an address, with the API and the links in mails."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail as django_mail
from django.core.management import call_command
from django.utils import timezone
from procrastinate.contrib.django import app
from pytest_django.fixtures import Settings as SettingsWrapper
from rest_framework.test import APIClient

from apps.auth import factors, sessions
from apps.auth.exceptions import SessionEnded
from apps.auth.mailing import links, mail
from apps.auth.mailing.mail import LINK_TASK
from apps.auth.models import Challenge, MailedLink, RefreshFamily, StreamTicket, User
from apps.orgs.models import Membership, Org
from apps.orgs.roles import Role
from tests import mailbox
from tests.world import World, client_for, make_world, token_for

PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "staple battery horse correct"


def post(path: str, body: dict[str, Any], client: APIClient | None = None) -> Any:
    return (client or APIClient()).post(f"/api/v1/auth/{path}", body)


def log_in(email: str, password: str) -> Any:
    return post("login", {"email": email, "password": password})


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user(email="ada@example.com", password=PASSWORD, name="Ada")


def test_a_forgotten_password_is_reset_with_the_mailed_link(ada: User) -> None:
    world = make_world()
    old_token = token_for(ada, world.org)
    assert post("password/forgot", {"email": "ADA@example.com "}).status_code == 202
    (message,) = mailbox.deliver()
    assert message.to == ["ada@example.com"]
    page, secret = mailbox.read_link(message)
    assert page == "reset-password"
    answer = post("password/reset", {"token": secret, "password": NEW_PASSWORD})
    assert answer.status_code == 204, answer.content
    assert log_in("ada@example.com", PASSWORD).status_code == 401
    assert log_in("ada@example.com", NEW_PASSWORD).status_code == 200
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {old_token}")
    assert client.get("/api/v1/auth/me").status_code == 401
    ada.refresh_from_db()
    assert ada.email_verified_at is not None
    (notice,) = mailbox.deliver()
    assert "was changed" in notice.subject


def test_a_mail_has_the_look_of_the_dashboard_and_its_link_as_a_button(ada: User) -> None:
    post("password/forgot", {"email": "ada@example.com"})
    (message,) = mailbox.deliver()
    assert isinstance(message, django_mail.EmailMultiAlternatives)
    ((html, kind),) = message.alternatives
    assert kind == "text/html"
    (address,) = mailbox.LINK.finditer(str(message.body))
    assert f'<a href="{address[0]}"' in str(html)
    assert f">{message.subject}</h1>" in str(html)


def test_names_in_a_mail_are_escaped_in_its_html() -> None:
    mail.send(
        "ada@example.com",
        "invitation",
        organization="<b>Acme</b>",
        role="viewer",
        link="https://drover.example/invitation#s",
        days=7,
    )
    (message,) = django_mail.outbox
    assert isinstance(message, django_mail.EmailMultiAlternatives)
    assert "&lt;b&gt;Acme&lt;/b&gt;" in str(message.alternatives[0][0])


def test_only_the_newest_link_works_and_only_once_and_it_expires(ada: User) -> None:
    secrets = []
    for _ in range(2):
        post("password/forgot", {"email": ada.email})
        secrets += [mailbox.read_link(message)[1] for message in mailbox.deliver()]
    first, second = secrets
    assert post("password/reset", {"token": first, "password": NEW_PASSWORD}).status_code == 410
    assert post("password/reset", {"token": second, "password": NEW_PASSWORD}).status_code == 204
    assert post("password/reset", {"token": second, "password": NEW_PASSWORD}).status_code == 410
    mailbox.deliver()
    post("password/forgot", {"email": ada.email})
    (message,) = mailbox.deliver()
    MailedLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = post("password/reset", {"token": mailbox.read_link(message)[1], "password": PASSWORD})
    assert answer.status_code == 410
    assert answer.json()["code"] == "link_spent"


def test_a_weak_password_is_refused_and_the_link_still_works(ada: User) -> None:
    post("password/forgot", {"email": ada.email})
    (message,) = mailbox.deliver()
    secret = mailbox.read_link(message)[1]
    answer = post("password/reset", {"token": secret, "password": "short"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "password"
    assert post("password/reset", {"token": secret, "password": NEW_PASSWORD}).status_code == 204


def test_an_unknown_address_gets_the_same_response_and_no_mail(ada: User) -> None:
    known = post("password/forgot", {"email": ada.email})
    unknown = post("password/forgot", {"email": "nobody@example.com"})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert len(mailbox.waiting_jobs()) == 2
    assert [message.to for message in mailbox.deliver()] == [["ada@example.com"]]


def test_mails_to_one_address_are_limited_and_the_response_does_not_reveal_this(ada: User) -> None:
    answers = {post("password/forgot", {"email": ada.email}).status_code for _ in range(8)}
    assert answers == {202}
    assert len(mailbox.deliver()) == 5


def test_one_ip_address_that_requests_many_mails_gets_429(db: None) -> None:
    for number in range(20):
        assert post("password/forgot", {"email": f"a{number}@example.com"}).status_code == 202
    refused = post("password/forgot", {"email": "b@example.com"})
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0


def test_the_secret_of_a_link_is_stored_in_no_job_and_no_row(ada: User) -> None:
    post("password/forgot", {"email": ada.email})
    jobs = str([job.args for job in mailbox.waiting_jobs()])
    (message,) = mailbox.deliver()
    secret = mailbox.read_link(message)[1]
    assert secret not in jobs
    assert secret.encode() not in bytes(MailedLink.objects.get().digest)


def test_registering_sends_a_link_that_confirms_the_address(db: None) -> None:
    body = {"email": "grace@example.com", "password": PASSWORD, "organization_name": "Navy"}
    registered = post("register", body).json()
    assert registered["user"]["email_verified"] is False
    (message,) = mailbox.deliver()
    page, secret = mailbox.read_link(message)
    assert page == "verify-email"
    assert post("email/verify", {"token": secret}).status_code == 204
    assert User.objects.get().email_verified_at is not None
    assert post("email/verify", {"token": secret}).status_code == 410


class TestWhenAddressesMustBeConfirmed:
    REGISTRATION = {"email": "grace@example.com", "password": PASSWORD, "organization_name": "Navy"}

    @pytest.fixture(autouse=True)
    def require_verified_email(self, settings: SettingsWrapper, db: None) -> None:
        settings.REQUIRE_VERIFIED_EMAIL = True

    def test_a_user_cannot_log_in_before_confirming_the_address(self) -> None:
        assert post("register", self.REGISTRATION).status_code == 202
        refused = log_in("grace@example.com", PASSWORD)
        assert (refused.status_code, refused.json()["code"]) == (403, "email_not_verified")
        assert log_in("grace@example.com", "wrong").status_code == 401
        _, second_message = mailbox.deliver()
        assert (
            post("email/verify", {"token": mailbox.read_link(second_message)[1]}).status_code == 204
        )
        assert log_in("grace@example.com", PASSWORD).status_code == 200

    def test_registering_an_existing_address_gets_the_same_response_and_notifies_its_owner(
        self,
    ) -> None:
        # The id of a request differs for each request, so the same one is sent.
        client = APIClient(headers={"X-Request-ID": "sent-by-a-proxy"})
        new = post("register", self.REGISTRATION, client)
        users, orgs = User.objects.count(), Org.objects.count()
        existing = post("register", self.REGISTRATION, client)
        assert (new.status_code, new.content) == (existing.status_code, existing.content)
        assert new.headers == existing.headers
        assert (User.objects.count(), Org.objects.count()) == (users, orgs)
        subjects = [message.subject for message in mailbox.deliver()]
        assert subjects == ["Confirm your e-mail address", "You already have an account"]


class TestChangeOfAddress:
    @pytest.fixture
    def client(self, ada: User) -> APIClient:
        return client_for(ada, make_world().org)

    def request_change(self, client: APIClient, password: str = PASSWORD) -> Any:
        body = {"email": "ada@example.org", "current_password": password}
        return post("email/change", body, client)

    def test_the_new_address_is_used_after_its_link_was_opened_and_every_session_ends(
        self, ada: User, client: APIClient
    ) -> None:
        assert self.request_change(client).status_code == 202
        link, notice = mailbox.deliver()
        assert (link.to, notice.to) == (["ada@example.org"], ["ada@example.com"])
        ada.refresh_from_db()
        assert ada.email == "ada@example.com"
        assert post("email/verify", {"token": mailbox.read_link(link)[1]}).status_code == 204
        ada.refresh_from_db()
        assert ada.email == "ada@example.org"
        assert client.get("/api/v1/auth/me").status_code == 401
        assert log_in("ada@example.org", PASSWORD).status_code == 200

    def test_a_change_requires_the_password(self, client: APIClient) -> None:
        answer = self.request_change(client, "wrong")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "current_password"
        assert mailbox.deliver() == []

    def test_an_address_in_use_gets_the_same_response_and_no_link(self, client: APIClient) -> None:
        User.objects.create_user(email="ada@example.org", password=None)
        assert self.request_change(client).status_code == 202
        (notice,) = mailbox.deliver()
        assert notice.to == ["ada@example.com"]

    def test_mails_to_the_new_address_are_limited_and_the_response_does_not_reveal_this(
        self, client: APIClient
    ) -> None:
        assert {self.request_change(client).status_code for _ in range(7)} == {202}
        to_new_address = [
            message for message in mailbox.deliver() if message.to == ["ada@example.org"]
        ]
        assert len(to_new_address) == 5

    def test_a_new_password_cancels_the_change(self, client: APIClient) -> None:
        self.request_change(client)
        link, _ = mailbox.deliver()
        body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        assert post("password/change", body, client).status_code == 204
        assert post("email/verify", {"token": mailbox.read_link(link)[1]}).status_code == 410


def test_a_service_account_can_neither_log_in_nor_reset_a_password(world: World) -> None:
    robot = User.objects.create_user(
        email="robot@example.com", password=None, kind=User.Kind.SERVICE
    )
    assert log_in(robot.email, "").status_code in {401, 422}
    post("password/forgot", {"email": robot.email})
    assert mailbox.deliver() == []


def change_password(client: APIClient, user: User) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert post("password/change", body, client).status_code == 204


def change_address(client: APIClient, user: User) -> None:
    body = {"current_password": PASSWORD, "email": "ada@example.org"}
    assert post("email/change", body, client).status_code == 202
    (link,) = [message for message in mailbox.deliver() if message.to == ["ada@example.org"]]
    assert post("email/verify", {"token": mailbox.read_link(link)[1]}).status_code == 204


def add_factor(client: APIClient, user: User) -> None:
    start = post("factors/totp", {"current_password": PASSWORD}, client).json()
    code = current_code(start["secret"])
    confirmed = post(
        "factors/totp/confirm", {"challenge": start["challenge"], "code": code}, client
    )
    assert confirmed.status_code == 200, confirmed.content


def current_code(secret: str) -> str:
    counter = next(totp.yield_hotp_counters_from_time())
    return str(totp.format_hotp_value(totp.hotp_value(secret, counter)))


def end_other_sessions(client: APIClient, user: User) -> None:
    assert client.delete("/api/v1/auth/sessions").status_code == 204


def end_all_sessions(client: APIClient, user: User) -> None:
    assert client.delete("/api/v1/auth/sessions?current=true").status_code == 204


def reset_factors(client: APIClient, user: User) -> None:
    """Run the operators' command for a user who has lost the second factors."""
    TOTP.activate(user, generate_totp_secret())
    call_command("reset_second_factor", user.email, stdout=StringIO())


def set_password_as_operator(client: APIClient, user: User) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("getpass.getpass", lambda prompt: NEW_PASSWORD)
        call_command("changepassword", user.email, stdout=StringIO())


CHANGES = [
    *(change_password, change_address, add_factor),
    *(end_other_sessions, end_all_sessions, reset_factors, set_password_as_operator),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
class TestChangeOfAccount:
    @pytest.fixture
    def client(self, ada: User) -> APIClient:
        world = make_world()
        with world.scope():
            Membership.unscoped.create(org=world.org, user=ada, role=Role.VIEWER)
        return client_for(ada, world.org)

    def test_links_sent_before_a_change_stop_working(
        self, change: Any, ada: User, client: APIClient
    ) -> None:
        """For example, whoever now reads an old mailbox of the user must not reset the password with a link in it."""
        post("email/send", {}, client)
        post("password/forgot", {"email": ada.email})
        post("email/change", {"email": "new@example.org", "current_password": PASSWORD}, client)
        verify_mail, reset_mail, change_mail, _ = mailbox.deliver()
        change(client, ada)
        secrets = [
            mailbox.read_link(message)[1] for message in (verify_mail, reset_mail, change_mail)
        ]
        assert (
            post("password/reset", {"token": secrets[1], "password": NEW_PASSWORD}).status_code
            == 410
        )
        for secret in (secrets[0], secrets[2]):
            assert post("email/verify", {"token": secret}).status_code == 410
        assert not MailedLink.objects.filter(user=ada).exists()

    def test_mails_queued_before_a_change_are_not_sent(
        self, change: Any, ada: User, client: APIClient
    ) -> None:
        """A mail was requested while the mail server was unavailable. Its job runs after the change."""
        post("password/forgot", {"email": ada.email})
        post("email/change", {"email": "new@example.org", "current_password": PASSWORD}, client)
        link_jobs = [job for job in mailbox.waiting_jobs() if job.task_name == LINK_TASK]
        assert len(link_jobs) == 2
        change(client, ada)
        count_before = len(django_mail.outbox)
        for job in link_jobs:
            app.tasks[job.task_name].func(**job.args)
        assert len(django_mail.outbox) == count_before
        assert not MailedLink.objects.filter(user=ada).exists()

    def test_a_log_in_that_waits_for_its_second_factor_fails_after_a_change(
        self, change: Any, ada: User, client: APIClient
    ) -> None:
        codes = RecoveryCodes.activate(ada).generate_codes()
        challenge = factors.begin_pending_login(ada, "google")
        if change is not add_factor:
            change(client, ada)
        else:
            factors.renew_recovery_codes(user=ada, session=RefreshFamily.objects.get(user=ada))
        answer = post("login/continue", {"challenge": challenge, "mfa_code": codes[0]})
        assert answer.status_code == 401
        assert not Challenge.objects.filter(user=ada).exists()

    def test_a_stream_ticket_is_deleted_by_a_change(
        self, change: Any, ada: User, client: APIClient
    ) -> None:
        assert post("stream-ticket", {}, client).status_code == 201
        assert StreamTicket.objects.count() == 1
        change(client, ada)
        assert not StreamTicket.objects.exists()

    def test_a_log_in_that_checked_the_password_before_a_change_gets_no_session(
        self, change: Any, ada: User, client: APIClient
    ) -> None:
        user_before = User.objects.get(pk=ada.pk)
        change(client, ada)
        with pytest.raises(SessionEnded):
            sessions.begin(user=user_before, ip=None, user_agent="")


def test_a_link_does_not_work_after_the_address_of_the_account_was_changed(ada: User) -> None:
    """Here the address is changed in the database, as by an operator."""
    for purpose, path in (("reset", "password/reset"), ("verify", "email/verify")):
        user = User.objects.get(pk=ada.pk)
        secret = links.issue(user, MailedLink.Purpose(purpose), user.email)
        User.objects.filter(pk=ada.pk).update(email=f"{purpose}@example.org")
        body = {"token": secret, **({"password": NEW_PASSWORD} if purpose == "reset" else {})}
        assert post(path, body).status_code == 410


def test_only_the_newest_change_of_address_can_be_confirmed(ada: User) -> None:
    client = client_for(ada, make_world().org)
    secrets = []
    for address in ("one@example.org", "two@example.org"):
        post("email/change", {"email": address, "current_password": PASSWORD}, client)
        sent = [message for message in mailbox.deliver() if message.to == [address]]
        secrets.append(mailbox.read_link(sent[0])[1])
    assert post("email/verify", {"token": secrets[0]}).status_code == 410
    assert post("email/verify", {"token": secrets[1]}).status_code == 204


def test_a_change_to_an_address_that_another_account_uses_meanwhile_fails(ada: User) -> None:
    client = client_for(ada, make_world().org)
    post("email/change", {"email": "new@example.org", "current_password": PASSWORD}, client)
    link, _ = mailbox.deliver()
    User.objects.create_user(email="new@example.org", password=PASSWORD)
    assert post("email/verify", {"token": mailbox.read_link(link)[1]}).status_code == 410
    ada.refresh_from_db()
    assert ada.email == "ada@example.com"


def test_links_of_a_disabled_account_do_not_work(ada: User) -> None:
    post("password/forgot", {"email": ada.email})
    (message,) = mailbox.deliver()
    User.objects.update(is_active=False)
    body = {"token": mailbox.read_link(message)[1], "password": NEW_PASSWORD}
    assert post("password/reset", body).status_code == 410


def test_an_invitation_to_a_former_address_works_only_after_it_is_sent_again(
    ada: User, world: World
) -> None:
    """Otherwise whoever now reads the old mailbox could register with the link in it."""
    User.objects.update(email_verified_at=timezone.now())
    body = {"email": ada.email, "role": "admin"}
    invited = world.client("owner").post("/api/v1/org/invitations", body).json()
    (message,) = mailbox.deliver()
    client = client_for(ada, make_world().org)
    change_address(client, ada)
    secret = mailbox.read_link(message)[1]
    registration = {"email": "ada@example.com", "password": PASSWORD, "invitation": secret}
    assert post("register", registration).status_code == 410
    mailbox.deliver()
    resent = world.client("owner").post(f"/api/v1/org/invitations/{invited['id']}/resend", {})
    assert resent.status_code == 200
    (message,) = mailbox.deliver()
    registration["invitation"] = mailbox.read_link(message)[1]
    assert post("register", registration).status_code == 201


def test_the_owner_of_a_mailbox_can_register_if_an_org_has_created_an_account_for_it(
    db: None,
) -> None:
    """An org's issuer may have created the account, for the address in its claims."""
    account = User.objects.create_user(email="grace@example.com", password=None)
    body = {"email": "grace@example.com", "password": PASSWORD, "organization_name": "Navy"}
    assert post("register", body).status_code == 202
    (message,) = mailbox.deliver()
    assert (
        post(
            "password/reset", {"token": mailbox.read_link(message)[1], "password": NEW_PASSWORD}
        ).status_code
        == 204
    )
    assert log_in("grace@example.com", NEW_PASSWORD).json()["user"]["id"] == str(account.pk)
    assert post("register", body).status_code == 409
