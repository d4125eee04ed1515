"""Settings of drf-spectacular, which generates the OpenAPI document."""

from __future__ import annotations

from typing import Any

SETTINGS: dict[str, Any] = {
    "TITLE": "Drover API",
    "DESCRIPTION": "Connect sources to destinations, run pipelines, and watch them.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "RoleEnum": "apps.orgs.roles.Role",
        "DomainRoleEnum": "apps.orgs.members.serializers.DOMAIN_ROLE_CHOICES",
        "ServiceRoleEnum": "apps.orgs.members.serializers.SERVICE_ROLE_CHOICES",
        "JoinRoleEnum": "apps.orgs.sign_in.provider_serializers.JOIN_ROLES",
        "PermissionEnum": "apps.orgs.members.serializers.PERMISSION_CHOICES",
        "ConnectorRoleEnum": "apps.connectors.models.ConnectorRole",
        "SyncStatusEnum": "apps.connectors.models.SyncStatus",
        "RunStatusEnum": "apps.runs.models.Status",
        "RunKindEnum": "apps.pipelines.models.RunKind",
        "ChangeDecisionEnum": "apps.pipelines.models.ChangeDecision",
        "DependencyModeEnum": "apps.pipelines.models.DependencyMode",
        "DependencyStateEnum": "apps.pipelines.dependencies.serializers.DEPENDENCY_STATES",
        "UpstreamStateEnum": "apps.pipelines.dependencies.serializers.UPSTREAM_STATES",
        "HookCredentialEnum": "apps.pipelines.models.HookCredential",
        "ChannelKindEnum": "apps.alerts.models.ChannelKind",
        "AlertRuleKindEnum": "apps.alerts.rule_kinds.registry.NAMES",
        "AlertScopeEnum": "apps.alerts.models.Scope",
        "DeliveryKindEnum": "apps.alerts.models.DeliveryKind",
        "AlertTimingKindEnum": "apps.alerts.sending.timing.TimingKind",
        "DeliveryStateEnum": "apps.alerts.models.DeliveryState",
        "FollowUpKindEnum": "apps.alerts.follow_ups.choices.FollowUpKind",
        "FollowUpAfterEnum": "apps.alerts.follow_ups.choices.FollowUpAfter",
        "LeftOutKindEnum": "apps.engine.frames.left_out.KINDS",
    },
    "SERVERS": [],
    "WEBHOOKS": [
        "apps.alerts.webhooks.ALERT",
        "apps.alerts.webhooks.RUN_HAS_ENDED",
        "apps.alerts.webhooks.INSTALLATION_PROBLEM",
    ],
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "An access token, or an API key (`drv_…`).",
            },
            "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
    },
}
