"""Where a directory reads what Drover speaks and keeps of SCIM."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.scim import serializers as forms
from apps.orgs.scim.examples import (
    CONFIG_EXAMPLE,
    RESOURCE_TYPE_EXAMPLE,
    SCHEMA_EXAMPLE,
    listed,
)
from apps.orgs.scim.views import ScimView, described, query
from apps.web.problems import Problem


class DiscoveryView(ScimView):
    """Parameters are ignored, but a filter is refused: RFC 7644, section 4."""

    def descriptions(self, request: Request) -> Any:
        if "filter" in query(request):
            raise Problem(403, "These descriptions cannot be filtered.", "not_filtered")
        from apps.orgs.scim import discovery

        return discovery


class ServiceProviderConfig(DiscoveryView):
    @described(
        "scim_config",
        summary="Which parts of SCIM are spoken here",
        answer=forms.ScimConfig,
        example=CONFIG_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        return Response(self.descriptions(request).config())


class ResourceTypes(DiscoveryView):
    @described(
        "scim_resource_types",
        summary="Kinds of resources a directory can manage here",
        answer=forms.ScimObjectList,
        example=listed(RESOURCE_TYPE_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        found = self.descriptions(request)
        return Response(found.listed(found.resource_types()))


class OneResourceType(DiscoveryView):
    @described(
        "scim_resource_type",
        summary="One kind of resources",
        answer=forms.ScimObject,
        errors=(404,),
        example=RESOURCE_TYPE_EXAMPLE,
    )
    def get(self, request: Request, name: str) -> Response:
        found = self.descriptions(request)
        return Response(found.one_of(found.resource_types(), name))


class Schemas(DiscoveryView):
    @described(
        "scim_schemas",
        summary="Attributes that are kept of users and groups",
        answer=forms.ScimObjectList,
        example=listed(SCHEMA_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        found = self.descriptions(request)
        return Response(found.listed(found.schemas()))


class OneSchema(DiscoveryView):
    @described(
        "scim_schema",
        summary="Attributes of one schema",
        answer=forms.ScimObject,
        errors=(404,),
        example=SCHEMA_EXAMPLE,
    )
    def get(self, request: Request, name: str) -> Response:
        found = self.descriptions(request)
        return Response(found.one_of(found.schemas(), name))
