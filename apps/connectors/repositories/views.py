"""Views of connected Git repositories, and of the webhooks that Git servers call."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.models import Repository
from apps.connectors.repositories import services, webhooks
from apps.connectors.repositories.serializers import (
    HookAnswer,
    RepositoryConnected,
    RepositoryCreate,
    RepositoryRow,
    RepositoryUpdate,
    WebhookSecret,
)
from apps.connectors.repositories.upload_views import OUTCOME_EXAMPLE
from apps.connectors.serializers import Empty
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.web.paging import newest_first, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, page_of
from apps.web.views import PublicView, data_of, etag, match_of

ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10"
WEBHOOK_URL_EXAMPLE = f"https://drover.example/api/v1/hooks/{ID}/repositories/{ID}"
ROW = {
    "id": ID,
    "url": "https://git.example.com/team/sources.git",
    "branch": "main",
    "path": "sources",
    "username": "git",
    "token": {"set": True, "last4": "k3p9"},
    "approves": False,
    "status": "succeeded",
    "message": "",
    "synced_at": "2026-11-27T10:00:00Z",
    "commit": {
        "id": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "author": "Ada",
        "subject": "Orders by date",
        "committed_at": "2026-11-27T09:58:00Z",
    },
    "outcomes": [{**OUTCOME_EXAMPLE, "path": "sources/shop.py"}],
    "webhook_url": WEBHOOK_URL_EXAMPLE,
    "created_at": "2026-11-27T10:00:00Z",
    "updated_at": "2026-11-27T10:00:00Z",
}
ORDERS = {"newest": newest_first()}
WEBHOOK_SECRET_EXAMPLE = "c0ffee5f1tEz1Xh3uV7pQ2mN8rB4sK6wYdGjLaZoT9I"  # noqa: S105 - an example
COPIED_FIELDS = (
    "id", "url", "branch", "path", "username", "approves", "status", "message", "synced_at",
    "outcomes", "created_at", "updated_at",
)  # fmt: skip
COMMIT_FIELDS = ("commit", "author", "subject", "committed_at")


def render_repository(values: dict[str, Any]) -> dict[str, Any]:
    """Render a repository without its secrets, from `RepositoryView.rows`."""
    commit_id, *commit_values = (values[name] for name in COMMIT_FIELDS)
    commit = {"id": commit_id, **dict(zip(COMMIT_FIELDS[1:], commit_values, strict=True))}
    return {
        **{name: values[name] for name in COPIED_FIELDS},
        "token": {"set": values["has_token"], "last4": values["token_last4"]},
        "commit": commit if commit_id else None,
        "webhook_url": f"{settings.PUBLIC_URL}/api/v1/hooks/{values['org_id']}/repositories/{values['id']}",
    }


class RepositoryView(OrgView):
    def repositories(self) -> Any:
        return services.repositories(self.org, self.principal)

    def rows(self) -> Any:
        return self.repositories().values(
            *COPIED_FIELDS, *COMMIT_FIELDS, "org_id", "has_token", "token_last4"
        )

    def repository_response(
        self, row: Repository, status: int = 200, **extra_fields: str
    ) -> Response:
        body = {**render_repository(self.rows().get(pk=row.pk)), **extra_fields}
        return Response(body, status=status, headers={"ETag": etag(row.etag)})


class Repositories(RepositoryView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "repositories_list",
        tag="custom sources",
        summary="List connected Git repositories, with the results of their files",
        answer=page_of(RepositoryRow),
        parameters=[*PAGE_PARAMETERS],
        example={"results": [ROW], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        return page(request, self.rows(), orders=ORDERS, default="newest", render=render_repository)

    @operation(
        "repositories_create",
        tag="custom sources",
        summary="Connect a folder of a Git repository, and sync it",
        request=RepositoryCreate,
        answer=RepositoryConnected,
        status=201,
        errors=(409, 422),
        example={**ROW, "status": "waiting", "webhook_secret": WEBHOOK_SECRET_EXAMPLE},
        request_example={"url": ROW["url"], "path": "sources", "token": "a token that may read"},
    )
    def post(self, request: Request) -> Response:
        data = data_of(RepositoryCreate, request)
        repository, secret = services.connect(org=self.org, by=self.principal, fields=data)
        return self.repository_response(repository, 201, webhook_secret=secret)


class RepositoryById(RepositoryView):
    permissions = {
        "patch": Permission.CUSTOM_SOURCES_EDIT,
        "delete": Permission.CUSTOM_SOURCES_EDIT,
    }

    @operation(
        "repositories_retrieve",
        tag="custom sources",
        summary="Show a connected Git repository",
        answer=RepositoryRow,
        errors=(404,),
        example=ROW,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        repository = services.find_repository(org=self.org, by=self.principal, repository_id=pk)
        return self.repository_response(repository)

    @operation(
        "repositories_update",
        tag="custom sources",
        summary="Change a connected Git repository, and sync it again",
        request=RepositoryUpdate,
        answer=RepositoryRow,
        errors=(404, 409, 412, 422),
        parameters=[IF_MATCH],
        example={**ROW, "status": "waiting"},
        request_example={"branch": "release"},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        repository = services.change(
            org=self.org,
            by=self.principal,
            repository_id=pk,
            changes=data_of(RepositoryUpdate, request),
            match=match_of(request),
        )
        return self.repository_response(repository)

    @operation(
        "repositories_delete",
        tag="custom sources",
        summary="Disconnect a Git repository; its sources are kept and can be edited",
        status=204,
        errors=(404, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        match = match_of(request)
        services.disconnect(org=self.org, by=self.principal, repository_id=pk, match=match)
        return Response(status=204)


class Sync(RepositoryView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "repositories_sync",
        tag="custom sources",
        summary="Sync a Git repository now",
        request=Empty,
        answer=RepositoryRow,
        status=202,
        errors=(404,),
        example={**ROW, "status": "waiting"},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        repository = services.request_sync(org=self.org, by=self.principal, repository_id=pk)
        return self.repository_response(repository, 202)


class RenewWebhookSecret(RepositoryView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "repositories_renew_webhook_secret",
        tag="custom sources",
        summary="Create a new webhook secret; the old one stops working",
        request=Empty,
        answer=WebhookSecret,
        errors=(404,),
        example={"webhook_secret": WEBHOOK_SECRET_EXAMPLE},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        secret = services.renew_webhook_secret(org=self.org, by=self.principal, repository_id=pk)
        return Response({"webhook_secret": secret})


class Hook(PublicView):
    public_because = "A Git server has no account. The signature of the body is its credential."

    @operation(
        "repositories_hook",
        tag="custom sources",
        summary="Receive a Git server's webhook after a push (GitHub, GitLab, Gitea, Forgejo, Bitbucket)",
        answer=HookAnswer,
        status=202,
        errors=(404, 413),
        example={"sync": True},
        public=True,
    )
    def post(self, request: Request, org_id: UUID, pk: UUID) -> Response:
        is_requested = webhooks.handle_push(
            org_id=org_id,
            repository_id=pk,
            headers=request.headers,
            body=request._request.body,
        )
        return Response({"sync": is_requested}, status=202)
