"""Examples of SCIM bodies for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from apps.orgs.scim import serializers as forms

META = {
    "resourceType": "User",
    "created": "2026-11-22T09:00:00Z",
    "lastModified": "2026-11-22T09:00:00Z",
    "location": "https://drover.example.com/api/v1/scim/v2/Users/01936c67-92a3-7485-bd74-607182930415",
}
USER_EXAMPLE = {
    "schemas": [forms.USER_SCHEMA],
    "id": "01936c67-92a3-7485-bd74-607182930415",
    "userName": "ada@example.com",
    "externalId": "00u1",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "displayName": "Ada Lovelace",
    "active": True,
    "emails": [{"value": "ada@example.com", "type": "work", "primary": True}],
    "meta": META,
}
GROUP_EXAMPLE = {
    "schemas": [forms.GROUP_SCHEMA],
    "id": "01936c68-a3b4-7596-ce85-718293041526",
    "displayName": "Data engineers",
    "externalId": "00g1",
    "members": [{"value": USER_EXAMPLE["id"], "$ref": META["location"], "type": "User"}],
    "meta": {
        **META,
        "resourceType": "Group",
        "location": "https://drover.example.com/api/v1/scim/v2/Groups/01936c68-a3b4-7596-ce85-718293041526",
    },
}
PATCH_EXAMPLE = {
    "schemas": [forms.PATCH_SCHEMA],
    "Operations": [{"op": "replace", "path": "active", "value": False}],
}
SEARCH_EXAMPLE = {"schemas": [forms.SEARCH_SCHEMA], "filter": 'userName sw "ada"', "count": 10}
CONFIG_EXAMPLE = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
    "patch": {"supported": True},
    "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
    "filter": {"supported": True, "maxResults": 200},
    "changePassword": {"supported": False},
    "sort": {"supported": True},
    "etag": {"supported": False},
    "authenticationSchemes": [
        {
            "type": "oauthbearertoken",
            "name": "API key",
            "description": "Authorization: Bearer drv_…",
        }
    ],
}
RESOURCE_TYPE_EXAMPLE = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
    "id": "User",
    "name": "User",
    "endpoint": "/Users",
    "schema": forms.USER_SCHEMA,
    "meta": {"resourceType": "ResourceType"},
}
SCHEMA_EXAMPLE = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
    "id": forms.GROUP_SCHEMA,
    "name": "Group",
    "attributes": [{"name": "displayName", "type": "string", "required": True}],
    "meta": {"resourceType": "Schema"},
}


def list_example(example: dict[str, Any]) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 1,
        "startIndex": 1,
        "itemsPerPage": 1,
        "Resources": [example],
    }
