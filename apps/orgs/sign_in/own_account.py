"""Actions of a user: change the password or the address, and join, create or switch orgs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from apps.auth import accounts, attempts
from apps.orgs.credentials import Account
from apps.orgs.exceptions import Invalid
from apps.orgs.members import invitations, services
from apps.orgs.sign_in import responses
from apps.orgs.sign_in.reauthentication import require_password


def change_password(*, account: Account, current_password: str, new_password: str) -> None:
    """Change the password and end every other session. Raises WrongPassword, and Invalid for a weak password."""
    require_password(account, current_password)
    user = account.user
    if faults := accounts.password_faults(new_password, email=user.email, name=user.name):
        raise Invalid([("new_password", fault, "weak") for fault in faults])
    accounts.change_password(user=user, password=new_password, keep_session=account.session.pk)


def request_email_change(*, account: Account, password: str, email: str) -> None:
    """Mail a link to the new address. The address changes when the link is opened. Raises WrongPassword."""
    require_password(account, password)
    accounts.request_email_change(user=account.user, email=email, ip=account.ip)


@transaction.atomic
def verify_email(token: str) -> None:
    """Verify an address with a mailed link. Links of invitations to the replaced address stop working. Raises LinkSpent."""
    if old_address := accounts.verify_email(token):
        invitations.invalidate_links_to(old_address)


def switch_org(*, account: Account, org_id: UUID) -> dict[str, Any]:
    """Return an access token of the same session for another org. Raises NotFound."""
    return responses.login_response(responses.session_of(account), org_id)


def create_org(*, account: Account, name: str) -> dict[str, Any]:
    """Create another org, and return an access token for it. Raises TooManyAttempts."""
    attempts.record_registration(account.ip)
    org = services.create_org(name=name, owner=account.user, by=account.principal)
    return switch_org(account=account, org_id=org.pk)


def accept_invitation(*, account: Account, token: str) -> dict[str, Any]:
    """Join the org that invited the user's address, and return an access token for it.

    Raises LinkSpent and InvitationForOtherAddress.
    """
    member = invitations.accept(token=token, user=account.user, by=account.principal)
    return switch_org(account=account, org_id=member.org_id)
