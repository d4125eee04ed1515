from __future__ import annotations

from django.contrib import admin

from apps.connectors.models import (
    Connector,
    CustomSource,
    CustomSourceVersion,
    FileUpload,
    Repository,
    UploadedFile,
)
from apps.orgs.operators.site import OperatorAdmin


@admin.register(Connector)
class ConnectorAdmin(OperatorAdmin):
    list_display = ("org", "name", "role", "kind", "check_ok", "checked_at")
    list_select_related = ("org",)


@admin.register(CustomSource)
class CustomSourceAdmin(OperatorAdmin):
    list_display = ("org", "name", "origin", "latest", "approved", "archived_at")
    list_select_related = ("org",)


@admin.register(CustomSourceVersion)
class CustomSourceVersionAdmin(OperatorAdmin):
    list_display = ("org", "source", "number", "note", "created_at", "approved_at")
    list_select_related = ("org", "source")


@admin.register(Repository)
class RepositoryAdmin(OperatorAdmin):
    list_display = ("org", "url", "branch", "path", "status", "synced_at", "message")
    list_select_related = ("org",)


@admin.register(UploadedFile)
class UploadedFileAdmin(OperatorAdmin):
    list_display = ("org", "name", "size", "version", "updated_at", "claimed_until")
    list_select_related = ("org",)


@admin.register(FileUpload)
class FileUploadAdmin(OperatorAdmin):
    list_display = ("org", "bytes", "created_at", "alive_until", "ended_at")
    list_select_related = ("org",)
