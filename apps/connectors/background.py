"""Register the queue and the exports of this app."""

from __future__ import annotations

from apps.background.registry import Export, Queue, add_exports, add_queue
from apps.connectors.models import Connector, CustomSource, CustomSourceVersion, Repository
from apps.connectors.repositories import services as repositories

add_queue(Queue(repositories.QUEUE, concurrency=1, retries_lost_jobs=True))
add_exports(
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
