"""Convert a verified credential to a principal, with the current role and permissions.

`apps.orgs.http.authentication` reads the credential from a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from rest_framework.exceptions import AuthenticationFailed

from apps.auth.models import RefreshFamily, User
from apps.orgs import rules
from apps.orgs.exceptions import NoOrganization, SessionNeeded
from apps.orgs.models import Org
from apps.orgs.principals import Actor, Principal, person_principal
from apps.orgs.roles import RANK, Permission, Role


@dataclass(frozen=True, slots=True)
class TokenCredential:
    """A verified access token. `org_id` is None for a user who belongs to no org."""

    org_id: UUID | None
    user_id: UUID
    session_id: UUID
    token_version: int
    ip: str | None


@dataclass(frozen=True, slots=True)
class KeyCredential:
    """A verified API key, with the values of its row."""

    org_id: UUID
    user_id: UUID  # the user who created it, or the service account that it belongs to
    key_id: UUID
    name: str
    role: Role
    scopes: tuple[str, ...]
    domain_id: UUID | None
    ip: str | None


Credential = TokenCredential | KeyCredential


@dataclass(frozen=True, slots=True)
class Account:
    """A logged-in user, for the routes about the account, which belong to no org."""

    user: User
    session: RefreshFamily
    org_id: UUID | None  # from the token
    ip: str | None

    @property
    def principal(self) -> Principal:
        return person_principal(self.user.pk, self.user.email, self.ip)


def load_account(credential: Credential) -> Account:
    """Return the user of an access token. Raises AuthenticationFailed if the session has ended.

    Raises SessionNeeded for an API key.
    """
    if isinstance(credential, KeyCredential):
        raise SessionNeeded
    active_sessions = RefreshFamily.objects.filter(
        pk=credential.session_id, user_id=credential.user_id, revoked_at__isnull=True
    )
    session = active_sessions.select_related("user").first()
    if session is None or not session.user.is_active:
        raise AuthenticationFailed("Log in again: this session was ended.")
    if session.user.token_version != credential.token_version:
        raise AuthenticationFailed("Log in again: this session was ended.")
    return Account(session.user, session, credential.org_id, credential.ip)


def org_id_of(credential: Credential) -> UUID:
    """Return the org id of a credential. Raises NoOrganization if it has none."""
    if credential.org_id is None:
        raise NoOrganization
    return credential.org_id


def load_principal(credential: Credential, *, changing: bool = False) -> tuple[Org, Principal]:
    """Load the org and the principal inside the org's scope. Raises AuthenticationFailed if access has ended.

    Raises OrgAccessDenied if a rule of the org denies access. With `changing`, also raises OrgReadOnly while the
    org is read-only. Every request runs ACCESS_QUERY. It calls one database function (see credentials.sql), because
    building and planning a query each time would take longer than running it.
    """
    session_id = credential.session_id if isinstance(credential, TokenCredential) else None
    with connection.cursor() as cursor:
        cursor.execute(
            ACCESS_QUERY,
            {"org": credential.org_id, "user": credential.user_id, "session": session_id},
        )
        row = cursor.fetchone()
    if row is None:
        raise AuthenticationFailed("This credential no longer gives access to the organization.")
    access, org = _MemberAccess(*row[:7]), Org.from_db("default", ORG_FIELDS, row[7:])
    if isinstance(credential, KeyCredential):
        principal = _key_principal(access, credential)
    elif access.token_version != credential.token_version:
        raise AuthenticationFailed("Log in again: this session was ended.")
    else:
        principal = _member_principal(access, credential)
    denial = rules.find_denial(
        org,
        role=principal.role,
        has_session=session_id is not None,
        by_sso=access.session_org is not None,
        second_factor=access.second_factor,
        ip=credential.ip,
    )
    rules.raise_if_denied(denial)
    if changing:
        rules.require_writable(org)
    return org, principal


def load_member(*, org_id: UUID, user_id: UUID, ip: str | None) -> tuple[Org, Principal]:
    """Load the org and a member without a session, for a job that acts for the member. Call it in the org's scope.

    Raises AuthenticationFailed if the user is not a member any more, OrgAccessDenied, and OrgReadOnly.
    """
    with connection.cursor() as cursor:
        cursor.execute(ACCESS_QUERY, {"org": org_id, "user": user_id, "session": None})
        row = cursor.fetchone()
    return member_of_row(row, org_id=org_id, user_id=user_id, ip=ip)


def member_of_row(
    row: Sequence[Any] | None, *, org_id: UUID, user_id: UUID, ip: str | None
) -> tuple[Org, Principal]:
    """Return the org and the member of a row of ACCESS_COLUMNS, as `load_member` does. All are NULL without access."""
    if row is None or row[0] is None:
        raise AuthenticationFailed("This user is not a member of the organization any more.")
    access, org = _MemberAccess(*row[:7]), Org.from_db("default", ORG_FIELDS, row[7:])
    denial = rules.find_denial(
        org, role=Role(access.role), has_session=False, by_sso=False, second_factor=False, ip=ip
    )
    rules.raise_if_denied(denial)
    rules.require_writable(org)
    domain_roles = (access.domain_roles or {}).items()
    principal = Principal(
        org_id=org_id,
        user_id=user_id,
        role=Role(access.role),
        actor=Actor("user", user_id, access.email, ip),
        membership_id=access.membership_id,
        domain_roles={UUID(domain): Role(role) for domain, role in domain_roles},
    )
    return org, principal


ORG_FIELDS = [field.attname for field in Org._meta.concrete_fields]
# The query returns no row if the session has ended. For an API key the session is NULL. Only viewers and members have
# domain roles.
ACCESS_COLUMNS = ", ".join(
    (
        "a.membership_id, a.role, a.email, a.token_version, a.domain_roles, a.session_org, a.second_factor",
        *(f"(a.org).{field.column}" for field in Org._meta.concrete_fields),
    )
)
ACCESS_QUERY = f"""
    SELECT {ACCESS_COLUMNS} FROM org_access(%(org)s, %(user)s, %(session)s) a
"""  # noqa: S608 - column names of our own model; values are parameters


@dataclass(frozen=True, slots=True)
class _MemberAccess:
    """The current data of a member and of the session, from the database."""

    membership_id: UUID
    role: str
    email: str
    token_version: int
    domain_roles: dict[str, str] | None
    session_org: UUID | None
    second_factor: bool


def _member_principal(access: _MemberAccess, credential: TokenCredential) -> Principal:
    org_id = org_id_of(credential)
    domain_roles = (access.domain_roles or {}).items()
    return Principal(
        org_id=org_id,
        user_id=credential.user_id,
        role=Role(access.role),
        actor=Actor("user", credential.user_id, access.email, credential.ip),
        membership_id=access.membership_id,
        domain_roles={UUID(domain): Role(role) for domain, role in domain_roles},
        session_id=credential.session_id,
        second_factor=access.second_factor,
        by_sso=access.session_org is not None,
    )


def _key_principal(access: _MemberAccess, credential: KeyCredential) -> Principal:
    holder_role = Role(access.role)
    role = min(credential.role, holder_role, key=RANK.__getitem__)
    return Principal(
        org_id=credential.org_id,
        user_id=credential.user_id,
        role=role,
        actor=Actor("api_key", credential.key_id, credential.name, credential.ip),
        membership_id=access.membership_id,
        scopes=frozenset(map(Permission, credential.scopes)) or None,
        only_domain=credential.domain_id,
    )
