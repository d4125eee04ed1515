"""The request and response schemas of the routes of identity providers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from rest_framework import serializers

from apps.orgs.http.texts import NameField
from apps.orgs.roles import Role
from apps.orgs.sign_in.own_provider import ProviderFields
from apps.orgs.sign_in.serializers import LoginResponse, Reauthentication

__all__ = ["LoginResponse", "Reauthentication"]

JOIN_ROLES = [(role.value, role.label) for role in (Role.VIEWER, Role.MEMBER)]


class Provider(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()


class Providers(serializers.Serializer[Any]):
    providers = Provider(many=True)


class Start(serializers.Serializer[Any]):
    org = serializers.CharField(
        max_length=80,
        default="",
        help_text="For the provider `sso`: slug of the organization whose own issuer is used.",
    )
    next = serializers.CharField(
        max_length=500,
        default="",
        allow_blank=True,
        help_text="Path of the dashboard page to open after the log-in.",
    )
    invitation = serializers.CharField(
        max_length=200, default="", allow_blank=True, help_text="Secret of an invitation's link."
    )


class LoginContinuation(serializers.Serializer[Any]):
    challenge = serializers.CharField(max_length=200)
    mfa_code = serializers.CharField(max_length=40)
    org = serializers.UUIDField(required=False, help_text="Organization to work in.")


class Link(serializers.Serializer[Any]):
    provider = serializers.CharField()
    linked_at = serializers.DateTimeField()


class Links(serializers.Serializer[Any]):
    links = Link(many=True)


class Location(serializers.Serializer[Any]):
    location = serializers.CharField(help_text="URL to send the browser to.")


class IssuerField(NameField):
    """An https URL without query. An http URL is allowed only if private networks are allowed."""

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data)).strip().rstrip("/")
        schemes = {"https", "http"} if settings.ALLOW_PRIVATE_NETWORKS else {"https"}
        try:
            parts = urlsplit(text)
            is_valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_valid = False
        if not is_valid or parts.query or parts.fragment or parts.username or not text.isascii():
            message = "Enter the issuer's URL, like https://login.example.com."
            raise serializers.ValidationError(message, code="invalid")
        return text


class SecretHint(serializers.Serializer[Any]):
    set = serializers.BooleanField()
    last4 = serializers.CharField()


class OwnProvider(serializers.Serializer[Any]):
    issuer = serializers.CharField()
    client_id = serializers.CharField()
    client_secret = SecretHint()
    join_role = serializers.ChoiceField(choices=JOIN_ROLES, allow_null=True)
    enabled = serializers.BooleanField()
    callback_url = serializers.CharField(help_text="Callback URL to register at the issuer.")
    start_url = serializers.CharField(help_text="URL that sends members to the issuer.")
    updated_at = serializers.DateTimeField()


class OwnProviderChange(serializers.Serializer[ProviderFields]):
    issuer = IssuerField(max_length=500)
    client_id = NameField(max_length=191)
    client_secret = serializers.CharField(
        max_length=500,
        required=False,
        trim_whitespace=False,
        help_text="If left out, the stored secret does not change.",
    )
    join_role = serializers.ChoiceField(
        choices=JOIN_ROLES,
        allow_null=True,
        default=None,
        help_text="Role of users who were not invited; null means that they are denied.",
    )
    enabled = serializers.BooleanField(default=True)

    def validate_join_role(self, value: str | None) -> str:
        return value or ""


class IssuerCheck(serializers.Serializer[Any]):
    issuer = IssuerField(max_length=500)


class IssuerCheckStep(serializers.Serializer[Any]):
    step = serializers.CharField()
    ok = serializers.BooleanField()
    message = serializers.CharField()


class IssuerCheckResult(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    steps = IssuerCheckStep(many=True)
