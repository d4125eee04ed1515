"""The webhooks section of the OpenAPI document."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiWebhook, extend_schema

from apps.alerts.examples import MESSAGE
from apps.alerts.serializers import AlertMessage

ALERT = OpenApiWebhook(
    name="alert",
    decorator=extend_schema(
        summary="Drover sends a message about one or more events to your webhook",
        description=(
            "`Drover-Signature` is `v1=` and the HMAC-SHA256 of `Drover-Timestamp`, a full stop and the body, with the "
            "channel's secret, in hexadecimal digits. Every answer from 200 to 299 accepts the message. "
            "A message may arrive twice, with the same `id`."
        ),
        request=AlertMessage,
        responses={200: None},
        examples=[OpenApiExample("A pipeline has failed", value=MESSAGE, request_only=True)],
    ),
)
