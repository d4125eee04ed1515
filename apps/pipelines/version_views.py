"""The history of a pipeline's definition over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.serializers import Empty
from apps.orgs.exceptions import NotFound
from apps.orgs.roles import Permission
from apps.pipelines import diffs, examples, rendering, services, versions
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.pipelines.serializers import (
    DiffQuery,
    PipelineDetail,
    VersionDetail,
    VersionDiff,
    VersionRow,
)
from apps.pipelines.views import PipelineView
from apps.web.paging import Order, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import query_of, require_match

HIGHEST = 2**31 - 1  # the column's; a number beyond it names no version

ROW_EXAMPLE = {
    "number": 2,
    "note": "Restored version 1",
    "created_at": "2026-11-22T10:00:00Z",
    "created_by": {"id": examples.ID, "name": "Ada"},
}


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number <= HIGHEST:
        raise ValueError("no version has this number")
    return number


ORDERS = {
    "newest": Order("number", descending=True, parse=_number),
    "oldest": Order("number", parse=_number),
}


class VersionView(PipelineView):
    """What the views of versions share."""

    def versions(self, pipeline: Pipeline) -> Any:
        rows = PipelineVersion.objects.for_org(self.org)
        return rows.filter(pipeline=pipeline).select_related("created_by")

    def version(self, pipeline: Pipeline, number: int) -> PipelineVersion:
        found: PipelineVersion | None = (
            self.versions(pipeline).filter(number=min(number, HIGHEST)).first()
        )
        if found is None:
            raise NotFound
        return found


class Versions(VersionView):
    @operation(
        "pipelines_versions_list",
        tag="pipelines",
        summary="Versions of the definition, newest first",
        answer=page_of(VersionRow),
        errors=(404,),
        parameters=[*PAGE_PARAMETERS, order_of(ORDERS, "newest")],
        example={"results": [ROW_EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        rows = self.versions(self.readable(pk)).values(
            "id", "number", "note", "created_at", "created_by", "created_by__name",
            "created_by__email",
        )  # fmt: skip
        return page(request, rows, orders=ORDERS, default="newest", render=_row)


class VersionByNumber(VersionView):
    @operation(
        "pipelines_versions_retrieve",
        tag="pipelines",
        summary="One version with its definition, secrets masked",
        answer=VersionDetail,
        errors=(404,),
        example={**ROW_EXAMPLE, "config": examples.CONFIG},
    )
    def get(self, request: Request, pk: UUID, number: int) -> Response:
        version = self.version(self.readable(pk), number)
        body = rendering.version_row(version)
        return Response({**body, "config": rendering.config_of(version)})


class Diff(VersionView):
    @operation(
        "pipelines_versions_diff",
        tag="pipelines",
        summary="What a version changed, field by field, secrets masked",
        answer=VersionDiff,
        errors=(404,),
        parameters=[DiffQuery],
        example={
            "before": 1,
            "after": 2,
            "changes": [
                {
                    "field": "destination.write_mode",
                    "before": "replace",
                    "after": "merge",
                    "secret": False,
                }
            ],
        },
    )
    def get(self, request: Request, pk: UUID, number: int) -> Response:
        pipeline = self.readable(pk)
        after = self.version(pipeline, number)
        against = query_of(DiffQuery, request).get("against", number - 1)
        if against == 0:
            return Response({"before": 0, "after": number, "changes": self._since_nothing(after)})
        before = self.version(pipeline, against)
        return Response({"before": against, "after": number, "changes": self._diff(before, after)})

    def _diff(self, before: PipelineVersion, after: PipelineVersion) -> list[diffs.Change]:
        old, new = versions.opened(self.org, before), versions.opened(self.org, after)
        return diffs.diff(
            rendering.config_of(before),
            rendering.config_of(after),
            secrets_changed=diffs.changed_secrets(old.secrets, new.secrets),
        )

    def _since_nothing(self, after: PipelineVersion) -> list[diffs.Change]:
        return diffs.diff({}, rendering.config_of(after))


class Restore(VersionView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_versions_restore",
        tag="pipelines",
        summary="Make a new version that equals an old one, secrets included",
        request=Empty,
        answer=PipelineDetail,
        errors=(404, 412, 422),
        parameters=[IF_MATCH],
        example={**examples.DETAIL, "version": 3},
    )
    def post(self, request: Request, pk: UUID, number: int) -> Response:
        pipeline = self.changeable(pk)
        require_match(request, pipeline.etag)
        version = self.version(pipeline, number)
        services.restore(org=self.org, by=self.principal, pipeline=pipeline, version=version)
        return self.answer(pipeline)


def _row(values: dict[str, Any]) -> dict[str, Any]:
    pk = values["created_by"]
    name = values["created_by__name"] or values["created_by__email"]
    return {
        "number": values["number"],
        "note": values["note"],
        "created_at": values["created_at"],
        "created_by": {"id": pk, "name": name} if pk else None,
    }
