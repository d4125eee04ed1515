"""Follow-ups: create, change and delete what is called after the runs of a pipeline."""

from __future__ import annotations

from typing import Any, TypedDict
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import Value

from apps.alerts.exceptions import FollowUpNameTaken, TooManyFollowUps
from apps.alerts.follow_ups.kinds import SETTINGS
from apps.alerts.follow_ups.models import FollowUp, FollowUpCall
from apps.auth.constraints import refused_as
from apps.connectors import secrets
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.tenancy import OrgQuerySet
from apps.orgs.versions import Match, require_match
from apps.pipelines.models import Pipeline
from apps.pipelines.visibility import find_pipeline, lock_pipeline

MAX_FOLLOW_UPS = 20  # of one pipeline
AUDITED = ("name", "after", "enabled")


class FollowUpChanges(TypedDict, total=False):
    """Changes of a follow-up. A value that is left out does not change."""

    name: str
    after: str
    settings: JsonObject
    enabled: bool


def follow_ups(*, org: Org, by: Principal, pipeline_id: UUID) -> OrgQuerySet[FollowUp]:
    """Return the follow-ups of the pipeline, each with `is_editor`. Raises NotFound.

    Whoever is no editor sees no whole URLs, which may contain a credential, and not what receivers have answered.
    """
    rows = FollowUp.objects.for_org(org).filter(pipeline_id=pipeline_id)
    return rows.annotate(is_editor=Value(_is_editor(org, by, pipeline_id)))


def find_follow_up(
    *, org: Org, by: Principal, pipeline_id: UUID, follow_up_id: UUID
) -> tuple[FollowUp, bool]:
    """Return the follow-up, and whether the principal is an editor. Raises NotFound."""
    is_editor = _is_editor(org, by, pipeline_id)
    rows = FollowUp.objects.for_org(org).filter(pipeline_id=pipeline_id)
    return find_object(rows, follow_up_id), is_editor


def calls(*, org: Org, by: Principal, pipeline_id: UUID) -> OrgQuerySet[FollowUpCall]:
    """Return the calls of all follow-ups of the pipeline, each with `is_editor`. Raises NotFound."""
    rows = FollowUpCall.objects.for_org(org).filter(follow_up__pipeline_id=pipeline_id)
    return rows.annotate(is_editor=Value(_is_editor(org, by, pipeline_id)))


def _is_editor(org: Org, by: Principal, pipeline_id: UUID) -> bool:
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    return by.may(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)


def create(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    name: str,
    kind: str,
    settings: JsonObject,
    after: str,
    enabled: bool = True,
) -> FollowUp:
    """Create a follow-up. Raises NotFound, Invalid, FollowUpNameTaken and TooManyFollowUps."""
    # The pipeline is locked, so that two requests cannot both create the last one.
    pipeline = lock_pipeline(Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id)
    if FollowUp.objects.for_org(org).filter(pipeline=pipeline).count() >= MAX_FOLLOW_UPS:
        raise TooManyFollowUps
    follow_up = FollowUp(
        org=org, pipeline=pipeline, name="", kind=kind, after="", created_by_id=by.user_id
    )
    changes: FollowUpChanges = {
        "name": name,
        "after": after,
        "settings": settings,
        "enabled": enabled,
    }
    return _save(org, by, "follow_up.create", pipeline, follow_up, changes)


def update(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    follow_up_id: UUID,
    changes: FollowUpChanges,
    match: Match = None,
) -> FollowUp:
    """Change a follow-up. Raises NotFound, ChangedMeanwhile, Invalid and FollowUpNameTaken."""
    pipeline, follow_up = _lock(org, by, pipeline_id, follow_up_id, match)
    follow_up.etag += 1
    return _save(org, by, "follow_up.update", pipeline, follow_up, changes)


def delete(
    *, org: Org, by: Principal, pipeline_id: UUID, follow_up_id: UUID, match: Match = None
) -> None:
    """Delete a follow-up with its calls. Raises NotFound and ChangedMeanwhile."""
    pipeline, follow_up = _lock(org, by, pipeline_id, follow_up_id, match)
    _record(org, by, "follow_up.delete", pipeline, follow_up, {})
    follow_up.delete()


def shown_settings(
    kind: str, visible: JsonObject, hints: secrets.Hints, *, is_editor: bool
) -> JsonObject:
    """Return the settings with markers in place of the secrets. Only editors see what follows the host in the URL."""
    masked = SETTINGS.masked(kind, visible, hints)
    return masked if is_editor else {**masked, "url": _without_path(str(masked["url"]))}


def _without_path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def _lock(
    org: Org, by: Principal, pipeline_id: UUID, follow_up_id: UUID, match: Match
) -> tuple[Pipeline, FollowUp]:
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    by.require(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)
    rows = FollowUp.objects.for_org(org).filter(pipeline=pipeline)
    follow_up = find_object(rows, follow_up_id, lock=True)
    require_match(match, follow_up.etag)
    return pipeline, follow_up


def _save(
    org: Org,
    by: Principal,
    action: str,
    pipeline: Pipeline,
    follow_up: FollowUp,
    changes: FollowUpChanges,
) -> FollowUp:
    audited: dict[str, Any] = {}
    if "settings" in changes:
        audited |= SETTINGS.store(org, follow_up, changes["settings"])
    for name in AUDITED:
        old, new = getattr(follow_up, name), changes.get(name, getattr(follow_up, name))
        if old != new:
            audited[name] = [old or None, new]
            setattr(follow_up, name, new)
    with refused_as(FollowUpNameTaken, "alerts_followup_name"):
        follow_up.save()
    _record(org, by, action, pipeline, follow_up, audited)
    return follow_up


def _record(
    org: Org,
    by: Principal,
    action: str,
    pipeline: Pipeline,
    follow_up: FollowUp,
    changes: dict[str, Any],
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="follow_up",
        object_id=follow_up.pk,
        object_label=follow_up.name,
        changes={"pipeline_id": [None, str(pipeline.pk)], **changes},
    )
