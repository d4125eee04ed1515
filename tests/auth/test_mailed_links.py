"""Verify an address, reset a password, change an address: through the routes and the mail that was sent."""

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
from apps.auth.mailing import links
from apps.auth.mailing.mail import LINK
from apps.auth.models import Challenge, MailedLink, RefreshFamily, StreamTicket, User
from apps.orgs.models import Membership, Org
from apps.orgs.roles import Role
from tests import mailbox
from tests.world import World, client_for, make_world, token_for

PASSWORD = "correct horse battery staple"
NEW = "staple battery horse correct"


def post(path: str, body: dict[str, Any], client: APIClient | None = None) -> Any:
    return (client or APIClient()).post(f"/api/v1/auth/{path}", body)


def log_in(email: str, password: str) -> Any:
    return post("login", {"email": email, "password": password})


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user(email="ada@example.com", password=PASSWORD, name="Ada")


def test_a_forgotten_password_is_reset_with_the_mailed_link(ada: User) -> None:
    world = make_world()
    old = token_for(ada, world.org)
    assert post("password/forgot", {"email": "ADA@example.com "}).status_code == 202
    (message,) = mailbox.deliver()
    assert message.to == ["ada@example.com"]
    page, secret = mailbox.link(message)
    assert page == "reset-password"
    answer = post("password/reset", {"token": secret, "password": NEW})
    assert answer.status_code == 204, answer.content
    assert log_in("ada@example.com", PASSWORD).status_code == 401
    assert log_in("ada@example.com", NEW).status_code == 200
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {old}")
    assert client.get("/api/v1/auth/me").status_code == 401
    ada.refresh_from_db()
    assert ada.email_verified_at is not None
    (notice,) = mailbox.deliver()
    assert "was changed" in notice.subject


def test_a_link_works_once_and_only_the_newest_and_not_for_long(ada: User) -> None:
    secrets = []
    for _ in range(2):
        post("password/forgot", {"email": ada.email})
        secrets += [mailbox.link(message)[1] for message in mailbox.deliver()]
    first, second = secrets
    assert post("password/reset", {"token": first, "password": NEW}).status_code == 410
    assert post("password/reset", {"token": second, "password": NEW}).status_code == 204
    assert post("password/reset", {"token": second, "password": NEW}).status_code == 410
    mailbox.deliver()
    post("password/forgot", {"email": ada.email})
    (late,) = mailbox.deliver()
    MailedLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = post("password/reset", {"token": mailbox.link(late)[1], "password": PASSWORD})
    assert answer.status_code == 410
    assert answer.json()["code"] == "link_spent"


