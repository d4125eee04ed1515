"""Actions on uploaded files. Uploads are in `apps.connectors.files.uploads`.

Files belong to the whole org. So a key that is limited to a domain sees none of them, and a domain role does not allow
to change them.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from apps.connectors.exceptions import FileBusy, FileInUse
from apps.connectors.files import content, users
from apps.connectors.models import UploadedFile, UploadedFileQuerySet
from apps.connectors.storage import FILES
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match, require_match

MAX_NAMED_USERS = 5


def files(org: Org, by: Principal) -> UploadedFileQuerySet:
    """Return the files that the principal can see."""
    rows = UploadedFile.objects.for_org(org).complete()
    return rows if by.only_domain is None else rows.none()


def find_file(*, org: Org, by: Principal, file_id: UUID) -> UploadedFile:
    """Return the file with its uploader. Raises NotFound."""
    file: UploadedFile = find_object(files(org, by).select_related("uploaded_by"), file_id)
    return file


def require_edit(by: Principal) -> None:
    by.require(Permission.CONNECTORS_EDIT)


def begin_deletion(*, org: Org, by: Principal, file_id: UUID, match: Match = None) -> Deletion:
    """Claim a file to delete it. Raises NotFound, PermissionMissing, ChangedMeanwhile and FileBusy.

    Raises FileInUse if connectors or pipelines read the file by its name. Those that read it by a pattern do not
    prevent the deletion: they read the other files.
    """
    file = find_object(files(org, by), file_id, lock=True)
    require_edit(by)
    require_match(match, file.version)
    readers = [use for use in users.find_users(org, [file.name])[file.name] if not use.by_pattern]
    if readers:
        raise _in_use(readers)
    return Deletion(org, file, content.claim(file))


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion of a claimed file."""

    org: Org
    file: UploadedFile
    claim: UUID

    def remove(self) -> None:
        """Remove the content, outside every scope."""
        with content.open_store(self.org.pk) as store:
            store.delete([f"{FILES}{self.file.name}"])

    def finish(self, by: Principal) -> None:
        """Delete the row, inside the org's scope. Raises FileBusy if the claim was lost."""
        rows = UploadedFile.objects.for_org(self.org).filter(pk=self.file.pk, claim=self.claim)
        if not rows.delete()[0]:
            raise FileBusy
        audit.record(
            org=self.org,
            by=by,
            action="file.delete",
            object_kind="file",
            object_id=self.file.pk,
            object_label=self.file.name,
            changes={"bytes": [self.file.size, None]},
        )

    def give_up(self) -> None:
        """Release the claim after an error, outside every scope."""
        content.try_to_settle(self.org.pk, self.file.pk, self.claim)


def _in_use(readers: list[users.FileUser]) -> FileInUse:
    labels = [f"the {use.type} {use.name}" for use in readers[:MAX_NAMED_USERS]]
    if more := len(readers) - len(labels):
        labels.append(f"{more} more")
    return FileInUse(
        f"This file is read by {', '.join(labels)}: change or delete them first.",
        used_by=[{"type": use.type, "id": str(use.id), "name": use.name} for use in readers],
    )
