"""Clean up after processes that ended during an upload or a deletion of a file."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Min
from django.utils import timezone

from apps.background.retries import apply_to_rows
from apps.connectors.files import content
from apps.connectors.models import FileUpload, UploadedFile
from apps.connectors.storage import FILES, SCRATCH
from apps.orgs.walls.scope import org_scope

# The time for which the limits may count an upload, and for which a lost draft stays.
KEPT = timedelta(hours=1)


def clean_up() -> int:
    """Clean up the files of each org that needs it. Returns the number of orgs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id FROM connectors_orgs_with_old_uploads()")
        org_ids = cursor.fetchall()
    return apply_to_rows(org_ids, _clean_up_org)


def _clean_up_org(org_id: UUID) -> bool:
    now = timezone.now()
    with org_scope(org_id):
        expired = UploadedFile.objects.for_org(org_id).filter(claimed_until__lt=now)
        claims = list(expired.values_list("pk", "claim"))
        uploads = FileUpload.objects.for_org(org_id)
        live = uploads.filter(ended_at=None, alive_until__gte=now)
        oldest_live = live.aggregate(Min("created_at"))["created_at__min"]
        before = min(oldest_live or now, now - KEPT)  # drafts of live uploads are younger
        has_lost_uploads = uploads.filter(ended_at=None, created_at__lt=before).exists()
    for file_id, claim in claims:
        if claim is not None:
            content.settle(org_id, file_id, claim)
    if has_lost_uploads:
        with content.open_store(org_id) as store:
            store.discard_drafts(FILES, SCRATCH, before=before)
    with org_scope(org_id):
        uploads.filter(created_at__lt=before).delete()
    return True


def remove_drafts(org_id: UUID) -> bool:
    """Remove what lost uploads of an org that is being erased have left in a bucket. Returns True."""
    with content.open_store(org_id) as store:
        store.discard_drafts(FILES, SCRATCH, before=timezone.now() + KEPT)
    return True
