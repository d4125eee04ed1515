"""Freshness pages over HTTP, for the admins who edit them. public_views has the addresses for readers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.alerts.freshness_pages import contents, services
from apps.alerts.freshness_pages.serializers import (
    EXAMPLE,
    EXAMPLE_CONTENTS,
    EXAMPLE_REQUEST,
    FreshnessPageCreate,
    FreshnessPageRow,
    FreshnessPageUpdate,
    PublicContents,
)
from apps.alerts.models import FreshnessPage, FreshnessPagePipeline
from apps.connectors.serializers import Empty
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.web.paging import Order, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, page_of
from apps.web.views import data_of, etag, match_of

COLUMNS = ("id", "title", "enabled", "incident_days", "created_at", "updated_at")
ORDERS = {"title": Order("title")}
Row = Mapping[str, Any]


class FreshnessPageView(OrgView):
    permissions = dict.fromkeys(("get", "post", "patch", "delete"), Permission.SETTINGS_EDIT)

    def page_response(self, page: FreshnessPage, status: int = 200) -> Response:
        row = {name: getattr(page, name) for name in (*COLUMNS, "sealed")}
        (body,) = self.render([row])
        return Response(body, status=status, headers={"ETag": etag(page.etag)})

    def render(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        shown: dict[UUID, list[FreshnessPagePipeline]] = defaultdict(list)
        for entry in services.entries(self.org, [row["id"] for row in rows]):
            shown[entry.page_id].append(entry)
        return [
            render_page(row, services.link(self.org, row["id"], row["sealed"]), shown[row["id"]])
            for row in rows
        ]


def render_page(row: Row, url: str, shown: Iterable[FreshnessPagePipeline]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in COLUMNS},
        "url": url,
        "badge_url": f"{url}/badge.svg",
        "pipelines": [
            {
                "id": entry.pk,
                "pipeline_id": entry.pipeline_id,
                "pipeline_name": entry.pipeline.name,
                "name": entry.name,
                "badge_url": f"{url}/{entry.pk}/badge.svg",
            }
            for entry in shown
        ],
    }


class FreshnessPages(FreshnessPageView):
    @operation(
        "freshness_pages_list",
        tag="alerts",
        summary="List the public freshness pages",
        answer=page_of(FreshnessPageRow),
        parameters=[*PAGE_PARAMETERS],
        example={"results": [EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        rows = services.pages(self.org, self.principal).values(*COLUMNS, "sealed")
        return page(request, rows, orders=ORDERS, default="title", render_all=self.render)

    @operation(
        "freshness_pages_create",
        tag="alerts",
        summary="Create a freshness page; nobody can read it until it is enabled",
        request=FreshnessPageCreate,
        answer=FreshnessPageRow,
        status=201,
        errors=(409, 422),
        example=EXAMPLE,
        request_example=EXAMPLE_REQUEST,
    )
    def post(self, request: Request) -> Response:
        values = data_of(FreshnessPageCreate, request)
        created = services.create(org=self.org, by=self.principal, values=values)
        return self.page_response(created, status=201)


class FreshnessPageById(FreshnessPageView):
    @operation(
        "freshness_pages_get",
        tag="alerts",
        summary="Show a freshness page with its link",
        answer=FreshnessPageRow,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        found = services.find_page(org=self.org, by=self.principal, page_id=pk)
        return self.page_response(found)

    @operation(
        "freshness_pages_update",
        tag="alerts",
        summary="Change, publish or hide a freshness page",
        request=FreshnessPageUpdate,
        answer=FreshnessPageRow,
        errors=(404, 412, 422),
        parameters=[IF_MATCH],
        example=EXAMPLE,
        request_example={"enabled": False},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        changed = services.update(
            org=self.org,
            by=self.principal,
            page_id=pk,
            changes=data_of(FreshnessPageUpdate, request),
            match=match_of(request),
        )
        return self.page_response(changed)

    @operation(
        "freshness_pages_delete",
        tag="alerts",
        summary="Delete a freshness page; its link stops working at once",
        status=204,
        errors=(404, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        services.delete(org=self.org, by=self.principal, page_id=pk, match=match_of(request))
        return Response(status=204)


class RenewLink(FreshnessPageView):
    @operation(
        "freshness_pages_renew_link",
        tag="alerts",
        summary="Give a freshness page a new link; the old one stops working at once",
        request=Empty,
        answer=FreshnessPageRow,
        errors=(404,),
        example=EXAMPLE,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        data_of(Empty, request)
        renewed = services.renew_link(org=self.org, by=self.principal, page_id=pk)
        return self.page_response(renewed)


class Preview(FreshnessPageView):
    @operation(
        "freshness_pages_preview",
        tag="alerts",
        summary="Show what readers of a freshness page see, whether or not it is published",
        answer=PublicContents,
        errors=(404,),
        example=EXAMPLE_CONTENTS,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        found = services.find_page(org=self.org, by=self.principal, page_id=pk)
        return Response(asdict(contents.read(found)))
