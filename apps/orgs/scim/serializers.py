"""SCIM's schemas for the OpenAPI document, and the schemas of the routes for roles of groups.

`scim2_models` validates SCIM bodies, as `/Schemas` declares them; these classes document only the most
important attributes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from rest_framework import serializers

from apps.orgs.http.texts import NameField

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEARCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

text_field = partial(serializers.CharField, required=False)


class TextListField(serializers.ListField):
    child = serializers.CharField()


class ObjectListField(serializers.ListField):
    child = serializers.DictField()


class ScimError(serializers.Serializer[Any]):
    schemas = TextListField()
    status = serializers.CharField()
    scimType = text_field(help_text="SCIM's keyword for the error, if it has one.")
    detail = serializers.CharField()


class ScimMeta(serializers.Serializer[Any]):
    resourceType = text_field()
    created = serializers.DateTimeField(required=False)
    lastModified = serializers.DateTimeField(required=False)
    location = text_field()


class ScimUserIn(serializers.Serializer[Any]):
    schemas = TextListField()
    userName = NameField(max_length=254, required=False, help_text="The directory's user name.")
    externalId = text_field()
    name = serializers.DictField(required=False)
    displayName = NameField(max_length=200, required=False)
    active = serializers.BooleanField(required=False)
    emails = ObjectListField(
        required=False,
        help_text="The primary address identifies the person if userName is not an address.",
    )


class ScimUserOut(ScimUserIn):
    id = serializers.CharField()
    groups = ObjectListField(required=False)
    meta = ScimMeta(required=False)


class ScimGroupIn(serializers.Serializer[Any]):
    schemas = TextListField()
    displayName = NameField(max_length=200, required=False)
    externalId = text_field()
    members = ObjectListField(required=False, help_text="Each value is the id of a user.")


class ScimGroupOut(ScimGroupIn):
    id = serializers.CharField()
    meta = ScimMeta(required=False)


class ScimOperation(serializers.Serializer[Any]):
    op = serializers.CharField(help_text="add, replace or remove; case-insensitive.")
    path = text_field()
    value = serializers.JSONField(required=False)


class ScimPatch(serializers.Serializer[Any]):
    schemas = TextListField()
    Operations = ScimOperation(many=True)


class ScimAttributes(serializers.Serializer[Any]):
    attributes = text_field(help_text="Return only these attributes; separate them by commas.")
    excludedAttributes = text_field(help_text="Return all attributes except these.")


class ScimQuery(ScimAttributes):
    filter = text_field(help_text='For example `userName eq "ada@example.com"`.')
    sortBy = text_field()
    sortOrder = serializers.ChoiceField(["ascending", "descending"], required=False)
    startIndex = serializers.IntegerField(required=False)
    count = serializers.IntegerField(required=False, help_text="Resources per page, at most 200.")


class ScimSearch(serializers.Serializer[Any]):
    schemas = TextListField()
    filter = text_field()
    attributes = TextListField(required=False)
    excludedAttributes = TextListField(required=False)
    sortBy = text_field()
    sortOrder = text_field()
    startIndex = serializers.IntegerField(required=False)
    count = serializers.IntegerField(required=False)


class ScimList(serializers.Serializer[Any]):
    schemas = TextListField()
    totalResults = serializers.IntegerField()
    startIndex = serializers.IntegerField()
    itemsPerPage = serializers.IntegerField()


class ScimUserList(ScimList):
    Resources = ScimUserOut(many=True)


class ScimGroupList(ScimList):
    Resources = ScimGroupOut(many=True)


class ScimObjectList(ScimList):
    Resources = ObjectListField()


class ScimObject(serializers.Serializer[Any]):
    """One of SCIM's discovery documents."""

    schemas = TextListField()
    id = text_field()
    meta = ScimMeta()


class ScimConfig(serializers.Serializer[Any]):
    schemas = TextListField()
    patch = serializers.DictField()
    bulk = serializers.DictField()
    filter = serializers.DictField()
    changePassword = serializers.DictField()
    sort = serializers.DictField()
    etag = serializers.DictField()
    authenticationSchemes = ObjectListField()


class ScimGroupRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    display_name = serializers.CharField()
    people = serializers.IntegerField()
    role = serializers.ChoiceField(
        choices=[("viewer", "Viewer"), ("member", "Member"), ("admin", "Admin")],
        allow_null=True,
        help_text="The role that the group grants in the organization; null means none.",
    )


class ScimGroups(serializers.Serializer[Any]):
    groups = ScimGroupRow(many=True)


class ScimGroupRole(serializers.Serializer[Any]):
    role = serializers.ChoiceField(
        choices=[("viewer", "Viewer"), ("member", "Member"), ("admin", "Admin")], allow_null=True
    )
