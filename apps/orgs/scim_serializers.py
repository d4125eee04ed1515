"""SCIM's resources as they travel (RFC 7643). What Drover does not keep is read and left."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from rest_framework import serializers

from apps.orgs.sign_in_serializers import AsciiEmailField
from apps.orgs.texts import NameField

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MOST = 200  # resources a page, and operations a patch
FILTER = re.compile(r'\s*(\w+)\s+eq\s+"([^"\\\\]{0,254})"\s*', re.IGNORECASE)
# Attributes of the core schema that directories send and Drover has no use for.
LEFT = (
    *("addresses", "emails", "entitlements", "groups", "ims", "meta", "name", "phoneNumbers"),
    *("photos", "roles", "x509Certificates"),
)
LEFT_TEXT = (
    *("id", "locale", "nickName", "password", "preferredLanguage", "profileUrl", "timezone"),
    *("title", "userType"),
)


optional_text = partial(
    serializers.CharField, max_length=200, default="", allow_blank=True, allow_null=True
)


class Left(serializers.JSONField):
    """Read and left."""


class ScimUserIn(serializers.Serializer[Any]):
    schemas = serializers.ListField(child=serializers.CharField(max_length=200), max_length=20)
    userName = AsciiEmailField(max_length=254)  # noqa: N815 - SCIM's name
    externalId = optional_text()  # noqa: N815
    displayName = NameField(max_length=200, default="", allow_blank=True, allow_null=True)  # noqa: N815
    active = serializers.BooleanField(default=True)

    def get_fields(self) -> Any:
        left = {
            name: Left(required=False, write_only=True) for name in (*LEFT, *LEFT_TEXT, ENTERPRISE)
        }
        return {**super().get_fields(), **left}


class ScimMeta(serializers.Serializer[Any]):
    resourceType = serializers.CharField()  # noqa: N815
    created = serializers.DateTimeField()
    lastModified = serializers.DateTimeField()  # noqa: N815
    location = serializers.CharField()


class ScimUserOut(serializers.Serializer[Any]):
    schemas = serializers.ListField(child=serializers.CharField())
    id = serializers.UUIDField()
    userName = serializers.CharField()  # noqa: N815
    externalId = serializers.CharField()  # noqa: N815
    displayName = serializers.CharField()  # noqa: N815
    active = serializers.BooleanField()
    meta = ScimMeta()


class ScimMemberIn(serializers.Serializer[Any]):
    value = serializers.UUIDField(help_text="Id of a SCIM user.")
    display = serializers.CharField(max_length=200, required=False, allow_null=True)
    type = serializers.CharField(max_length=20, required=False)

    def get_fields(self) -> Any:
        return {
            **super().get_fields(),
            "$ref": serializers.CharField(max_length=500, required=False),
        }


class ScimGroupIn(serializers.Serializer[Any]):
    schemas = serializers.ListField(child=serializers.CharField(max_length=200), max_length=20)
    displayName = NameField(max_length=200)  # noqa: N815
    externalId = optional_text()  # noqa: N815
    members = ScimMemberIn(many=True, required=False)
    id = Left(required=False)
    meta = Left(required=False)


class ScimMemberOut(serializers.Serializer[Any]):
    value = serializers.UUIDField()
    display = serializers.CharField()


class ScimGroupOut(serializers.Serializer[Any]):
    schemas = serializers.ListField(child=serializers.CharField())
    id = serializers.UUIDField()
    displayName = serializers.CharField()  # noqa: N815
    externalId = serializers.CharField()  # noqa: N815
    members = ScimMemberOut(many=True)
    meta = ScimMeta()


class ScimOperation(serializers.Serializer[Any]):
    op = serializers.CharField(max_length=10, help_text="add, replace or remove, in any case.")
    path = serializers.CharField(max_length=300, required=False, allow_blank=True)
    value = serializers.JSONField(required=False, allow_null=True)

    def validate_op(self, value: str) -> str:
        op = value.lower()
        if op not in {"add", "replace", "remove"}:
            raise serializers.ValidationError("add, replace or remove.", code="invalid")
        return op


class ScimPatch(serializers.Serializer[Any]):
    schemas = serializers.ListField(child=serializers.CharField(max_length=200), max_length=20)
    Operations = ScimOperation(many=True)

    def validate_Operations(self, value: list[Any]) -> list[Any]:  # noqa: N802 - the field's name
        if len(value) > MOST:
            raise serializers.ValidationError(f"At most {MOST} operations.", code="max_length")
        return value


class ScimQuery(serializers.Serializer[Any]):
    filter = serializers.CharField(
        max_length=400, required=False, help_text='Like `userName eq "ada@example.com"`.'
    )
    startIndex = serializers.IntegerField(  # noqa: N815
        default=1, max_value=1_000_000, help_text="Of the first resource; they are numbered from 1."
    )
    count = serializers.IntegerField(default=100, min_value=0, max_value=MOST)
    attributes = serializers.CharField(max_length=400, required=False)
    excludedAttributes = serializers.CharField(max_length=400, required=False)  # noqa: N815


class ScimList(serializers.Serializer[Any]):
    schemas = serializers.ListField(child=serializers.CharField())
    totalResults = serializers.IntegerField()  # noqa: N815
    startIndex = serializers.IntegerField()  # noqa: N815
    itemsPerPage = serializers.IntegerField()  # noqa: N815


class ScimUserList(ScimList):
    Resources = ScimUserOut(many=True)


class ScimGroupList(ScimList):
    Resources = ScimGroupOut(many=True)


class ScimConfig(serializers.Serializer[Any]):
    schemas = serializers.ListField(child=serializers.CharField())
    patch = serializers.DictField()
    bulk = serializers.DictField()
    filter = serializers.DictField()
    changePassword = serializers.DictField()  # noqa: N815
    sort = serializers.DictField()
    etag = serializers.DictField()
    authenticationSchemes = serializers.ListField(child=serializers.DictField())  # noqa: N815


class ScimGroupRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    display_name = serializers.CharField()
    people = serializers.IntegerField()
    role = serializers.ChoiceField(
        choices=[("viewer", "Viewer"), ("member", "Member"), ("admin", "Admin")],
        allow_null=True,
        help_text="What the group gives in the organization; null: nothing.",
    )


class ScimGroups(serializers.Serializer[Any]):
    groups = ScimGroupRow(many=True)


class ScimGroupRole(serializers.Serializer[Any]):
    role = serializers.ChoiceField(
        choices=[("viewer", "Viewer"), ("member", "Member"), ("admin", "Admin")], allow_null=True
    )
