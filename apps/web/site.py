"""Pages that are not API operations: the dashboard's HTML page, the OpenAPI document, and errors outside views."""

from __future__ import annotations

import sys

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from apps.web import openapi
from apps.web.problems import Problem, as_problem, problem_response_for_path
from apps.web.wire import dumps

FRONTEND_MISSING = """<!doctype html><title>Drover</title>
<p>The front end is not built. Run <code>make frontend</code>, then reload.</p>"""


@csrf_exempt  # The view changes nothing.
@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Return the HTML page of the React application. Its router handles every path outside the API."""
    index = settings.FRONTEND_DIST / "index.html"
    if not index.exists():
        return HttpResponse(FRONTEND_MISSING, status=503)
    response = HttpResponse(index.read_bytes())
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
def openapi_document(request: HttpRequest) -> HttpResponse:
    return HttpResponse(openapi.as_json(), content_type="application/json")


@csrf_exempt
def unknown_route(request: HttpRequest) -> HttpResponse:
    return _problem_response(
        request, Problem(404, "There is no such route; see /api/v1/docs.", "not_found")
    )


@csrf_exempt
def misplaced_probe(request: HttpRequest) -> HttpResponse:
    """Respond with 404 to a probe at a wrong path. Otherwise it would receive the dashboard's page, and report Drover
    as healthy.
    """
    message = "Use /api/v1/health/live, /api/v1/health/ready or /api/v1/metrics."
    return _problem_response(
        request, Problem(404, f"There is nothing here. {message}", "not_found")
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _problem_response(request, Problem(400, "The request is malformed.", "malformed"))


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response for an exception in our code. The exception is logged and never shown.

    For a page outside the API, it is a 503 if the database is unavailable or another transaction has locked a row.
    """
    problem = as_problem(error) if isinstance(error := sys.exc_info()[1], Exception) else None
    if problem is not None and problem.status == 503:
        return _problem_response(request, problem)
    return _problem_response(
        request, Problem(500, "This is an error in Drover; it has been logged.", "internal")
    )


def _problem_response(request: HttpRequest, problem: Problem) -> HttpResponse:
    if request.path.startswith(settings.OPERATORS_PATH):
        context = {"title": "Something went wrong", "detail": problem.detail}
        page = render_to_string("error.html", context)
        return HttpResponse(page, status=problem.status, headers=problem.headers)
    answer = problem_response_for_path(request.path, problem)
    return HttpResponse(
        dumps(answer.data),
        status=answer.status_code,
        headers=problem.headers,
        content_type=answer.content_type,
    )
