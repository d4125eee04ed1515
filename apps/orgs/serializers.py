"""What the routes under /org take and answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.orgs.roles import DOMAIN_ROLES, Permission, Role

PERMISSIONS = [(permission.value, permission.value) for permission in Permission]
DOMAIN_ROLE_CHOICES = [(role.value, role.label) for role in DOMAIN_ROLES]
MAX_GRACE = 7 * 24 * 3600  # seconds


class Organization(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    max_running = serializers.IntegerField(help_text="Runs at once.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class OrganizationChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120, required=False)
    max_running = serializers.IntegerField(
        min_value=1, max_value=1000, required=False, help_text="Runs at once."
    )


class Member(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="Of the membership.")
    user_id = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)
    created_at = serializers.DateTimeField()


class RoleChange(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)


class DomainChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)


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
    members = DomainMember(many=True, help_text="Whose role is raised here.")


class DomainRoleChange(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=DOMAIN_ROLE_CHOICES)


class Maker(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.EmailField()


class ApiKeyRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="The key's second part: which key it is, not the key.")
    role = serializers.ChoiceField(choices=Role.choices)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=PERMISSIONS), help_text="Empty: all of the role."
    )
    domain_id = serializers.UUIDField(allow_null=True)
    created_by = Maker()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewApiKey(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    role = serializers.ChoiceField(choices=Role.choices)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=PERMISSIONS),
        max_length=len(PERMISSIONS),
        default=list,
        help_text="Empty: all of the role.",
    )
    domain_id = serializers.UUIDField(allow_null=True, default=None)
    expires_at = serializers.DateTimeField(allow_null=True, default=None)


class MadeApiKey(ApiKeyRow):
    key = serializers.CharField(help_text="The key itself; it is never shown again.")


class Rotation(serializers.Serializer[Any]):
    grace_seconds = serializers.IntegerField(
        min_value=0, max_value=MAX_GRACE, default=0, help_text="How long the old key goes on."
    )


class ApiKeyFilter(serializers.Serializer[Any]):
    revoked = serializers.BooleanField(
        required=False, help_text="Only keys that were revoked, or only keys that were not."
    )


class AuditFilter(serializers.Serializer[Any]):
    actor = serializers.UUIDField(required=False, help_text="Id of the user or API key.")
    action = serializers.CharField(max_length=60, required=False, help_text="Like domain.create.")
    object = serializers.UUIDField(required=False, help_text="Id of what was changed.")
    object_kind = serializers.CharField(max_length=40, required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class AuditExportFilter(AuditFilter):
    format = serializers.ChoiceField(choices=["csv", "jsonl"], default="csv")


class AuditRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    actor_kind = serializers.ChoiceField(choices=["user", "api_key", "system", "operator"])
    actor_id = serializers.UUIDField(allow_null=True)
    actor_label = serializers.CharField()
    action = serializers.CharField()
    object_kind = serializers.CharField()
    object_id = serializers.UUIDField(allow_null=True)
    object_label = serializers.CharField()
    changes = serializers.DictField(help_text="{field: [before, after]}, secrets as hints.")
    ip = serializers.IPAddressField(allow_null=True)
