"""Limit how many uploads an org may begin in a minute and have at once, and how much its files may store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from apps.connectors.exceptions import FileLimitReached
from apps.connectors.models import FileUpload, UploadedFile
from apps.orgs.models import Org
from apps.web.problems import Problem

MINUTE = timedelta(minutes=1)
LEASE = timedelta(minutes=5)  # renewed while the body arrives
# The uploads of one org are counted one after the other, so that each count has all before it. The lock ends with the
# transaction.
LOCK_COUNTS = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
LOCK_CLASS = 0x66696C65  # the first key of these locks


def reserve(*, org: Org, size: int, replaced_size: int | None) -> FileUpload:
    """Reserve `size` bytes for an upload that begins now. `replaced_size` is None for a new file.

    Raises FileLimitReached, Problem 413 for a file that is too large, and Problem 429 for too many uploads.
    """
    if size > settings.FILE_SIZE:
        raise too_large()
    with connection.cursor() as cursor:
        cursor.execute(LOCK_COUNTS, [LOCK_CLASS, str(org.pk)])
    now = timezone.now()
    _check_rate(org.pk)
    if replaced_size is None:
        _check_count(org.pk)
    limit = settings.FILES_SIZE_PER_ORG
    if stored_bytes(org.pk) + _reserved_bytes(org.pk) + size - (replaced_size or 0) > limit:
        message = f"The uploaded files of this organization may need {limit // 10**6:,} MB together: delete some first."
        raise FileLimitReached(message, what="bytes", limit=limit)
    return FileUpload.unscoped.create(org=org, bytes=size, alive_until=now + LEASE)


def renew(org_id: UUID, upload_id: UUID) -> bool:
    """Extend the lease of an upload. Returns False if the upload has ended."""
    rows = FileUpload.objects.for_org(org_id).filter(pk=upload_id, ended_at=None)
    return bool(rows.update(alive_until=timezone.now() + LEASE))


def end(org_id: UUID, upload_id: UUID) -> None:
    """Release what the upload has reserved."""
    now = timezone.now()
    rows = FileUpload.objects.for_org(org_id).filter(pk=upload_id, ended_at=None)
    rows.update(ended_at=now)


def stored_bytes(org_id: UUID) -> int:
    """Return the bytes that the uploaded files of the org need."""
    return UploadedFile.objects.for_org(org_id).aggregate(total=Sum("size"))["total"] or 0


def read(org_id: UUID) -> dict[str, int]:
    """Return the limits of sizes, and what the files need."""
    return {
        "max_file_bytes": settings.FILE_SIZE,
        "max_bytes": settings.FILES_SIZE_PER_ORG,
        "used_bytes": stored_bytes(org_id),
    }


def too_large() -> Problem:
    message = f"A file may have at most {settings.FILE_SIZE // 10**6:,} MB."
    return Problem(413, message, "too_large", extra={"limit": settings.FILE_SIZE})


def _reserved_bytes(org_id: UUID) -> int:
    return _live_uploads(org_id).aggregate(total=Sum("bytes"))["total"] or 0


def _live_uploads(org_id: UUID) -> Any:
    return FileUpload.objects.for_org(org_id).filter(ended_at=None, alive_until__gt=timezone.now())


def _check_rate(org_id: UUID) -> None:
    at_once = settings.FILE_UPLOADS_PER_ORG_AT_ONCE
    if _live_uploads(org_id).count() >= at_once:
        raise _too_many(f"This organization has {at_once} uploads at once, its limit", at_once)
    per_minute = settings.FILE_UPLOADS_PER_ORG_PER_MINUTE
    since = timezone.now() - MINUTE
    if FileUpload.objects.for_org(org_id).filter(created_at__gt=since).count() >= per_minute:
        raise _too_many(
            f"This organization has begun {per_minute} uploads in a minute, its limit", per_minute
        )


def _too_many(message: str, limit: int) -> Problem:
    return Problem(
        429,
        f"{message}: try again shortly.",
        "too_many_uploads",
        headers={"Retry-After": "10"},
        extra={"limit": limit},
    )


def _check_count(org_id: UUID) -> None:
    limit = settings.FILES_PER_ORG
    if UploadedFile.objects.for_org(org_id).count() >= limit:
        message = f"This organization has {limit:,} uploaded files, its limit: delete some first."
        raise FileLimitReached(message, what="files", limit=limit)
