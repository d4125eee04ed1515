"""The programs that call tools over MCP. Each has an API key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed

from apps.orgs import credentials
from apps.orgs.credentials import KeyCredential
from apps.orgs.http import authentication
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.walls.scope import org_scope


@dataclass(frozen=True, slots=True)
class Caller:
    """A program with a valid API key, and its request."""

    request: HttpRequest
    credential: KeyCredential

    @contextmanager
    def scope(self, *, changing: bool = False) -> Iterator[tuple[Org, Principal]]:
        """Open the scope of the key's org, with the key's current permissions.

        Raises AuthenticationFailed if the key's owner is not a member any more, OrgAccessDenied, and OrgReadOnly with
        `changing`.
        """
        with org_scope(self.credential.org_id):
            yield credentials.load_principal(self.credential, changing=changing)

    def read_again(self) -> Caller:
        """Read the key again after a slow call. Raises AuthenticationFailed if it was revoked meanwhile."""
        return Caller(self.request, _read_key(self.request))


def authenticate(request: HttpRequest) -> Caller:
    """Return the caller of a request.

    Raises NotAuthenticated and AuthenticationFailed without a valid API key, and OrgAccessDenied if a rule of the org
    excludes it.
    """
    caller = Caller(request, _read_key(request))
    with caller.scope():
        return caller


def _read_key(request: HttpRequest) -> KeyCredential:
    credential = authentication.read_credential(request)
    if not isinstance(credential, KeyCredential):
        raise AuthenticationFailed("Send Authorization: Bearer with an API key.")
    return credential
