"""Views of the catalogue.

The catalogue is the same for every org, except for the org's own custom sources. Clients cache it by its ETag.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors import catalogue
from apps.connectors.catalogue import Kind
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.serializers import CatalogueKind, CatalogueList
from apps.orgs.exceptions import NotFound
from apps.orgs.http.views import OrgView
from apps.web.schema import operation
from apps.web.views import etag
from apps.web.wire import JSONRenderer

CACHED_FOR_5_MINUTES = "private, max-age=300"
ALWAYS_REVALIDATED = "private, no-cache"  # An org's own sources change with each approval.

EXAMPLE: dict[str, Any] = {
    "role": "source",
    "kind": "dummy",
    "name": "Dummy",
    "icon": "flask",
    "description": "Made-up records for trying things out.",
    "docs_url": "https://github.com/bizon-data/bizon-core",
    "config_schema": {"type": "object", "properties": {"rows": {"type": "integer"}}},
    "secret_paths": [],
    "streams": [{"name": "generated", "sync_modes": ["full_refresh", "incremental"]}],
    "sync_modes": ["full_refresh", "incremental"],
    "write_modes": [],
    "supports_incremental": True,
    "needs_cursor": False,
    "shares_snapshots": False,
}


class CatalogueView(OrgView):
    """Base of the catalogue views: answers with 304 if the client's copy is current."""

    def cacheable_response(
        self, request: Request, body: bytes, cache_control: str = CACHED_FOR_5_MINUTES
    ) -> Response:
        current_tag = etag(hashlib.sha256(body).hexdigest()[:16])
        headers = {"ETag": current_tag, "Cache-Control": cache_control}
        client_tags = [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]
        if current_tag in client_tags:
            return Response(status=304, headers=headers)
        return Response(body, headers=headers)


class Sources(CatalogueView):
    @operation(
        "catalog_sources_list",
        tag="catalog",
        other_responses={304: "The content still has the ETag of If-None-Match."},
        summary="List kinds of sources",
        answer=CatalogueList,
        example={"results": [EXAMPLE], "count": 1},
    )
    def get(self, request: Request) -> Response:
        org_kinds = (
            [] if self.principal.only_domain else custom_kinds.unarchived_custom_kinds(self.org)
        )
        return self.cacheable_response(
            request,
            _render_sources_with_org_kinds(org_kinds) if org_kinds else _render_kinds("source"),
            ALWAYS_REVALIDATED,
        )


class Destinations(CatalogueView):
    @operation(
        "catalog_destinations_list",
        tag="catalog",
        other_responses={304: "The content still has the ETag of If-None-Match."},
        summary="List kinds of destinations",
        answer=CatalogueList,
        example={"results": [{**EXAMPLE, "role": "destination"}], "count": 1},
    )
    def get(self, request: Request) -> Response:
        return self.cacheable_response(request, _render_kinds("destination"))


class SourceKind(CatalogueView):
    @operation(
        "catalog_sources_retrieve",
        tag="catalog",
        other_responses={304: "The content still has the ETag of If-None-Match."},
        summary="Show a kind of source",
        answer=CatalogueKind,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, kind: str) -> Response:
        return self.cacheable_response(
            request, self.render_own_kind(kind) or _render_kind("source", kind), ALWAYS_REVALIDATED
        )

    def render_own_kind(self, name: str) -> bytes | None:
        """Return the response body for one of the org's own kinds, or None if the org has no such kind."""
        if self.principal.only_domain or custom_kinds.custom_source_id(name) is None:
            return None
        kind = custom_kinds.load_kinds(self.org, [name]).find("source", name)
        return JSONRenderer().render(kind.api_entry) if kind else None


class DestinationKind(CatalogueView):
    @operation(
        "catalog_destinations_retrieve",
        tag="catalog",
        other_responses={304: "The content still has the ETag of If-None-Match."},
        summary="Show a kind of destination",
        answer=CatalogueKind,
        errors=(404,),
        example={**EXAMPLE, "role": "destination"},
    )
    def get(self, request: Request, kind: str) -> Response:
        return self.cacheable_response(request, _render_kind("destination", kind))


@lru_cache(maxsize=2)
def _render_kinds(role: str) -> bytes:
    kinds = [kind.api_entry for kind in catalogue.kinds(role).values()]
    return JSONRenderer().render({"results": kinds, "count": len(kinds)})


def _render_sources_with_org_kinds(org_kinds: list[Kind]) -> bytes:
    kinds = [kind.api_entry for kind in (*catalogue.kinds("source").values(), *org_kinds)]
    return JSONRenderer().render({"results": kinds, "count": len(kinds)})


def _render_kind(role: str, name: str) -> bytes:
    kind = catalogue.find(role, name)
    if kind is None:
        raise NotFound
    return JSONRenderer().render(kind.api_entry)
