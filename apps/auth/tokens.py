"""Access tokens: JWTs valid for ten minutes that contain user and org, never permissions."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token. Role and membership are not claims; they are read from the database.

    `org_id` is None for a user without orgs. Such a token works only for requests about the account.
    """

    user_id: UUID
    org_id: UUID | None
    session_id: UUID
    token_version: int


def issue(claims: Claims) -> str:
    """Create a signed token that is valid for `settings.ACCESS_TOKEN_LIFETIME`."""
    token = AccessToken()
    token["sub"] = str(claims.user_id)
    token["org"] = str(claims.org_id) if claims.org_id else None
    token["sid"] = str(claims.session_id)
    token["tv"] = claims.token_version
    return str(token)


def verify(text: str) -> Claims | None:
    """Return the claims of a token with a valid signature and lifetime, else None."""
    try:
        token = AccessToken(text)  # type: ignore[arg-type]  # the stubs declare Token, but the library accepts text
        return Claims(
            user_id=UUID(token["sub"]),
            org_id=UUID(token["org"]) if token["org"] else None,
            session_id=UUID(token["sid"]),
            token_version=int(token["tv"]),
        )
    except (TokenError, KeyError, ValueError, TypeError):
        return None
