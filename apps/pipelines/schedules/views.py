"""Views that pause and resume schedules, and compute the next times."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.serializers import Empty
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.pipelines import examples
from apps.pipelines.schedules import english, plans, services, words
from apps.pipelines.schedules.blackouts import ends_blackout
from apps.pipelines.schedules.clock_changes import clock_changes
from apps.pipelines.schedules.serializers import (
    PauseRequest,
    TimesAnswer,
    TimesQuery,
    TimesRequest,
    WordsAnswer,
    WordsRequest,
)
from apps.pipelines.schedules.times import ScheduleLike, next_times
from apps.pipelines.serializers import PipelineDetail
from apps.pipelines.views import PipelineView
from apps.web.schema import operation
from apps.web.views import data_of, query_of

TIMES_EXAMPLE = {
    "times": ["2026-11-22T11:00:00Z", "2026-11-22T17:00:00Z"],
    "timezone": "Europe/Paris",
    "after_blackout": [],
    "clock_changes": [
        {
            "kind": "skipped",
            "local_times": ["2027-03-28T02:30:00"],
            "runs_at": "2027-03-28T01:00:00Z",
            "in_words": "02:30 does not exist on 28 March 2027: clocks go forward. It runs at 03:00 instead.",
        }
    ],
}
PAUSED_EXAMPLE = {
    **examples.SCHEDULE,
    "paused_at": "2026-11-22T10:00:00Z",
    "paused_note": "The shop moves to a new database",
    "paused_by": {"id": examples.ID, "name": "Ada"},
}


class Pause(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_schedule_pause",
        tag="pipelines",
        summary="Pause the schedule, with a note; runs can still be started manually",
        request=PauseRequest,
        answer=PipelineDetail,
        errors=(404, 409, 422),
        example={**examples.DETAIL, "schedule": PAUSED_EXAMPLE, "next_run_at": None},
        request_example={"note": "The shop moves to a new database"},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        note = data_of(PauseRequest, request)["note"]
        pipeline = services.pause(org=self.org, by=self.principal, pipeline_id=pk, note=note)
        return self.pipeline_response(pipeline)


class Resume(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_schedule_resume",
        tag="pipelines",
        summary="Resume the schedule from now on",
        request=Empty,
        answer=PipelineDetail,
        errors=(404, 409),
        example=examples.DETAIL,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        pipeline = services.resume(org=self.org, by=self.principal, pipeline_id=pk)
        return self.pipeline_response(pipeline)


class ScheduleTimes(PipelineView):
    @operation(
        "pipelines_schedule_preview",
        tag="pipelines",
        summary="List the next times of a pipeline's schedule, even if it is paused",
        answer=TimesAnswer,
        errors=(404, 409),
        parameters=[TimesQuery],
        example=TIMES_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        count = query_of(TimesQuery, request)["count"]
        schedule = services.find_schedule(org=self.org, by=self.principal, pipeline_id=pk)
        return times_response(schedule, count)


class UnsavedScheduleTimes(OrgView):
    permissions = {"post": Permission.READ}

    @operation(
        "schedules_preview",
        tag="pipelines",
        summary="List the next times of a schedule that is not saved",
        request=TimesRequest,
        answer=TimesAnswer,
        errors=(422,),
        example=TIMES_EXAMPLE,
        request_example={
            "schedule": {"cron": "0 */6 * * *", "timezone": "Europe/Paris"},
            "count": 2,
        },
    )
    def post(self, request: Request) -> Response:
        data = data_of(TimesRequest, request)
        return times_response(plans.parse_required(data["schedule"]), data["count"])


class ScheduleOfWords(OrgView):
    permissions = {"post": Permission.READ}

    @operation(
        "schedules_words",
        tag="pipelines",
        summary="Read a schedule in English or as a cron expression, and list its next times",
        request=WordsRequest,
        answer=WordsAnswer,
        errors=(422,),
        example={
            "schedule": {"cron": "30 7 * * 1-5", "timezone": "Europe/Berlin"},
            "in_words": "Weekdays at 07:30 (Europe/Berlin)",
            "times": ["2026-11-23T06:30:00Z"],
        },
        request_example={"words": "weekdays at 7:30 in Berlin", "count": 1},
    )
    def post(self, request: Request) -> Response:
        data = data_of(WordsRequest, request)
        plan = english.read_words(data["words"], data.get("timezone"))
        if plan is None:
            return Response({"schedule": None, "in_words": words.MANUAL, "times": []})
        timing = {"cron": plan.cron} if plan.cron else {"interval_seconds": plan.interval_seconds}
        return Response(
            {
                "schedule": {**timing, "timezone": plan.timezone},
                "in_words": words.describe(plan),
                "times": next_times(plan, timezone.now(), data["count"]),
            }
        )


def times_response(schedule: ScheduleLike, count: int) -> Response:
    now, zone = timezone.now(), ZoneInfo(schedule.timezone)
    changes = [
        {
            "kind": change.kind,
            "local_times": [time.isoformat() for time in change.local_times],
            "runs_at": change.runs_at,
            "in_words": change.in_words(zone),
        }
        for change in clock_changes(schedule, now)
    ]
    times = next_times(schedule, now, count)
    return Response(
        {
            "times": times,
            "timezone": schedule.timezone,
            "after_blackout": [time for time in times if ends_blackout(schedule, time)],
            "clock_changes": changes,
        }
    )
