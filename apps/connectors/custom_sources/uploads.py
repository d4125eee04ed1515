"""Create custom sources from an uploaded file: a `.py` file, or a `.zip` file with several."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from apps.connectors import engine
from apps.connectors.custom_sources import edits, outcomes
from apps.connectors.custom_sources.outcomes import Outcome
from apps.connectors.exceptions import CustomSourceNameTaken
from apps.connectors.models import CustomSource, Origin
from apps.engine.answers import File
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission


def unpacked(*, org_id: UUID, filename: str, content: str) -> list[File]:
    """Return the files of an upload, using a child process: call it outside every transaction.

    Raises Invalid if it contains no source or cannot be read, and Unavailable.
    """
    found: list[File] = engine.unpack(org_id=org_id, filename=filename, content=content)["files"]
    if not found:
        message = (
            "It contains no source, which is a file *.py whose name does not begin with _ or test_."
        )
        raise Invalid([("content", message, "empty")])
    return found


def take(
    *, org: Org, by: Principal, filename: str, files: Sequence[File], approve: bool
) -> list[Outcome]:
    """Create a source, or a new version of the one with the file's name, for each valid file.

    Raises PermissionMissing and OpenHostsNeedAnAdmin, and then nothing is saved.
    """
    by.require(Permission.CUSTOM_SOURCES_EDIT)
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
            made = edits.add(
                org=org, by=by, name=name, text=text, origin=Origin.UPLOAD, approve=approve
            )
        except CustomSourceNameTaken as error:  # Another request was faster.
            return outcomes.outcome(path, "failed", message=str(error))
        return outcomes.outcome(path, "created", source=made)
    if source.repository_id is not None:
        message = f"{source.name} comes from a Git repository: change it there."
        return outcomes.outcome(path, "failed", message=message, source=source)
    before = source.latest
    edits.change(org=org, by=by, source=source, text=text, approve=approve)
    word = "updated" if source.latest > before else "unchanged"
    return outcomes.outcome(path, word, source=source)
