"""Render custom sources for the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.connectors.custom_sources.edits import MAX_VERSION_NUMBER
from apps.connectors.models import CUSTOM_PREFIX, CustomSource, CustomSourceVersion
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org

SOURCE_FIELDS = (
    "id", "name", "description", "origin", "repository_id", "repository_path", "created_at",
    "updated_at",
)  # fmt: skip
VERSION_FIELDS = ("number", "note", "sha256", "commit", "author", "created_at", "approved_at")
USER_FIELDS = ("created_by", "approved_by")


def render_row(values: Mapping[str, object]) -> dict[str, object]:
    """Render a source in a list. `values` come from `CustomSourceQuerySet.rows()`."""
    return {
        **{name: values[name] for name in SOURCE_FIELDS},
        "kind": f"{CUSTOM_PREFIX}{values['id']}",
        "latest_version": values["latest"],
        "approved_version": values["approved"],
        "archived": values["archived_at"] is not None,
    }


def render_detail(org: Org, source: CustomSource) -> dict[str, Any]:
    """Render a source with its newest version."""
    values = CustomSource.objects.for_org(org).rows().get(pk=source.pk)
    return {**render_row(values), "version": render_version_detail(org, source, source.latest)}


def version_rows(org: Org, source: CustomSource, *more_columns: str) -> Any:
    """Return the values of the source's versions, for `render_version_row`."""
    user_columns = [f"{field}__{name}" for field in USER_FIELDS for name in ("name", "email")]
    rows = CustomSourceVersion.objects.for_org(org).filter(source=source)
    return rows.values(
        "id", *VERSION_FIELDS, "report__hosts", *USER_FIELDS, *user_columns, *more_columns
    )


def render_version_row(values: dict[str, Any]) -> dict[str, Any]:
    """Render a version in a list, from its values."""
    return {
        **{name: values[name] for name in VERSION_FIELDS},
        "hosts": values["report__hosts"],
        **{field: _render_user(values, field) for field in USER_FIELDS},
    }


def render_version_detail(org: Org, source: CustomSource, number: int) -> dict[str, Any]:
    """Render a version with its code. Raises NotFound."""
    rows = version_rows(org, source, "code", "report").filter(
        number=min(number, MAX_VERSION_NUMBER)
    )
    values = rows.first()
    if values is None:
        raise NotFound
    return {**render_version_row(values), "code": values["code"], "report": values["report"]}


def _render_user(values: dict[str, Any], field: str) -> dict[str, Any] | None:
    if values[field] is None:
        return None
    return {"id": values[field], "name": values[f"{field}__name"] or values[f"{field}__email"]}
