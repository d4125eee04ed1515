from django.urls import path

from apps.orgs import api_key_views, audit_views, sign_in_views, views

urlpatterns = [
    path("auth/register", sign_in_views.Register.as_view()),
    path("auth/login", sign_in_views.Login.as_view()),
    path("auth/refresh", sign_in_views.Refresh.as_view()),
    path("auth/logout", sign_in_views.Logout.as_view()),
    path("auth/switch", sign_in_views.Switch.as_view()),
    path("auth/stream-ticket", sign_in_views.StreamTicket.as_view()),
    path("auth/me", sign_in_views.Me.as_view()),
    path("auth/password/change", sign_in_views.Password.as_view()),
    path("org", views.Organization.as_view()),
    path("org/leave", views.Leave.as_view()),
    path("org/members", views.Members.as_view()),
    path("org/members/<uuid:pk>", views.Member.as_view()),
    path("org/domains", views.Domains.as_view()),
    path("org/domains/<uuid:pk>", views.OneDomain.as_view()),
    path("org/domains/<uuid:pk>/members/<uuid:member_id>", views.DomainMember.as_view()),
    path("org/api-keys", api_key_views.ApiKeys.as_view()),
    path("org/api-keys/<uuid:pk>", api_key_views.OneApiKey.as_view()),
    path("org/api-keys/<uuid:pk>/rotate", api_key_views.Rotation.as_view()),
    path("org/audit", audit_views.AuditTrail.as_view()),
    path("org/audit/export", audit_views.AuditExport.as_view()),
]
