"""An API key, or the certificate of a connector, ends soon. Each is told once, until it is renewed or removed.

A key is renewed if a newer one with its name ends later. The ends of other secrets, such as refresh tokens, are not known.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.alerts.models import Alert, Scope, SubjectKind
from apps.alerts.payloads import Subject, page_address
from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.texts import time_in_words
from apps.alerts.rule_kinds.verdicts import Finding
from apps.alerts.rule_kinds.watched import FoundSubject, Watch
from apps.connectors.models import Connector
from apps.orgs.models import ApiKey
from apps.orgs.roles import Permission


def describe(found: FoundSubject, settings: dict[str, Any]) -> tuple[Subject, Finding]:
    end = time_in_words(found.time("ends_at"))
    if found.kind == SubjectKind.API_KEY:
        path = "settings/api-keys"
        text = f"ends on {end}: create a new key with the same name, and use it instead"
    else:
        path = f"connectors/{found.key}"
        text = f"has a certificate that ends on {end}: replace it in the connector's settings"
    subject: Subject = {
        "kind": found.kind,
        "id": found.key,
        "name": found.facts["name"],
        "url": page_address(path),
    }
    return subject, Finding(text)


def over(alert: Alert, settings: dict[str, Any]) -> str:
    ends_at: datetime | None
    if alert.subject_kind == SubjectKind.API_KEY:
        key = ApiKey.objects.for_org(alert.org_id).filter(pk=alert.subject_key).first()
        if key is None or key.revoked_at is not None:
            return "was revoked or deleted"
        ends_at = key.expires_at
    else:
        connector = Connector.objects.for_org(alert.org_id).filter(pk=alert.subject_key).first()
        if connector is None:
            return "was deleted"
        ends_at = connector.certificate_ends_at
    if ends_at is not None and ends_at <= timezone.now():
        return "has ended"
    return "was renewed, or does not end soon any more"


KIND = Kind(
    title="A key or certificate ends soon",
    condition="A key or certificate ends within {days} days",
    description=(
        "An API key, also one of a service account, ends soon, and no newer key with its name ends later; or a certificate "
        "in the settings of a connector ends soon. Keys that were made for a shorter time are left out."
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
