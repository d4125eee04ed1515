"""Freshness pages: create, change and delete them, and renew their links. They belong to the whole org."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict
from uuid import UUID

from django.conf import settings

from apps.alerts.exceptions import TooManyFreshnessPages
from apps.alerts.models import FreshnessPage, FreshnessPagePipeline
from apps.auth.mailing import links
from apps.orgs import audit, vault
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.tenancy import OrgQuerySet
from apps.orgs.versions import Match, require_match
from apps.pipelines.visibility import pipelines

SEAL_KIND = "freshness_page"
MAX_PAGES = 20  # of one org
MAX_PIPELINES = 100  # of one page


class ChosenPipeline(TypedDict, total=False):
    """A pipeline to show, and its public name. Without one, its own name is shown."""

    pipeline_id: UUID
    name: str


class PageChanges(TypedDict, total=False):
    """Changes of a page. A value that is left out does not change."""

    title: str
    enabled: bool
    incident_days: int
    pipelines: Sequence[ChosenPipeline]


def pages(org: Org, by: Principal) -> OrgQuerySet[FreshnessPage]:
    """Return the pages that the principal can see. An API key for one domain sees none."""
    rows = FreshnessPage.objects.for_org(org)
    return rows.none() if by.only_domain else rows


def find_page(*, org: Org, by: Principal, page_id: UUID) -> FreshnessPage:
    """Return the page. Raises NotFound."""
    return find_object(pages(org, by), page_id)


def entries(org: Org | UUID, page_ids: Sequence[UUID]) -> OrgQuerySet[FreshnessPagePipeline]:
    """Return the pipelines of these pages in their order."""
    rows = FreshnessPagePipeline.objects.for_org(org).filter(page_id__in=page_ids)
    return rows.select_related("pipeline").order_by("position", "id")


def link(org: Org, page_id: UUID, sealed: str) -> str:
    """Return the address of the public page. Whoever has it can read the page."""
    token = vault.unseal(org, SEAL_KIND, page_id, sealed)
    return f"{settings.PUBLIC_URL}/api/v1/public/freshness/{token}"


def create(*, org: Org, by: Principal, values: PageChanges) -> FreshnessPage:
    """Create a page. Raises Invalid and TooManyFreshnessPages."""
    by.require(Permission.SETTINGS_EDIT)
    # The org is locked, so that two requests cannot both create the last page.
    Org.objects.select_for_update(no_key=True).get(pk=org.pk)
    if FreshnessPage.objects.for_org(org).count() >= MAX_PAGES:
        raise TooManyFreshnessPages
    page = FreshnessPage(org=org, created_by_id=by.user_id)
    _set_new_link(org, page)
    _set_columns(page, values)
    page.save(force_insert=True)
    names = _set_pipelines(org, by, page, values.get("pipelines", []))
    audited = {"enabled": [None, page.enabled], "pipelines": [None, names]}
    _record(org, by, "freshness_page.create", page, audited)
    return page


def update(
    *, org: Org, by: Principal, page_id: UUID, changes: PageChanges, match: Match = None
) -> FreshnessPage:
    """Change a page. Raises NotFound, ChangedMeanwhile and Invalid."""
    page = _lock(org, by, page_id, match)
    before = _audited_values(org, page)
    _set_columns(page, changes)
    page.etag += 1
    page.save()
    if "pipelines" in changes:
        _set_pipelines(org, by, page, changes["pipelines"])
    after = _audited_values(org, page)
    changed = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
    _record(org, by, "freshness_page.update", page, changed)
    return page


def renew_link(*, org: Org, by: Principal, page_id: UUID) -> FreshnessPage:
    """Give the page a new link. The old one stops working at once. Raises NotFound."""
    page = _lock(org, by, page_id)
    _set_new_link(org, page)
    page.etag += 1
    page.save()
    _record(org, by, "freshness_page.renew_link", page, {})
    return page


def delete(*, org: Org, by: Principal, page_id: UUID, match: Match = None) -> None:
    """Delete a page. Raises NotFound and ChangedMeanwhile."""
    page = _lock(org, by, page_id, match)
    _record(org, by, "freshness_page.delete", page, {})
    page.delete()


def _lock(org: Org, by: Principal, page_id: UUID, match: Match = None) -> FreshnessPage:
    page = find_object(pages(org, by), page_id, lock=True)
    by.require(Permission.SETTINGS_EDIT)
    require_match(match, page.etag)
    return page


def _set_new_link(org: Org, page: FreshnessPage) -> None:
    token = links.new_secret()
    page.digest = links.digest(token)
    page.sealed = vault.seal(org, SEAL_KIND, page.pk, token)


def _set_columns(page: FreshnessPage, values: PageChanges) -> None:
    page.title = values.get("title", page.title)
    page.enabled = values.get("enabled", page.enabled)
    page.incident_days = values.get("incident_days", page.incident_days)


def _set_pipelines(
    org: Org, by: Principal, page: FreshnessPage, chosen: Sequence[ChosenPipeline]
) -> list[str]:
    """Show these pipelines, in this order. Those that were shown before keep their badges. Raises Invalid."""
    wanted = [entry["pipeline_id"] for entry in chosen]
    _require_pipelines(org, by, wanted)
    shown = entries(org, [page.pk])
    shown.exclude(pipeline_id__in=wanted).delete()
    FreshnessPagePipeline.unscoped.bulk_create(
        (
            FreshnessPagePipeline(
                org=org,
                page=page,
                pipeline_id=entry["pipeline_id"],
                name=entry.get("name", ""),
                position=position,
            )
            for position, entry in enumerate(chosen)
        ),
        update_conflicts=True,
        unique_fields=["page", "pipeline"],
        update_fields=["name", "position"],
    )
    return [entry.name or entry.pipeline.name for entry in shown.all()]


def _require_pipelines(org: Org, by: Principal, wanted: Sequence[UUID]) -> None:
    """Raise Invalid for a pipeline that the principal cannot see, and for one that is there twice."""
    known = set(pipelines(org, by).filter(pk__in=wanted).values_list("pk", flat=True))
    errors = []
    for position, pipeline_id in enumerate(wanted):
        path = f"pipelines.{position}.pipeline_id"
        if pipeline_id not in known:
            message = "There is no such pipeline in this organization."
            errors.append((path, message, "unknown"))
        elif pipeline_id in wanted[:position]:
            errors.append((path, "This pipeline is in the list twice: remove one.", "duplicate"))
    if errors:
        raise Invalid(errors)


def _audited_values(org: Org, page: FreshnessPage) -> dict[str, Any]:
    return {
        "title": page.title,
        "enabled": page.enabled,
        "incident_days": page.incident_days,
        "pipelines": [entry.name or entry.pipeline.name for entry in entries(org, [page.pk])],
    }


def _record(
    org: Org, by: Principal, action: str, page: FreshnessPage, changes: dict[str, Any]
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="freshness_page",
        object_id=page.pk,
        object_label=page.title,
        changes=changes,
    )
