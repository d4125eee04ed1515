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
from apps.orgs.scim.store import Store, refusing
from apps.web.problems import Problem

LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PAGE = 100  # resources per page, if `count` is not sent
PAGE_LIMIT = 200
LAST_INDEX = 1_000_000_000
SCAN_LIMIT = 10_000  # resources that one filter or sort may examine in Python
# Attributes with a column for equality queries. These ignore case, so they find at least what the filter matches.
COLUMNS = {
    "username": "user_name__iexact",
    "externalid": "external_id__iexact",
    "displayname": "display_name__iexact",
}


def search(stores: Sequence[Store], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ListResponse of one type of resource, or of several, as for a search at the base URL."""
    models: Any = reduce(operator.or_, [store.model for store in stores])
    with refusing():
        request = scim.SearchRequest[models].model_validate(dict(asked), scim_policy=POLICY)
    start = min(request.start_index_0 or 0, LAST_INDEX)
    stop = start + min(PAGE if request.count is None else request.count, PAGE_LIMIT)
    if request.filter is None and request.sort_by is None:
        total, page = _page(stores, request, start, stop)
    else:
        found = _matching(stores, request)
        total, page = len(found), _loaded(stores, request, found[start:stop])
    return {
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start + 1,
        "itemsPerPage": len(page),
        "Resources": [shown(resource, request) for resource in page],
    }


def shown(resource: scim.Resource[Any], asked: Any = None) -> dict[str, Any]:
    """Render a resource with the requested attributes, or all."""
    return resource.model_dump(
        scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked, scim_policy=POLICY
    )


def wanted(store: Store, query: Mapping[str, Any]) -> Any:
    """Return `attributes` and `excludedAttributes` of a request for one resource."""
    given = {name: query[name] for name in ("attributes", "excludedAttributes") if name in query}
    with refusing():
        return scim.ResponseParameters[store.model].model_validate(given)  # type: ignore[name-defined]


def _page(stores: Sequence[Store], request: Any, start: int, stop: int) -> tuple[int, list[Any]]:
    """Return the total and one page of an unfiltered list, which the database counts and slices."""
    total, page = 0, []
    for store in stores:
        rows = store.rows().order_by("created_at", "id")
        count = rows.count()
        here = rows[max(start - total, 0) : max(stop - total, 0)]
        page += store.resources(here, joined=_includes(request, store.joined))
        total += count
    return total, page


def _matching(stores: Sequence[Store], request: Any) -> list[Any]:
    """Return all resources that match a filter, in the requested order.

    Raises a Problem if it would examine more than SCAN_LIMIT.
    """
    found: list[Any] = []
    for store in stores:
        rows = store.rows().order_by("created_at", "id")
        if request.filter is not None:
            rows = rows.filter(_prefilter(request.filter.ast, store))
        if rows.count() > SCAN_LIMIT:
            message = f"This query would examine more than {SCAN_LIMIT} resources; filter by userName, externalId or id."
            raise Problem(400, message, "tooMany")
        found += store.resources(rows, joined=_depends_on(request, store.joined))
    with POLICY:
        if request.filter is not None:
            found = [resource for resource in found if request.filter.match(resource)]
        return list(request.sort(found))


def _loaded(stores: Sequence[Store], request: Any, page: list[Any]) -> list[Any]:
    """Load the complete resources of a page, in its order. The search may have loaded only parts of them."""
    whole: dict[str, Any] = {}
    for store in stores:
        rows = store.rows().filter(pk__in=[each.id for each in page])
        for each in store.resources(rows, joined=_includes(request, store.joined)):
            whole[each.id] = each
    return [whole[each.id] for each in page if each.id in whole]


def _depends_on(request: Any, attribute: str) -> bool:
    """Whether the filter or the sorting of a request may depend on an attribute."""
    return attribute in f"{request.filter} {request.sort_by}".lower()


def _includes(request: Any, attribute: str) -> bool:
    """Whether a response may contain an attribute."""
    included = [str(path).lower() for path in request.attributes or []]
    excluded = [str(path).lower() for path in request.excluded_attributes or []]
    named = not included or any(attribute in path for path in included)
    return named and not any(path.rpartition(":")[2] == attribute for path in excluded)


def _prefilter(node: FilterNode, store: Store) -> Q:
    """Return the part of a filter that the database can apply. It keeps all matches; Python then applies the rest."""
    if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_:
        return reduce(operator.and_, (_prefilter(term, store) for term in node.terms), Q())
    if not isinstance(node, Comparison) or node.op != CompareOperator.eq:
        return Q()
    if node.attr_path.sub_attr is not None or not isinstance(node.value, str):
        return Q()
    if node.attr_path.uri not in (None, str(store.model.__schema__)):
        return Q()
    name = node.attr_path.attr.lower()
    if name == "id":
        return Q(pk=_uuid(node.value))
    lookup = COLUMNS.get(name)
    if lookup is None:
        return Q()
    if name == "username" and store.name != "User":
        return Q(pk=None)  # A group has no userName.
    return Q(**{lookup: node.value})


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
