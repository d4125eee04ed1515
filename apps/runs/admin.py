from __future__ import annotations

from django.contrib import admin
from procrastinate.contrib.django.models import ProcrastinateJob, ProcrastinateWorker

from apps.orgs.operators.site import OperatorAdmin
from apps.runs.models import Attempt, Run, Usage


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
    list_filter = ("status", "queue_name")
    org_column = ""


@admin.register(ProcrastinateWorker)
class WorkerAdmin(OperatorAdmin):
    """A worker without a heartbeat for 30 s counts as dead. Its jobs are removed or retried."""

    list_display = ("id", "last_heartbeat")
    org_column = ""


@admin.register(Usage)
class UsageAdmin(OperatorAdmin):
    list_display = ("org", "month", "rows", "bytes", "runs")
    list_select_related = ("org",)
