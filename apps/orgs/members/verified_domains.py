"""E-mail domains that an org has verified by a TXT record, which only the domain's owner can publish.

For addresses of such a domain the org's own identity provider and its directory are trusted without a mail. This is
neither a domain (a group inside an org), nor the rule `email_domains`, which limits invitations.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.auth import attempts
from apps.auth.mailing import links, mail
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.exceptions import Invalid, LimitReached, NameTaken
from apps.orgs.members import dns_records
from apps.orgs.members.dns_records import LookUpFailed
from apps.orgs.models import Org, VerifiedDomain
from apps.orgs.placement import one
from apps.orgs.principals import SYSTEM, Principal
from apps.orgs.roles import Permission
from apps.orgs.walls.scope import org_scope

PREFIX = "drover-domain-verification="
MOST = 50  # per org
EVERY = timedelta(days=1)  # interval between checks of a verified domain
GRACE = timedelta(days=3)  # time without the record until the verification is lost
UNANSWERED_GRACE = timedelta(
    days=14
)  # time without any response; the org's administrators must repair the name servers
RECHECK = "orgs.recheck_domain"
AT_ONCE = 200  # domains checked by one task

# Public mail providers. No customer could publish a record there, so this only reports the error early.
SHARED = frozenset(
    [
        "126.com",
        "163.com",
        "aol.com",
        "fastmail.com",
        "free.fr",
        "gmail.com",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hey.com",
        "hotmail.com",
        "hotmail.fr",
        "icloud.com",
        "laposte.net",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "orange.fr",
        "outlook.com",
        "pm.me",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "tutanota.com",
        "web.de",
        "yahoo.co.uk",
        "yahoo.com",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
    ]
)


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a DNS check. `message` says what to do next."""

    ok: bool
    message: str
    row: VerifiedDomain


def value_of(row: VerifiedDomain) -> str:
    """Return the value to publish as a TXT record at the domain."""
    return PREFIX + row.token


def proves(org: Org, email: str) -> bool:
    """Whether the org has verified the domain of this address."""
    mine = VerifiedDomain.objects.for_org(org).filter(verified_at__isnull=False)
    return bool(mine.filter(domain=email.rpartition("@")[2]).exists())


def add(*, org: Org, by: Principal, domain: str) -> VerifiedDomain:
    """Add a domain that is not verified yet. Raises Invalid, NameTaken and LimitReached."""
    by.require_person()
    by.require(Permission.ORG_UPDATE)
    if domain in SHARED:
        message = (
            f"{domain} is a public mail provider. Enter a domain that belongs to your organization."
        )
        raise Invalid([("domain", message, "shared")])
    if VerifiedDomain.objects.for_org(org).count() >= MOST:
        raise LimitReached("e-mail domains", MOST)
    row = VerifiedDomain(org=org, domain=domain, token=links.secret())
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        message = f"{domain} is already in your organization's list: check its TXT record there."
        raise NameTaken(message) from None
    _record(org, by, "verified_domain.add", row, {"domain": [None, domain]})
    return row


def remove(*, org: Org, by: Principal, domain_id: UUID) -> None:
    """Remove a verified domain; members stay members. Raises NotFound."""
    by.require_person()
    row = _row(org, by, domain_id, lock=True)
    _record(org, by, "verified_domain.remove", row, {"domain": [row.domain, None]})
    row.delete()


def to_check(org: Org, by: Principal, domain_id: UUID) -> str:
    """Return the domain for `look_up` and then `store_result`. Raises NotFound and TooManyAttempts."""
    row = _row(org, by, domain_id)
    attempts.begin_domain_check(org.pk)
    return row.domain


def look_up(domain: str) -> frozenset[str] | LookUpFailed:
    """Query DNS for the domain's records, or return why that failed. Slow: call it outside every transaction."""
    try:
        return dns_records.txt_at(domain)
    except LookUpFailed as failure:
        return failure


def store_result(
    *, org: Org, by: Principal, domain_id: UUID, seen: frozenset[str] | LookUpFailed
) -> Checked:
    """Store the result of a DNS query. Raises NotFound.

    The verification is lost if the record is missing for longer than GRACE, or if the name servers do not
    respond for longer than UNANSWERED_GRACE.
    """
    return _store_result(org, by, _row(org, by, domain_id, lock=True), seen)


