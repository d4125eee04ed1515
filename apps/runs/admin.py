from __future__ import annotations

from django.contrib import admin
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.orgs.operators import OperatorAdmin
from apps.runs.models import Attempt, Run


@admin.register(Run)
class RunAdmin(OperatorAdmin):
    list_display = ("org", "pipeline", "status", "trigger", "created_at", "failure_class")
    list_select_related = ("org", "pipeline")
    list_filter = ("status",)


@admin.register(Attempt)
class AttemptAdmin(OperatorAdmin):
    list_display = ("org", "run_id", "number", "worker", "started_at", "outcome")
    list_select_related = ("org",)


@admin.register(ProcrastinateJob)
class JobAdmin(OperatorAdmin):
    list_display = ("id", "queue_name", "task_name", "status", "scheduled_at", "attempts")
    list_filter = ("status",)
    org_column = ""
