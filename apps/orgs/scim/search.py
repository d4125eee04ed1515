"""Lists and searches: filters, sorting, pages by index, and the returned attributes (RFC 7644, 3.4.2)."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any
from uuid import UUID

import scim2_models as scim
from django.db.models import Q
from scim2_models import Context
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from apps.orgs.scim.resources import POLICY
from apps.orgs.scim.store import Store, errors_as_problems
from apps.web.problems import Problem

LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
DEFAULT_PAGE_SIZE = 100  # resources per page, if `count` is not sent
MAX_PAGE_SIZE = 200
MAX_START_INDEX = 1_000_000_000
SCAN_LIMIT = 10_000  # resources that one filter or sort may examine in Python
# Lookups for the attributes that the database can compare. They ignore case, so they may also find rows that do not
# match the filter.
DATABASE_LOOKUPS = {
    "username": "user_name__iexact",
    "externalid": "external_id__iexact",
    "displayname": "display_name__iexact",
}


def search(stores: Sequence[Store], query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ListResponse with resources of one type, or of several types for a search at the base URL."""
    models: Any = reduce(operator.or_, [store.model for store in stores])
    with errors_as_problems():
        request = scim.SearchRequest[models].model_validate(dict(query), scim_policy=POLICY)
    start = min(request.start_index_0 or 0, MAX_START_INDEX)
    stop = start + min(DEFAULT_PAGE_SIZE if request.count is None else request.count, MAX_PAGE_SIZE)
    if request.filter is None and request.sort_by is None:
        total, page = _load_page(stores, request, start, stop)
    else:
        matching = _find_matching(stores, request)
        total, page = len(matching), _reload_page(stores, request, matching[start:stop])
    return {
        "schemas": [LIST_SCHEMA],
        "totalResults": total,
        "startIndex": start + 1,
        "itemsPerPage": len(page),
        "Resources": [render(resource, request) for resource in page],
    }


def render(resource: scim.Resource[Any], parameters: Any = None) -> dict[str, Any]:
    """Render a resource with the requested attributes, or with all attributes."""
    return resource.model_dump(
        scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=parameters, scim_policy=POLICY
    )


def requested_attributes(store: Store, query: Mapping[str, Any]) -> Any:
    """Return `attributes` and `excludedAttributes` of a request for one resource."""
    parameters = {
        name: query[name] for name in ("attributes", "excludedAttributes") if name in query
    }
    with errors_as_problems():
        return scim.ResponseParameters[store.model].model_validate(parameters)  # type: ignore[name-defined]


def _load_page(
    stores: Sequence[Store], request: Any, start: int, stop: int
) -> tuple[int, list[Any]]:
    """Return the total and one page of a list without filter. The database counts and slices it."""
    total, page = 0, []
    for store in stores:
        rows = store.rows().order_by("created_at", "id")
        count = rows.count()
        page_rows = rows[max(start - total, 0) : max(stop - total, 0)]
        page += store.to_resources(
            page_rows, with_memberships=_includes(request, store.memberships_attribute)
        )
        total += count
    return total, page


def _find_matching(stores: Sequence[Store], request: Any) -> list[Any]:
    """Return all resources that match a filter, in the requested order.

    Raises a Problem if more than SCAN_LIMIT resources must be examined.
    """
    resources: list[Any] = []
    for store in stores:
        rows = store.rows().order_by("created_at", "id")
        if request.filter is not None:
            rows = rows.filter(_database_filter(request.filter.ast, store))
        if rows.count() > SCAN_LIMIT:
            message = f"This query would examine more than {SCAN_LIMIT} resources; filter by userName, externalId or id."
            raise Problem(400, message, "tooMany")
        resources += store.to_resources(
            rows, with_memberships=_depends_on(request, store.memberships_attribute)
        )
    with POLICY:
        if request.filter is not None:
            resources = [resource for resource in resources if request.filter.match(resource)]
        return list(request.sort(resources))


def _reload_page(stores: Sequence[Store], request: Any, page: list[Any]) -> list[Any]:
    """Load the resources of a page again, in the same order. The search may have left out their memberships."""
    resources_by_id: dict[str, Any] = {}
    for store in stores:
        rows = store.rows().filter(pk__in=[resource.id for resource in page])
        for resource in store.to_resources(
            rows, with_memberships=_includes(request, store.memberships_attribute)
        ):
            resources_by_id[resource.id] = resource
    return [resources_by_id[resource.id] for resource in page if resource.id in resources_by_id]


def _depends_on(request: Any, attribute: str) -> bool:
    """Whether the filter or the sorting of a request may depend on an attribute."""
    return attribute in f"{request.filter} {request.sort_by}".lower()


def _includes(request: Any, attribute: str) -> bool:
    """Whether a response may contain an attribute."""
    included = [str(path).lower() for path in request.attributes or []]
    excluded = [str(path).lower() for path in request.excluded_attributes or []]
    is_included = not included or any(attribute in path for path in included)
    return is_included and not any(path.rpartition(":")[2] == attribute for path in excluded)


def _database_filter(node: FilterNode, store: Store) -> Q:
    """Return the part of a filter that the database can apply.

    It finds every match of the filter, and may find other rows. Python then applies the whole filter.
    """
    if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_:
        return reduce(operator.and_, (_database_filter(term, store) for term in node.terms), Q())
    if not isinstance(node, Comparison) or node.op != CompareOperator.eq:
        return Q()
    if node.attr_path.sub_attr is not None or not isinstance(node.value, str):
        return Q()
    if node.attr_path.uri not in (None, str(store.model.__schema__)):
        return Q()
    name = node.attr_path.attr.lower()
    if name == "id":
        return Q(pk=_parse_uuid(node.value))
    lookup = DATABASE_LOOKUPS.get(name)
    if lookup is None:
        return Q()
    if name == "username" and store.name != "User":
        return Q(pk=None)  # A group has no userName.
    return Q(**{lookup: node.value})


def _parse_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