def test_a_weak_password_is_named_and_does_not_use_the_link_up(ada: User) -> None:
    post("password/forgot", {"email": ada.email})
    (message,) = mailbox.deliver()
    secret = mailbox.link(message)[1]
    answer = post("password/reset", {"token": secret, "password": "short"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "password"
    assert post("password/reset", {"token": secret, "password": NEW}).status_code == 204


def test_an_unknown_address_gets_the_same_answer_and_no_mail(ada: User) -> None:
    known = post("password/forgot", {"email": ada.email})
    unknown = post("password/forgot", {"email": "nobody@example.com"})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert len(mailbox.waiting_jobs()) == 2
    assert [message.to for message in mailbox.deliver()] == [["ada@example.com"]]


def test_a_mailbox_is_not_flooded_and_this_is_not_revealed(ada: User) -> None:
    answers = {post("password/forgot", {"email": ada.email}).status_code for _ in range(8)}
    assert answers == {202}
    assert len(mailbox.deliver()) == 5


def test_one_place_that_asks_for_much_mail_has_to_wait(db: None) -> None:
    for number in range(20):
        assert post("password/forgot", {"email": f"a{number}@example.com"}).status_code == 202
    refused = post("password/forgot", {"email": "b@example.com"})
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0


def test_a_secret_is_in_no_job_and_no_row(ada: User) -> None:
    post("password/forgot", {"email": ada.email})
    jobs = str([job.args for job in mailbox.waiting_jobs()])
    (message,) = mailbox.deliver()
    secret = mailbox.link(message)[1]
    assert secret not in jobs
    assert secret.encode() not in bytes(MailedLink.objects.get().digest)


def test_registering_sends_a_link_that_confirms_the_address(db: None) -> None:
    body = {"email": "grace@example.com", "password": PASSWORD, "organization_name": "Navy"}
    made = post("register", body).json()
    assert made["user"]["email_verified"] is False
    (message,) = mailbox.deliver()
    page, secret = mailbox.link(message)
    assert page == "verify-email"
    assert post("email/verify", {"token": secret}).status_code == 204
    assert User.objects.get().email_verified_at is not None
    assert post("email/verify", {"token": secret}).status_code == 410


class TestWhereAddressesMustBeConfirmed:
    BODY = {"email": "grace@example.com", "password": PASSWORD, "organization_name": "Navy"}

    @pytest.fixture(autouse=True)
    def required(self, settings: SettingsWrapper, db: None) -> None:
        settings.REQUIRE_VERIFIED_EMAIL = True

    def test_nobody_gets_in_before(self) -> None:
        assert post("register", self.BODY).status_code == 202
        refused = log_in("grace@example.com", PASSWORD)
        assert (refused.status_code, refused.json()["code"]) == (403, "email_not_verified")
        assert log_in("grace@example.com", "wrong").status_code == 401
        _, again = mailbox.deliver()
        assert post("email/verify", {"token": mailbox.link(again)[1]}).status_code == 204
        assert log_in("grace@example.com", PASSWORD).status_code == 200

    def test_registering_an_existing_address_looks_the_same_and_notifies_its_owner(self) -> None:
        fresh = post("register", self.BODY)
        users, orgs = User.objects.count(), Org.objects.count()
        taken = post("register", self.BODY)
        assert (fresh.status_code, fresh.content) == (taken.status_code, taken.content)
        assert fresh.headers == taken.headers
        assert (User.objects.count(), Org.objects.count()) == (users, orgs)
        subjects = [message.subject for message in mailbox.deliver()]
        assert subjects == ["Confirm your e-mail address", "You already have an account"]


class TestAnotherAddress:
    @pytest.fixture
    def client(self, ada: User) -> APIClient:
        return client_for(ada, make_world().org)

    def ask(self, client: APIClient, password: str = PASSWORD) -> Any:
        body = {"email": "ada@example.org", "current_password": password}
        return post("email/change", body, client)

    def test_it_is_used_once_its_mailbox_was_read_and_every_session_ends(
        self, ada: User, client: APIClient
    ) -> None:
        assert self.ask(client).status_code == 202
        link, notice = mailbox.deliver()
        assert (link.to, notice.to) == (["ada@example.org"], ["ada@example.com"])
        ada.refresh_from_db()
        assert ada.email == "ada@example.com"
        assert post("email/verify", {"token": mailbox.link(link)[1]}).status_code == 204
        ada.refresh_from_db()
        assert ada.email == "ada@example.org"
        assert client.get("/api/v1/auth/me").status_code == 401
        assert log_in("ada@example.org", PASSWORD).status_code == 200

    def test_it_needs_the_password(self, client: APIClient) -> None:
        answer = self.ask(client, "wrong")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "current_password"
        assert mailbox.deliver() == []

    def test_a_taken_one_gets_the_same_answer_and_no_link(self, client: APIClient) -> None:
        User.objects.create_user(email="ada@example.org", password=None)
        assert self.ask(client).status_code == 202
        (notice,) = mailbox.deliver()
        assert notice.to == ["ada@example.com"]

    def test_a_mailbox_that_is_written_to_often_is_spared_in_silence(
        self, client: APIClient
    ) -> None:
        assert {self.ask(client).status_code for _ in range(7)} == {202}
        there = [message for message in mailbox.deliver() if message.to == ["ada@example.org"]]
        assert len(there) == 5

    def test_a_new_password_cancels_the_change(self, client: APIClient) -> None:
        self.ask(client)
        link, _ = mailbox.deliver()
        body = {"current_password": PASSWORD, "new_password": NEW}
        assert post("password/change", body, client).status_code == 204
        assert post("email/verify", {"token": mailbox.link(link)[1]}).status_code == 410


def test_a_service_account_can_neither_log_in_nor_reset(world: World) -> None:
    robot = User.objects.create_user(
        email="robot@example.com", password=None, kind=User.Kind.SERVICE
    )
    assert log_in(robot.email, "").status_code in {401, 422}
    post("password/forgot", {"email": robot.email})
    assert mailbox.deliver() == []


def change_password(client: APIClient, user: User) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert post("password/change", body, client).status_code == 204


def change_address(client: APIClient, user: User) -> None:
    body = {"current_password": PASSWORD, "email": "ada@example.org"}
    assert post("email/change", body, client).status_code == 202
    (link,) = [message for message in mailbox.deliver() if message.to == ["ada@example.org"]]
    assert post("email/verify", {"token": mailbox.link(link)[1]}).status_code == 204


def add_factor(client: APIClient, user: User) -> None:
    begun = post("factors/totp", {"current_password": PASSWORD}, client).json()
    code = factors_code(begun["secret"])
    confirmed = post(
        "factors/totp/confirm", {"challenge": begun["challenge"], "code": code}, client
    )
    assert confirmed.status_code == 200, confirmed.content


def factors_code(secret: str) -> str:
    counter = next(totp.yield_hotp_counters_from_time())
    return str(totp.format_hotp_value(totp.hotp_value(secret, counter)))


def log_out_elsewhere(client: APIClient, user: User) -> None:
    assert client.delete("/api/v1/auth/sessions").status_code == 204


def log_out_everywhere(client: APIClient, user: User) -> None:
    assert client.delete("/api/v1/auth/sessions?current=true").status_code == 204


def lose_factors(client: APIClient, user: User) -> None:
    """The command for operators to help a user who lost the factors."""
    TOTP.activate(user, generate_totp_secret())
    call_command("reset_second_factor", user.email, stdout=StringIO())


def operator_sets_password(client: APIClient, user: User) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("getpass.getpass", lambda prompt: NEW)
        call_command("changepassword", user.email, stdout=StringIO())


CHANGES = [
    *(change_password, change_address, add_factor),
    *(log_out_elsewhere, log_out_everywhere, lose_factors, operator_sets_password),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each.__name__)
class TestWhatIsOnItsWayDiesWithWhatItProves:
    @pytest.fixture
    def client(self, ada: User) -> APIClient:
        world = make_world()
        with world.scope():
            Membership.unscoped.create(org=world.org, user=ada, role=Role.VIEWER)
        return client_for(ada, world.org)

    def test_links_that_were_sent(self, change: Any, ada: User, client: APIClient) -> None:
        """A reset link in a mailbox that its owner has given up must not give access to the account."""
        post("email/send", {}, client)
        post("password/forgot", {"email": ada.email})
        post("email/change", {"email": "new@example.org", "current_password": PASSWORD}, client)
        verify, reset, changed, _ = mailbox.deliver()
        change(client, ada)
        sent = [mailbox.link(message)[1] for message in (verify, reset, changed)]
        assert post("password/reset", {"token": sent[1], "password": NEW}).status_code == 410
        for secret in (sent[0], sent[2]):
            assert post("email/verify", {"token": secret}).status_code == 410
        assert not MailedLink.objects.filter(user=ada).exists()

    def test_links_whose_mail_was_not_made_yet(
        self, change: Any, ada: User, client: APIClient
    ) -> None:
        """The mail server was not available: the mail was requested before the change and is rendered after it."""
        post("password/forgot", {"email": ada.email})
        post("email/change", {"email": "new@example.org", "current_password": PASSWORD}, client)
        waiting = [job for job in mailbox.waiting_jobs() if job.task_name == LINK]
        assert len(waiting) == 2
        change(client, ada)
        before = len(django_mail.outbox)
        for job in waiting:
            app.tasks[job.task_name].func(**job.args)
        assert len(django_mail.outbox) == before
        assert not MailedLink.objects.filter(user=ada).exists()

    def test_a_log_in_that_lacks_its_second_factor(
        self, change: Any, ada: User, client: APIClient
    ) -> None:
        codes = RecoveryCodes.activate(ada).generate_codes()
        challenge = factors.begin_pending_login(ada, "google")
        if change is not add_factor:
            change(client, ada)
        else:
            factors.new_recovery_codes(user=ada, session=RefreshFamily.objects.get(user=ada))
        answer = post("login/continue", {"challenge": challenge, "mfa_code": codes[0]})
        assert answer.status_code == 401
        assert not Challenge.objects.filter(user=ada).exists()

    def test_a_stream_ticket(self, change: Any, ada: User, client: APIClient) -> None:
        assert post("stream-ticket", {}, client).status_code == 201
        assert StreamTicket.objects.count() == 1
        change(client, ada)
        assert not StreamTicket.objects.exists()

    def test_a_log_in_that_began_before(self, change: Any, ada: User, client: APIClient) -> None:
        """Repeated logins with the old password get no session that survives the change."""
        seen = User.objects.get(pk=ada.pk)
        change(client, ada)
        with pytest.raises(SessionEnded):
            sessions.begin(user=seen, ip=None, user_agent="")


def test_a_link_proves_the_address_it_was_sent_to_and_no_other(ada: User) -> None:
    """Whichever way the address was changed."""
    for purpose, path in (("reset", "password/reset"), ("verify", "email/verify")):
        user = User.objects.get(pk=ada.pk)
        secret = links.issue(user, MailedLink.Purpose(purpose), user.email)
        User.objects.filter(pk=ada.pk).update(email=f"{purpose}@example.org")
        body = {"token": secret, **({"password": NEW} if purpose == "reset" else {})}
        assert post(path, body).status_code == 410


def test_only_the_newest_change_of_address_can_be_confirmed(ada: User) -> None:
    client = client_for(ada, make_world().org)
    secrets = []
    for address in ("one@example.org", "two@example.org"):
        post("email/change", {"email": address, "current_password": PASSWORD}, client)
        sent = [message for message in mailbox.deliver() if message.to == [address]]
        secrets.append(mailbox.link(sent[0])[1])
    assert post("email/verify", {"token": secrets[0]}).status_code == 410
    assert post("email/verify", {"token": secrets[1]}).status_code == 204


def test_an_address_used_meanwhile_stays_with_its_account(ada: User) -> None:
    client = client_for(ada, make_world().org)
    post("email/change", {"email": "new@example.org", "current_password": PASSWORD}, client)
    link, _ = mailbox.deliver()
    User.objects.create_user(email="new@example.org", password=PASSWORD)
    assert post("email/verify", {"token": mailbox.link(link)[1]}).status_code == 410
    ada.refresh_from_db()
    assert ada.email == "ada@example.com"


def test_an_account_that_was_disabled_uses_no_link(ada: User) -> None:
    post("password/forgot", {"email": ada.email})
    (message,) = mailbox.deliver()
    User.objects.update(is_active=False)
    body = {"token": mailbox.link(message)[1], "password": NEW}
    assert post("password/reset", body).status_code == 410


def test_invitations_to_an_address_that_was_given_up_are_sent_again_or_nothing(
    ada: User, world: World
) -> None:
    """The links are in a mailbox that its owner has given up, and its new reader could register with them."""
    User.objects.update(email_verified_at=timezone.now())
    body = {"email": ada.email, "role": "admin"}
    invited = world.client("owner").post("/api/v1/org/invitations", body).json()
    (message,) = mailbox.deliver()
    client = client_for(ada, make_world().org)
    change_address(client, ada)
    secret = mailbox.link(message)[1]
    taking = {"email": "ada@example.com", "password": PASSWORD, "invitation": secret}
    assert post("register", taking).status_code == 410
    mailbox.deliver()
    again = world.client("owner").post(f"/api/v1/org/invitations/{invited['id']}/resend", {})
    assert again.status_code == 200
    (message,) = mailbox.deliver()
    taking["invitation"] = mailbox.link(message)[1]
    assert post("register", taking).status_code == 201


def test_an_account_created_by_an_org_waits_for_the_owner_of_the_mailbox(db: None) -> None:
    """An issuer that names an address does not prevent its owner from registering."""
    waiting = User.objects.create_user(email="grace@example.com", password=None)
    body = {"email": "grace@example.com", "password": PASSWORD, "organization_name": "Navy"}
    assert post("register", body).status_code == 202
    (message,) = mailbox.deliver()
    assert (
        post("password/reset", {"token": mailbox.link(message)[1], "password": NEW}).status_code
        == 204
    )
    assert log_in("grace@example.com", NEW).json()["user"]["id"] == str(waiting.pk)
    assert post("register", body).status_code == 409
