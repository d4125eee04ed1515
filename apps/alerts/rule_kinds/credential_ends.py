"""An API key, or a certificate or token of a connector, ends soon. Each is told once, until it is renewed or removed.

A key is renewed if a newer one with its name ends later. Of tokens, only JSON Web Tokens tell when they end.
"""

from __future__ import annotations

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
        subject_id, path = found.key, "settings/api-keys"
        text = f"ends on {end}: create a new key with the same name, and use it instead"
    else:
        subject_id = found.facts["id"]
        path = f"connectors/{subject_id}"
        text = f"has a {found.facts['what']} that ends on {end}: replace it in the connector's settings"
    subject: Subject = {
        "kind": found.kind,
        "id": subject_id,
        "name": found.facts["name"],
        "url": page_address(path),
    }
    return subject, Finding(text, key=found.key)


def over(alert: Alert, settings: dict[str, Any]) -> str:
    now = timezone.now()
    if alert.subject_kind == SubjectKind.API_KEY:
        key = ApiKey.objects.for_org(alert.org_id).filter(pk=alert.subject_key).first()
        if key is None or key.revoked_at is not None:
            return "was revoked or deleted"
        has_ended = key.expires_at is not None and key.expires_at <= now
    else:
        connector_id, _, ends_at = alert.subject_key.split(" ")
        if not Connector.objects.for_org(alert.org_id).filter(pk=connector_id).exists():
            return "was deleted"
        has_ended = int(ends_at) <= now.timestamp()
    return "has ended" if has_ended else "was renewed, or does not end soon any more"


KIND = Kind(
    title="A key, certificate or token ends soon",
    condition="A key, certificate or token ends within {days} days",
    description=(
        "An API key, also one of a service account, ends soon, and no newer key with its name ends later; or a certificate "
        "or a JSON Web Token in the settings of a connector ends soon. Keys that were made for a shorter time are left out."
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
