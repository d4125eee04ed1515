"""E-mail domains that an org has verified by a TXT record, which only the owner of the domain can publish.

Users with an address in a verified domain join through the org's own identity provider and directory without
confirming their address by mail. A verified domain is different from a domain (a group inside an org) and from the rule
`email_domains` (which limits invitations).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.auth import attempts
from apps.auth.constraints import refused_as, violates
from apps.auth.mailing import links, mail
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.exceptions import Invalid, LimitReached, NameTaken
from apps.orgs.members import dns_records
from apps.orgs.members.dns_records import LookupFailed
from apps.orgs.models import Org, VerifiedDomain
from apps.orgs.placement import find_object
from apps.orgs.principals import SYSTEM, Principal
from apps.orgs.roles import Permission
from apps.orgs.walls.scope import org_scope

RECORD_PREFIX = "drover-domain-verification="
MAX_DOMAINS = 50  # per org
CHECK_INTERVAL = timedelta(days=1)  # interval between checks of a verified domain
MISSING_GRACE = timedelta(days=3)  # time without the record until the verification is lost
# Time without a response until the verification is lost. It is long, because repairing name servers may take long.
UNANSWERED_GRACE = timedelta(days=14)
RECHECK_TASK = "orgs.recheck_domain"
MAX_DEFERRED_RECHECKS = 200  # jobs that one call of `defer_rechecks` defers

# No org can publish a record at these domains. This list only makes the error appear earlier.
PUBLIC_MAIL_PROVIDERS = frozenset(
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
class CheckResult:
    """The result of a DNS check. `message` contains the next step."""

    ok: bool
    message: str
    row: VerifiedDomain


def record_value(row: VerifiedDomain) -> str:
    """Return the value of the TXT record to publish at the domain."""
    return RECORD_PREFIX + row.token


def is_in_verified_domain(org: Org, email: str) -> bool:
    """Whether the org has verified the domain of this address."""
    verified_rows = VerifiedDomain.objects.for_org(org).filter(verified_at__isnull=False)
    return bool(verified_rows.filter(domain=email.rpartition("@")[2]).exists())


def add(*, org: Org, by: Principal, domain: str) -> VerifiedDomain:
    """Add a domain that is not verified yet. Raises Invalid, NameTaken and LimitReached."""
    by.require_person()
    by.require(Permission.ORG_UPDATE)
    if domain in PUBLIC_MAIL_PROVIDERS:
        message = (
            f"{domain} is a public mail provider. Enter a domain that belongs to your organization."
        )
        raise Invalid([("domain", message, "shared")])
    if VerifiedDomain.objects.for_org(org).count() >= MAX_DOMAINS:
        raise LimitReached("e-mail domains", MAX_DOMAINS)
    row = VerifiedDomain(org=org, domain=domain, token=links.new_secret())
    message = f"{domain} is already in your organization's list: check its TXT record there."
    with refused_as(NameTaken(message), "orgs_verifieddomain_once"):
        row.save()
    _record(org, by, "verified_domain.add", row, {"domain": [None, domain]})
    return row


def remove(*, org: Org, by: Principal, domain_id: UUID) -> None:
    """Remove an e-mail domain. Members stay members. Raises NotFound."""
    by.require_person()
    row = _get_domain(org, by, domain_id, lock=True)
    _record(org, by, "verified_domain.remove", row, {"domain": [row.domain, None]})
    row.delete()


def begin_check(org: Org, by: Principal, domain_id: UUID) -> str:
    """Count a check for the rate limit, and return the domain to pass to `look_up`. Raises NotFound and TooManyAttempts."""
    row = _get_domain(org, by, domain_id)
    attempts.record_domain_check(org.pk)
    return row.domain


def look_up(domain: str) -> frozenset[str] | LookupFailed:
    """Return the TXT records of the domain, or the failure of the query. Slow: call it outside every transaction."""
    try:
        return dns_records.query_txt_records(domain)
    except LookupFailed as failure:
        return failure


def store_result(
    *, org: Org, by: Principal, domain_id: UUID, lookup: frozenset[str] | LookupFailed
) -> CheckResult:
    """Store the result of a DNS query. Raises NotFound.

    The domain is no longer verified if the record is missing for longer than MISSING_GRACE, or if the name servers
    do not respond for longer than UNANSWERED_GRACE.
    """
    return _store_result(org, by, _get_domain(org, by, domain_id, lock=True), lookup)


def _get_domain(org: Org, by: Principal, domain_id: UUID, *, lock: bool = False) -> VerifiedDomain:
    by.require(Permission.ORG_UPDATE)
    return find_object(VerifiedDomain.objects.for_org(org), domain_id, lock=lock)


def _store_result(
    org: Org, by: Principal, row: VerifiedDomain, lookup: frozenset[str] | LookupFailed
) -> CheckResult:
    row.checked_at = timezone.now()
    if isinstance(lookup, LookupFailed):
        result = _handle_failed_lookup(org, by, row, lookup)
    elif record_value(row) in lookup:
        result = _handle_found_record(org, by, row)
    else:
        result = _handle_missing_record(org, by, row)
    row.save(update_fields=["checked_at", "missing_since", "unanswered_since", "updated_at"])
    return result


FAILED_MESSAGE = "The name servers of {domain} could not be queried: {reason}. Nothing has changed; try again in a minute."
LOST_MESSAGE = (
    "The name servers of {domain} have not responded for two weeks ({reason}), so the domain is no longer verified. "
    "Have them repaired, then check again."
)
FOUND_MESSAGE = "The record was found: {domain} is verified for your organization."
MISSING_MESSAGE = (
    "{domain} has no TXT record with this value yet. Publish it at {domain} itself, not behind an alias, wait until "
    "DNS shows it, which may take an hour, and check again."
)
TAKEN_MESSAGE = (
    "The record was found, but another organization has already verified {domain}. Remove the TXT record of that "
    "organization. The domain is released within four days; then check again. The operator of this installation can help."
)


def _handle_found_record(org: Org, by: Principal, row: VerifiedDomain) -> CheckResult:
    row.missing_since = row.unanswered_since = None
    if row.verified_at is None:
        row.verified_at = timezone.now()
        try:
            with transaction.atomic():
                row.save(update_fields=["verified_at"])
        # Another org has verified this domain. The message must not reveal which org.
        except IntegrityError as error:
            if not violates(error, "orgs_verifieddomain_owner"):
                raise
            row.verified_at = None
            return CheckResult(False, TAKEN_MESSAGE.format(domain=row.domain), row)
        _record(org, by, "verified_domain.verify", row, {"verified": [False, True]})
    return CheckResult(True, FOUND_MESSAGE.format(domain=row.domain), row)


def _handle_missing_record(org: Org, by: Principal, row: VerifiedDomain) -> CheckResult:
    now = timezone.now()
    row.unanswered_since = None
    if row.verified_at is not None:
        row.missing_since = row.missing_since or now
        if now - row.missing_since >= MISSING_GRACE:
            _revoke_verification(org, by, row)
    return CheckResult(False, MISSING_MESSAGE.format(domain=row.domain), row)


def _handle_failed_lookup(
    org: Org, by: Principal, row: VerifiedDomain, failure: LookupFailed
) -> CheckResult:
    now, message = timezone.now(), FAILED_MESSAGE
    if row.verified_at is not None:
        row.unanswered_since = row.unanswered_since or now
        if now - row.unanswered_since >= UNANSWERED_GRACE:
            _revoke_verification(org, by, row)
            message = LOST_MESSAGE
    return CheckResult(False, message.format(domain=row.domain, reason=failure), row)


def _revoke_verification(org: Org, by: Principal, row: VerifiedDomain) -> None:
    """Mark the domain as not verified, so that another org can verify it. The audit log records this."""
    row.verified_at = row.missing_since = row.unanswered_since = None
    row.save(update_fields=["verified_at"])
    _record(org, by, "verified_domain.lapse", row, {"verified": [True, False]})


def defer_rechecks() -> int:
    """Defer one job for each verified domain whose last check is over CHECK_INTERVAL ago. Returns the number of jobs.

    A SECURITY DEFINER function returns the ids, because no org is in scope.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT org_id, domain_id FROM verified_domains_due(%s, %s)",
            [timezone.now() - CHECK_INTERVAL, MAX_DEFERRED_RECHECKS],
        )
        due_domains: list[tuple[UUID, UUID]] = cursor.fetchall()
    for org_id, domain_id in due_domains:
        mail.defer_mail(RECHECK_TASK, org_id=str(org_id), domain_id=str(domain_id))
    return len(due_domains)


def recheck(*, org_id: UUID, domain_id: UUID) -> None:
    """Check a verified domain again. Does nothing if the domain was removed or is not verified."""
    with org_scope(org_id):
        verified_rows = VerifiedDomain.objects.for_org(org_id).filter(verified_at__isnull=False)
        row = verified_rows.filter(pk=domain_id).first()
    if row is None:
        return
    lookup = look_up(row.domain)
    with org_scope(org_id):
        locked_rows = (
            verified_rows.filter(pk=domain_id).select_related("org").select_for_update(of=("self",))
        )
        if (row := locked_rows.first()) is not None:
            _store_result(row.org, SYSTEM, row, lookup)


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
