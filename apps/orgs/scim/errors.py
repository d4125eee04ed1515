"""Return every error of a SCIM route in SCIM's error format (RFC 7644, section 3.12)."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response

from apps.web.problems import Problem, as_problem

BASE_PATH = "/api/v1/scim/v2"
MEDIA_TYPE = "application/scim+json"
ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"
# SCIM's keyword (`scimType`) for each code of a problem. Other codes have no keyword.
KEYWORDS = {
    "malformed": "invalidSyntax",
    "invalid": "invalidValue",
    "name_taken": "uniqueness",
    **{
        keyword: keyword
        for keyword in (
            *("invalidFilter", "invalidPath", "invalidSyntax", "invalidValue", "mutability"),
            *("noTarget", "tooMany", "uniqueness"),
        )
    },
}
STATUSES = {422: 400}  # SCIM's status for an invalid request is 400.


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response to an exception of a SCIM view.

    Returns None for unknown exceptions. DRF then raises them again, which gives status 500.
    """
    problem = as_problem(error)
    return error_response(problem) if problem else None


def error_response(problem: Problem) -> Response:
    response = Response(error_body(problem), status=http_status(problem), headers=problem.headers)
    response.content_type = MEDIA_TYPE
    return response


def http_status(problem: Problem) -> int:
    return STATUSES.get(problem.status, problem.status)


def error_body(problem: Problem) -> dict[str, Any]:
    fields: dict[str, Any] = {"schemas": [ERROR_SCHEMA], "status": str(http_status(problem))}
    if keyword := KEYWORDS.get(problem.code):
        fields["scimType"] = keyword
    reasons = [f"{field}: {message}" for field, message, _ in problem.errors]
    return {**fields, "detail": " ".join([problem.detail, *reasons]).strip()}
