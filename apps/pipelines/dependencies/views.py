"""The dependencies of a pipeline, and of all pipelines, over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.pipelines import examples
from apps.pipelines.dependencies import services
from apps.pipelines.dependencies.serializers import (
    DependenciesSerializer,
    DependenciesUpdate,
    DependencyGraphSerializer,
)
from apps.pipelines.dependencies.services import PipelineDependencies
from apps.web.schema import IF_MATCH, operation
from apps.web.views import data_of, etag, match_of

UPSTREAM_ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f21"
REASON = "Waits for Orders, which failed at 2026-11-22 05:00 UTC."
RESULT: dict[str, Any] = {
    "last_success_at": "2026-11-21T05:00:12Z",
    "failing_since": "2026-11-22T05:00:09Z",
}
EXAMPLE: dict[str, Any] = {
    "mode": "all",
    "window_seconds": 86400,
    "state": "blocked",
    "reason": REASON,
    "upstreams": [{"pipeline": {"id": UPSTREAM_ID, "name": "Orders"}, "state": "failed", **RESULT}],
    "downstreams": [],
    "hidden": 0,
}
GRAPH_EXAMPLE: dict[str, Any] = {
    "pipelines": [
        {
            "id": examples.ID,
            "name": "Flights",
            "enabled": True,
            "mode": "all",
            "state": "blocked",
            "reason": REASON,
            "is_running": False,
            **RESULT,
        }
    ],
    "edges": [{"pipeline_id": examples.ID, "upstream_id": UPSTREAM_ID}],
}


class Dependencies(OrgView):
    permissions = {"put": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_dependencies",
        tag="pipelines",
        summary="Show after which pipelines a pipeline runs, and why it does not run now",
        answer=DependenciesSerializer,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return _response(*services.show(org=self.org, by=self.principal, pipeline_id=pk))

    @operation(
        "pipelines_dependencies_replace",
        tag="pipelines",
        summary="Let a pipeline run after others have succeeded",
        request=DependenciesUpdate,
        answer=DependenciesSerializer,
        errors=(404, 412, 422),
        parameters=[IF_MATCH],
        example=EXAMPLE,
        request_example={"mode": "all", "window_seconds": 86400, "upstream_ids": [UPSTREAM_ID]},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        changed = services.replace(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            match=match_of(request),
            **data_of(DependenciesUpdate, request),
        )
        return _response(*changed)


class GraphOfDependencies(OrgView):
    @operation(
        "dependencies",
        tag="pipelines",
        summary="Show which pipelines run after which others",
        answer=DependencyGraphSerializer,
        example=GRAPH_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        return Response(services.show_graph(org=self.org, by=self.principal))


def _response(dependencies: PipelineDependencies, version: int) -> Response:
    """Return the dependencies. Their version is that of the pipeline."""
    return Response(dependencies, headers={"ETag": etag(version)})
