"""Register the queue and the exports of this app."""

from __future__ import annotations

from apps.background.registry import Export, Queue, add_eraser, add_exports, add_queue, add_sweep
from apps.connectors.files import sweeping
from apps.connectors.models import (
    Connector,
    CustomSource,
    CustomSourceVersion,
    Repository,
    UploadedFile,
)
from apps.connectors.repositories import services as repositories

add_queue(Queue(repositories.QUEUE, concurrency=1, retries_lost_jobs=True))
add_sweep(sweeping.clean_up)
add_eraser(sweeping.remove_drafts)
add_exports(
    Export("file", UploadedFile, ("id", "name", "size", "version", "created_at", "updated_at")),
    Export(
        "connector",
        Connector,
        ("id", "name", "role", "kind", "config", "domain_id", "description", "created_at"),
    ),
    Export(
        "repository",
        Repository,
        ("id", "url", "branch", "path", "username", "approves", "commit", "created_at"),
    ),
    Export(
        "custom_source",
        CustomSource,
        (
            "id",
            "name",
            "description",
            "origin",
            "repository_id",
            "repository_path",
            "latest",
            "approved",
            "archived_at",
            "created_at",
        ),
    ),
    Export(
        "custom_source_version",
        CustomSourceVersion,
        (
            "id",
            "source_id",
            "number",
            "code",
            "note",
            "commit",
            "author",
            "created_at",
            "approved_at",
        ),
    ),
)
