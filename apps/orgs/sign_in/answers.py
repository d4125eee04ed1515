"""Build responses for a session: the user's orgs, and an access token for one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.conf import settings

from apps.auth import sessions, tokens
from apps.auth.models import User
from apps.auth.sessions import Session
from apps.orgs import credentials, rules
from apps.orgs.credentials import Account, KeyCredential
from apps.orgs.exceptions import NotFound
from apps.orgs.models import DomainRole, FederatedIdentity, Membership
from apps.orgs.principals import SYSTEM, Principal
from apps.orgs.roles import Role
from apps.orgs.walls.scope import org_scope, user_scope


def session_of(account: Account) -> Session:
    """Return the session of a request, with the request's own address instead of the one the session began with."""
    return replace(sessions.of(account.session), ip=account.ip)


def profile_of(account: Account) -> dict[str, Any]:
    """Return the response of `GET /auth/me` for a session."""
    session = session_of(account)
    mine = memberships_of(account.user.pk, only=session.only_org)
    here = next((each for each in mine if each.org_id == account.org_id), None)
    return profile(session, here, mine)


def profile_of_key(key: KeyCredential) -> dict[str, Any]:
    """Return the response of `GET /auth/me` for an API key, which contains only its own org."""
    with org_scope(key.org_id):
        org, principal = credentials.load(key)
        members = Membership.objects.for_org(org).select_related("org", "user")
        here = members.get(user_id=key.user_id)
        told = {**person(here.user), **UNTOLD}
        return {
            "user": {**told, "limited": True, "second_factor": False},
            "organization": {**organization(here, principal), "closed": None},
            "organizations": [{**summary(here), "role": principal.role}],
        }


def memberships_of(user_id: UUID, *, only: UUID | None = None) -> list[Membership]:
    """Return every membership of a user with its org, the oldest first; only that of the org `only` if set."""
    with user_scope(user_id):
        mine = Membership.unscoped.filter(user_id=user_id).select_related("org")
        if only is not None:
            mine = mine.filter(org_id=only)
        return list(mine.order_by("created_at", "id"))


def answer(session: Session, org_id: UUID | None = None) -> dict[str, Any]:
    """Return the response to logging in, refreshing and switching: an access token for `org_id`, or for the oldest
    accessible org.

    Raises NotFound if the user is not a member of `org_id`. A user without orgs gets a token for the account
    only.
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
    """Return the user, the org and the permissions: the response of `GET /auth/me`."""
    here = None
    if chosen is not None:
        here = {**organization(chosen, _principal(chosen)), "closed": closed_to(session, chosen)}
    return {
        "user": {
            **(
                profile_from_provider(session, session.only_org)
                if session.only_org
                else person(session.user)
            ),
            "limited": session.only_org is not None,
            "second_factor": session.second_factor,
        },
        "organization": here,
        "organizations": [summary(membership) for membership in memberships],
    }


def profile_from_provider(session: Session, org_id: UUID) -> dict[str, Any]:
    """Return the user as described by the org's own identity provider, without data of the account."""
    with org_scope(org_id):
        known = FederatedIdentity.objects.for_org(org_id)
        said = known.filter(membership__user=session.user).values("email", "name").first()
    return {"id": session.user.pk, **(said or {"email": "", "name": ""}), **UNTOLD}


# Data that only a session of the account itself may see.
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
    """Render an org for its member, with the member's permissions."""
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
    """Return the name of the org's rule that denies this session access, if any."""
    return rules.closed(
        membership.org,
        role=Role(membership.role),
        session=True,
        by_sso=session.only_org is not None,
        second_factor=session.second_factor,
        ip=session.ip,
    )


def _principal(chosen: Membership) -> Principal:
    """Return the member's principal, as for one of their requests."""
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
