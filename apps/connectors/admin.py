from __future__ import annotations

from django.contrib import admin

from apps.connectors.models import Connector
from apps.orgs.operators import OperatorAdmin


@admin.register(Connector)
class ConnectorAdmin(OperatorAdmin):
    list_display = ("org", "name", "role", "kind", "check_ok", "checked_at")
    list_select_related = ("org",)
