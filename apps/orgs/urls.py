from django.urls import path

from apps.orgs import sign_in_views

urlpatterns = [
    path("auth/register", sign_in_views.Register.as_view()),
    path("auth/login", sign_in_views.Login.as_view()),
    path("auth/refresh", sign_in_views.Refresh.as_view()),
    path("auth/logout", sign_in_views.Logout.as_view()),
    path("auth/switch", sign_in_views.Switch.as_view()),
    path("auth/stream-ticket", sign_in_views.StreamTicket.as_view()),
    path("auth/me", sign_in_views.Me.as_view()),
    path("auth/password/change", sign_in_views.Password.as_view()),
]
