"""The stored content of uploaded files, and how a row and its content change together.

The database cannot change the storage. So whoever changes a file's content first claims the row, then changes the
storage outside every transaction, and then updates the row, if it still has the claim. If a process ends between these
steps, the claim expires, and `settle` updates the row with what the storage contains.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from django.db.models import F
from django.utils import timezone

from apps.connectors.exceptions import FileBusy
from apps.connectors.models import UploadedFile
from apps.connectors.storage import FILES, SCRATCH, uploads_root
from apps.engine.failures import EngineError, Unavailable
from apps.engine.stores import Draft, Store
from apps.engine.stores.opening import open_root
from apps.orgs.walls.scope import org_scope

logger = structlog.get_logger(__name__)

CLAIM_LIFETIME = timedelta(minutes=2)


def begin_draft(store: Store, *, name: str, upload_id: UUID) -> Draft:
    # A backup leaves out files whose names look like this.
    return store.draft(f"{FILES}{name}", f"{SCRATCH}.{upload_id}.tmp-draft")


@contextmanager
def open_store(org_id: UUID) -> Iterator[Store]:
    """Open the org's storage. Its errors become Unavailable, because the request did not cause them."""
    with storage_errors():
        store = open_root(uploads_root(org_id))
        try:
            yield store
        finally:
            store.close()


@contextmanager
def storage_errors() -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        logger.warning("file storage failed", error=error.message, evidence=error.evidence)
        message = "The storage of uploaded files is not available: try again later."
        raise Unavailable(message) from error


def claim(file: UploadedFile) -> UUID:
    """Claim a locked row. Returns the claim. Raises FileBusy if another change has claimed it."""
    now = timezone.now()
    if file.claim is not None and file.claimed_until is not None and file.claimed_until > now:
        raise FileBusy
    file.claim, file.claimed_until = uuid4(), now + CLAIM_LIFETIME
    file.save(update_fields=["claim", "claimed_until"])
    return file.claim


def try_to_settle(org_id: UUID, file_id: UUID, held_claim: UUID) -> None:
    """Call `settle`, if the storage is available. Otherwise the sweep calls it after the claim has expired."""
    with contextlib.suppress(Unavailable):
        settle(org_id, file_id, held_claim)


def settle(org_id: UUID, file_id: UUID, held_claim: UUID) -> bool:
    """Update a claimed row with what the storage contains, and release it. Returns False if the claim is lost."""
    with org_scope(org_id):
        rows = UploadedFile.objects.for_org(org_id).filter(pk=file_id, claim=held_claim)
        file = rows.first()
    if file is None:
        return False
    with open_store(org_id) as store:
        size = store.size(f"{FILES}{file.name}")
        if size is None:
            next(iter(store.entries(FILES)), None)  # Raises if the bucket itself is missing.
    with org_scope(org_id):
        rows = UploadedFile.objects.for_org(org_id).filter(pk=file_id, claim=held_claim)
        if size is None:
            rows.delete()
        elif size == file.size:
            rows.update(claim=None, claimed_until=None)
        else:
            rows.update(
                claim=None,
                claimed_until=None,
                size=size,
                version=F("version") + int(file.size is not None),
                updated_at=timezone.now(),
            )
    return True
