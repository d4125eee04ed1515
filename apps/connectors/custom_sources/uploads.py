"""Custom sources out of an uploaded file: a `.py`, or a `.zip` of some."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from apps.connectors.custom_sources import outcomes
from apps.connectors.custom_sources import services as custom_sources
from apps.connectors.custom_sources.outcomes import File, Outcome
from apps.connectors.exceptions import CustomSourceNameTaken
from apps.connectors.models import CustomSource, Origin
from apps.orgs.models import Org
from apps.orgs.principals import Principal


def take(
    *, org: Org, by: Principal, filename: str, files: Sequence[File], approve: bool
) -> list[Outcome]:
    """A source, or a new version of the one with the file's name, for each good file.

    Raises OpenHostsNeedAnAdmin, and then nothing is kept.
    """
    with transaction.atomic():
        return [_take(org, by, filename, file, approve=approve) for file in files]


def _take(org: Org, by: Principal, filename: str, file: File, *, approve: bool) -> Outcome:
    path = file["path"]
    if problem := outcomes.problem(file):
        return outcomes.outcome(path, "failed", message=problem)
    name, text = outcomes.name_of(path), outcomes.text_of(file, note=f"Uploaded {filename}")
    same = CustomSource.objects.for_org(org).filter(name__iexact=name)
    source: CustomSource | None = same.select_for_update().first()
    if source is None:
        try:
            made = custom_sources.create(
                org=org, by=by, name=name, text=text, origin=Origin.UPLOAD, approve=approve
            )
        except CustomSourceNameTaken as error:  # somebody was faster
            return outcomes.outcome(path, "failed", message=str(error))
        return outcomes.outcome(path, "created", source=made)
    if source.repository_id is not None:
        message = f"{source.name} comes from a Git repository: change it there."
        return outcomes.outcome(path, "failed", message=message, source=source)
    before = source.latest
    custom_sources.update(org=org, by=by, source=source, changes={}, text=text, approve=approve)
    word = "updated" if source.latest > before else "unchanged"
    return outcomes.outcome(path, word, source=source)
