"""The kinds of channels. Each is a module with SECRETS, Settings and send. To add one, copy its sibling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

from rest_framework import serializers

from apps.alerts.kinds import email, opsgenie, pagerduty, slack, teams, webhook
from apps.alerts.kinds.answers import Answer
from apps.alerts.kinds.form_schema import form_schema
from apps.alerts.models import ChannelKind
from apps.alerts.payloads import Message
from apps.alerts.settings import SettingsOf
from apps.connectors.schemas import Error, Pattern
from apps.json import JsonObject
from apps.orgs.models import Org


@dataclass(frozen=True, slots=True)
class Kind:
    """`secrets` are the paths of the secret settings, and `form` validates all settings. `check` then returns what the org may not set.

    `send` is called outside of any transaction. It returns why a message was not accepted, and does not raise for it.
    With `opens_incidents` a message opens something on the other side, or closes it: see apps.alerts.sending.incidents.
    """

    title: str
    description: str
    secrets: frozenset[Pattern]
    form: type[serializers.Serializer[Any]]
    send: Callable[[Message, JsonObject, Org], Answer]
    check: Callable[[JsonObject, Org], list[Error]] = lambda settings, org: []
    opens_incidents: bool = False


KINDS: dict[str, Kind] = {
    ChannelKind.EMAIL: Kind(
        "E-mail",
        "A mail to members of the organization.",
        email.SECRETS,
        email.Settings,
        email.send,
        email.check,
    ),
    ChannelKind.SLACK: Kind(
        "Slack",
        "A message in a channel of Slack, Mattermost or Rocket.Chat.",
        slack.SECRETS,
        slack.Settings,
        slack.send,
    ),
    ChannelKind.TEAMS: Kind(
        "Microsoft Teams",
        "A card in a channel or chat, posted by a workflow of Teams.",
        teams.SECRETS,
        teams.Settings,
        teams.send,
    ),
    ChannelKind.PAGERDUTY: Kind(
        "PagerDuty",
        "An incident for each alert, or for all of a burst. The recovery resolves it.",
        pagerduty.SECRETS,
        pagerduty.Settings,
        pagerduty.send,
        opens_incidents=True,
    ),
    ChannelKind.OPSGENIE: Kind(
        "Opsgenie or Jira Service Management",
        "An alert there for each alert here, or for all of a burst. The recovery closes it.",
        opsgenie.SECRETS,
        opsgenie.Settings,
        opsgenie.send,
        opens_incidents=True,
    ),
    ChannelKind.WEBHOOK: Kind(
        "Webhook",
        "A signed POST request with JSON to a server of yours.",
        webhook.SECRETS,
        webhook.Settings,
        webhook.send,
    ),
}

SETTINGS = SettingsOf("alert_channel", KINDS)


class KindRow(TypedDict):
    """What pages show about a kind. `settings` is the JSON Schema of the settings."""

    kind: str
    title: str
    description: str
    settings: JsonObject
    opens_incidents: bool


def described_kinds() -> list[KindRow]:
    return [
        {
            "kind": name,
            "title": kind.title,
            "description": kind.description,
            "settings": form_schema(kind.form, kind.secrets),
            "opens_incidents": kind.opens_incidents,
        }
        for name, kind in KINDS.items()
    ]
