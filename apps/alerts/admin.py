from __future__ import annotations

from django.contrib import admin

from apps.alerts.models import (
    Alert,
    Channel,
    Delivery,
    FreshnessPage,
    Rule,
    Snooze,
    UndecidedRun,
)
from apps.orgs.operators.site import OperatorAdmin


@admin.register(Channel)
class ChannelAdmin(OperatorAdmin):
    list_display = ("org", "name", "kind", "enabled", "failing_since", "disabled_reason")
    list_select_related = ("org",)


@admin.register(Rule)
class RuleAdmin(OperatorAdmin):
    list_display = ("org", "kind", "settings", "scope", "enabled")
    list_select_related = ("org",)


@admin.register(Alert)
class AlertAdmin(OperatorAdmin):
    list_display = ("org", "subject_kind", "pipeline", "subject_key", "opened_at", "closed_at")
    list_select_related = ("org", "pipeline")


@admin.register(Snooze)
class SnoozeAdmin(OperatorAdmin):
    list_display = ("org", "rule", "alert", "until", "by", "created_at")
    list_select_related = ("org", "rule", "alert")


@admin.register(UndecidedRun)
class UndecidedRunAdmin(OperatorAdmin):
    list_display = ("org", "pipeline", "tries", "created_at")
    list_select_related = ("org", "pipeline")


@admin.register(Delivery)
class DeliveryAdmin(OperatorAdmin):
    list_display = ("org", "channel", "kind", "state", "attempts", "problem", "created_at")
    list_select_related = ("org", "channel")


@admin.register(FreshnessPage)
class FreshnessPageAdmin(OperatorAdmin):
    list_display = ("org", "title", "enabled", "created_at")
    list_select_related = ("org",)
