"""From a session to an answer: which orgs a user belongs to, and an access token for one of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.auth import attempts, tokens
from apps.auth.accounts import create_account
from apps.auth.models import User
from apps.auth.sessions import Session
from apps.orgs.exceptions import NoOrganization, NotFound
from apps.orgs.models import DomainRole, Membership, Org
from apps.orgs.principals import SYSTEM, Actor, Principal
from apps.orgs.roles import Role
from apps.orgs.services import create_org
from apps.orgs.tenancy import org_scope, user_scope


def register(
    *, email: str, password: str, name: str, organization_name: str, ip: str | None
) -> tuple[User, Org]:
    """A user, their org and their ownership of it, all or none.

    Raises RegistrationRefused for a taken address and TooManyAttempts.
    """
    attempts.begin_registration(ip)
    with transaction.atomic():
        user = create_account(email=email, password=password, name=name)
        by = Actor(kind="user", id=user.pk, label=user.email, ip=ip)
        return user, create_org(name=organization_name, owner=user, by=by)


def memberships_of(user_id: UUID) -> list[Membership]:
    """Every membership of a user with its org, the oldest first."""
    with user_scope(user_id):
        mine = Membership.unscoped.filter(user_id=user_id).select_related("org")
        return list(mine.order_by("created_at", "id"))


def answer(session: Session, org_id: UUID | None = None) -> dict[str, Any]:
    """What logging in, refreshing and switching answer: an access token for `org_id`, or the oldest org.

    Raises NotFound when the user is no member of `org_id`, NoOrganization when of none.
    """
    memberships = memberships_of(session.user.pk)
    chosen = _choose(memberships, org_id)
    claims = tokens.Claims(
        user_id=session.user.pk,
        org_id=chosen.org_id,
        session_id=session.id,
        token_version=session.user.token_version,
    )
    return {
        "access": tokens.issue(claims),
        "expires_in": int(settings.ACCESS_TOKEN_LIFETIME.total_seconds()),
        **profile(session.user, chosen, memberships, _principal(chosen)),
    }


def profile(
    user: User, chosen: Membership, memberships: list[Membership], principal: Principal
) -> dict[str, Any]:
    """Who someone is, where, and what they may do there: what `GET /auth/me` answers."""
    return {
        "user": {
            "id": user.pk,
            "email": user.email,
            "name": user.name,
            "email_verified": user.email_verified_at is not None,
        },
        "organization": {
            **_organization(chosen),
            "permissions": principal.permissions(),
            "domains": [
                {"id": domain, "permissions": principal.permissions(domain_id=domain)}
                for domain in principal.domains()
            ],
        },
        "organizations": [_organization(membership) for membership in memberships],
    }


def _principal(chosen: Membership) -> Principal:
    """The member as a request of theirs would be."""
    with org_scope(chosen.org_id):
        overrides = DomainRole.objects.for_org(chosen.org_id).filter(membership_id=chosen.pk)
        raised = {row.domain_id: Role(row.role) for row in overrides.order_by("domain_id")}
    return Principal(
        org_id=chosen.org_id,
        user_id=chosen.user_id,
        role=Role(chosen.role),
        actor=SYSTEM,
        membership_id=chosen.pk,
        domain_roles=raised,
    )


def _choose(memberships: list[Membership], org_id: UUID | None) -> Membership:
    if not memberships:
        raise NoOrganization
    if org_id is None:
        return memberships[0]
    for membership in memberships:
        if membership.org_id == org_id:
            return membership
    raise NotFound


def _organization(membership: Membership) -> dict[str, Any]:
    org = membership.org
    return {"id": org.pk, "name": org.name, "slug": org.slug, "role": membership.role}
