"""Routes of the org's language model."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.agent.chat_models import own_model, status
from apps.agent.chat_models import serializers as forms
from apps.agent.chat_models.checks import services as checks
from apps.agent.models import ModelSettings
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.orgs.versions import version_of_settings
from apps.web.schema import IF_MATCH, operation
from apps.web.slow import SlowResponse
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
CHECK_EXAMPLE: dict[str, Any] = {
    "ok": False,
    "model": "openai_compatible:qwen3",
    "checks": [
        {
            "name": "tool_calls",
            "title": "Tool calls",
            "state": "failed",
            "message": "The model writes its tool calls as text, so nothing would be carried out.",
            "next_step": "Choose a model that is made for tool calls.",
            "ms": 812.4,
            "tokens": 96,
        }
    ],
    "input_tokens": 9_120,
    "output_tokens": 212,
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
        if row is None:
            return Response(status=204, headers={"ETag": etag(version_of_settings(None))})
        return self.respond(row)

    @operation(
        "org_model_put",
        tag="agent",
        summary="Choose the organization's language model",
        request=forms.OwnModelChange,
        answer=forms.OwnModel,
        errors=(412,),
        parameters=[IF_MATCH],
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
        row = own_model.save_model(
            org=self.org, by=self.principal, fields=data, match=match_of(request)
        )
        return self.respond(row)

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
        return Response(body, headers={"ETag": etag(version_of_settings(row))})


class CheckModel(OrgView):
    permissions = {"post": Permission.SETTINGS_EDIT}

    @operation(
        "org_model_check",
        tag="agent",
        summary="Test a language model: the one that answers now, or settings that are not saved",
        request=forms.ModelCheck,
        answer=forms.ModelCheckAnswer,
        errors=(409, 422, 429),
        example=CHECK_EXAMPLE,
        request_example={"draft": {"provider": "openai", "model": "gpt-5", "key": "a key"}},
    )
    def post(self, request: Request) -> SlowResponse:
        draft = data_of(forms.ModelCheck, request).get("draft")
        return self.wait_for(checks.check_model(org=self.org, by=self.principal, draft=draft))


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
