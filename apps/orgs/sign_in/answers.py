"""From a session to an answer: which orgs a user belongs to, and an access token for one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction

from apps.auth import accounts, attempts, mail, sessions, tokens
from apps.auth.accounts import ask_to_verify, create_account
from apps.auth.exceptions import RegistrationRefused
from apps.auth.models import User
from apps.auth.sessions import Session
from apps.orgs import principals, rules
from apps.orgs.credentials import Account
from apps.orgs.exceptions import NotFound
from apps.orgs.members import invitations
from apps.orgs.members.services import create_org
from apps.orgs.models import DomainRole, FederatedIdentity, Membership
from apps.orgs.principals import SYSTEM, Principal
from apps.orgs.roles import Role
from apps.orgs.tenancy import org_scope, user_scope


@dataclass(frozen=True, slots=True)
class Registered:
    """Somebody new: the user and the org they work in."""

    user: User
    org_id: UUID


def register(
    *,
    email: str,
    password: str,
    name: str,
    organization_name: str,
    invitation: str = "",
    ip: str | None,
) -> Registered | None:
    """A user and their org, or their place in the org that invited them, all or none.

    None where addresses must be verified first: then a mail is on its way, to a taken address too, so that the
    answer tells nobody who has an account. None too for an account that awaits its owner, who sets its password by
    the mailed link. Raises RegistrationRefused for a taken address otherwise, LinkSpent for a bad invitation and
    TooManyAttempts.
    """
    attempts.begin_registration(ip)
    verify = settings.REQUIRE_VERIFIED_EMAIL and not invitation
    try:
        with transaction.atomic():
            user = create_account(email=email, password=password, name=name)
            by = principals.person(user.pk, user.email, ip)
            if invitation:
                org = invitations.accept(token=invitation, user=user, by=by).org_id
            else:
                org = create_org(name=organization_name, owner=user, by=by).pk
    except RegistrationRefused:
        awaits = accounts.awaits_owner(email)
        if not (verify or awaits):
            raise
        _rehearse(organization_name)
        if awaits:
            accounts.ask_to_reset(email, ip)
        elif not attempts.mailed_enough(email):
            mail.ask_for_notice(email, "account-exists")
        return None
    if user.email_verified_at is None:
        ask_to_verify(user)
    return None if verify else Registered(user, org)


def _rehearse(organization_name: str) -> None:
    """Make an org and take it back: a taken address must not be told by its quicker answer."""
    with transaction.atomic():
        nobody = create_account(email=f"{uuid4().hex}@nobody.invalid", password="", name="")
        create_org(name=organization_name, owner=nobody, by=SYSTEM)
        transaction.set_rollback(True)


def session_of(account: Account) -> Session:
    """The session of a request, as it stands: from where it was asked now, not from where it began."""
    return replace(sessions.of(account.session), ip=account.ip)


def memberships_of(user_id: UUID, *, only: UUID | None = None) -> list[Membership]:
    """Every membership of a user with its org, the oldest first; of one org `only`, when named."""
    with user_scope(user_id):
        mine = Membership.unscoped.filter(user_id=user_id).select_related("org")
        if only is not None:
            mine = mine.filter(org_id=only)
        return list(mine.order_by("created_at", "id"))


def answer(session: Session, org_id: UUID | None = None) -> dict[str, Any]:
    """What logging in, refreshing and switching answer: an access token for `org_id`, or for the oldest org
    that lets them in.

    Raises NotFound when the user is no member of `org_id`. For a member of none it is good for the account only.
    """
    memberships = memberships_of(session.user.pk, only=session.only_org)
    chosen = _choose(memberships, org_id, session)
    claims = tokens.Claims(
        user_id=session.user.pk,
        org_id=chosen.org_id if chosen else None,
        session_id=session.id,
        token_version=session.user.token_version,
    )
    return {
        "access": tokens.issue(claims),
        "expires_in": int(settings.ACCESS_TOKEN_LIFETIME.total_seconds()),
        **profile(session, chosen, memberships),
    }


def profile(
    session: Session, chosen: Membership | None, memberships: list[Membership]
) -> dict[str, Any]:
    """Who someone is, where, and what they may do there: what `GET /auth/me` answers."""
    here = None
    if chosen is not None:
        here = {**organization(chosen, _principal(chosen)), "closed": closed_to(session, chosen)}
    return {
        "user": {
            **(
                as_vouched_for(session, session.only_org)
                if session.only_org
                else person(session.user)
            ),
            "limited": session.only_org is not None,
            "second_factor": session.second_factor,
        },
        "organization": here,
        "organizations": [summary(membership) for membership in memberships],
    }


def as_vouched_for(session: Session, org_id: UUID) -> dict[str, Any]:
    """Who this is by the word of the org's own identity provider, which learns nothing of the account."""
    with org_scope(org_id):
        known = FederatedIdentity.objects.for_org(org_id)
        said = known.filter(membership__user=session.user).values("email", "name").first()
    return {"id": session.user.pk, **(said or {"email": "", "name": ""}), **UNTOLD}


# What only a session of the account itself is told.
UNTOLD = {"email_verified": None, "has_password": None}


def person(user: User) -> dict[str, Any]:
    return {
        "id": user.pk,
        "email": user.email,
        "name": user.name,
        "email_verified": user.email_verified_at is not None,
        "has_password": user.has_usable_password(),
    }


def organization(membership: Membership, principal: Principal) -> dict[str, Any]:
    """An org as its member sees it, with what they may do there."""
    org = membership.org
    return {
        **summary(membership),
        "role": principal.role,
        "permissions": principal.permissions(),
        "domains": [
            {"id": domain, "permissions": principal.permissions(domain_id=domain)}
            for domain in principal.domains()
        ],
        "suspended_at": org.suspended_at,
        "deletion_at": org.deletion_at,
    }


def closed_to(session: Session, membership: Membership) -> str | None:
    """The rule of the org that keeps this session out, by name."""
    return rules.closed(
        membership.org,
        role=Role(membership.role),
        session=True,
        by_sso=session.only_org is not None,
        second_factor=session.second_factor,
        ip=session.ip,
    )


def _principal(chosen: Membership) -> Principal:
    """The member as a request of theirs would be."""
    with org_scope(chosen.org_id):
        overrides = DomainRole.objects.for_org(chosen.org_id).filter(membership_id=chosen.pk)
        raised = {row.domain_id: Role(row.role) for row in overrides.order_by("domain_id")}
    return Principal(
        org_id=chosen.org_id,
        user_id=chosen.user_id,
        role=Role(chosen.role),
        actor=SYSTEM.actor,
        membership_id=chosen.pk,
        domain_roles=raised,
    )


def _choose(
    memberships: list[Membership], org_id: UUID | None, session: Session
) -> Membership | None:
    if org_id is None:
        opened = (each for each in memberships if closed_to(session, each) is None)
        return next(opened, memberships[0] if memberships else None)
    for membership in memberships:
        if membership.org_id == org_id:
            return membership
    raise NotFound


def summary(membership: Membership) -> dict[str, Any]:
    org = membership.org
    return {"id": org.pk, "name": org.name, "slug": org.slug, "role": membership.role}
