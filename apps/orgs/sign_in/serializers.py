"""The request and response schemas of signing in."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict
from uuid import UUID

from rest_framework import serializers

from apps.auth.accounts import password_faults
from apps.orgs.http.texts import AsciiEmailField, NameField
from apps.orgs.roles import Permission, Role
from apps.orgs.rules import AccessDenial

MAX_PASSWORD_LENGTH = 1024  # characters; a very long password takes long to hash


ORG_HELP = (
    "Id of the organization to log in to; by default the first that the user joined and may access."
)


class NewAccount(TypedDict):
    email: str
    password: str
    name: str
    organization_name: str
    invitation: str


class Registration(serializers.Serializer[NewAccount]):
    email = AsciiEmailField(max_length=254)
    password = serializers.CharField(max_length=MAX_PASSWORD_LENGTH, trim_whitespace=False)
    name = NameField(max_length=120, allow_blank=True, default="")
    organization_name = NameField(
        max_length=120,
        required=False,
        help_text="Name of the new organization; left out with an invitation.",
    )
    invitation = serializers.CharField(
        max_length=200, required=False, help_text="The secret of an invitation's link."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("invitation") and "organization_name" not in attrs:
            message = "This field is required."
            raise serializers.ValidationError({"organization_name": message}, code="required")
        attrs.setdefault("organization_name", "")
        attrs.setdefault("invitation", "")
        faults = password_faults(attrs["password"], email=attrs["email"], name=attrs["name"])
        if faults:
            raise serializers.ValidationError({"password": faults}, code="weak")
        return attrs


class Credentials(TypedDict):
    email: str
    password: str
    mfa_code: NotRequired[str]
    org: NotRequired[UUID]


class Login(serializers.Serializer[Credentials]):
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=MAX_PASSWORD_LENGTH, trim_whitespace=False)
    mfa_code = serializers.CharField(
        max_length=40,
        required=False,
        help_text="A one-time or recovery code, if the response was `second_factor_needed`.",
    )
    org = serializers.UUIDField(required=False, help_text=ORG_HELP)


class Refresh(serializers.Serializer[Any]):
    org = serializers.UUIDField(required=False, help_text=ORG_HELP)


class Switch(serializers.Serializer[Any]):
    org = serializers.UUIDField()


class ProfileChange(serializers.Serializer[Any]):
    name = NameField(max_length=120, allow_blank=True, required=False)


class Reauthentication(serializers.Serializer[Any]):
    """Requires the password, because another person may use an open session.

    A user without a password must log in again first.
    """

    current_password = serializers.CharField(
        max_length=MAX_PASSWORD_LENGTH, trim_whitespace=False, allow_blank=True, default=""
    )


class ForgottenPassword(serializers.Serializer[Any]):
    email = serializers.CharField(max_length=254)


class Code(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=40, help_text="A one-time or recovery code.")


class Passkey(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class Factors(serializers.Serializer[Any]):
    totp_since = serializers.DateTimeField(allow_null=True)
    passkeys = Passkey(many=True)
    recovery_codes = serializers.IntegerField(help_text="Number of unused recovery codes.")


class TotpSetup(serializers.Serializer[Any]):
    challenge = serializers.CharField(
        help_text="Send it back with the first code within 10 minutes."
    )
    secret = serializers.CharField()
    uri = serializers.CharField()
    qr_svg = serializers.CharField(help_text="`uri` as a QR code, in SVG.")


class TotpConfirmation(Code):
    challenge = serializers.CharField(max_length=200)


class RecoveryCodes(serializers.Serializer[Any]):
    recovery_codes = serializers.ListField(
        child=serializers.CharField(),
        help_text="Shown only once; empty if the user already has recovery codes.",
    )


class PasskeyChallenge(serializers.Serializer[Any]):
    challenge = serializers.CharField(
        help_text="Send it back with the browser's response within 10 minutes."
    )
    options = serializers.DictField(
        help_text="The options for navigator.credentials, as WebAuthn's JSON."
    )


class PasskeyResponse(serializers.Serializer[Any]):
    challenge = serializers.CharField(max_length=200)
    credential = serializers.DictField(help_text="The browser's response, as WebAuthn's JSON.")


class NewPasskey(PasskeyResponse):
    name = NameField(max_length=80)


class PasskeyLogin(PasskeyResponse):
    org = serializers.UUIDField(required=False, help_text=ORG_HELP)


class PasswordReset(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=200)
    password = serializers.CharField(max_length=MAX_PASSWORD_LENGTH, trim_whitespace=False)


class EmailToken(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=200)


class EmailChange(Reauthentication):
    email = AsciiEmailField(max_length=254)


class NewOrganization(serializers.Serializer[Any]):
    name = NameField(max_length=120)


class SessionRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    current = serializers.BooleanField(help_text="Whether this is the session of the request.")
    user_agent = serializers.CharField()
    ip = serializers.IPAddressField(allow_null=True, help_text="Address of the last use.")
    method = serializers.CharField(
        help_text="How the user logged in: `password`, `passkey`, or the name of an identity provider."
    )
    second_factor = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField()


class SessionsEnd(serializers.Serializer[Any]):
    current = serializers.BooleanField(
        default=False, help_text="Whether to end the session of the request too."
    )


class PasswordChange(Reauthentication):
    new_password = serializers.CharField(max_length=MAX_PASSWORD_LENGTH, trim_whitespace=False)


class UserSummary(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    email_verified = serializers.BooleanField(
        allow_null=True, help_text="null if this credential may not manage the account."
    )
    has_password = serializers.BooleanField(
        allow_null=True, help_text="null if this credential may not manage the account."
    )
    limited = serializers.BooleanField(
        help_text="Whether the session began with an organization's identity provider, and is limited to that organization."
    )
    second_factor = serializers.BooleanField(
        help_text="Whether this session has verified a second factor."
    )


class OrganizationSummary(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)


class PermissionList(serializers.ListField):
    child = serializers.ChoiceField(choices=[(p.value, p.value) for p in Permission])


class DomainPermissions(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    permissions = PermissionList(help_text="Permissions for objects of this domain.")


class CurrentOrganization(OrganizationSummary):
    permissions = PermissionList(
        help_text="Permissions for objects without a domain, and for objects of domains that are not in `domains`."
    )
    domains = DomainPermissions(many=True, help_text="Domains in which the permissions differ.")
    suspended_at = serializers.DateTimeField(
        allow_null=True,
        help_text="Start of the suspension, during which nothing can be changed or run; null if there is none.",
    )
    deletion_at = serializers.DateTimeField(
        allow_null=True, help_text="Time after which the organization is erased."
    )
    closed = serializers.ChoiceField(
        choices=[(denial.value, denial.value) for denial in AccessDenial],
        allow_null=True,
        help_text="The organization's rule that denies this session access; null if access is allowed.",
    )


class Profile(serializers.Serializer[Any]):
    user = UserSummary()
    organization = CurrentOrganization(
        allow_null=True, help_text="null for a user without organizations."
    )
    organizations = OrganizationSummary(many=True)
    version = serializers.CharField(help_text="The version of Drover.")


class LoginResponse(Profile):
    access = serializers.CharField(
        help_text="Access token; send it in the header Authorization: Bearer."
    )
    expires_in = serializers.IntegerField(help_text="Lifetime of the access token, in seconds.")
