"""The decorator that documents an operation in the OpenAPI document."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
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

from apps.web.paging import DEFAULT_LIMIT, MAX_LIMIT
from apps.web.problems import TITLES

F = TypeVar("F", bound=Callable[..., Any])


PROBLEM_ERROR = inline_serializer(
    "ProblemError",
    {
        "field": serializers.CharField(help_text="Path of the field, like source.config.port."),
        "message": serializers.CharField(),
        "code": serializers.CharField(),
    },
    many=True,
)
PROBLEM = inline_serializer(  # RFC 9457
    "Problem",
    {
        "type": serializers.CharField(),
        "title": serializers.CharField(),
        "status": serializers.IntegerField(),
        "detail": serializers.CharField(),
        "code": serializers.CharField(),
        "errors": PROBLEM_ERROR,
    },
)


class OperationSchema(AutoSchema):
    """Documents the credential and the body of an operation."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        if hasattr(self.view, "public_because"):
            return []
        return [{"bearer": []}, {"apiKey": []}]

    def map_parsers(self) -> list[str]:
        """Return only the first parser of a view, so that a body is documented once."""
        return list(super().map_parsers()[:1])


def page_of(item: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """Return the schema of a keyset page of `item`."""
    return inline_serializer(
        name=f"{item.__name__.removesuffix('Serializer')}Page",
        fields={
            "results": item(many=True),
            "next": serializers.CharField(
                allow_null=True, help_text="Pass it as ?cursor= to get the next page."
            ),
            "previous": serializers.CharField(allow_null=True),
            "count": serializers.IntegerField(),
        },
    )


def page_parameters(max_limit: int) -> tuple[OpenApiParameter, OpenApiParameter]:
    """Return the parameters of a list with pages of up to `max_limit` rows."""
    return (
        OpenApiParameter(
            "cursor", str, description="The value of `next` or `previous` of another page."
        ),
        OpenApiParameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": max_limit, "default": DEFAULT_LIMIT},
            description="Rows per page.",
        ),
    )


PAGE_PARAMETERS = page_parameters(MAX_LIMIT)
IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 200},
    OpenApiParameter.HEADER,
    description="A repeated request with the same key and body gets the first response again, for 24 h.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag that you received with the object. If the object has changed since then, the response is 412.",
)


def order_of(values: Iterable[str], default: str) -> OpenApiParameter:
    """Return the `order` parameter of a list. `values` are its allowed values."""
    return OpenApiParameter("order", {"type": "string", "enum": list(values), "default": default})


def header(
    name: str, description: str, *, required: bool = False, only_value: str = ""
) -> OpenApiParameter:
    """Return the parameter of a request header. If `only_value` is set, it is the only allowed value."""
    value_schema: dict[str, Any] = (
        {"type": "string", "enum": [only_value]} if only_value else {"type": "string"}
    )
    return OpenApiParameter(
        name, value_schema, OpenApiParameter.HEADER, required=required, description=description
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
    other_media_types: Sequence[str] = (),
    public: bool = False,
    account: bool = False,
    success_body_for_503: bool = False,
    other_responses: Mapping[int, str] = MappingProxyType({}),
    error: tuple[str, Any] = ("application/problem+json", PROBLEM),
) -> Callable[[F], F]:
    """Document one method of a view.

    `error` is the media type and schema of the error responses. With `success_body_for_503` the 503 response has the
    schema of the success response. `other_responses` are success responses without a body.

    Common responses are added: 400, 429 and 503; 401 and 403 if a credential is required; 408, 413, 415 and 422 if the
    request has a body. Every POST inside an org accepts an Idempotency-Key, but not one of an `account`.
    """

    def describe(handler: F) -> F:
        takes_idempotency_key = handler.__name__ == "post" and not public and not account
        codes = {*errors, *_common_codes(request is not None, public, takes_idempotency_key)}
        success = _success_response(answer, summary, media_type)
        responses: dict[Any, Any] = {status: success}
        if answer is not None:
            responses = {(status, name): success for name in (media_type, *other_media_types)}
        if success_body_for_503:
            codes.discard(503)
            responses[(503, media_type)] = OpenApiResponse(answer, description=TITLES[503])
        described = extend_schema(
            operation_id=operation_id,
            tags=[tag],
            summary=summary,
            description=inspect.getdoc(handler) or f"{summary}.",
            request=request,
            responses={
                **responses,
                **_empty_responses(other_responses),
                **_problem_responses(codes, *error),
            },
            parameters=[*parameters, *([IDEMPOTENCY] if takes_idempotency_key else [])],
            examples=[
                *_examples(example, status, (media_type, *other_media_types)),
                *_request_examples(request, request_example),
            ],
        )
        return described(handler)

    return describe


def _common_codes(has_body: bool, public: bool, takes_idempotency_key: bool) -> set[int]:
    codes = {400, 429, 503}
    if not public:
        codes |= {401, 403}
    if has_body:
        codes |= {408, 413, 415, 422}
    return codes | ({422} if takes_idempotency_key else set())


def _empty_responses(descriptions: Mapping[int, str]) -> dict[Any, OpenApiResponse]:
    return {code: OpenApiResponse(description=text) for code, text in descriptions.items()}


def _problem_responses(codes: set[int], media_type: str, schema: Any) -> dict[Any, OpenApiResponse]:
    return {
        (code, media_type): OpenApiResponse(schema, description=TITLES[code])
        for code in sorted(codes)
    }


def _success_response(answer: Any, summary: str, media_type: str) -> OpenApiResponse:
    if media_type == "text/event-stream":
        return OpenApiResponse(OpenApiTypes.STR, description=summary)
    return OpenApiResponse(answer, description=summary)


def _examples(example: Any, status: int, media_types: Sequence[str]) -> list[OpenApiExample]:
    if example is None:
        return []
    return [
        OpenApiExample(
            "Answer",
            value=example,
            response_only=True,
            status_codes=[str(status)],
            media_type=media_type,
        )
        for media_type in media_types
    ]


def _request_examples(request: Any, example: Any) -> list[OpenApiExample]:
    """Return the example of a request. A dictionary maps the media type of its body to the schema."""
    if example is None:
        return []
    media_type = next(iter(request)) if isinstance(request, dict) else "application/json"
    return [OpenApiExample("Request", value=example, request_only=True, media_type=media_type)]
