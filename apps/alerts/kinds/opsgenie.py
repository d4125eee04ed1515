"""Opsgenie, and Jira Service Management, which replaces it and understands the same requests. A recovery closes the alert.

The format is https://docs.opsgenie.com/docs/alert-api: 202 accepts a request, 422 refuses it, and after 429 or 5xx it is sent
again. Alerts with the same `alias` are one alert, so one that arrives twice only counts up.
"""

from __future__ import annotations

from typing import Any

import orjson
from rest_framework import serializers

from apps.alerts import words
from apps.alerts.kinds.answers import Answer
from apps.alerts.kinds.posting import KeyField, post
from apps.alerts.models import DeliveryKind
from apps.alerts.payloads import Event, Message
from apps.connectors.schemas import Pattern
from apps.json import JsonObject
from apps.orgs.models import Org

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


def send(message: Message, settings: JsonObject, org: Org) -> Answer:
    """Send the one event of the message. A test creates an alert and closes it at once."""
    (event,) = message["events"]
    if event["kind"] == DeliveryKind.CLOSED:
        return _close(event, settings)
    priority = "P5" if event["kind"] == DeliveryKind.TEST else str(settings["priority"])
    answer = _post("", _alert(message, event, priority), settings)
    is_test = event["kind"] == DeliveryKind.TEST
    return _close(event, settings) if is_test and answer.accepted else answer


def _alert(message: Message, event: Event, priority: str) -> JsonObject:
    first, *details = words.event_lines(event)
    page = words.page(message)
    rule = event["rule"]
    return {
        "message": first[:MAX_MESSAGE_LENGTH],
        "alias": words.thread_id(event),
        "description": "\n".join([first, *details, *(page or ())])[:MAX_DESCRIPTION_LENGTH],
        "priority": priority,
        "source": "Drover",
        "entity": words.subject(event)[:MAX_ENTITY_LENGTH],
        "tags": ["drover", rule["kind"] if rule else "test"],
        "details": {"organization": message["organization"]["name"]},
    }


def _close(event: Event, settings: JsonObject) -> Answer:
    note = words.event_lines(event)[0]
    path = f"/{words.thread_id(event)}/close?identifierType=alias"
    return _post(path, {"source": "Drover", "note": note}, settings)


def _post(path: str, body: JsonObject, settings: JsonObject) -> Answer:
    key = str(settings["api_key"])
    url = f"{ADDRESSES[str(settings['server'])]}/v2/alerts{path}"
    headers = {"Authorization": f"GenieKey {key}"}
    return post(url, orjson.dumps(body), headers=headers, secrets=[key])
