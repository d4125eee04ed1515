"""Count the pipelines for each value of each filter of the list, by one statement.

The counts of a filter ignore the filter itself and respect all others, so they say what another choice would list.
Every fragment of SQL in this module is a constant; all values of a request are passed as parameters.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypedDict

from django.db import connection

from apps.connectors import catalogue
from apps.connectors.models import ConnectorRole
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.listing import FILTERS, Filters, filter_parameters
from apps.pipelines.schedules.freshness import FRESHNESS_SQL

MAX_VALUES = 200  # of each filter; those with the most pipelines


class FacetValue(TypedDict):
    """A value of a filter, its name for people, and the number of pipelines with it."""

    value: str
    label: str
    count: int


# For each facet: its filters, the expression of its value, and what else is joined.
FACETS = {
    "domain": (("domain",), "p.domain_id::text", ""),
    "source": (("source",), "p.source_kind", ""),
    "destination": (("destination",), "p.destination_kind", ""),
    "tag": (("tags",), "t.tag", "CROSS JOIN unnest(p.tags) AS t (tag)"),
    "status": (("status",), "nullif(p.last_run_status, '')", ""),
    "freshness": (("freshness",), FRESHNESS_SQL, ""),
    "enabled": (("enabled",), "p.enabled::text", ""),
}
COLUMNS = """id, org_id, name, description, domain_id, tags, enabled, last_run_status, source_kind, destination_kind,
    source_connector_id, destination_connector_id, custom_source_id, last_success_at, failing_since, late_at"""
LABELS = {
    "domain": "LEFT JOIN orgs_domain d ON d.org_id = %(org)s AND d.id::text = f.value",
    "source": "LEFT JOIN connectors_customsource c ON c.org_id = %(org)s AND 'custom-' || c.id::text = f.value",
}
ROLES = {"source": ConnectorRole.SOURCE, "destination": ConnectorRole.DESTINATION}
LABEL_EXPRESSIONS = {"domain": "d.name", "source": "coalesce(c.name, f.value)"}


def count_values(*, org: Org, by: Principal, filters: Filters) -> dict[str, list[FacetValue]]:
    """Return the values of each filter, those with the most pipelines first."""
    if by.only_domain is not None:
        filters = {**filters, "only_domain": by.only_domain}
    parameters = {**filter_parameters(filters), "org": org.pk, "max_values": MAX_VALUES}
    with connection.cursor() as cursor:
        cursor.execute(_build_statement(tuple(filters)), parameters)
        rows = cursor.fetchall()
    counts: dict[str, list[FacetValue]] = {facet: [] for facet in FACETS}
    for facet, value, label, count in rows:
        name = label if facet not in ROLES else _kind_name(ROLES[facet], value, label)
        counts[facet].append({"value": value, "label": name, "count": count})
    return counts


def _kind_name(role: ConnectorRole, kind: str, label: str) -> str:
    """Return the catalogue's name of a built-in kind, or the name of the custom source."""
    built_in = catalogue.find(role, kind)
    return built_in.title if built_in else label


@lru_cache(maxsize=256)
def _build_statement(filters: tuple[str, ...]) -> str:
    """Build the statement. The filters that belong to no facet are applied once, before all facets."""
    of_facets = {name for names, _, _ in FACETS.values() for name in names}
    shared = ["p.org_id = %(org)s", *(FILTERS[name] for name in filters if name not in of_facets)]
    parts = [_facet_query(facet, filters, of_facets) for facet in FACETS]
    return (
        f"WITH p AS MATERIALIZED (SELECT {COLUMNS} FROM pipelines_pipeline p "  # noqa: S608 - constants of this module
        f"WHERE {' AND '.join(shared)}) {' UNION ALL '.join(parts)}"
    )


def _facet_query(facet: str, filters: tuple[str, ...], of_facets: set[str]) -> str:
    own_filters, value, join = FACETS[facet]
    conditions = [FILTERS[name] for name in filters if name in of_facets - set(own_filters)]
    where = " AND ".join([f"{value} IS NOT NULL", *conditions])
    label = LABEL_EXPRESSIONS.get(facet, "f.value")
    return (
        f"(SELECT '{facet}', f.value, {label}, f.n FROM "  # noqa: S608 - constants of this module
        f"(SELECT {value} AS value, count(*) AS n FROM p {join} WHERE {where} GROUP BY 1 "
        f"ORDER BY 2 DESC, 1 LIMIT %(max_values)s) f {LABELS.get(facet, '')} ORDER BY f.n DESC, f.value)"
    )
