from __future__ import annotations

from django.contrib import admin

from apps.auth.models import LoginAttempt, RefreshFamily, User
from apps.orgs.models import (
    ApiKey,
    AuditEvent,
    Domain,
    DomainRole,
    IdentityProvider,
    Invitation,
    Membership,
    Org,
    ScimGroup,
    ScimUser,
    SupportAccess,
    VerifiedDomain,
)
from apps.orgs.operators.site import OperatorAdmin


@admin.register(User)
class UserAdmin(OperatorAdmin):
    list_display = ("email", "name", "is_active", "is_staff", "created_at")
    search_fields = ("email",)
    org_column = ""


@admin.register(RefreshFamily)
class SessionAdmin(OperatorAdmin):
    list_display = ("user", "ip", "last_used_at", "revoked_at", "revoked_reason")
    list_select_related = ("user",)
    org_column = ""


@admin.register(LoginAttempt)
class LoginAttemptAdmin(OperatorAdmin):
    list_display = ("key", "at")
    org_column = ""


@admin.register(Org)
class OrgAdmin(OperatorAdmin):
    list_display = ("name", "slug", "max_running", "suspended_at", "deletion_at", "created_at")
    change_form_template = "operators/org.html"
    search_fields = ("name", "slug")
    org_column = "pk"


@admin.register(Membership)
class MembershipAdmin(OperatorAdmin):
    list_display = ("org", "user", "role", "created_at")
    list_select_related = ("org", "user")


@admin.register(Domain)
class DomainAdmin(OperatorAdmin):
    list_display = ("org", "name", "created_at")
    list_select_related = ("org",)


@admin.register(DomainRole)
class DomainRoleAdmin(OperatorAdmin):
    list_display = ("org", "domain_id", "membership_id", "role")
    list_select_related = ("org",)


@admin.register(ApiKey)
class ApiKeyAdmin(OperatorAdmin):
    list_display = ("org", "name", "prefix", "role", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("org",)


@admin.register(Invitation)
class InvitationAdmin(OperatorAdmin):
    list_display = ("org", "email", "role", "sent_at", "expires_at", "accepted_at")
    list_select_related = ("org",)


@admin.register(IdentityProvider)
class IdentityProviderAdmin(OperatorAdmin):
    list_display = ("org", "issuer", "client_id", "join_role", "enabled")
    list_select_related = ("org",)


@admin.register(VerifiedDomain)
class VerifiedDomainAdmin(OperatorAdmin):
    list_display = (
        "org",
        "domain",
        "verified_at",
        "missing_since",
        "unanswered_since",
        "checked_at",
    )
    list_select_related = ("org",)


@admin.register(ScimUser)
class ScimUserAdmin(OperatorAdmin):
    list_display = ("org", "user_name", "active", "given", "updated_at")
    list_select_related = ("org",)


@admin.register(ScimGroup)
class ScimGroupAdmin(OperatorAdmin):
    list_display = ("org", "display_name", "role", "updated_at")
    list_select_related = ("org",)


@admin.register(SupportAccess)
class SupportAccessAdmin(OperatorAdmin):
    list_display = ("org", "operator", "reason", "created_at", "until")
    list_select_related = ("org", "operator")


@admin.register(AuditEvent)
class AuditEventAdmin(OperatorAdmin):
    list_display = ("at", "org", "actor_label", "action", "object_kind", "object_label")
    list_select_related = ("org",)
