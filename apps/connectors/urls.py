"""Routes of the catalogue, of saved connectors, and of uploaded files."""

from django.urls import path

from apps.connectors import catalogue_views, views
from apps.connectors.checks import views as check_views
from apps.connectors.custom_sources import views as custom_views
from apps.connectors.files import views as file_views
from apps.connectors.repositories import upload_views
from apps.connectors.repositories import views as repository_views

urlpatterns = [
    path("catalog/sources", catalogue_views.Sources.as_view()),
    path("catalog/destinations", catalogue_views.Destinations.as_view()),
    path("catalog/sources/<slug:kind>", catalogue_views.SourceKind.as_view()),
    path("catalog/destinations/<slug:kind>", catalogue_views.DestinationKind.as_view()),
    path("connectors", views.Connectors.as_view()),
    path("connectors/check", check_views.CheckUnsaved.as_view()),
    path("connectors/<uuid:pk>", views.ConnectorById.as_view()),
    path("connectors/<uuid:pk>/check", check_views.CheckSaved.as_view()),
    path("connectors/<uuid:pk>/streams", check_views.Streams.as_view()),
    path("custom-sources", custom_views.CustomSources.as_view()),
    path("custom-sources/validate", custom_views.Validate.as_view()),
    path("custom-sources/preview", custom_views.Try.as_view()),
    path("custom-sources/upload", upload_views.Upload.as_view()),
    path("custom-sources/cookbook", custom_views.Recipes.as_view()),
    path("custom-sources/<uuid:pk>", custom_views.CustomSourceById.as_view()),
    path("custom-sources/<uuid:pk>/versions", custom_views.Versions.as_view()),
    path("custom-sources/<uuid:pk>/versions/<int:number>", custom_views.VersionByNumber.as_view()),
    path("custom-sources/<uuid:pk>/versions/<int:number>/diff", custom_views.Diff.as_view()),
    path("custom-sources/<uuid:pk>/versions/<int:number>/restore", custom_views.Restore.as_view()),
    path("custom-sources/<uuid:pk>/versions/<int:number>/approve", custom_views.Approve.as_view()),
    path("files", file_views.Files.as_view()),
    path("files/limits", file_views.Limits.as_view()),
    path("files/<uuid:pk>", file_views.FileById.as_view()),
    path("repositories", repository_views.Repositories.as_view()),
    path("repositories/<uuid:pk>", repository_views.RepositoryById.as_view()),
    path("repositories/<uuid:pk>/sync", repository_views.Sync.as_view()),
    path("repositories/<uuid:pk>/webhook-secret", repository_views.RenewWebhookSecret.as_view()),
    path("hooks/<uuid:org_id>/repositories/<uuid:pk>", repository_views.Hook.as_view()),
]
