"""Routes of the org's event stream and of stream tickets. The route of a run's event stream is in `apps.runs`."""

from django.urls import path

from apps.live import views

urlpatterns = [
    path("auth/stream-ticket", views.StreamTicketView.as_view()),
    path("events", views.OrgEventsView.as_view()),
]
