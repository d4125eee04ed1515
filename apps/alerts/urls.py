"""Routes of rules, channels and deliveries, and of what is usual for a pipeline."""

from django.urls import path

from apps.alerts import views
from apps.alerts.usual.views import PipelineUsual

urlpatterns = [
    path("alerts/channels", views.Channels.as_view()),
    path("alerts/channels/kinds", views.ChannelKinds.as_view()),
    path("alerts/channels/<uuid:pk>", views.ChannelById.as_view()),
    path("alerts/channels/<uuid:pk>/test", views.TestChannel.as_view()),
    path("alerts/kinds", views.RuleKinds.as_view()),
    path("alerts/rules", views.Rules.as_view()),
    path("alerts/rules/<uuid:pk>", views.RuleById.as_view()),
    path("alerts/deliveries", views.Deliveries.as_view()),
    path("alerts/deliveries/<uuid:pk>", views.DeliveryById.as_view()),
    path("alerts/deliveries/<uuid:pk>/replay", views.ReplayDelivery.as_view()),
    path("pipelines/<uuid:pk>/usual", PipelineUsual.as_view()),
]
