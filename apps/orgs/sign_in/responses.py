"""Build the responses to logging in and to `GET /auth/me`: the user, the user's orgs, and an access token."""

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
    """Return the session of a request. Its IP address is the address of this request."""
    return replace(sessions.session_of_family(account.session), ip=account.ip)


def profile_of(account: Account) -> dict[str, Any]:
    """Return the response of `GET /auth/me` for a session."""
    session = session_of(account)
    memberships = memberships_of(account.user.pk, only_org=session.only_org)
    current_membership = next(
        (membership for membership in memberships if membership.org_id == account.org_id), None
    )
    return profile_fields(session, current_membership, memberships)


def profile_of_key(key: KeyCredential) -> dict[str, Any]:
    """Return the response of `GET /auth/me` for an API key. It contains only the org of the key."""
    with org_scope(key.org_id):
        org, principal = credentials.load_principal(key)
        members = Membership.objects.for_org(org).select_related("org", "user")
        membership = members.get(user_id=key.user_id)
        user = {**user_fields(membership.user), **HIDDEN_ACCOUNT_FIELDS}
        return {
            "user": {**user, "limited": True, "second_factor": False},
            "organization": {**organization_fields(membership, principal), "closed": None},
            "organizations": [{**organization_summary(membership), "role": principal.role}],
            "version": settings.VERSION,
        }


def memberships_of(user_id: UUID, *, only_org: UUID | None = None) -> list[Membership]:
    """Return the memberships of a user with their orgs, oldest first. `only_org` limits the list to this org."""
    with user_scope(user_id):
        memberships = Membership.unscoped.filter(user_id=user_id).select_related("org")
        if only_org is not None:
            memberships = memberships.filter(org_id=only_org)
        return list(memberships.order_by("created_at", "id"))


def login_response(session: Session, org_id: UUID | None = None) -> dict[str, Any]:
    """Return the response to logging in, refreshing and switching the org. It contains an access token.

    The token is for `org_id`, or by default for the first org that the user joined and may access. If there is no such
    org, the token is for the first org. A user without orgs gets a token for the account only. Raises NotFound if the
    user is not a member of `org_id`.
    """
    memberships = memberships_of(session.user.pk, only_org=session.only_org)
    membership = _choose_membership(memberships, org_id, session)
    claims = tokens.Claims(
        user_id=session.user.pk,
        org_id=membership.org_id if membership else None,
        session_id=session.id,
        token_version=session.user.token_version,
    )
    return {
        "access": tokens.issue(claims),
        "expires_in": int(settings.ACCESS_TOKEN_LIFETIME.total_seconds()),
        **profile_fields(session, membership, memberships),
    }


def profile_fields(
    session: Session, membership: Membership | None, memberships: list[Membership]
) -> dict[str, Any]:
    """Return the user, the chosen org with the user's permissions, and the list of orgs."""
    current_org = None
    if membership is not None:
        current_org = {
            **organization_fields(membership, _member_principal(membership)),
            "closed": denial_for(session, membership),
        }
    return {
        "user": {
            **(
                profile_from_provider(session, session.only_org)
                if session.only_org
                else user_fields(session.user)
            ),
            "limited": session.only_org is not None,
            "second_factor": session.second_factor,
        },
        "organization": current_org,
        "organizations": [organization_summary(membership) for membership in memberships],
        "version": settings.VERSION,
    }


def profile_from_provider(session: Session, org_id: UUID) -> dict[str, Any]:
    """Return the user with the claims of the org's own identity provider, and without data of the account."""
    with org_scope(org_id):
        identities = FederatedIdentity.objects.for_org(org_id)
        claims = identities.filter(membership__user=session.user).values("email", "name").first()
    return {"id": session.user.pk, **(claims or {"email": "", "name": ""}), **HIDDEN_ACCOUNT_FIELDS}


# Fields that are null unless the session may manage the account.
HIDDEN_ACCOUNT_FIELDS = {"email_verified": None, "has_password": None}


def user_fields(user: User) -> dict[str, Any]:
    return {
        "id": user.pk,
        "email": user.email,
        "name": user.name,
        "email_verified": user.email_verified_at is not None,
        "has_password": user.has_usable_password(),
    }


def organization_fields(membership: Membership, principal: Principal) -> dict[str, Any]:
    """Return the fields of an org for its member, with the member's permissions."""
    org = membership.org
    return {
        **organization_summary(membership),
        "role": principal.role,
        "permissions": principal.permissions(),
        "domains": [
            {"id": domain, "permissions": principal.permissions(domain_id=domain)}
            for domain in principal.domains_with_own_permissions()
        ],
        "suspended_at": org.suspended_at,
        "deletion_at": org.deletion_at,
    }


def denial_for(session: Session, membership: Membership) -> str | None:
    """Return the name of the org's rule that denies this session access, if any."""
    return rules.find_denial(
        membership.org,
        role=Role(membership.role),
        has_session=True,
        by_sso=session.only_org is not None,
        second_factor=session.second_factor,
        ip=session.ip,
    )


def _member_principal(membership: Membership) -> Principal:
    """Return the principal of a member, to compute permissions."""
    with org_scope(membership.org_id):
        domain_role_rows = DomainRole.objects.for_org(membership.org_id).filter(
            membership_id=membership.pk
        )
        domain_roles = {
            row.domain_id: Role(row.role) for row in domain_role_rows.order_by("domain_id")
        }
    return Principal(
        org_id=membership.org_id,
        user_id=membership.user_id,
        role=Role(membership.role),
        actor=SYSTEM.actor,
        membership_id=membership.pk,
        domain_roles=domain_roles,
    )


def _choose_membership(
    memberships: list[Membership], org_id: UUID | None, session: Session
) -> Membership | None:
    if org_id is None:
        accessible = (
            membership for membership in memberships if denial_for(session, membership) is None
        )
        return next(accessible, memberships[0] if memberships else None)
    for membership in memberships:
        if membership.org_id == org_id:
            return membership
    raise NotFound


def organization_summary(membership: Membership) -> dict[str, Any]:
    org = membership.org
    return {"id": org.pk, "name": org.name, "slug": org.slug, "role": membership.role}
