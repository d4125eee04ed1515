"""Drover's SCIM discovery documents (RFC 7644, section 4): capabilities, resource types and schemas."""

from __future__ import annotations

from functools import cache
from typing import Any

import scim2_models as scim
from django.conf import settings
from scim2_models import Context

from apps.orgs.exceptions import NotFound
from apps.orgs.scim.errors import BASE_PATH
from apps.orgs.scim.resources import EnterpriseUser, FullUser, Group, User
from apps.orgs.scim.search import DEFAULT_PAGE_SIZE, LIST_SCHEMA, MAX_PAGE_SIZE


@cache
def service_provider_config() -> dict[str, Any]:
    document = scim.ServiceProviderConfig(
        patch=scim.Patch(supported=True),
        bulk=scim.Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=scim.Filter(supported=True, max_results=MAX_PAGE_SIZE),
        change_password=scim.ChangePassword(supported=False),
        sort=scim.Sort(supported=True),
        etag=scim.ETag(supported=False),
        pagination=scim.Pagination(
            cursor=False,
            index=True,
            default_pagination_method=scim.Pagination.DefaultPaginationMethod.index,
            default_page_size=DEFAULT_PAGE_SIZE,
            max_page_size=MAX_PAGE_SIZE,
        ),
        authentication_schemes=[
            scim.AuthenticationScheme(
                type=scim.AuthenticationScheme.Type.oauthbearertoken,
                name="API key",
                description="Send the API key of a service account as `Authorization: Bearer drv_…`.",
                primary=True,
            )
        ],
    )
    return _render(document, "ServiceProviderConfig", "/ServiceProviderConfig")


@cache
def resource_types() -> tuple[dict[str, Any], ...]:
    documents = [scim.ResourceType.from_resource(model) for model in (FullUser, Group)]
    return tuple(
        _render(document, "ResourceType", f"/ResourceTypes/{document.id}") for document in documents
    )


@cache
def schemas() -> tuple[dict[str, Any], ...]:
    documents = [model.to_schema() for model in (User, EnterpriseUser, Group)]
    return tuple(_render(document, "Schema", f"/Schemas/{document.id}") for document in documents)


def list_response(documents: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    total = len(documents)
    return {
        "schemas": [LIST_SCHEMA],
        "totalResults": total,
        "startIndex": 1,
        "itemsPerPage": total,
        "Resources": list(documents),
    }


def find_document(documents: tuple[dict[str, Any], ...], document_id: str) -> dict[str, Any]:
    for document in documents:
        if document["id"] == document_id:
            return document
    raise NotFound


def _render(resource: scim.Resource[Any], resource_type: str, path: str) -> dict[str, Any]:
    location = f"{settings.PUBLIC_URL}{BASE_PATH}{path}"
    resource.meta = scim.Meta(resource_type=resource_type, location=location)
    return resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
