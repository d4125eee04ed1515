"""The public addresses of a freshness page: HTML, JSON and badges, without a credential other than the link."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request

from apps.alerts.freshness_pages import contents, html, words
from apps.alerts.freshness_pages.badge import badge
from apps.alerts.freshness_pages.contents import Contents
from apps.alerts.freshness_pages.limits import reads
from apps.alerts.freshness_pages.serializers import EXAMPLE_CONTENTS, PublicContents
from apps.web.addresses import client_ip
from apps.web.schema import operation
from apps.web.views import PublicView
from apps.web.wire import dumps

JSON, HTML, SVG = "application/json", "text/html", "image/svg+xml"
CACHE_CONTROL = "public, max-age=60"
NOTHING_ALLOWED = "default-src 'none'; frame-ancestors 'none'"
GONE = "This page does not exist, or is no longer published. Ask the person who gave you the link."


class PublicFreshnessView(PublicView):
    public_because = "Whoever has the link may read what the organization has chosen to show."

    def read(self, request: Request, token: str) -> Contents:
        reads.count(client_ip(request._request))
        return contents.read_by_token(token)

    def answer(self, request: Request, body: bytes | str, media_type: str) -> HttpResponseBase:
        """Return the body, or 304 if the reader has it already."""
        content = body.encode() if isinstance(body, str) else body
        response = HttpResponse(content, content_type=f"{media_type}; charset=utf-8")
        response["Cache-Control"] = CACHE_CONTROL
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        response["ETag"] = etag
        return get_conditional_response(request._request, etag=etag, response=response) or response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        is_html = final.get("Content-Type", "").startswith(HTML)
        final["Content-Security-Policy"] = (
            html.CONTENT_SECURITY_POLICY if is_html else NOTHING_ALLOWED
        )
        final["X-Robots-Tag"] = "noindex"
        final["Referrer-Policy"] = "no-referrer"  # the address of the page is its credential
        final["Cross-Origin-Resource-Policy"] = "cross-origin"  # badges are shown on other sites
        return final


class FreshnessPageAsJson(PublicFreshnessView):
    @operation(
        "public_freshness_json",
        tag="public",
        summary="Show a freshness page as JSON; an unknown link and a page that is not published get 404",
        answer=PublicContents,
        errors=(404,),
        example=EXAMPLE_CONTENTS,
        public=True,
    )
    def get(self, request: Request, token: str) -> HttpResponseBase:
        return self.answer(request, dumps(asdict(self.read(request, token))), JSON)


class FreshnessPage(PublicFreshnessView):
    @operation(
        "public_freshness",
        tag="public",
        summary="Show a freshness page as HTML or JSON, as the header Accept asks for",
        answer=PublicContents,
        errors=(404,),
        example=EXAMPLE_CONTENTS,
        public=True,
    )
    def get(self, request: Request, token: str) -> HttpResponseBase:
        page = self.read(request, token)
        if self._wants_html(request):
            return self.answer(request, html.render_page(page), HTML)
        return self.answer(request, dumps(asdict(page)), JSON)

    def handle_exception(self, error: Exception) -> Any:
        problem = super().handle_exception(error)
        if not self._wants_html(self.request):
            return problem
        detail = GONE if problem.status_code == 404 else problem.data["detail"]
        page = html.render_error(problem.data["title"], detail)
        response = HttpResponse(page, status=problem.status_code)
        if "Retry-After" in problem:
            response["Retry-After"] = problem["Retry-After"]
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        patch_vary_headers(response, ["Accept"])
        return super().finalize_response(request, response, *args, **kwargs)

    @staticmethod
    def _wants_html(request: Request) -> bool:
        return request._request.get_preferred_type([JSON, HTML]) == HTML


class PageBadge(PublicFreshnessView):
    @operation(
        "public_freshness_badge",
        tag="public",
        summary="Show the state of a freshness page as a badge",
        answer=OpenApiTypes.BINARY,
        media_type=SVG,
        errors=(404,),
        public=True,
    )
    def get(self, request: Request, token: str) -> HttpResponseBase:
        page = self.read(request, token)
        svg = badge(page.title, words.summary_of(page), page.freshness)
        return self.answer(request, svg, SVG)


class PipelineBadge(PublicFreshnessView):
    @operation(
        "public_freshness_pipeline_badge",
        tag="public",
        summary="Show the state of one pipeline of a freshness page as a badge",
        answer=OpenApiTypes.BINARY,
        media_type=SVG,
        errors=(404,),
        public=True,
    )
    def get(self, request: Request, token: str, pk: UUID) -> HttpResponseBase:
        pipeline = contents.find_pipeline(self.read(request, token), pk)
        svg = badge(pipeline.name, words.state_of(pipeline), pipeline.freshness)
        return self.answer(request, svg, SVG)
