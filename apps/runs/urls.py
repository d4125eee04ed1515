from django.urls import path

from apps.runs import views
from apps.runs.arrived import views as arrived_views
from apps.runs.backfills import views as backfill_views
from apps.runs.bulk import views as bulk_views
from apps.runs.comparing import views as comparison_views
from apps.runs.following import views as event_views
from apps.runs.hooks import views as hook_views
from apps.runs.outputs import log_views
from apps.runs.outputs import views as output_views
from apps.runs.overview import views as overview_views
from apps.runs.positions import views as position_views
from apps.runs.replays import views as replay_views
from apps.runs.statistics import views as statistics_views
from apps.runs.usage import views as usage_views

urlpatterns = [
    path("pipelines/bulk", bulk_views.Bulk.as_view()),
    path("pipelines/recent-runs", bulk_views.RecentRuns.as_view()),
    path("pipelines/<uuid:pk>/run", views.PipelineRunView.as_view()),
    path("pipelines/<uuid:pk>/state", position_views.StateView.as_view()),
    path("pipelines/<uuid:pk>/state/reset", position_views.StateResetView.as_view()),
    path("pipelines/<uuid:pk>/state/history", position_views.StateHistoryView.as_view()),
    path("pipelines/<uuid:pk>/state/restore", position_views.StateRestoreView.as_view()),
    path("pipelines/<uuid:pk>/backfills", backfill_views.BackfillListView.as_view()),
    path("pipelines/<uuid:pk>/backfills/estimate", backfill_views.BackfillEstimateView.as_view()),
    path("pipelines/<uuid:pk>/backfills/<uuid:backfill>", backfill_views.BackfillView.as_view()),
    path(
        "pipelines/<uuid:pk>/backfills/<uuid:backfill>/cancel",
        backfill_views.BackfillCancelView.as_view(),
    ),
    path("pipelines/<uuid:pk>/rows", arrived_views.PipelineRows.as_view()),
    path("runs", views.RunListView.as_view()),
    path("runs/export", views.RunExportView.as_view()),
    path("runs/<uuid:pk>", views.RunView.as_view()),
    path("runs/<uuid:pk>/cancel", views.RunCancelView.as_view()),
    path("runs/<uuid:pk>/retry", views.RunRetryView.as_view()),
    path("runs/<uuid:pk>/logs", log_views.RunLogsView.as_view()),
    path("runs/<uuid:pk>/logs/matches", log_views.RunLogMatchesView.as_view()),
    path("runs/<uuid:pk>/logs/download", log_views.RunLogDownloadView.as_view()),
    path("runs/<uuid:pk>/streams", views.RunStreamsView.as_view()),
    path("runs/<uuid:pk>/events", event_views.RunEventsView.as_view()),
    path("runs/<uuid:pk>/rows", arrived_views.RunRows.as_view()),
    path("runs/<uuid:pk>/rejected", output_views.LeftOutView.as_view()),
    path("runs/<uuid:pk>/rejected/replay", replay_views.ReplayView.as_view()),
    path("runs/<uuid:pk>/outputs", output_views.OutputListView.as_view()),
    path("runs/<uuid:pk>/outputs/<path:name>", output_views.OutputView.as_view()),
    path("hooks/<uuid:pk>", hook_views.CallHook.as_view()),
    path("org/usage", usage_views.UsageView.as_view()),
    path("org/usage/export", usage_views.UsageExportView.as_view()),
    path("queue", overview_views.QueueView.as_view()),
    path("stats/overview", overview_views.OverviewView.as_view()),
    path("stats/timeline", overview_views.TimelineView.as_view()),
    path("runs/<uuid:pk>/compare/<uuid:other>", comparison_views.RunComparisonView.as_view()),
    path("stats/pipelines/<uuid:pk>", statistics_views.PipelineStatisticsView.as_view()),
]
