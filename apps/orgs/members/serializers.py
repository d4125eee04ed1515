"""The request and response schemas of the routes under /org."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from rest_framework import serializers

from apps.orgs.http.texts import AsciiEmailField, NameField
from apps.orgs.roles import DOMAIN_ROLES, Permission, Role

PERMISSION_CHOICES = [(permission.value, permission.value) for permission in Permission]
DOMAIN_ROLE_CHOICES = [(role.value, role.label) for role in DOMAIN_ROLES]
SERVICE_ROLE_CHOICES = [(role.value, role.label) for role in Role if role is not Role.OWNER]
MAX_GRACE_SECONDS = 7 * 24 * 3600


class Organization(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    max_running = serializers.IntegerField(help_text="Maximum number of concurrent runs.")
    max_pipelines = serializers.IntegerField(
        allow_null=True, help_text="Maximum number of pipelines; null means no limit."
    )
    max_members = serializers.IntegerField(
        allow_null=True,
        help_text="Maximum number of members, including invited people; null means no limit.",
    )
    max_rows_month = serializers.IntegerField(
        allow_null=True,
        help_text="Maximum rows that runs may write per month; null means no limit.",
    )
    max_bytes_month = serializers.IntegerField(
        allow_null=True,
        help_text="Maximum bytes that runs may move per month; null means no limit.",
    )
    keep_logs_days = serializers.IntegerField(
        allow_null=True, help_text="After this many days logs are deleted; null means never."
    )
    keep_events_days = serializers.IntegerField(
        allow_null=True,
        help_text="After this many days the events of the organization-wide event stream are deleted; null means never.",
    )
    keep_runs_days = serializers.IntegerField(
        allow_null=True,
        help_text="After this many days runs are deleted, except runs that still have outputs and the newest run of each"
        " pipeline; null means never.",
    )
    keep_audit_days = serializers.IntegerField(
        allow_null=True,
        help_text="After this many days audit events are deleted; null means never.",
    )
    require_second_factor = serializers.BooleanField()
    require_sso = serializers.BooleanField()
    email_domains = serializers.ListField(child=serializers.CharField())
    networks = serializers.ListField(child=serializers.CharField())
    suspended_at = serializers.DateTimeField(allow_null=True)
    suspended_because = serializers.CharField()
    deletion_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class EmailDomainField(serializers.CharField):
    """The domain of an e-mail address: lower case, without @."""

    PATTERN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.ASCII)

    def to_internal_value(self, data: Any) -> str:
        domain = str(super().to_internal_value(data)).strip().lower().removeprefix("@")
        if not self.PATTERN.fullmatch(domain):
            raise serializers.ValidationError("Enter a domain like example.com.", code="invalid")
        return domain


class NetworkField(serializers.CharField):
    """An IP address or a CIDR block."""

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data)).strip()
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            message = "Enter an IP address or a CIDR block like 192.0.2.0/24."
            raise serializers.ValidationError(message, code="invalid") from None
        mapped = getattr(network.network_address, "ipv4_mapped", None)
        # An IPv4-mapped address of a request is compared as IPv4, so the network must be IPv4 too.
        if mapped is not None and network.prefixlen >= 96:
            return f"{mapped}/{network.prefixlen - 96}"
        return str(network)


class DaysField(serializers.IntegerField):
    """The number of days after which data of the org is deleted. The help text contains `data_name`."""

    def __init__(self, data_name: str, *, min_value: int = 1) -> None:
        super().__init__(
            min_value=min_value,
            max_value=36_500,
            allow_null=True,
            required=False,
            help_text=f"Number of days after which {data_name} are deleted; null means never.",
        )


MAX_EXACT_INTEGER = 2**53 - 1  # the largest integer that JSON numbers represent exactly


class OrganizationChange(serializers.Serializer[Any]):
    name = NameField(max_length=120, required=False)
    max_running = serializers.IntegerField(
        min_value=1, max_value=1000, required=False, help_text="Maximum number of concurrent runs."
    )
    max_pipelines = serializers.IntegerField(
        min_value=0, max_value=1_000_000, allow_null=True, required=False
    )
    max_members = serializers.IntegerField(
        min_value=1, max_value=1_000_000, allow_null=True, required=False
    )
    max_rows_month = serializers.IntegerField(
        min_value=0, max_value=MAX_EXACT_INTEGER, allow_null=True, required=False
    )
    max_bytes_month = serializers.IntegerField(
        min_value=0, max_value=MAX_EXACT_INTEGER, allow_null=True, required=False
    )
    keep_logs_days = DaysField("logs of runs")
    keep_events_days = DaysField("events")
    keep_runs_days = DaysField("runs")
    keep_audit_days = DaysField("audit events", min_value=365)
    require_second_factor = serializers.BooleanField(
        required=False,
        help_text="Members without a second factor must set one up before they can use this organization.",
    )
    require_sso = serializers.BooleanField(
        required=False,
        help_text="Owners may still log in another way, so that a broken issuer cannot lock you out.",
    )
    email_domains = serializers.ListField(
        child=EmailDomainField(max_length=253),
        max_length=50,
        required=False,
        help_text="Domains of the addresses that may be invited; empty means any domain.",
    )
    networks = serializers.ListField(
        child=NetworkField(max_length=50),
        max_length=200,
        required=False,
        help_text="CIDR blocks from which requests are allowed; empty means any address. Must include your own address.",
    )


class Transfer(serializers.Serializer[Any]):
    member_id = serializers.UUIDField(
        help_text="The member who becomes an owner; you become an admin."
    )


class NewInvitation(serializers.Serializer[Any]):
    email = AsciiEmailField(max_length=254)
    role = serializers.ChoiceField(choices=Role.choices)


class InvitationRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.choices)
    invited_by = serializers.EmailField(allow_null=True)
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True, help_text="null until the mail is sent.")
    expires_at = serializers.DateTimeField()


class InvitationToken(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=200, help_text="The secret of the link.")


class InvitationDetails(serializers.Serializer[Any]):
    organization = serializers.CharField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.choices)
    invited_by = serializers.EmailField(allow_null=True)
    expires_at = serializers.DateTimeField()
    single_sign_on = serializers.CharField(
        allow_null=True,
        help_text="Slug of the organization, if the invitation can be accepted with its identity provider.",
    )


class Member(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="Id of the membership.")
    user_id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=["person", "service"])
    role = serializers.ChoiceField(choices=Role.choices)
    created_at = serializers.DateTimeField()


class RoleChange(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)


class DomainChange(serializers.Serializer[Any]):
    name = NameField(max_length=80)


class DomainRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class DomainMember(serializers.Serializer[Any]):
    member_id = serializers.UUIDField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=DOMAIN_ROLE_CHOICES)


class DomainDetail(DomainRow):
    members = DomainMember(many=True, help_text="Members with a domain role in this domain.")


class DomainRoleChange(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=DOMAIN_ROLE_CHOICES)


class KeyCreator(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.EmailField()


class ApiKeyRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField(
        help_text="The part of the key after `drv_`. It identifies the key and is not secret."
    )
    role = serializers.ChoiceField(choices=Role.choices)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=PERMISSION_CHOICES),
        help_text="Empty means all permissions of the role.",
    )
    domain_id = serializers.UUIDField(allow_null=True)
    created_by = KeyCreator()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewApiKey(serializers.Serializer[Any]):
    name = NameField(max_length=120)
    role = serializers.ChoiceField(choices=Role.choices)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=PERMISSION_CHOICES),
        max_length=len(PERMISSION_CHOICES),
        default=list,
        help_text="Empty means all permissions of the role.",
    )
    domain_id = serializers.UUIDField(allow_null=True, default=None)
    expires_at = serializers.DateTimeField(allow_null=True, default=None)


class NewServiceAccount(serializers.Serializer[Any]):
    name = NameField(max_length=120)
    role = serializers.ChoiceField(choices=SERVICE_ROLE_CHOICES)


class NewServiceAccountKey(serializers.Serializer[Any]):
    name = NameField(max_length=120)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=PERMISSION_CHOICES),
        max_length=len(PERMISSION_CHOICES),
        default=list,
        help_text="Empty means all permissions of the service account's role.",
    )
    domain_id = serializers.UUIDField(allow_null=True, default=None)
    expires_at = serializers.DateTimeField(allow_null=True, default=None)


class AccessQuery(serializers.Serializer[Any]):
    domain = serializers.UUIDField(
        required=False,
        help_text="For objects of this domain; by default for objects without a domain.",
    )


class AccessRow(serializers.Serializer[Any]):
    permission = serializers.ChoiceField(choices=PERMISSION_CHOICES)
    allowed = serializers.BooleanField()
    because = serializers.CharField(help_text="The reason, as a sentence.")


class MemberAccess(serializers.Serializer[Any]):
    role = serializers.ChoiceField(
        choices=Role.choices, help_text="Role in the whole organization."
    )
    role_here = serializers.ChoiceField(
        choices=Role.choices, help_text="Role in the requested domain."
    )
    permissions = AccessRow(many=True)


class CreatedApiKey(ApiKeyRow):
    key = serializers.CharField(help_text="The key itself; it is never shown again.")


class Rotation(serializers.Serializer[Any]):
    grace_seconds = serializers.IntegerField(
        min_value=0,
        max_value=MAX_GRACE_SECONDS,
        default=0,
        help_text="How long the old key keeps working, in seconds.",
    )


class ApiKeyFilter(serializers.Serializer[Any]):
    revoked = serializers.BooleanField(
        required=False,
        help_text="true lists only revoked keys, false only keys that are not revoked.",
    )


class AuditFilter(serializers.Serializer[Any]):
    actor = serializers.UUIDField(required=False, help_text="Id of the user or API key.")
    action = serializers.CharField(
        max_length=60, required=False, help_text="For example domain.create."
    )
    object = serializers.UUIDField(required=False, help_text="Id of the changed object.")
    object_kind = serializers.CharField(max_length=40, required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    q = serializers.CharField(
        max_length=120,
        required=False,
        allow_blank=True,
        help_text="Events with this text in the name of their actor or of the changed object.",
    )


class AuditExportFilter(AuditFilter):
    format = serializers.ChoiceField(choices=["csv", "jsonl"], default="csv")


class AuditPerson(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="Kind of the person, one of the values of actor_kind.")
    id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()


class AuditRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    actor_kind = serializers.ChoiceField(choices=["user", "api_key", "system", "operator"])
    actor_id = serializers.UUIDField(allow_null=True)
    actor_label = serializers.CharField()
    on_behalf_of = AuditPerson(
        required=False, help_text="The person for whom a program acted; left out if there was none."
    )
    action = serializers.CharField()
    object_kind = serializers.CharField()
    object_id = serializers.UUIDField(allow_null=True)
    object_label = serializers.CharField()
    changes = serializers.DictField(
        help_text="{field: [before, after]}. Secrets are replaced by hints."
    )
    ip = serializers.IPAddressField(allow_null=True)
