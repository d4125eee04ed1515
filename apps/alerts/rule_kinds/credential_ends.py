"""An API key, or the certificate of a connector, ends soon. Each is told once, until it is renewed or removed.

A key is renewed if a newer one with its name ends later. The ends of other secrets, such as refresh tokens, are not known.
"""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from apps.alerts.models import Alert, Scope
from apps.alerts.payloads import Subject, page_address
from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.texts import time_in_words
from apps.alerts.rule_kinds.verdicts import Finding
from apps.alerts.rule_kinds.watched import FoundSubject, Watch
from apps.orgs.models import ApiKey
from apps.orgs.roles import Permission


def describe(found: FoundSubject, settings: dict[str, Any]) -> tuple[Subject, Finding]:
    end = time_in_words(found.time("ends_at"))
    subject: Subject = {
        "kind": found.kind,
        "id": found.key,
        "name": found.facts["name"],
        "url": page_address("settings/api-keys"),
    }
    text = f"ends on {end}: create a new key with the same name, and use it instead"
    return subject, Finding(text)


def over(alert: Alert, settings: dict[str, Any]) -> str:
    key = ApiKey.objects.for_org(alert.org_id).filter(pk=alert.subject_key).first()
    if key is None:
        return "was deleted"
    if key.revoked_at is not None:
        return "was revoked"
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return "has ended"
    return "was renewed, or does not end soon any more"


KIND = Kind(
    title="A key ends soon",
    condition="A key ends within {days} days",
    description=(
        "An API key, also one of a service account, ends soon, and no newer key with its name ends later. Keys that were "
        "made for a shorter time are left out."
    ),
    label="Ends soon",
    closed_label="Closed",
    settings=settings_schema(
        days={"type": "integer", "title": "Days before", "minimum": 1, "maximum": 90, "default": 7}
    ),
    scopes=(Scope.ORG,),
    permission=Permission.API_KEYS_MANAGE,
    watch=Watch(describe, over),
)
