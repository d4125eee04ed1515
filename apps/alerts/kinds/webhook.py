"""A webhook of the user: the message as JSON, with a signature. docs/howto/alerts.md shows how to verify it."""

from __future__ import annotations

import hmac
import time
from typing import Any

import orjson
from rest_framework import serializers

from apps.alerts.kinds.answers import Answer
from apps.alerts.kinds.posting import UrlField, post
from apps.alerts.payloads import Message
from apps.connectors.schemas import Pattern
from apps.json import JsonObject
from apps.orgs.models import Org

SECRETS: frozenset[Pattern] = frozenset({("secret",)})
MIN_SECRET_LENGTH = 16  # characters


class Settings(serializers.Serializer[Any]):
    url = UrlField(help_text="Each message is a POST request to this URL.")
    secret = serializers.CharField(
        min_length=MIN_SECRET_LENGTH,
        max_length=200,
        trim_whitespace=False,
        help_text="The key of the signature, at least 16 characters. The receiver verifies each message with it.",
    )


def send(message: Message, settings: JsonObject, org: Org) -> Answer:
    return post_signed(message["id"], orjson.dumps(message), settings)


def post_signed(message_id: str, body: bytes, settings: JsonObject) -> Answer:
    """Send a body with its signature."""
    secret = str(settings["secret"])
    headers = signed_headers(message_id, secret, body)
    return post(str(settings["url"]), body, headers=headers, secrets=[secret])


def signed_headers(message_id: str, secret: str, body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    return {
        "Drover-Message-Id": message_id,
        "Drover-Timestamp": timestamp,
        "Drover-Signature": f"v1={signature(secret, timestamp, body)}",
    }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of the time stamp, a full stop and the body, in hexadecimal digits."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, "sha256").hexdigest()
