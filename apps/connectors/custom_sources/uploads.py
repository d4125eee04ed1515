"""Create custom sources from an uploaded file: a `.py` file, or a `.zip` file with several `.py` files."""

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


def unpack(*, org_id: UUID, filename: str, content: str) -> list[File]:
    """Return the files of an upload. This starts a child process, so call it outside of transactions.

    Raises Unavailable, and Invalid if the upload contains no source or cannot be read.
    """
    files: list[File] = engine.unpack(org_id=org_id, filename=filename, content=content)["files"]
    if not files:
        message = (
            "The upload contains no source. A source is a .py file whose name does not begin with _ or"
            " test_."
        )
        raise Invalid([("content", message, "empty")])
    return files


def save_files(
    *, org: Org, by: Principal, filename: str, files: Sequence[File], approve: bool
) -> list[Outcome]:
    """Create a source for each valid file, or a new version if a source with the file's name exists.

    Raises PermissionMissing and AnyHostNeedsAdmin; then nothing is saved.
    """
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    with transaction.atomic():
        return [_save_file(org, by, filename, file, approve=approve) for file in files]


def _save_file(org: Org, by: Principal, filename: str, file: File, *, approve: bool) -> Outcome:
    path = file["path"]
    if problem := outcomes.find_problem(file):
        return outcomes.build_outcome(path, "failed", message=problem)
    name = outcomes.source_name(path)
    checked_code = outcomes.checked_code_from_file(file, note=f"Uploaded {filename}")
    sources_with_name = CustomSource.objects.for_org(org).filter(name__iexact=name)
    source: CustomSource | None = sources_with_name.select_for_update().first()
    if source is None:
        try:
            created = edits.add(
                org=org,
                by=by,
                name=name,
                checked_code=checked_code,
                origin=Origin.UPLOAD,
                approve=approve,
            )
        except CustomSourceNameTaken as error:  # Another request has created it meanwhile.
            return outcomes.build_outcome(path, "failed", message=str(error))
        return outcomes.build_outcome(path, "created", source=created)
    if source.repository_id is not None:
        message = f"{source.name} comes from a Git repository: change it there."
        return outcomes.build_outcome(path, "failed", message=message, source=source)
    before = source.latest
    edits.change(org=org, by=by, source=source, checked_code=checked_code, approve=approve)
    result = "updated" if source.latest > before else "unchanged"
    return outcomes.build_outcome(path, result, source=source)
