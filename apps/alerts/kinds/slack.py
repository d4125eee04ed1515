"""An incoming webhook of Slack, which also Mattermost and Rocket.Chat understand. Its URL is the secret.

The format is https://api.slack.com/messaging/webhooks with blocks of https://api.slack.com/reference/block-kit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from rest_framework import serializers

from apps.alerts import words
from apps.alerts.kinds.answers import Answer
from apps.alerts.kinds.posting import UrlField, post
from apps.alerts.payloads import Message, page_address
from apps.connectors.schemas import Pattern
from apps.json import JsonObject
from apps.orgs.models import Org

SECRETS: frozenset[Pattern] = frozenset({("url",)})
MAX_HEADER_LENGTH = 150  # characters, a limit of Slack
MAX_SECTION_LENGTH = 3000  # characters, a limit of Slack


class Settings(serializers.Serializer[Any]):
    url = UrlField(help_text="The URL of an incoming webhook. It is a secret.")


def send(message: Message, settings: JsonObject, org: Org) -> Answer:
    url = str(settings["url"])
    return post(url, orjson.dumps(body(message)), headers={}, secrets=[url, url.rpartition("/")[2]])


def body(message: Message) -> JsonObject:
    """Return the message with one section for each event."""
    title = words.title(message)
    header = {"type": "plain_text", "text": title[:MAX_HEADER_LENGTH]}
    sections = [_section(_event_text(*told)) for told in words.events_with_lines(message)]
    if more := words.more(message):
        sections.append(_section(f"{more} <{page_address('alerts/deliveries')}|Open all alerts>"))
    return {"text": title, "blocks": [{"type": "header", "text": header}, *sections]}


def _event_text(event: Any, sentences: Sequence[str]) -> str:
    lines = [escape(line) for line in sentences]
    if event["run"] is not None:
        lines.append(f"<{event['run']['url']}|Open the run>")
    elif event["subject"] is not None:
        subject = event["subject"]
        lines.append(f"<{subject['url']}|Open the {words.SUBJECTS[subject['kind']]}>")
    return "\n".join(lines)


def _section(text: str) -> JsonObject:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:MAX_SECTION_LENGTH]}}


def escape(text: str) -> str:
    """Escape the characters by which Slack marks links, mentions and formats."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A zero-width space after each mark of bold, italic, strike or code keeps it from being one.
    return "".join(f"{c}\u200b" if c in "*_~`" else c for c in escaped)
