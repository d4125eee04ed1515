from django.urls import path

from apps.runs import event_views, views

urlpatterns = [
    path("pipelines/<uuid:pk>/run", views.PipelineRunView.as_view()),
    path("runs", views.RunListView.as_view()),
    path("runs/<uuid:pk>", views.RunView.as_view()),
    path("runs/<uuid:pk>/cancel", views.RunCancelView.as_view()),
    path("runs/<uuid:pk>/retry", views.RunRetryView.as_view()),
    path("runs/<uuid:pk>/logs", views.RunLogsView.as_view()),
    path("runs/<uuid:pk>/events", event_views.RunEventsView.as_view()),
    path("events", event_views.OrgEventsView.as_view()),
    path("stats/overview", views.OverviewView.as_view()),
]
