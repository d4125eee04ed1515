"""Views that validate and preview a definition without saving it."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.schemas import Error
from apps.orgs.exceptions import Invalid
from apps.orgs.http.views import OrgView, respond_after_check
from apps.orgs.roles import Permission
from apps.pipelines import examples
from apps.pipelines.definition.discovered import Unchecked
from apps.pipelines.serializers import (
    PipelineCreate,
    PreviewAnswer,
    PreviewRequest,
    PreviewUnsaved,
    ValidateAnswer,
)
from apps.pipelines.transforms import CheckedCode
from apps.pipelines.trials import services
from apps.web.problems import Problem, as_problem
from apps.web.schema import operation
from apps.web.slow import SlowResponse
from apps.web.views import data_of

PREVIEW_EXAMPLE = {
    "ok": True,
    "records": [{"id": 1, "carrier": "UA"}],
    "rejected": 1,
    "skipped": 0,
    "left_out": [{"kind": "rejected", "reason": "the record has no fields", "count": 1}],
    "columns": [
        {"name": "id", "type": "integer", "nullable": True},
        {"name": "carrier", "type": "string", "nullable": True},
    ],
    "ms": 41.5,
    "read_as": "",
    "failure": None,
}


class Validate(OrgView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_validate",
        tag="pipelines",
        summary="Validate a pipeline without creating it",
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
            "unchecked": [],
        },
        request_example=examples.CREATE_REQUEST,
    )
    def post(self, request: Request) -> Response | SlowResponse:
        return respond_after_check(partial(self._validate, request), once=False)

    def _validate(self, request: Request, checked: CheckedCode | None) -> Response:
        errors, unchecked = self._errors(request, checked)
        rendered = [{"field": f, "message": m, "code": c} for f, m, c in errors]
        return Response(
            {
                "valid": not errors,
                "errors": rendered,
                "unchecked": [part._asdict() for part in unchecked],
            }
        )

    def _errors(
        self, request: Request, checked: CheckedCode | None
    ) -> tuple[list[Error], list[Unchecked]]:
        """Return the errors of the 422 response that a request to create this pipeline would get, and what is not checked."""
        try:
            data = data_of(PipelineCreate, request)
            unchecked = services.validate(
                org=self.org,
                by=self.principal,
                config=data["config"],
                schedule=data["schedule"],
                domain_id=data["domain_id"],
                checked=checked,
            )
        except (Invalid, ValidationError, Problem) as error:
            problem = as_problem(error)
            if problem is None or problem.status != 422:
                raise
            return list(problem.errors), []
        return [], unchecked


class PreviewSaved(OrgView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_preview",
        tag="pipelines",
        summary="Preview a few transformed records of a pipeline's stream, without writing them",
        request=PreviewRequest,
        answer=PreviewAnswer,
        errors=(404, 422),
        example=PREVIEW_EXAMPLE,
        request_example={"max_records": 10},
    )
    def post(self, request: Request, pk: UUID) -> SlowResponse:
        data = data_of(PreviewRequest, request)
        call = services.preview(org=self.org, by=self.principal, pipeline_id=pk, **data)
        return self.wait_for(call)


class PreviewDraft(OrgView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_preview_unsaved",
        tag="pipelines",
        summary="Preview a few transformed records with an unsaved definition, which needs no destination",
        request=PreviewUnsaved,
        answer=PreviewAnswer,
        errors=(422,),
        example=PREVIEW_EXAMPLE,
        request_example={"config": examples.SOURCE_ONLY},
    )
    def post(self, request: Request) -> SlowResponse:
        data = data_of(PreviewUnsaved, request)
        call = services.preview_unsaved(org=self.org, by=self.principal, **data)
        return self.wait_for(call)
