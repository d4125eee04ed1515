"""The request and response schemas of hooks."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.orgs.http.texts import NameField
from apps.pipelines.models import HookCredential

CREDENTIAL_HELP = (
    "What a call is checked by. `token`: the secret in the header Drover-Token. `signature`: the header Drover-Signature, "
    "an HMAC-SHA256 with the secret."
)


class HookCreate(serializers.Serializer[Any]):
    name = NameField(max_length=120)
    credential = serializers.ChoiceField(
        HookCredential.choices, default=HookCredential.TOKEN, help_text=CREDENTIAL_HELP
    )


class HookUpdate(serializers.Serializer[Any]):
    name = NameField(max_length=120, required=False)
    enabled = serializers.BooleanField(required=False)


class HookRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    url = serializers.CharField(help_text="The address that a program calls with POST.")
    credential = serializers.ChoiceField(HookCredential.choices, help_text=CREDENTIAL_HELP)
    secret_last4 = serializers.CharField()
    enabled = serializers.BooleanField()
    last_used_at = serializers.DateTimeField(
        allow_null=True, help_text="The last call with the right credential."
    )
    created_at = serializers.DateTimeField()


class HookWithSecret(HookRow):
    secret = serializers.CharField(help_text="It is not shown again.")
