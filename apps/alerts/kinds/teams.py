"""A channel or chat of Microsoft Teams, by a workflow that starts when a request arrives. Its URL is the secret.

The template of Teams is "Send webhook alerts to a channel". Its requests are messages with Adaptive Cards, see
https://learn.microsoft.com/connectors/teams/#microsoft-teams-webhook and https://adaptivecards.io/explorer. It answers 202.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from rest_framework import serializers

from apps.alerts import words
from apps.alerts.kinds.answers import Answer
from apps.alerts.kinds.posting import UrlField, post
from apps.alerts.models import DeliveryKind
from apps.alerts.payloads import Message, page_address
from apps.connectors.schemas import Pattern
from apps.json import JsonObject
from apps.orgs.models import Org

SECRETS: frozenset[Pattern] = frozenset({("url",)})
MAX_BYTES = 25_000  # Teams refuses messages of more than 28 KB


class Settings(serializers.Serializer[Any]):
    url = UrlField(
        help_text="The URL of a workflow that posts to a channel or chat when a webhook request is received. It is a secret."
    )


def send(message: Message, settings: JsonObject, org: Org) -> Answer:
    url = str(settings["url"])
    signatures = parse_qs(urlsplit(url).query).get("sig", [])
    return post(url, orjson.dumps(body(message)), headers={}, secrets=[url, *signatures])


def body(message: Message) -> JsonObject:
    """Return the message with as many events as Teams accepts."""
    events = message["events"]
    while True:
        card = _message({**message, "events": events}, words.title(message))
        if len(orjson.dumps(card)) <= MAX_BYTES or not events:
            return card
        events = events[:-1]


def _message(message: Message, heading: str) -> JsonObject:
    more = words.more(message)
    page = words.page(message) if message["events"] else None
    title, url = page or ("Open all alerts", page_address("alerts/deliveries"))
    card: JsonObject = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            _text([{"text": heading, "size": "Large", "weight": "Bolder"}]),
            *(_event(*told) for told in words.events_with_lines(message)),
            *([_text([{"text": more}])] if more else []),
        ],
        "actions": [{"type": "Action.OpenUrl", "title": title, "url": url}],
    }
    content_type = "application/vnd.microsoft.card.adaptive"
    return {
        "type": "message",
        "attachments": [{"contentType": content_type, "contentUrl": None, "content": card}],
    }


def _event(event: Any, lines: Sequence[str]) -> JsonObject:
    first, *others = lines
    color = "Good" if event["kind"] == DeliveryKind.CLOSED else "Attention"
    runs = [{"text": first, "color": "Default" if event["kind"] == DeliveryKind.TEST else color}]
    return {
        **_text([*runs, *({"text": f"\n{line}"} for line in others)]),
        "separator": True,
    }


def _text(runs: Sequence[JsonObject]) -> JsonObject:
    """Return a block of plain text. Unlike a TextBlock, its runs have no Markdown, so names mean nothing."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **run} for run in runs]}
