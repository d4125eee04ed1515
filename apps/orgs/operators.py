"""The operators' pages: everything of the installation, to be read only, each look at an org written down.

Rows are read by the role app_ops, which may do nothing else; what seals or proves something is never shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.auth.addresses import client_ip
from apps.orgs import audit
from apps.orgs.principals import Actor
from apps.orgs.tenancy import org_scope

NEVER_SHOWN = frozenset(
    {"password", "hash", "tag", "digest", "data_key", "sealed", "claims", "body", "body_digest"}
)


class OperatorSite(admin.AdminSite):
    """For active staff. Members of orgs have no business here."""

    site_header = "Drover operators"
    site_title = "Drover"
    index_title = "This installation"
    site_url = "/"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Pages that only read; what other packages would add, to change things, is left out."""
        if admin_class is not None and issubclass(admin_class, OperatorAdmin):
            super().register(model_or_iterable, admin_class, **options)


if TYPE_CHECKING:
    ReadOnly = admin.ModelAdmin[Any]
else:
    ReadOnly = admin.ModelAdmin  # not generic when the program runs


class OperatorAdmin(ReadOnly):
    """Reading only."""

    list_per_page = 50
    show_full_result_count = False
    org_column: ClassVar[str] = "org_id"  # where a row says whose it is; empty: nobody's

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        manager = getattr(self.model, "unscoped", self.model._default_manager)
        rows: models.QuerySet[Any] = manager.using("ops")
        return rows.order_by("-pk")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """A filter in the address must not let anyone guess, letter by letter, what is never shown."""
        if NEVER_SHOWN.intersection(lookup.split("__")):
            return False
        return super().lookup_allowed(lookup, value, request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [f.name for f in self.model._meta.concrete_fields if f.name not in NEVER_SHOWN]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.get_fields(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return admin_site_allows(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin_site_allows(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self.note(request, [found], "operator.view", found.pk)
        return found

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        answer: HttpResponseBase = super().changelist_view(request, extra_context)
        shown: ChangeList | None = getattr(answer, "context_data", {}).get("cl")
        if shown is not None:
            self.note(request, list(shown.result_list), "operator.list", None)
        return answer

    def note(
        self, request: HttpRequest, rows: list[Any], action: str, object_id: UUID | None
    ) -> None:
        """One event in the trail of each org whose rows were looked at."""
        if not self.org_column:
            return
        user: Any = request.user
        by = Actor(kind="operator", id=user.pk, label=user.email, ip=client_ip(request))
        for org_id in {getattr(row, self.org_column) for row in rows}:
            with org_scope(org_id):
                audit.record(
                    org=org_id,
                    by=by,
                    action=action,
                    object_kind=self.model._meta.model_name or "",
                    object_id=object_id if isinstance(object_id, UUID) else None,
                )


def admin_site_allows(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_staff)
