"""Decide whether a client may follow an event stream: its credential, its permission, and the stream's target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db import OperationalError
from django.http import HttpRequest
from rest_framework.exceptions import APIException

from apps.live import tickets
from apps.live.feeds import EventFeed, OrgFeed
from apps.live.subjects import Subject
from apps.orgs import credentials
from apps.orgs.exceptions import NotFound, OrgAccessDenied, PermissionMissing
from apps.orgs.http import authentication
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.walls.scope import org_scope
from apps.web.problems import Problem

ReadCredential = Callable[[HttpRequest], credentials.Credential]


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """What an event stream follows: the object of `subject` with the id `key`, or the whole org if they are None."""

    subject: Subject | None = None
    key: UUID | None = None


@dataclass(frozen=True, slots=True)
class PermittedStream:
    """An event stream that the client may read, and the number of the last event that the client received."""

    feed: EventFeed
    last_seen: int | None
    credential: credentials.Credential
    request: HttpRequest
    target: StreamTarget

    @property
    def org_id(self) -> UUID:
        return credentials.org_id_of(self.credential)

    @property
    def access_ids(self) -> frozenset[UUID]:
        """The ids of the org, the user, and the session or key. The stream rechecks its access when one of them changes."""
        credential = self.credential
        if isinstance(credential, credentials.KeyCredential):
            return frozenset({self.org_id, credential.user_id, credential.key_id})
        return frozenset({self.org_id, credential.user_id, credential.session_id})

    def is_still_allowed(self) -> bool:
        """Whether the member, session or key still has access to the subject.

        The subject may have moved to another domain. A key is read again, because it may have been revoked.
        """
        try:
            if isinstance(self.credential, credentials.KeyCredential):
                authentication.read_credential(self.request)
            with org_scope(self.org_id):
                feed_for(_load_principal(self.credential), self.target)
        except (APIException, PermissionMissing, OrgAccessDenied, NotFound, Problem):
            return False
        except OperationalError:
            # No events arrive while the database is unavailable. The next check decides.
            return True
        return True


def open_stream(
    request: HttpRequest,
    target: StreamTarget,
    read_credential: ReadCredential = tickets.read_credential,
) -> PermittedStream:
    """Read the credential, check the permission, and find the target's events.

    Raises exceptions that become problem responses.
    """
    credential = read_credential(request)
    with org_scope(credentials.org_id_of(credential)):
        feed = feed_for(_load_principal(credential), target)
    return PermittedStream(feed, last_event_id(request), credential, request, target)


def feed_for(principal: Principal, target: StreamTarget) -> EventFeed:
    """Return the events of a subject or of the org. Call this inside the org's scope.

    Raises NotFound, and Problem 403 if the events include more than the principal's domain.
    """
    if target.subject is None or target.key is None:
        if principal.only_domain is not None:
            message = "This key is limited to one domain: follow its runs one by one."
            raise Problem(403, message, "domain_only")
        org_id = principal.require_org()
        return OrgFeed(org_id, org_id)
    feed: EventFeed = target.subject.feed(principal, target.key)
    return feed


def last_event_id(request: HttpRequest) -> int | None:
    """Return the last number that the client received, from the header or `?last_event_id=`.

    Raises Problem 400 if it is invalid.
    """
    text = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(
            400,
            "Last-Event-ID must be a number of this stream.",
            "malformed",
            [("last_event_id", "Not a number.", "invalid")],
        )
    return int(text)


def _load_principal(credential: credentials.Credential) -> Principal:
    _, principal = credentials.load_principal(credential)
    principal.require(Permission.READ)
    return principal
