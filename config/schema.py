"""The OpenAPI document: one decorator that says all an operation owes its readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers

from config.problems import TITLES

F = TypeVar("F", bound=Callable[..., Any])


class ProblemError(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Path of the field, like source.config.port.")
    message = serializers.CharField()
    code = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    errors = ProblemError(many=True)


class OperationSchema(AutoSchema):
    """Says which credential an operation takes."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        if hasattr(self.view, "public_because"):
            return []
        return [{"bearer": []}, {"apiKey": []}]


def page_of(item: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """The schema of a keyset page of `item`."""
    return inline_serializer(
        name=f"{item.__name__.removesuffix('Serializer')}Page",
        fields={
            "results": item(many=True),
            "next": serializers.CharField(
                allow_null=True, help_text="Pass as ?cursor= for the next page."
            ),
            "previous": serializers.CharField(allow_null=True),
            "count": serializers.IntegerField(),
        },
    )


PAGE_PARAMETERS = (
    OpenApiParameter("cursor", str, description="`next` or `previous` of another page."),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
        description="Rows a page.",
    ),
)
IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 200},
    OpenApiParameter.HEADER,
    description="The same key and body replays the first answer for 24 h.",
)
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="ETag of the version you read; else 412."
)


def operation(
    operation_id: str,
    *,
    tag: str,
    summary: str,
    request: Any = None,
    answer: Any = None,
    status: int = 200,
    errors: Sequence[int] = (),
    parameters: Sequence[Any] = (),
    example: Any = None,
    request_example: Any = None,
    media_type: str = "application/json",
    public: bool = False,
) -> Callable[[F], F]:
    """Describe one method of a view. 400 and 503 hold everywhere, 401, 403 and 429 where a credential is read."""
    always = {400, 429, 503, *(() if public else (401, 403))}
    problems = {
        (code, "application/problem+json"): OpenApiResponse(Problem, description=TITLES[code])
        for code in sorted(always | set(errors))
    }
    good: Any = OpenApiResponse(answer if answer is not None else None, description=summary)
    if media_type == "text/event-stream":
        good = OpenApiResponse(OpenApiTypes.STR, description=summary)
    examples = []
    if example is not None:
        examples.append(
            OpenApiExample("Answer", value=example, response_only=True, status_codes=[str(status)])
        )
    if request_example is not None:
        examples.append(OpenApiExample("Request", value=request_example, request_only=True))
    return extend_schema(
        operation_id=operation_id,
        tags=[tag],
        summary=summary,
        request=request,
        responses={(status, media_type) if answer is not None else status: good, **problems},
        parameters=list(parameters),
        examples=examples,
    )
