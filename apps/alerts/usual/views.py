"""The usual ranges of a pipeline over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.alerts.usual import services
from apps.alerts.usual.bands import SPREADS
from apps.orgs.http.views import OrgView
from apps.web.schema import operation
from apps.web.views import query_of


class UsualQuery(serializers.Serializer[Any]):
    sensitivity = serializers.ChoiceField(
        choices=tuple(SPREADS),
        default="normal",
        help_text="As in the settings of a rule for alerts.",
    )


class UsualRange(serializers.Serializer[Any]):
    low = serializers.FloatField()
    usual = serializers.FloatField()
    high = serializers.FloatField()
    runs = serializers.IntegerField(help_text="Number of the runs behind the range.")
    has_weekday = serializers.BooleanField(
        help_text="False if there are too few runs of this weekday, so that those of all days count."
    )


class UsualWeekday(serializers.Serializer[Any]):
    weekday = serializers.IntegerField(help_text="From 1, Monday, to 7.")
    seconds = UsualRange(allow_null=True)
    records = UsualRange(allow_null=True)


class UsualSerializer(serializers.Serializer[Any]):
    timezone = serializers.CharField(help_text="Time zone of the weekdays.")
    runs = serializers.IntegerField(help_text="Number of the runs behind the ranges.")
    weekdays = UsualWeekday(many=True)


EXAMPLE_RANGE = {"low": 610.0, "usual": 1000.0, "high": 1640.0, "runs": 56, "has_weekday": True}
EXAMPLE = {
    "timezone": "Europe/Paris",
    "runs": 56,
    "weekdays": [{"weekday": 1, "seconds": None, "records": EXAMPLE_RANGE}],
}


class PipelineUsual(OrgView):
    @operation(
        "pipelines_usual",
        tag="alerts",
        summary="Show the usual duration and number of records of a pipeline on each weekday",
        answer=UsualSerializer,
        errors=(404,),
        parameters=[UsualQuery],
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        query = query_of(UsualQuery, request)
        found = services.describe(org=self.org, by=self.principal, pipeline_id=pk, **query)
        return Response(UsualSerializer(found).data)
