"""PagerDuty, by its Events API v2. Alerts open incidents, and their recovery resolves them.

The format is https://developer.pagerduty.com/docs/send-alert-event: 202 accepts an event, 400 refuses it, and after 429
or 5xx it is sent again. Events with the same `dedup_key` belong to the same incident, so one that arrives twice does nothing.
"""

from __future__ import annotations

from typing import Any

import orjson
from rest_framework import serializers

from apps.alerts.kinds.answers import Answer
from apps.alerts.kinds.incidents import Incident, sender
from apps.alerts.kinds.posting import KeyField, post
from apps.connectors.schemas import Pattern
from apps.json import JsonObject

SECRETS: frozenset[Pattern] = frozenset({("routing_key",)})
ADDRESSES = {
    "events.pagerduty.com": "https://events.pagerduty.com",
    "events.eu.pagerduty.com": "https://events.eu.pagerduty.com",
}
SEVERITIES = ("critical", "error", "warning", "info")
MAX_SUMMARY_LENGTH = 1024  # characters, a limit of PagerDuty


class Settings(serializers.Serializer[Any]):
    routing_key = KeyField(
        min_length=32,
        max_length=32,
        label="Integration key",
        help_text="The key of an integration “Events API V2” of a service, 32 characters. It is a secret.",
    )
    severity = serializers.ChoiceField(
        choices=SEVERITIES,
        default="error",
        label="Severity",
        help_text="The severity of the incidents.",
    )
    server = serializers.ChoiceField(
        choices=list(ADDRESSES),
        default="events.pagerduty.com",
        label="Server",
        help_text="Accounts in the European Union use events.eu.pagerduty.com.",
    )


def open_incident(incident: Incident, settings: JsonObject) -> Answer:
    page = incident.page
    body: JsonObject = {
        "event_action": "trigger",
        "dedup_key": incident.key,
        "client": "Drover",
        **({"client_url": page[1], "links": [{"text": page[0], "href": page[1]}]} if page else {}),
        "payload": {
            "summary": incident.title[:MAX_SUMMARY_LENGTH],
            "source": incident.subject or "Drover",
            "severity": "info" if incident.is_test else settings["severity"],
            "timestamp": incident.at,
            "group": incident.organization,
            "class": incident.kind,
            "custom_details": {"details": "\n".join(incident.details)},
        },
    }
    return _post(body, settings)


def resolve(incident: Incident, settings: JsonObject) -> Answer:
    return _post({"event_action": "resolve", "dedup_key": incident.key}, settings)


def _post(body: JsonObject, settings: JsonObject) -> Answer:
    key = str(settings["routing_key"])
    url = f"{ADDRESSES[str(settings['server'])]}/v2/enqueue"
    return post(url, orjson.dumps({"routing_key": key, **body}), headers={}, secrets=[key])


send = sender(open_incident, resolve)
