from __future__ import annotations

from django.contrib import admin

from apps.orgs.operators.site import OperatorAdmin
from apps.pipelines.models import Pipeline, PipelineVersion, Schedule


@admin.register(Pipeline)
class PipelineAdmin(OperatorAdmin):
    list_display = ("org", "name", "source_kind", "destination_kind", "enabled", "last_run_status")
    list_select_related = ("org",)


@admin.register(PipelineVersion)
class PipelineVersionAdmin(OperatorAdmin):
    list_display = ("org", "pipeline", "number", "created_at")
    list_select_related = ("org", "pipeline")


@admin.register(Schedule)
class ScheduleAdmin(OperatorAdmin):
    list_display = ("org", "pipeline", "cron", "interval_seconds", "timezone", "next_run_at")
    list_select_related = ("org", "pipeline")
