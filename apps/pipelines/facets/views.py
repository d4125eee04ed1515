from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.pipelines.facets.counting import count_values
from apps.pipelines.facets.serializers import PipelineFacets
from apps.pipelines.serializers import PipelineFilter
from apps.pipelines.views import filters_from_query
from apps.web.schema import operation
from apps.web.views import query_of

EXAMPLE = {
    "domain": [
        {"value": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f22", "label": "Marketing", "count": 12}
    ],
    "source": [{"value": "postgres", "label": "postgres", "count": 30}],
    "destination": [{"value": "parquet", "label": "parquet", "count": 18}],
    "tag": [{"value": "daily", "label": "daily", "count": 25}],
    "status": [{"value": "succeeded", "label": "succeeded", "count": 28}],
    "freshness": [{"value": "fresh", "label": "fresh", "count": 21}],
    "enabled": [{"value": "true", "label": "true", "count": 29}],
}


class Facets(OrgView):
    reads_from_replica = True

    @operation(
        "pipelines_facets",
        tag="pipelines",
        summary="Count the pipelines for each value of each filter of the list",
        answer=PipelineFacets,
        parameters=[PipelineFilter],
        example=EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        filters = filters_from_query(query_of(PipelineFilter, request))
        return Response(count_values(org=self.org, by=self.principal, filters=filters))