def _row(org: Org, by: Principal, domain_id: UUID, *, lock: bool = False) -> VerifiedDomain:
    by.require(Permission.ORG_UPDATE)
    return one(VerifiedDomain.objects.for_org(org), domain_id, lock=lock)


def _store_result(
    org: Org, by: Principal, row: VerifiedDomain, seen: frozenset[str] | LookUpFailed
) -> Checked:
    row.checked_at = timezone.now()
    if isinstance(seen, LookUpFailed):
        outcome = _unanswered(org, by, row, seen)
    elif value_of(row) in seen:
        outcome = _found(org, by, row)
    else:
        outcome = _missing(org, by, row)
    row.save(update_fields=["checked_at", "missing_since", "unanswered_since", "updated_at"])
    return outcome


FAILED = "The name servers of {domain} could not be queried: {why}. Nothing has changed; try again in a minute."
LOST = (
    "The name servers of {domain} have not responded for two weeks ({why}), so the domain is no longer verified. "
    "Have them repaired, then check again."
)
FOUND = "The record was found: {domain} is verified for your organization."
MISSING = (
    "{domain} has no TXT record with this value yet. Publish it at {domain} itself, not behind an alias, wait until "
    "DNS shows it, which may take an hour, and check again."
)
TAKEN = (
    "The record was found, but {domain} was verified before by another organization. Remove its TXT record; the domain "
    "is released within four days, then check again. The operator of this installation can help."
)


def _found(org: Org, by: Principal, row: VerifiedDomain) -> Checked:
    row.missing_since = row.unanswered_since = None
    if row.verified_at is None:
        row.verified_at = timezone.now()
        try:
            with transaction.atomic():
                row.save(update_fields=["verified_at"])
        except IntegrityError:  # It belongs to another org, of which nothing may be revealed.
            row.verified_at = None
            return Checked(False, TAKEN.format(domain=row.domain), row)
        _record(org, by, "verified_domain.verify", row, {"verified": [False, True]})
    return Checked(True, FOUND.format(domain=row.domain), row)


def _missing(org: Org, by: Principal, row: VerifiedDomain) -> Checked:
    now = timezone.now()
    row.unanswered_since = None
    if row.verified_at is not None:
        row.missing_since = row.missing_since or now
        if now - row.missing_since >= GRACE:
            _lapse(org, by, row)
    return Checked(False, MISSING.format(domain=row.domain), row)


def _unanswered(org: Org, by: Principal, row: VerifiedDomain, why: LookUpFailed) -> Checked:
    now, message = timezone.now(), FAILED
    if row.verified_at is not None:
        row.unanswered_since = row.unanswered_since or now
        if now - row.unanswered_since >= UNANSWERED_GRACE:
            _lapse(org, by, row)
            message = LOST
    return Checked(False, message.format(domain=row.domain, why=why), row)


def _lapse(org: Org, by: Principal, row: VerifiedDomain) -> None:
    """Make the domain available to others. Owners see this in the audit log."""
    row.verified_at = row.missing_since = row.unanswered_since = None
    row.save(update_fields=["verified_at"])
    _record(org, by, "verified_domain.lapse", row, {"verified": [True, False]})


def ask_to_recheck() -> int:
    """Defer one job for each verified domain that was not checked for a day. Returns their number.

    A SECURITY DEFINER function returns the ids, because no org is known.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, domain_id FROM verified_domains_due(%s, %s)",
            [timezone.now() - EVERY, AT_ONCE],
        )
        due: list[tuple[UUID, UUID]] = cursor.fetchall()
    for org_id, domain_id in due:
        mail.ask(RECHECK, org_id=str(org_id), domain_id=str(domain_id))
    return len(due)


def recheck(*, org_id: UUID, domain_id: UUID) -> None:
    """Check a verified domain again. Does nothing if it was removed or never verified."""
    with org_scope(org_id):
        verified = VerifiedDomain.objects.for_org(org_id).filter(verified_at__isnull=False)
        row = verified.filter(pk=domain_id).first()
    if row is None:
        return
    seen = look_up(row.domain)
    with org_scope(org_id):
        again = verified.filter(pk=domain_id).select_related("org").select_for_update(of=("self",))
        if (row := again.first()) is not None:
            _store_result(row.org, SYSTEM, row, seen)


def _record(org: Org, by: Principal, action: str, row: VerifiedDomain, changes: JsonObject) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="verified_domain",
        object_id=row.pk,
        object_label=row.domain,
        changes=changes,
    )
