"""The requests and responses of the routes of language models."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from rest_framework import serializers

from apps.agent.chat_models.checks.answers import NAMES
from apps.agent.models import ModelProvider
from apps.orgs.http.texts import NameField

MAX_TOKENS = 10**12
MAX_TEMPERATURE = 2.0


class BaseUrlField(NameField):
    """An https URL without query. An http URL is allowed only if private networks are allowed."""

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data)).strip().rstrip("/")
        if text and not _is_base_url(text):
            message = "Enter a URL, like https://models.example.com/v1."
            raise serializers.ValidationError(message, code="invalid")
        return text


class KeyHint(serializers.Serializer[Any]):
    set = serializers.BooleanField()
    last4 = serializers.CharField()


class OwnModel(serializers.Serializer[Any]):
    provider = serializers.ChoiceField(ModelProvider.choices)
    model = serializers.CharField()
    key = KeyHint()
    base_url = serializers.CharField()
    temperature = serializers.FloatField(allow_null=True)
    monthly_tokens = serializers.IntegerField(allow_null=True)
    values_allowed = serializers.BooleanField()
    updated_at = serializers.DateTimeField()


class _DraftFields(serializers.Serializer[Any]):
    """The settings with which a model is reached."""

    provider = serializers.ChoiceField(ModelProvider.choices)
    model = NameField(max_length=120)
    key = serializers.CharField(
        max_length=500,
        required=False,
        allow_blank=True,
        trim_whitespace=True,
        help_text="If left out, the stored key does not change. An empty text removes it.",
    )
    base_url = BaseUrlField(
        max_length=500,
        default="",
        allow_blank=True,
        help_text="Required for an OpenAI-compatible server. If empty, the provider's own address.",
    )
    temperature = serializers.FloatField(
        min_value=0, max_value=MAX_TEMPERATURE, allow_null=True, default=None
    )

    def validate_key(self, value: str) -> str:
        if not value.isascii() or any(not character.isprintable() for character in value):
            raise serializers.ValidationError("Enter a key without special characters.", "invalid")
        return value


class ModelDraft(_DraftFields):
    pass


class OwnModelChange(_DraftFields):
    monthly_tokens = serializers.IntegerField(
        min_value=1,
        max_value=MAX_TOKENS,
        allow_null=True,
        default=None,
        help_text="Input and output tokens of a month. Null means no limit.",
    )
    values_allowed = serializers.BooleanField(
        default=False, help_text="Whether record values may be sent to the provider."
    )


class ModelCheck(serializers.Serializer[Any]):
    draft = ModelDraft(
        required=False,
        help_text="Settings that are not saved. If left out, the model that answers now is checked.",
    )


class ModelCheckRow(serializers.Serializer[Any]):
    name = serializers.ChoiceField(NAMES)
    title = serializers.CharField()
    state = serializers.ChoiceField(["ok", "warning", "failed", "skipped"])
    message = serializers.CharField()
    next_step = serializers.CharField(help_text="Empty if nothing has to be done.")
    ms = serializers.FloatField()
    tokens = serializers.IntegerField(help_text="Input and output tokens.")


class ModelCheckAnswer(serializers.Serializer[Any]):
    ok = serializers.BooleanField(help_text="Whether nothing has failed. There may be warnings.")
    model = serializers.CharField(help_text="provider:name")
    checks = ModelCheckRow(many=True)
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()


class AgentStatus(serializers.Serializer[Any]):
    mode = serializers.ChoiceField(["model", "guided"])
    label = serializers.CharField(help_text="provider:name, or guided.")  # type: ignore[assignment]
    is_own = serializers.BooleanField(help_text="Whether the organization has chosen the model.")
    values_allowed = serializers.BooleanField()
    warning = serializers.CharField(help_text="A sentence for the user; empty if there is none.")
    used_tokens = serializers.IntegerField(help_text="Tokens of this month.")
    limit_tokens = serializers.IntegerField(allow_null=True)


def _is_base_url(text: str) -> bool:
    schemes = {"https", "http"} if settings.ALLOW_PRIVATE_NETWORKS else {"https"}
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_valid and text.isascii() and not (parts.query or parts.fragment or parts.username)
