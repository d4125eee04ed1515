"""Render custom sources for the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.connectors.custom_sources.edits import HIGHEST
from apps.connectors.models import CUSTOM, CustomSource, CustomSourceVersion
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org

SHOWN = (
    "id", "name", "description", "origin", "repository_id", "repository_path", "created_at",
    "updated_at",
)  # fmt: skip
SHOWN_OF_VERSION = ("number", "note", "sha256", "commit", "author", "created_at", "approved_at")
PEOPLE = ("created_by", "approved_by")


def row(values: Mapping[str, object]) -> dict[str, object]:
    """Render a source in a list, from `.rows()`."""
    return {
        **{name: values[name] for name in SHOWN},
        "kind": f"{CUSTOM}{values['id']}",
        "latest_version": values["latest"],
        "approved_version": values["approved"],
        "archived": values["archived_at"] is not None,
    }


def detail(org: Org, source: CustomSource) -> dict[str, Any]:
    """Render a source with its newest version."""
    values = CustomSource.objects.for_org(org).rows().get(pk=source.pk)
    return {**row(values), "version": version_detail(org, source, source.latest)}


def version_rows(org: Org, source: CustomSource, *more: str) -> Any:
    """Return the values of the source's versions, for `version_row`."""
    named = [f"{who}__{name}" for who in PEOPLE for name in ("name", "email")]
    rows = CustomSourceVersion.objects.for_org(org).filter(source=source)
    return rows.values("id", *SHOWN_OF_VERSION, "report__hosts", *PEOPLE, *named, *more)


def version_row(values: dict[str, Any]) -> dict[str, Any]:
    """Render a version in a list, from its values."""
    return {
        **{name: values[name] for name in SHOWN_OF_VERSION},
        "hosts": values["report__hosts"],
        **{who: _person(values, who) for who in PEOPLE},
    }


def version_detail(org: Org, source: CustomSource, number: int) -> dict[str, Any]:
    """Render a version with its code. Raises NotFound."""
    rows = version_rows(org, source, "code", "report").filter(number=min(number, HIGHEST))
    values = rows.first()
    if values is None:
        raise NotFound
    return {**version_row(values), "code": values["code"], "report": values["report"]}


def _person(values: dict[str, Any], who: str) -> dict[str, Any] | None:
    if values[who] is None:
        return None
    return {"id": values[who], "name": values[f"{who}__name"] or values[f"{who}__email"]}
