"""Routes of the catalogue and of saved connectors."""

from django.urls import path

from apps.connectors import catalogue_views, checks, views

urlpatterns = [
    path("catalog/sources", catalogue_views.Sources.as_view()),
    path("catalog/destinations", catalogue_views.Destinations.as_view()),
    path("catalog/sources/<slug:kind>", catalogue_views.Source.as_view()),
    path("catalog/destinations/<slug:kind>", catalogue_views.Destination.as_view()),
    path("connectors", views.Connectors.as_view()),
    path("connectors/check", checks.CheckUnsaved.as_view()),
    path("connectors/<uuid:pk>", views.ConnectorById.as_view()),
    path("connectors/<uuid:pk>/check", checks.CheckSaved.as_view()),
    path("connectors/<uuid:pk>/streams", checks.Streams.as_view()),
]
