"""PagerDuty, by its Events API v2. An alert opens an incident, and its recovery resolves it.

The format is https://developer.pagerduty.com/docs/send-alert-event: 202 accepts an event, 400 refuses it, and after 429
or 5xx it is sent again. Events with the same `dedup_key` belong to the same incident, so one that arrives twice does nothing.
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


def send(message: Message, settings: JsonObject, org: Org) -> Answer:
    """Send the one event of the message. A test opens an incident and resolves it at once."""
    (event,) = message["events"]
    if event["kind"] != DeliveryKind.TEST:
        return _post(_body(message, event, settings), settings)
    answer = _post(_body(message, event, {**settings, "severity": "info"}), settings)
    return _post(_resolution(event), settings) if answer.accepted else answer


def _post(body: JsonObject, settings: JsonObject) -> Answer:
    key = str(settings["routing_key"])
    url = f"{ADDRESSES[str(settings['server'])]}/v2/enqueue"
    return post(url, orjson.dumps({"routing_key": key, **body}), headers={}, secrets=[key])


def _body(message: Message, event: Event, settings: JsonObject) -> JsonObject:
    if event["kind"] == DeliveryKind.CLOSED:
        return _resolution(event)
    summary, *details = words.event_lines(event)
    page = words.page(message)
    rule = event["rule"]
    return {
        "event_action": "trigger",
        "dedup_key": words.thread_id(event),
        "client": "Drover",
        **({"client_url": page[1], "links": [{"text": page[0], "href": page[1]}]} if page else {}),
        "payload": {
            "summary": summary[:MAX_SUMMARY_LENGTH],
            "source": words.subject(event) or "Drover",
            "severity": settings["severity"],
            "timestamp": event["at"],
            "group": message["organization"]["name"],
            "class": rule["kind"] if rule else "test",
            "custom_details": {"details": "\n".join(details)},
        },
    }


def _resolution(event: Event) -> JsonObject:
    return {"event_action": "resolve", "dedup_key": words.thread_id(event)}
