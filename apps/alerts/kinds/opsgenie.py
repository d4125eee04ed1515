"""Opsgenie, and Jira Service Management, which replaces it and understands the same requests. A recovery closes the alert.

The format is https://docs.opsgenie.com/docs/alert-api: 202 accepts a request, 422 refuses it, and after 429 or 5xx it is sent
again. Alerts with the same `alias` are one alert, so one that arrives twice only counts up.
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

SECRETS: frozenset[Pattern] = frozenset({("api_key",)})
ADDRESSES = {
    "api.opsgenie.com": "https://api.opsgenie.com",
    "api.eu.opsgenie.com": "https://api.eu.opsgenie.com",
    "api.atlassian.com": "https://api.atlassian.com/jsm/ops/integration",
}
PRIORITIES = ("P1", "P2", "P3", "P4", "P5")
# Limits of Opsgenie, in characters.
MAX_MESSAGE_LENGTH = 130
MAX_DESCRIPTION_LENGTH = 15_000
MAX_ENTITY_LENGTH = 512


class Settings(serializers.Serializer[Any]):
    api_key = KeyField(
        min_length=8,
        max_length=200,
        label="API key",
        help_text="The key of an integration “API” of a team, which may create alerts. It is a secret.",
    )
    priority = serializers.ChoiceField(
        choices=PRIORITIES,
        default="P3",
        label="Priority",
        help_text="The priority of the alerts. P1 is the highest.",
    )
    server = serializers.ChoiceField(
        choices=list(ADDRESSES),
        default="api.opsgenie.com",
        label="Server",
        help_text="Opsgenie in the European Union is api.eu.opsgenie.com; Jira Service Management is api.atlassian.com.",
    )


def open_alert(incident: Incident, settings: JsonObject) -> Answer:
    lines = [incident.title, *incident.details, *(incident.page or ())]
    body: JsonObject = {
        "message": incident.title[:MAX_MESSAGE_LENGTH],
        "alias": incident.key,
        "description": "\n".join(lines)[:MAX_DESCRIPTION_LENGTH],
        "priority": "P5" if incident.is_test else str(settings["priority"]),
        "source": "Drover",
        "entity": incident.subject[:MAX_ENTITY_LENGTH],
        "tags": ["drover", incident.kind],
        "details": {"organization": incident.organization},
    }
    return _post("", body, settings)


def close_alert(incident: Incident, settings: JsonObject) -> Answer:
    path = f"/{incident.key}/close?identifierType=alias"
    return _post(path, {"source": "Drover", "note": incident.title}, settings)


def _post(path: str, body: JsonObject, settings: JsonObject) -> Answer:
    key = str(settings["api_key"])
    url = f"{ADDRESSES[str(settings['server'])]}/v2/alerts{path}"
    headers = {"Authorization": f"GenieKey {key}"}
    return post(url, orjson.dumps(body), headers=headers, secrets=[key])


send = sender(open_alert, close_alert)
