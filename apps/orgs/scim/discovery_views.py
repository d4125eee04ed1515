"""The SCIM discovery endpoints."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.scim import serializers as forms
from apps.orgs.scim.examples import (
    CONFIG_EXAMPLE,
    RESOURCE_TYPE_EXAMPLE,
    SCHEMA_EXAMPLE,
    list_example,
)
from apps.orgs.scim.views import ScimView, query_parameters, scim_operation
from apps.web.problems import Problem


class DiscoveryView(ScimView):
    """A discovery route. It ignores query parameters but rejects a filter (RFC 7644, section 4)."""

    def import_discovery(self, request: Request) -> Any:
        """Reject a filter, and return the module `discovery`, whose import is slow because of `scim2_models`."""
        if "filter" in query_parameters(request):
            raise Problem(403, "Discovery documents cannot be filtered.", "not_filtered")
        from apps.orgs.scim import discovery

        return discovery


class ServiceProviderConfig(DiscoveryView):
    @scim_operation(
        "scim_config",
        summary="Show the supported SCIM features",
        answer=forms.ScimConfig,
        example=CONFIG_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        return Response(self.import_discovery(request).service_provider_config())


class ResourceTypes(DiscoveryView):
    @scim_operation(
        "scim_resource_types",
        summary="List the resource types",
        answer=forms.ScimObjectList,
        example=list_example(RESOURCE_TYPE_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        discovery = self.import_discovery(request)
        return Response(discovery.list_response(discovery.resource_types()))


class OneResourceType(DiscoveryView):
    @scim_operation(
        "scim_resource_type",
        summary="Show a resource type",
        answer=forms.ScimObject,
        errors=(404,),
        example=RESOURCE_TYPE_EXAMPLE,
    )
    def get(self, request: Request, name: str) -> Response:
        discovery = self.import_discovery(request)
        return Response(discovery.find_document(discovery.resource_types(), name))


class Schemas(DiscoveryView):
    @scim_operation(
        "scim_schemas",
        summary="List the schemas of users and groups",
        answer=forms.ScimObjectList,
        example=list_example(SCHEMA_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        discovery = self.import_discovery(request)
        return Response(discovery.list_response(discovery.schemas()))


class OneSchema(DiscoveryView):
    @scim_operation(
        "scim_schema",
        summary="Show a schema",
        answer=forms.ScimObject,
        errors=(404,),
        example=SCHEMA_EXAMPLE,
    )
    def get(self, request: Request, name: str) -> Response:
        discovery = self.import_discovery(request)
        return Response(discovery.find_document(discovery.schemas(), name))
