"""Trying a definition before it runs, over HTTP: is it valid, what would it read."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors import engine
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.pipelines import examples, services, specs, versions
from apps.pipelines.definition import Definition
from apps.pipelines.serializers import (
    PipelineCreate,
    PreviewAnswer,
    PreviewRequest,
    PreviewUnsaved,
    ValidateAnswer,
)
from apps.pipelines.views import PipelineView
from config.api import data_of
from config.problems import Problem, as_problem
from config.schema import operation
from config.slow import Slowly

PREVIEW_EXAMPLE = {
    "ok": True,
    "records": [{"id": 1, "carrier": "UA"}],
    "rejected": 0,
    "columns": [
        {"name": "id", "type": "integer", "nullable": True},
        {"name": "carrier", "type": "string", "nullable": True},
    ],
    "ms": 41.5,
    "failure": None,
}


class Validate(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_validate",
        tag="pipelines",
        summary="Say what is wrong with a pipeline, without making it",
        request=PipelineCreate,
        answer=ValidateAnswer,
        example={
            "valid": False,
            "errors": [
                {
                    "field": "source.config.port",
                    "message": "Must be a whole number.",
                    "code": "type",
                }
            ],
        },
        request_example=examples.CREATE,
    )
    def post(self, request: Request) -> Response:
        errors = self._errors(request)
        shown = [{"field": f, "message": m, "code": c} for f, m, c in errors]
        return Response({"valid": not errors, "errors": shown})

    def _errors(self, request: Request) -> list[tuple[str, str, str]]:
        """What creating it would answer with 422, as a list."""
        try:
            data = data_of(PipelineCreate, request)
            self.place(data["domain_id"])
            services.read(
                org=self.org, by=self.principal, config=data["config"], schedule=data["schedule"]
            )
        except (Invalid, ValidationError, Problem) as error:
            problem = as_problem(error)
            if problem is None or problem.status != 422:
                raise
            return list(problem.errors)
        return []


class PreviewSaved(PipelineView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_preview",
        tag="pipelines",
        summary="Read a few records of a pipeline's stream, transformed; writes nothing",
        request=PreviewRequest,
        answer=PreviewAnswer,
        errors=(404, 422),
        example=PREVIEW_EXAMPLE,
        request_example={"max_records": 10},
    )
    def post(self, request: Request, pk: UUID) -> Slowly:
        data = data_of(PreviewRequest, request)
        pipeline = self.readable(pk)
        self.principal.require(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)
        settled = versions.current(self.org, pipeline)
        if "transforms" in data:
            settled = services.with_transforms(self.org, settled, data["transforms"])
        return self.slowly(settled, data["max_records"])

    def slowly(self, settled: Definition, limit: int) -> Slowly:
        source = specs.source_spec(self.org, settled)
        transform = specs.transform(settled)
        ask = partial(
            engine.preview, org_id=self.org.pk, source=source, limit=limit, transform=transform
        )
        return Slowly(ask, then=Response)


class PreviewDraft(PreviewSaved):
    @operation(
        "pipelines_preview_unsaved",
        tag="pipelines",
        summary="Read a few records as a definition would, transformed; a source is enough",
        request=PreviewUnsaved,
        answer=PreviewAnswer,
        errors=(422,),
        example=PREVIEW_EXAMPLE,
        request_example={"config": {"source": examples.CREATE["config"]["source"]}},
    )
    def post(self, request: Request) -> Slowly:  # type: ignore[override]
        data: dict[str, Any] = data_of(PreviewUnsaved, request)
        settled = services.read_source(org=self.org, by=self.principal, config=data["config"])
        return self.slowly(settled, data["max_records"])
