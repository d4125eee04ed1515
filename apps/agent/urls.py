from django.urls import path

from apps.agent import document_views, views
from apps.agent.chat_models import views as model_views
from apps.agent.mcp import views as mcp_views

CONVERSATION = "agent/conversations/<uuid:pk>"

urlpatterns = [
    path("org/conversations", views.OrgConversations.as_view()),
    path("org/conversations/by-member", views.OrgConversationsByMember.as_view()),
    path("org/model", model_views.OwnModel.as_view()),
    path("org/model/check", model_views.CheckModel.as_view()),
    path("agent/status", model_views.AgentStatus.as_view()),
    path("agent/conversations", views.Conversations.as_view()),
    path("agent/conversations/export", views.ConversationsExport.as_view()),
    path(CONVERSATION, views.ConversationById.as_view()),
    path(f"{CONVERSATION}/messages", views.Messages.as_view()),
    path(f"{CONVERSATION}/stop", views.Stop.as_view()),
    path(f"{CONVERSATION}/retry", views.Retry.as_view()),
    path(f"{CONVERSATION}/approvals/<uuid:approval_id>", views.Decisions.as_view()),
    path(f"{CONVERSATION}/documents", document_views.Documents.as_view()),
    path(f"{CONVERSATION}/source-settings", document_views.PreviewSettings.as_view()),
    path(f"{CONVERSATION}/events", views.ConversationEvents.as_view()),
    path("agent/tool-requests", mcp_views.ToolRequests.as_view()),
    path("agent/tool-requests/<uuid:pk>", mcp_views.ToolRequestById.as_view()),
    path("agent/tool-requests/<uuid:pk>/decision", mcp_views.Decision.as_view()),
]
