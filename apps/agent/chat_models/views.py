"""Routes of the org's language model."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.agent.chat_models import own_model, status
from apps.agent.chat_models import serializers as forms
from apps.agent.models import ModelSettings
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.orgs.versions import version_of_time
from apps.web.schema import IF_MATCH, operation
from apps.web.views import data_of, etag, match_of

EXAMPLE: dict[str, Any] = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "key": {"set": True, "last4": "3f9a"},
    "base_url": "",
    "temperature": None,
    "monthly_tokens": 5_000_000,
    "values_allowed": False,
    "updated_at": "2026-11-22T09:00:00Z",
}
STATUS_EXAMPLE: dict[str, Any] = {
    "mode": "model",
    "label": "anthropic:claude-sonnet-4-5",
    "is_own": True,
    "values_allowed": False,
    "warning": "",
    "used_tokens": 120_000,
    "limit_tokens": 5_000_000,
}


class OwnModel(OrgView):
    permissions = dict.fromkeys(("get", "put", "delete"), Permission.SETTINGS_EDIT)

    @operation(
        "org_model_get",
        tag="agent",
        summary="Show the organization's language model",
        answer=forms.OwnModel,
        other_responses={204: "The organization has not chosen a language model."},
        example=EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        row = own_model.find_model(self.org)
        return self.respond(row) if row else Response(status=204)

    @operation(
        "org_model_put",
        tag="agent",
        summary="Choose the organization's language model",
        request=forms.OwnModelChange,
        answer=forms.OwnModel,
        example=EXAMPLE,
        request_example={
            "provider": "anthropic",
            "model": "claude-sonnet-4-5",
            "key": "a key of the provider",
            "monthly_tokens": 5_000_000,
        },
    )
    def put(self, request: Request) -> Response:
        data = data_of(forms.OwnModelChange, request)
        return self.respond(own_model.save_model(org=self.org, by=self.principal, fields=data))

    @operation(
        "org_model_remove",
        tag="agent",
        summary="Remove the organization's language model and its key",
        status=204,
        errors=(404, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request) -> Response:
        own_model.remove_model(org=self.org, by=self.principal, match=match_of(request))
        return Response(status=204)

    def respond(self, row: ModelSettings) -> Response:
        body = {
            "provider": row.provider,
            "model": row.model,
            "key": {"set": bool(row.sealed), "last4": row.key_last4},
            "base_url": row.base_url,
            "temperature": row.temperature,
            "monthly_tokens": row.monthly_tokens,
            "values_allowed": row.values_allowed,
            "updated_at": row.updated_at,
        }
        return Response(body, headers={"ETag": etag(version_of_time(row.updated_at))})


class AgentStatus(OrgView):
    permissions = {"get": Permission.AGENT_USE}

    @operation(
        "agent_status",
        tag="agent",
        summary="Show which language model answers, and its tokens of this month",
        answer=forms.AgentStatus,
        example=STATUS_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        return Response(status.read_status(org=self.org, by=self.principal))
