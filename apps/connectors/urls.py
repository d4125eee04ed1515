"""Routes of the catalogue and of saved connectors."""

from django.urls import path

from apps.connectors import views

urlpatterns = [
    path("connectors", views.Connectors.as_view()),
    path("connectors/<uuid:pk>", views.ConnectorById.as_view()),
]
