"""The operators' site: read-only pages about the whole installation. Audit logs record each view of an org's rows.

The database role app_ops reads the rows. The pages never show keys, hashes or secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from apps.engine.sandbox import layers
from apps.orgs import audit
from apps.orgs.operators import support
from apps.orgs.operators import views as operator_views
from apps.orgs.operators.views import has_verified_factor
from apps.orgs.principals import operator_principal
from apps.orgs.walls.scope import org_scope
from apps.web.addresses import client_ip

HIDDEN_FIELDS = frozenset(
    {
        "password",
        "hash",
        "tag",
        "digest",
        "data_key",
        "sealed",
        "claims",
        "body",
        "body_digest",
        "state",
        "data",
    }
)


class OperatorSite(admin.AdminSite):
    """The site for operators: active users with `is_staff` who have verified a second factor."""

    site_header = "Drover operators"
    site_title = "Drover"
    index_title = "This installation"
    site_url = "/"
    index_template = "operators/index.html"

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Show the index page, with the isolation of custom code in this process."""
        isolation = layers.choose_isolation()
        isolation_context = {
            "isolation": isolation,
            "isolation_layers": [layers.LAYER_DESCRIPTIONS[name] for name in isolation.layers],
            "isolation_missing": isolation.machine.missing,
            "isolation_least": settings.SANDBOX_LEAST_ISOLATION,
        }
        return super().index(request, {**isolation_context, **(extra_context or {})})

    def has_permission(self, request: HttpRequest) -> bool:
        return has_verified_factor(request)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form for the password, and then redirect to the form for the second factor."""
        user = request.user
        if (
            user.is_authenticated
            and user.is_active
            and user.is_staff
            and not has_verified_factor(request)
        ):
            return HttpResponseRedirect(reverse("admin:second_factor"))
        return super().login(request, extra_context)

    def get_urls(self) -> list[Any]:
        org_pages = [
            path(
                "orgs/org/<uuid:pk>/access/", operator_views.request_access, name="orgs_org_access"
            ),
            path("orgs/org/<uuid:pk>/suspend/", operator_views.suspend, name="orgs_org_suspend"),
            path("orgs/org/<uuid:pk>/resume/", operator_views.resume, name="orgs_org_resume"),
        ]
        for page in org_pages:
            page.callback = self.admin_view(page.callback)
        second_factor_page = path(
            "second-factor/", never_cache(operator_views.second_factor), name="second_factor"
        )
        return [second_factor_page, *org_pages, *super().get_urls()]

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register only our read-only pages, and not the pages of other packages."""
        if admin_class is not None and issubclass(admin_class, OperatorAdmin):
            super().register(model_or_iterable, admin_class, **options)


if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin  # not generic at run time


class OperatorAdmin(ModelAdmin):
    """Read-only pages of a model. They show rows of an org only while the operator has access to the org."""

    list_per_page = 50
    show_full_result_count = False
    # The attribute with the id of the row's org: `org_id`, `pk` for Org itself, or empty if the model belongs to no
    # org. With `org_id`, only rows of orgs that the operator has access to are shown.
    org_column: ClassVar[str] = "org_id"

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        manager = getattr(self.model, "unscoped", self.model._default_manager)
        rows: models.QuerySet[Any] = manager.using("ops")
        if self.org_column == "org_id":
            user: Any = request.user
            rows = rows.filter(org_id__in=support.accessible_org_ids(user))
        return rows.order_by("-pk")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Whether a URL may filter by this field. Filters by a hidden field could reveal its value letter by letter."""
        if HIDDEN_FIELDS.intersection(lookup.split("__")):
            return False
        return super().lookup_allowed(lookup, value, request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [f.name for f in self.model._meta.concrete_fields if f.name not in HIDDEN_FIELDS]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.get_fields(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return has_verified_factor(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_verified_factor(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self.record_view(request, [row], "operator.view", row.pk)
        return row

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        if self.org_column == "org_id":
            hint = "Shows only rows of organizations that you have access to. Request access under Orgs, with a reason."
            extra_context = {**(extra_context or {}), "subtitle": hint}
        response: HttpResponseBase = super().changelist_view(request, extra_context)
        change_list: ChangeList | None = getattr(response, "context_data", {}).get("cl")
        if change_list is not None:
            self.record_view(request, list(change_list.result_list), "operator.list", None)
        return response

    def record_view(
        self, request: HttpRequest, rows: list[Any], action: str, object_id: UUID | None
    ) -> None:
        """Add one event to the audit log of each org whose rows were viewed."""
        if not self.org_column:
            return
        user: Any = request.user
        by = operator_principal(user.email, user_id=user.pk, ip=client_ip(request))
        for org_id in {getattr(row, self.org_column) for row in rows}:
            with org_scope(org_id):
                audit.record(
                    org=org_id,
                    by=by,
                    action=action,
                    object_kind=self.model._meta.model_name or "",
                    object_id=object_id if isinstance(object_id, UUID) else None,
                )
