"""Actions of the operators' commands: create an operator, create an org with its owner, reset second factors."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from apps.auth import factors
from apps.auth.models import User
from apps.orgs.exceptions import Conflict, NotFound
from apps.orgs.members.services import create_org
from apps.orgs.models import Org
from apps.orgs.principals import Principal


class AccountExists(Conflict):
    """An account with this address already exists: operators need a separate account."""

    code = "account_exists"


def create_operator(*, email: str, password: str) -> User:
    """Create an operator. Raises AccountExists."""
    if User.objects.filter(email=email).exists():
        raise AccountExists
    return User.objects.create_user(email=email, password=password, is_staff=True)


@transaction.atomic
def create_org_with_owner(
    *, name: str, owner_email: str, create_password: Callable[[], str], by: Principal
) -> tuple[Org, str | None]:
    """Create an org. Returns the org, and the password of its owner if the owner's account was created too.

    `create_password` is called only if the account must be created.
    """
    user, password = User.objects.filter(email=owner_email).first(), None
    if user is None:
        password = create_password()
        user = User.objects.create_user(email=owner_email, password=password)
    return create_org(name=name, owner=user, by=by), password


def reset_second_factor(*, email: str) -> int:
    """Delete the second factors of the account with this address, and end its sessions.

    Returns the number of deleted factors. Raises NotFound.
    """
    user = User.objects.filter(email=email.strip().lower(), kind=User.Kind.PERSON).first()
    if user is None:
        raise NotFound
    return factors.reset(user)
