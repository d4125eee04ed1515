"""All routes: the API of each app, the operators' site, and the dashboard for every other path."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path

from apps.web import api_docs, health_views, site
from apps.web.metrics import views as metrics_views

urlpatterns = [
    path("api/v1/", include("apps.orgs.urls")),
    path("api/v1/", include("apps.live.urls")),
    path("api/v1/", include("apps.connectors.urls")),
    path("api/v1/", include("apps.pipelines.urls")),
    path("api/v1/", include("apps.runs.urls")),
    path("api/v1/", include("apps.alerts.urls")),
    path("api/v1/", include("apps.agent.urls")),
    path("api/v1/health/live", health_views.Live.as_view()),
    path("api/v1/health/ready", health_views.Ready.as_view()),
    path("api/v1/metrics", metrics_views.Metrics.as_view()),
    path("api/v1/openapi.json", site.openapi_document, name="openapi"),
    path("api/v1/docs", api_docs.docs, name="docs"),
    path(settings.OPERATORS_PATH.lstrip("/"), admin.site.urls),
    re_path(r"^api/", site.unknown_route),
    re_path(r"^(?:health|metrics)(?:/|$)", site.misplaced_probe),
    re_path(r"^(?!static/).*$", site.dashboard, name="dashboard"),
]

handler400 = "apps.web.site.bad_request"
handler500 = "apps.web.site.server_error"
