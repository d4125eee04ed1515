"""Routes of the org's stream and of stream tickets; a subject's own stream belongs to its app."""

from django.urls import path

from apps.live import views

urlpatterns = [
    path("auth/stream-ticket", views.StreamTicketView.as_view()),
    path("events", views.OrgEventsView.as_view()),
]
