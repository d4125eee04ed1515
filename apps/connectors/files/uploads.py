"""Upload a file: begin, receive its content, and store it under its name at once.

`begin` checks everything that can be checked before the content arrives. The content is written to a draft that nobody
can read. Then `Upload.claim` checks everything again, because minutes may have passed, and claims the row of the file
(`apps.connectors.files.content`). `Upload.store` makes the content visible, and `Upload.finish` updates the row.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import NamedTuple
from uuid import UUID, uuid4

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from apps.auth.constraints import violates
from apps.background.database_errors import first_line
from apps.background.retries import DATABASE_UNAVAILABLE
from apps.connectors.exceptions import FileBusy, FileNameTaken, UploadEnded
from apps.connectors.files import content, limits
from apps.connectors.files.services import files, require_edit
from apps.connectors.models import FileUpload, UploadedFile
from apps.connectors.storage import FILES
from apps.engine.failures import Unavailable
from apps.engine.stores import Draft, Store
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.versions import Match, require_match
from apps.orgs.walls.scope import org_scope

logger = structlog.get_logger(__name__)


def begin(*, org: Org, by: Principal, name: str, size: int) -> Upload:
    """Begin to upload a new file. Raises PermissionMissing, FileNameTaken, and what `limits.reserve` raises."""
    require_edit(by)
    if UploadedFile.objects.for_org(org).complete().filter(name__iexact=name).exists():
        raise FileNameTaken
    reservation = limits.reserve(org=org, size=size, replaced_size=None)
    return Upload(org, reservation, name=name)


def begin_replacement(
    *, org: Org, by: Principal, file_id: UUID, size: int, match: Match = None
) -> Upload:
    """Begin to replace the content of a file. Raises NotFound, PermissionMissing, ChangedMeanwhile, and what
    `limits.reserve` raises.
    """
    file = find_object(files(org, by), file_id)
    require_edit(by)
    require_match(match, file.version)
    reservation = limits.reserve(org=org, size=size, replaced_size=file.size)
    return Upload(org, reservation, name=file.name, file_id=file_id, match=match)


def put(*, org: Org, by: Principal, name: str, data: bytes) -> None:
    """Store a small file, or replace it if its size differs. Only for commands: the transaction waits for the storage."""
    with org_scope(org.pk):
        try:
            existing = files(org, by).filter(name=name).first()
            if existing is None:
                _store(begin(org=org, by=by, name=name, size=len(data)), by, data)
                return
        except FileNameTaken:  # An older release has stored it, without a row.
            existing = files(org, by).get(name=name)
        if existing.size != len(data):
            replacement = begin_replacement(org=org, by=by, file_id=existing.pk, size=len(data))
            _store(replacement, by, data)


def _store(upload: Upload, by: Principal, data: bytes) -> None:
    try:
        upload.open()
        upload.write(data)
        upload.flush()
        upload.claim(by)
        upload.store()
        upload.finish(by)
    finally:
        upload.close()


class _Claimed(NamedTuple):
    file_id: UUID
    claim: UUID


class Upload:
    """One upload, which is also the sink of its content (`apps.web.uploads.Sink`). `file_id` is None for a new file."""

    def __init__(
        self,
        org: Org,
        reservation: FileUpload,
        *,
        name: str,
        file_id: UUID | None = None,
        match: Match = None,
    ) -> None:
        self.org = org
        self.name = name
        self._upload_id = reservation.pk
        self._size = reservation.bytes
        self._received = 0
        self._replaced_id, self._match = file_id, match
        self._claimed: _Claimed | None = None
        self._store: Store | None = None
        self._draft: Draft | None = None
        self._resources = ExitStack()

    # The sink, outside every scope.

    def open(self) -> None:
        with content.storage_errors():
            self._store = self._resources.enter_context(content.open_store(self.org.pk))
            existing_size = self._store.size(f"{FILES}{self.name}")
            if self._replaced_id is None and existing_size is not None:
                self._adopt(existing_size)
            self._draft = content.begin_draft(
                self._store, name=self.name, upload_id=self._upload_id
            )

    def write(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._size:
            raise limits.too_large()
        with content.storage_errors():
            self._open_draft.write(data)

    def flush(self) -> None:
        with content.storage_errors():
            self._open_draft.flush()

    def keep_alive(self) -> None:
        try:
            with org_scope(self.org.pk):
                is_alive = limits.renew(self.org.pk, self._upload_id)
        except DATABASE_UNAVAILABLE as error:  # The lease is longer than most outages.
            logger.warning("lease of an upload was not renewed", error=first_line(error))
            return
        if not is_alive:
            raise UploadEnded

    def close(self) -> None:
        """Remove the draft, and release the claim if the upload has failed after it was claimed."""
        try:
            with suppress(Unavailable), content.storage_errors(), self._resources:
                if self._draft is not None:
                    self._draft.discard()
            if self._claimed is not None:
                content.try_to_settle(self.org.pk, self._claimed.file_id, self._claimed.claim)
        finally:
            self._end()

    def _end(self) -> None:
        try:
            with org_scope(self.org.pk):
                limits.end(self.org.pk, self._upload_id)
        except DATABASE_UNAVAILABLE as error:  # The reservation ends with its lease.
            logger.warning("reservation of an upload was not released", error=first_line(error))

    # The steps after the content has arrived.

    def claim(self, by: Principal) -> None:
        """Check again whether the file may be stored, and claim its row, inside the org's scope.

        Raises PermissionMissing, NotFound, ChangedMeanwhile, FileNameTaken, FileBusy and UploadEnded.
        """
        require_edit(by)
        if not limits.renew(self.org.pk, self._upload_id):
            raise UploadEnded
        if self._replaced_id is None:
            self._claim_name(by)
            return
        file = find_object(files(self.org, by), self._replaced_id, lock=True)
        require_match(self._match, file.version)
        self._claimed = _Claimed(file.pk, content.claim(file))

    def store(self) -> None:
        """Make the content visible, outside every scope."""
        with content.storage_errors():
            self._open_draft.commit()

    def finish(self, by: Principal) -> UploadedFile:
        """Update the row, inside the org's scope. Returns the file. Raises FileBusy if the claim was lost."""
        if (claimed := self._claimed) is None:
            raise RuntimeError("the file was not claimed")
        files_of_org = UploadedFile.objects.for_org(self.org)
        rows = files_of_org.filter(pk=claimed.file_id, claim=claimed.claim)
        before = rows.values_list("size", flat=True).first()
        is_new = self._replaced_id is None
        updated = rows.update(
            size=self._received,
            version=F("version") + int(not is_new),
            claim=None,
            claimed_until=None,
            uploaded_by_id=by.user_id,
            updated_at=timezone.now(),
        )
        if not updated:
            raise FileBusy
        self._claimed = None
        limits.end(self.org.pk, self._upload_id)
        audit.record(
            org=self.org,
            by=by,
            action="file.upload" if is_new else "file.replace",
            object_kind="file",
            object_id=claimed.file_id,
            object_label=self.name,
            changes={"bytes": [before, self._received]},
        )
        return files_of_org.get(pk=claimed.file_id)

    @property
    def _open_draft(self) -> Draft:
        if self._draft is None:
            raise RuntimeError("the upload was not opened")
        return self._draft

    def _claim_name(self, by: Principal) -> None:
        """Create the row of a new file, or take over a row whose upload did not end."""
        claim, now = uuid4(), timezone.now()
        file = UploadedFile(
            org=self.org,
            name=self.name,
            claim=claim,
            claimed_until=now + content.CLAIM_LIFETIME,
            uploaded_by_id=by.user_id,
        )
        try:
            with transaction.atomic():
                file.save(force_insert=True)
            self._claimed = _Claimed(file.pk, claim)
        except IntegrityError as error:
            if not violates(error, "connectors_file_name"):
                raise
            self._take_over_unfinished_row()

    def _take_over_unfinished_row(self) -> None:
        rows = UploadedFile.objects.for_org(self.org)
        if rows.complete().filter(name__iexact=self.name).exists():
            raise FileNameTaken from None
        file = rows.filter(name=self.name, size=None).select_for_update().first()
        if file is None:
            raise FileBusy from None
        self._claimed = _Claimed(file.pk, content.claim(file))

    def _adopt(self, size: int) -> None:
        """Add the row of content that has none, and refuse the upload.

        Somebody has copied the file into the storage, or a process ended after it had stored an upload.
        """
        rows = UploadedFile.objects.for_org(self.org)
        try:
            with org_scope(self.org.pk):
                UploadedFile.unscoped.create(org=self.org, name=self.name, size=size)
        except IntegrityError as error:
            if not violates(error, "connectors_file_name"):
                raise
            with org_scope(self.org.pk):
                unfinished = rows.filter(
                    name=self.name, size=None, claimed_until__lt=timezone.now()
                ).first()
            if unfinished is not None and unfinished.claim is not None:
                content.settle(self.org.pk, unfinished.pk, unfinished.claim)
        raise FileNameTaken
