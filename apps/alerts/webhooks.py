"""The webhooks section of the OpenAPI document: what Drover sends to the addresses of orgs and of operators."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiWebhook, extend_schema
from rest_framework import serializers

from apps.alerts.examples import MESSAGE, OPERATORS_MESSAGE, RUN_ENDED
from apps.alerts.follow_ups.serializers import RunEndedMessage
from apps.alerts.serializers import AlertMessage

SIGNED = (
    "`Drover-Signature` is `v1=` and the HMAC-SHA256 of `Drover-Timestamp`, a full stop and the body, with the {key}, in "
    "hexadecimal digits. Every answer from 200 to 299 accepts the {thing}. It may arrive twice, with the same `id`."
)


class ProblemPart(serializers.Serializer[Any]):
    part = serializers.CharField()
    place = serializers.CharField(help_text="The machine, or empty.")
    seen = serializers.CharField()
    next_step = serializers.CharField()
    began_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class OperatorsMessage(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="The same if the message is sent again.")
    at = serializers.DateTimeField()
    installation = serializers.CharField(help_text="The address of Drover.")
    text = serializers.CharField(help_text="All problems in sentences.")
    began = ProblemPart(many=True, help_text="Empty in a test.")
    ended = ProblemPart(many=True)


def _webhook(
    name: str, summary: str, request: Any, example: tuple[str, Any], *, key: str, thing: str
) -> OpenApiWebhook:
    title, value = example
    return OpenApiWebhook(
        name=name,
        decorator=extend_schema(
            summary=summary,
            description=SIGNED.format(key=key, thing=thing),
            request=request,
            responses={200: None},
            examples=[OpenApiExample(title, value=value)],
        ),
    )


ALERT = _webhook(
    "alert",
    "Drover sends a message about one or more events to your webhook",
    AlertMessage,
    ("A pipeline has failed", MESSAGE),
    key="channel's secret",
    thing="message",
)
RUN_HAS_ENDED = _webhook(
    "run_ended",
    "Drover calls your webhook after a run of a pipeline",
    RunEndedMessage,
    ("A run has succeeded", RUN_ENDED),
    key="secret of the call after a run",
    thing="call",
)
INSTALLATION_PROBLEM = _webhook(
    "installation_problem",
    "Drover sends the problems of the installation to the webhook of operators",
    OperatorsMessage,
    ("No worker lives", OPERATORS_MESSAGE),
    key="secret of `DROVER_OPERATOR_WEBHOOK_SECRET`",
    thing="message",
)
