"""Return every error of a SCIM route in SCIM's error format (RFC 7644, section 3.12)."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response

from apps.web.problems import Problem, as_problem

BASE = "/api/v1/scim/v2"
MEDIA_TYPE = "application/scim+json"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
# SCIM's keyword for a problem's code, if it has one.
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
STATUSES = {422: 400}  # SCIM responds with 400 to every invalid request.


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler for SCIM views.

    Returns None for unknown exceptions, so that DRF logs them as a 500.
    """
    problem = as_problem(error)
    return answer(problem) if problem else None


def answer(problem: Problem) -> Response:
    shown = Response(body(problem), status=status(problem), headers=problem.headers)
    shown.content_type = MEDIA_TYPE
    return shown


def status(problem: Problem) -> int:
    return STATUSES.get(problem.status, problem.status)


def body(problem: Problem) -> dict[str, Any]:
    found: dict[str, Any] = {"schemas": [ERROR], "status": str(status(problem))}
    if keyword := KEYWORDS.get(problem.code):
        found["scimType"] = keyword
    reasons = [f"{field}: {message}" for field, message, _ in problem.errors]
    return {**found, "detail": " ".join([problem.detail, *reasons]).strip()}
