"""The kinds of channels. Each is a module with SECRETS, Settings and send. To add one, copy its sibling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from apps.alerts.kinds import email, slack, webhook
from apps.alerts.kinds.answers import Answer
from apps.alerts.models import ChannelKind
from apps.alerts.payloads import Message
from apps.connectors.schemas import Error, Pattern
from apps.json import JsonObject
from apps.orgs.models import Org


@dataclass(frozen=True, slots=True)
class Kind:
    """`secrets` are the paths of the secret settings, and `form` validates all settings. `check` then returns what the org may not set.

    `send` is called outside of any transaction. It returns why a message was not accepted, and does not raise for it.
    """

    secrets: frozenset[Pattern]
    form: type[serializers.Serializer[Any]]
    send: Callable[[Message, JsonObject, Org], Answer]
    check: Callable[[JsonObject, Org], list[Error]] = lambda settings, org: []


KINDS: dict[str, Kind] = {
    ChannelKind.EMAIL: Kind(email.SECRETS, email.Settings, email.send, email.check),
    ChannelKind.SLACK: Kind(slack.SECRETS, slack.Settings, slack.send),
    ChannelKind.WEBHOOK: Kind(webhook.SECRETS, webhook.Settings, webhook.send),
}
