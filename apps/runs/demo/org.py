"""The demo's user and org, created once."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from apps.auth.accounts import create_account
from apps.auth.models import User
from apps.orgs.members.services import create_org
from apps.orgs.models import Org
from apps.orgs.principals import Actor, Principal, person_principal
from apps.orgs.roles import Role
from apps.orgs.sign_in.responses import memberships_of

EMAIL = "demo@drover.example"
USER_NAME = "Dana Demo"
ORG_NAME = "Demo"


@dataclass(frozen=True)
class Login:
    """The credentials of the demo user. `password` is None if the user has changed it."""

    email: str
    password: str | None


def ensure_org(*, password: str) -> tuple[Org, Principal, Login]:
    """Create the demo org and its owner unless they exist. `password` is set only for a new owner."""
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        with transaction.atomic():
            user = create_account(email=EMAIL, password=password, name=USER_NAME)
            user.email_verified_at = timezone.now()  # There is no mailbox behind this address.
            user.save(update_fields=["email_verified_at"])
            create_org(name=ORG_NAME, owner=user, by=person_principal(user.pk, user.email))
    login = Login(EMAIL, password if user.check_password(password) else None)
    membership = memberships_of(user.pk)[0]
    principal = Principal(
        org_id=membership.org_id,
        user_id=user.pk,
        role=Role(membership.role),
        actor=Actor(kind="user", id=user.pk, label=user.email),
        membership_id=membership.pk,
    )
    return membership.org, principal, login
