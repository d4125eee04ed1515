"""What signing in takes and answers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.auth.accounts import password_faults
from apps.orgs.roles import Permission, Role

PASSWORD_MAX = 1024  # a longer one only costs time


class AsciiEmailField(serializers.EmailField):
    """An address in ASCII; an international domain is written in its xn-- form."""

    def to_internal_value(self, data: Any) -> str:
        address = str(super().to_internal_value(data)).strip().lower()
        if not address.isascii():
            raise serializers.ValidationError("Write the address in ASCII.", code="invalid")
        return address


class Registration(serializers.Serializer[Any]):
    email = AsciiEmailField(max_length=254)
    password = serializers.CharField(max_length=PASSWORD_MAX, trim_whitespace=False)
    name = serializers.CharField(max_length=120, allow_blank=True, default="")
    organization_name = serializers.CharField(max_length=120)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        faults = password_faults(attrs["password"], email=attrs["email"], name=attrs["name"])
        if faults:
            raise serializers.ValidationError({"password": faults}, code="weak")
        return attrs


class Login(serializers.Serializer[Any]):
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=PASSWORD_MAX, trim_whitespace=False)
    org = serializers.UUIDField(
        required=False, help_text="Organization to work in; without it the one joined first."
    )


class Refresh(serializers.Serializer[Any]):
    org = serializers.UUIDField(
        required=False, help_text="Organization to work in; without it the one joined first."
    )


class Switch(serializers.Serializer[Any]):
    org = serializers.UUIDField()


class ProfileChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120, allow_blank=True, required=False)


class PasswordChange(serializers.Serializer[Any]):
    current_password = serializers.CharField(max_length=PASSWORD_MAX, trim_whitespace=False)
    new_password = serializers.CharField(max_length=PASSWORD_MAX, trim_whitespace=False)


class UserSummary(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    email_verified = serializers.BooleanField()


class OrganizationSummary(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)


class PermissionList(serializers.ListField):
    child = serializers.ChoiceField(choices=[(p.value, p.value) for p in Permission])


class DomainPermissions(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    permissions = PermissionList(help_text="For objects of this domain.")


class CurrentOrganization(OrganizationSummary):
    permissions = PermissionList(help_text="For objects of no domain, and of domains not listed.")
    domains = DomainPermissions(many=True, help_text="Where more, or less, is allowed.")


class Profile(serializers.Serializer[Any]):
    user = UserSummary()
    organization = CurrentOrganization()
    organizations = OrganizationSummary(many=True)


class SignedIn(Profile):
    access = serializers.CharField(help_text="Send as Authorization: Bearer.")
    expires_in = serializers.IntegerField(help_text="Seconds.")


class StreamTicketAnswer(serializers.Serializer[Any]):
    ticket = serializers.CharField(help_text="Send as ?ticket= once.")
    expires_in = serializers.IntegerField(help_text="Seconds.")
