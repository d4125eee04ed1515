"""Routes of pipelines and schedules; runs and state of a pipeline belong to apps.runs."""

from django.urls import path

from apps.pipelines import views

urlpatterns = [
    path("pipelines", views.Pipelines.as_view()),
    path("pipelines/<uuid:pk>", views.PipelineById.as_view()),
    path("pipelines/<uuid:pk>/duplicate", views.Duplicate.as_view()),
    path("pipelines/<uuid:pk>/enable", views.Enable.as_view()),
    path("pipelines/<uuid:pk>/disable", views.Disable.as_view()),
]
