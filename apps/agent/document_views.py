"""Documents of a conversation, and the settings for its previews, over HTTP."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.agent.serializers import DocumentCreate, DocumentRow, SourceSettingsUpdate
from apps.agent.sources import storage
from apps.agent.views import EXAMPLE_ROW, ConversationView
from apps.orgs.roles import Permission
from apps.web.schema import operation
from apps.web.views import data_of


class Documents(ConversationView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "agent_documents_create",
        tag="agent",
        summary="Add a document about an API, from which the agent can make a source",
        request=DocumentCreate,
        answer=DocumentRow,
        status=201,
        errors=(404, 409, 413, 422),
        example={"id": EXAMPLE_ROW["id"], "name": "openapi.yaml", "kind": "openapi"},
        request_example={"name": "openapi.yaml", "content": "openapi: 3.0.3"},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        fields = data_of(DocumentCreate, request)
        document = storage.add_document(
            org=self.org,
            by=self.principal,
            conversation_id=pk,
            name=fields["name"],
            text=fields["content"],
        )
        return Response(
            {"id": document.pk, "name": document.name, "kind": document.kind}, status=201
        )


class PreviewSettings(ConversationView):
    permissions = {"put": Permission.CUSTOM_SOURCES_EDIT}
    session_methods = frozenset({"put"})

    @operation(
        "agent_source_settings_save",
        tag="agent",
        summary="Enter the settings with which unsaved code is previewed",
        request=SourceSettingsUpdate,
        status=204,
        errors=(404, 422),
        request_example={"config": {"token": "t-123"}, "hosts": ["api.example.com"]},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        fields = data_of(SourceSettingsUpdate, request)
        storage.save_settings(org=self.org, by=self.principal, conversation_id=pk, **fields)
        return Response(status=204)
