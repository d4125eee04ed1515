"""Routes of rules, channels, deliveries, follow-ups and freshness pages, and of what is usual for a pipeline."""

from django.urls import path

from apps.alerts import views
from apps.alerts.follow_ups import views as follow_up_views
from apps.alerts.freshness_pages import public_views
from apps.alerts.freshness_pages import views as freshness_views
from apps.alerts.snoozing.views import OpenAlerts, SnoozeAlert, SnoozeRule
from apps.alerts.usual.views import PipelineUsual

urlpatterns = [
    path("alerts/channels", views.Channels.as_view()),
    path("alerts/channels/kinds", views.ChannelKinds.as_view()),
    path("alerts/channels/<uuid:pk>", views.ChannelById.as_view()),
    path("alerts/channels/<uuid:pk>/test", views.TestChannel.as_view()),
    path("alerts/kinds", views.RuleKinds.as_view()),
    path("alerts/rules", views.Rules.as_view()),
    path("alerts/rules/<uuid:pk>", views.RuleById.as_view()),
    path("alerts/rules/<uuid:pk>/snooze", SnoozeRule.as_view()),
    path("alerts/open", OpenAlerts.as_view()),
    path("alerts/open/<uuid:pk>/snooze", SnoozeAlert.as_view()),
    path("alerts/deliveries", views.Deliveries.as_view()),
    path("alerts/deliveries/<uuid:pk>", views.DeliveryById.as_view()),
    path("alerts/deliveries/<uuid:pk>/replay", views.ReplayDelivery.as_view()),
    path("pipelines/<uuid:pk>/follow-ups", follow_up_views.FollowUps.as_view()),
    path("pipelines/<uuid:pk>/follow-ups/calls", follow_up_views.FollowUpCalls.as_view()),
    path("pipelines/<uuid:pk>/follow-ups/<uuid:follow_up>", follow_up_views.FollowUpById.as_view()),
    path(
        "pipelines/<uuid:pk>/follow-ups/<uuid:follow_up>/test",
        follow_up_views.TestFollowUp.as_view(),
    ),
    path("freshness-pages", freshness_views.FreshnessPages.as_view()),
    path("freshness-pages/<uuid:pk>", freshness_views.FreshnessPageById.as_view()),
    path("freshness-pages/<uuid:pk>/preview", freshness_views.Preview.as_view()),
    path("freshness-pages/<uuid:pk>/renew-link", freshness_views.RenewLink.as_view()),
    path("public/freshness/<slug:token>", public_views.FreshnessPage.as_view()),
    path("public/freshness/<slug:token>.json", public_views.FreshnessPageAsJson.as_view()),
    path("public/freshness/<slug:token>/badge.svg", public_views.PageBadge.as_view()),
    path("public/freshness/<slug:token>/<uuid:pk>/badge.svg", public_views.PipelineBadge.as_view()),
    path("pipelines/<uuid:pk>/usual", PipelineUsual.as_view()),
]
