"""Routes of pipelines and schedules; runs and state of a pipeline belong to apps.runs."""

from django.urls import path

from apps.pipelines import views
from apps.pipelines.dependencies import views as dependency_views
from apps.pipelines.drift import views as drift_views
from apps.pipelines.facets import views as facet_views
from apps.pipelines.file_watches import views as file_watch_views
from apps.pipelines.history import views as history_views
from apps.pipelines.hooks import views as hook_views
from apps.pipelines.matching import views as matching_views
from apps.pipelines.saved_views import views as saved_view_views
from apps.pipelines.schedules import views as schedule_views
from apps.pipelines.trials import views as trial_views

urlpatterns = [
    path("pipelines", views.Pipelines.as_view()),
    path("pipelines/facets", facet_views.Facets.as_view()),
    path("pipelines/validate", trial_views.Validate.as_view()),
    path("pipelines/preview", trial_views.PreviewDraft.as_view()),
    path("pipelines/match", matching_views.MatchDraft.as_view()),
    path("pipelines/<uuid:pk>", views.PipelineById.as_view()),
    path("pipelines/<uuid:pk>/duplicate", views.Duplicate.as_view()),
    path("pipelines/<uuid:pk>/enable", views.Enable.as_view()),
    path("pipelines/<uuid:pk>/disable", views.Disable.as_view()),
    path("pipelines/<uuid:pk>/preview", trial_views.PreviewSaved.as_view()),
    path("pipelines/<uuid:pk>/streams", matching_views.StreamsOfPipelineView.as_view()),
    path("pipelines/<uuid:pk>/streams/decide", matching_views.Decide.as_view()),
    path("pipelines/<uuid:pk>/drift", drift_views.Drift.as_view()),
    path("pipelines/<uuid:pk>/drift/<uuid:change_id>", drift_views.Decide.as_view()),
    path("pipelines/<uuid:pk>/dependencies", dependency_views.Dependencies.as_view()),
    path("pipelines/<uuid:pk>/hooks", hook_views.Hooks.as_view()),
    path("pipelines/<uuid:pk>/hooks/<uuid:hook>", hook_views.HookById.as_view()),
    path("pipelines/<uuid:pk>/hooks/<uuid:hook>/rotate", hook_views.RotateHook.as_view()),
    path("pipelines/<uuid:pk>/file-watch", file_watch_views.FileWatchOfPipeline.as_view()),
    path("dependencies", dependency_views.GraphOfDependencies.as_view()),
    path("pipelines/<uuid:pk>/versions", history_views.Versions.as_view()),
    path("pipelines/<uuid:pk>/versions/<int:number>", history_views.VersionByNumber.as_view()),
    path("pipelines/<uuid:pk>/versions/<int:number>/diff", history_views.Diff.as_view()),
    path("pipelines/<uuid:pk>/versions/<int:number>/restore", history_views.Restore.as_view()),
    path("pipelines/<uuid:pk>/schedule/pause", schedule_views.Pause.as_view()),
    path("pipelines/<uuid:pk>/schedule/resume", schedule_views.Resume.as_view()),
    path("pipelines/<uuid:pk>/schedule/preview", schedule_views.ScheduleTimes.as_view()),
    path("views", saved_view_views.SavedViews.as_view()),
    path("views/<uuid:pk>", saved_view_views.SavedViewById.as_view()),
    path("schedules/preview", schedule_views.UnsavedScheduleTimes.as_view()),
    path("schedules/words", schedule_views.ScheduleOfWords.as_view()),
]
