"""Saved filters of the list of pipelines. A view belongs to one member, and ends with the membership."""

from __future__ import annotations

from typing import TypedDict
from uuid import UUID

from apps.auth.constraints import refused_as
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.exceptions import Conflict, SessionNeeded
from apps.orgs.models import Membership, Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.tenancy import OrgQuerySet
from apps.orgs.versions import Match, require_match
from apps.pipelines.models import SavedView

MAX_VIEWS = 50  # of one member


class ViewNameTaken(Conflict):
    """Another of your views has this name."""

    code = "name_taken"


class TooManyViews(Conflict):
    """You have 50 views, which is the most: delete one first."""

    code = "too_many_views"


class ViewChanges(TypedDict, total=False):
    """Changes of a view. A value that is left out does not change."""

    name: str
    filter: JsonObject


def views(org: Org, by: Principal) -> OrgQuerySet[SavedView]:
    """Return the principal's own views."""
    return SavedView.objects.for_org(org).filter(membership_id=_membership_id(by))


def _membership_id(by: Principal) -> UUID:
    if by.membership_id is None:
        raise SessionNeeded
    return by.membership_id


def find_view(*, org: Org, by: Principal, view_id: UUID) -> SavedView:
    """Return the view. Raises NotFound, also for a view of another member."""
    return find_object(views(org, by), view_id)


def create(*, org: Org, by: Principal, values: ViewChanges) -> SavedView:
    """Save a filter; `values` has both values. Raises ViewNameTaken and TooManyViews."""
    # The member is locked, so that two requests cannot both save the last view.
    Membership.objects.for_org(org).select_for_update(no_key=True).get(pk=_membership_id(by))
    if views(org, by).count() >= MAX_VIEWS:
        raise TooManyViews
    view = SavedView(org=org, membership_id=_membership_id(by), **values)
    _save(org, by, "view.create", view)
    return view


def update(
    *, org: Org, by: Principal, view_id: UUID, changes: ViewChanges, match: Match = None
) -> SavedView:
    """Rename a view, or change its filter. Raises NotFound, ChangedMeanwhile and ViewNameTaken."""
    view = find_object(views(org, by), view_id, lock=True)
    require_match(match, view.etag)
    view.name, view.filter = changes.get("name", view.name), changes.get("filter", view.filter)
    view.etag += 1
    _save(org, by, "view.update", view)
    return view


def delete(*, org: Org, by: Principal, view_id: UUID, match: Match = None) -> None:
    """Delete a view. Raises NotFound and ChangedMeanwhile."""
    view = find_object(views(org, by), view_id, lock=True)
    require_match(match, view.etag)
    _record(org, by, "view.delete", view)
    view.delete()


def _save(org: Org, by: Principal, action: str, view: SavedView) -> None:
    with refused_as(ViewNameTaken, "pipelines_view_name"):
        view.save()
    _record(org, by, action, view)


def _record(org: Org, by: Principal, action: str, view: SavedView) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="view",
        object_id=view.pk,
        object_label=view.name,
    )
