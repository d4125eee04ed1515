"""Drover's SCIM discovery documents (RFC 7644, section 4): capabilities, resource types and schemas."""

from __future__ import annotations

from functools import cache
from typing import Any

import scim2_models as scim
from django.conf import settings
from scim2_models import Context

from apps.orgs.exceptions import NotFound
from apps.orgs.scim.errors import BASE
from apps.orgs.scim.resources import EnterpriseUser, FullUser, Group, User
from apps.orgs.scim.search import LIST, PAGE, PAGE_LIMIT


@cache
def config() -> dict[str, Any]:
    described = scim.ServiceProviderConfig(
        patch=scim.Patch(supported=True),
        bulk=scim.Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=scim.Filter(supported=True, max_results=PAGE_LIMIT),
        change_password=scim.ChangePassword(supported=False),
        sort=scim.Sort(supported=True),
        etag=scim.ETag(supported=False),
        pagination=scim.Pagination(
            cursor=False,
            index=True,
            default_pagination_method=scim.Pagination.DefaultPaginationMethod.index,
            default_page_size=PAGE,
            max_page_size=PAGE_LIMIT,
        ),
        authentication_schemes=[
            scim.AuthenticationScheme(
                type=scim.AuthenticationScheme.Type.oauthbearertoken,
                name="API key",
                description="Authorization: Bearer drv_…, of a service account.",
                primary=True,
            )
        ],
    )
    return _shown(described, "ServiceProviderConfig", "/ServiceProviderConfig")


@cache
def resource_types() -> tuple[dict[str, Any], ...]:
    found = [scim.ResourceType.from_resource(model) for model in (FullUser, Group)]
    return tuple(_shown(each, "ResourceType", f"/ResourceTypes/{each.id}") for each in found)


@cache
def schemas() -> tuple[dict[str, Any], ...]:
    found = [model.to_schema() for model in (User, EnterpriseUser, Group)]
    return tuple(_shown(each, "Schema", f"/Schemas/{each.id}") for each in found)


def listed(all_of_them: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    total = len(all_of_them)
    return {
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": 1,
        "itemsPerPage": total,
        "Resources": list(all_of_them),
    }


def one_of(all_of_them: tuple[dict[str, Any], ...], name: str) -> dict[str, Any]:
    for each in all_of_them:
        if each["id"] == name:
            return each
    raise NotFound


def _shown(resource: scim.Resource[Any], kind: str, path: str) -> dict[str, Any]:
    where = f"{settings.PUBLIC_URL.rstrip('/')}{BASE}{path}"
    resource.meta = scim.Meta(resource_type=kind, location=where)
    return resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
