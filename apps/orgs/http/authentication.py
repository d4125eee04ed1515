"""Read the credential of a request: an access token or an API key. Each is for one org."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated

from apps.auth import keys, tokens
from apps.orgs.credentials import Credential, KeyCredential, TokenCredential
from apps.orgs.roles import Role
from apps.web.addresses import client_ip


def read_credential(request: HttpRequest) -> Credential:
    """Return the credential of a request. Raises NotAuthenticated or AuthenticationFailed."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        text = value.strip()
    elif key := request.headers.get("X-API-Key"):
        text = key.strip()
    else:
        raise NotAuthenticated("Send Authorization: Bearer with an access token or an API key.")
    ip = client_ip(request)
    return _read_key(text, ip) if text.startswith(keys.SCHEME) else read_token(text, ip)


def read_token(text: str, ip: str | None) -> TokenCredential:
    claims = tokens.verify(text)
    if claims is None:
        raise AuthenticationFailed("The access token is invalid or has expired.")
    return credential_from_claims(claims, ip)


def credential_from_claims(claims: tokens.Claims, ip: str | None) -> TokenCredential:
    """Return the credential for claims that were already verified."""
    return TokenCredential(
        org_id=claims.org_id,
        user_id=claims.user_id,
        session_id=claims.session_id,
        token_version=claims.token_version,
        ip=ip,
    )


def _read_key(text: str, ip: str | None) -> KeyCredential:
    prefix = keys.parse_prefix(text)
    row = _load_key_row(prefix) if prefix else None
    if row is None or not keys.matches(
        text, hashed=row["hash"], tag=bytes(row["tag"]), version=row["version"]
    ):
        raise AuthenticationFailed("The API key is not valid.")
    if row["revoked_at"] or (row["expires_at"] and row["expires_at"] <= timezone.now()):
        raise AuthenticationFailed("The API key was revoked or has expired.")
    _record_use(row["id"], row["last_used_at"])
    return KeyCredential(
        org_id=row["org_id"],
        user_id=row["created_by_id"],
        key_id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        scopes=tuple(row["scopes"]),
        domain_id=row["domain_id"],
        ip=ip,
    )


def _load_key_row(prefix: str) -> dict[str, Any] | None:
    """Look up the row with a SECURITY DEFINER function, because the org is not known yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT auth_key_by_prefix(%s)", [prefix])
        (row,) = cursor.fetchone() or (None,)
    return _convert_types(orjson.loads(row)) if row else None  # Django returns jsonb as text.


def _convert_types(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("id", "org_id", "created_by_id", "domain_id"):
        row[name] = UUID(row[name]) if row[name] else None
    for name in ("expires_at", "revoked_at", "last_used_at"):
        row[name] = datetime.fromisoformat(row[name]) if row[name] else None
    row["tag"] = bytes.fromhex(row["tag"])
    return row


def _record_use(key_id: UUID, last_used_at: datetime | None) -> None:
    """Update `last_used_at` at most once per minute, because an update on every request would be expensive."""
    now = timezone.now()
    if last_used_at and (now - last_used_at).total_seconds() < 60:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT auth_key_used(%s)", [key_id])
