"""Sync a connected repository to custom sources.

A sync reads the branch in the sandbox (`apps.engine.repository`), outside of transactions. Then it creates a version
for each changed file in one transaction, unless a later sync has started meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.utils import timezone

from apps.auth import names
from apps.connectors import engine
from apps.connectors.custom_sources import edits, outcomes
from apps.connectors.custom_sources.checked_code import CheckedCode
from apps.connectors.custom_sources.outcomes import Outcome
from apps.connectors.exceptions import CustomSourceNameTaken
from apps.connectors.models import CustomSource, Origin, Repository, SyncStatus
from apps.connectors.repositories import sealed
from apps.egress.allowlist import ANY_HOST
from apps.engine.answers import File
from apps.engine.failures import EngineError
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.walls.scope import org_scope

logger = structlog.get_logger(__name__)

LOCATION_FIELDS = ("url", "branch", "path", "username")
APPROVAL_NEEDED_MESSAGE = "The version waits for approval."


def sync(*, org_id: UUID, repository_id: UUID) -> None:
    """Read the branch, and store the result or the failure. Safe to repeat, and to run concurrently."""
    claim = uuid4()
    config = _claim_repository(org_id, repository_id, claim)
    if config is None:
        return
    try:
        content = engine.read_repository(org_id=org_id, config=config)
        _store_result(
            org_id, repository_id, claim, lambda org, row: _update_sources(org, row, content)
        )
    except EngineError as error:
        message = " ".join((error.message, *error.evidence[:1]))
        _store_result(org_id, repository_id, claim, lambda *_: _failed_columns(message))
    except Exception:
        # This is the outermost handler of the task. Without it the status would remain "running".
        message = "The sync failed because of an error in Drover; try again."
        _store_result(org_id, repository_id, claim, lambda *_: _failed_columns(message))
        raise


def _claim_repository(org_id: UUID, repository_id: UUID, claim: UUID) -> dict[str, Any] | None:
    """Start a sync, and return the location and token of the repository. Return None if it may not be synced now."""
    with org_scope(org_id):
        repository = _lock_repository(org_id, repository_id)
        org = Org.objects.filter(pk=org_id).first()
        if org is None or repository is None or org.suspended_at or org.deletion_at:
            return None
        repository.claim, repository.status = claim, SyncStatus.RUNNING
        repository.save(update_fields=["claim", "status"])
        token = sealed.unseal(org, repository)["token"]
        return {**{name: getattr(repository, name) for name in LOCATION_FIELDS}, "token": token}


def _store_result(
    org_id: UUID,
    repository_id: UUID,
    claim: UUID,
    compute_columns: Callable[[Org, Repository], dict[str, Any]],
) -> None:
    """Write the columns that `compute_columns` returns, unless a later sync has started."""
    with org_scope(org_id):
        repository = _lock_repository(org_id, repository_id)
        if repository is None or repository.claim != claim:
            logger.info("a later sync has started", repository=str(repository_id))
            return
        columns = compute_columns(Org.objects.get(pk=org_id), repository)
        for name, value in {**columns, "synced_at": timezone.now(), "claim": None}.items():
            setattr(repository, name, value)
        repository.save()


def _failed_columns(message: str) -> dict[str, Any]:
    return {"status": SyncStatus.FAILED, "message": names.clean_name(message, max_length=1000)}


def _update_sources(org: Org, repository: Repository, content: Mapping[str, Any]) -> dict[str, Any]:
    """Create versions from the files, and archive the sources of missing files. Return the columns with the results."""
    rows = CustomSource.objects.for_org(org).filter(repository=repository)
    sources = {row.repository_path: row for row in rows.select_for_update()}
    archived_paths = {
        outcome["path"] for outcome in repository.outcomes if outcome["outcome"] == "archived"
    }
    update = _SourceUpdate(org, repository, content, sources, archived_paths)
    results = [update.save_file(file) for file in content["files"]]
    results += update.archive_missing()
    has_failures = any(outcome["outcome"] == "failed" for outcome in results)
    return {
        "status": SyncStatus.PARTLY if has_failures else SyncStatus.SUCCEEDED,
        "message": "",
        "outcomes": results,
        **{name: content[name] for name in ("commit", "committed_at")},
        **{name: names.clean_name(content[name], max_length=200) for name in ("author", "subject")},
    }


class _SourceUpdate:
    """Updates the custom sources of a repository to one commit."""

    def __init__(
        self,
        org: Org,
        repository: Repository,
        content: Mapping[str, Any],
        sources: dict[str, CustomSource],
        archived_paths: set[str],
    ) -> None:
        self._org = org
        self._repository = repository
        self._content = content
        self._unmatched_sources = sources  # sources whose file was not processed yet
        self._archived_paths = archived_paths

    def save_file(self, file: File) -> Outcome:
        path = file["path"]
        source = self._unmatched_sources.pop(path, None)
        if problem := outcomes.find_problem(file):
            return outcomes.build_outcome(path, "failed", message=problem, source=source)
        content = self._content
        checked_code = outcomes.checked_code_from_file(
            file, note=content["subject"], commit=content["commit"], author=content["author"]
        )
        if source is not None:
            return self._update(source, path, checked_code)
        try:
            created = edits.add(
                org=self._org,
                by=SYSTEM,
                name=outcomes.source_name(path),
                checked_code=checked_code,
                origin=Origin.REPOSITORY,
                repository=self._repository,
                repository_path=path,
            )
        except CustomSourceNameTaken:
            message = f"Another custom source has the name {outcomes.source_name(path)}: rename the source or the file."
            return outcomes.build_outcome(path, "failed", message=message)
        return outcomes.build_outcome(
            path, "created", message=APPROVAL_NEEDED_MESSAGE, source=created
        )

    def archive_missing(self) -> list[Outcome]:
        results = []
        for path, source in sorted(self._unmatched_sources.items()):
            edits.set_archived(org=self._org, by=SYSTEM, source=source, archived=True)
            message = "The file was removed; pipelines that use the source keep running."
            results.append(outcomes.build_outcome(path, "archived", message=message, source=source))
        return results

    def _update(self, source: CustomSource, path: str, checked_code: CheckedCode) -> Outcome:
        before = source.latest
        if path in self._archived_paths:
            edits.set_archived(org=self._org, by=SYSTEM, source=source, archived=False)
        edits.change(org=self._org, by=SYSTEM, source=source, checked_code=checked_code)
        if source.latest == before:
            return outcomes.build_outcome(path, "unchanged", source=source)
        approved = self._repository.approves and self._approve(source)
        message = "" if approved else APPROVAL_NEEDED_MESSAGE
        return outcomes.build_outcome(path, "updated", message=message, source=source)

    def _approve(self, source: CustomSource) -> bool:
        """Approve the latest version if the approved version already has all of its hosts."""
        if source.approved is None:
            return False
        old_hosts, new_hosts = (
            set(edits.find_version(self._org, source, number).report["hosts"])
            for number in (source.approved, source.latest)
        )
        if ANY_HOST in new_hosts or not new_hosts <= old_hosts:
            return False
        edits.approve_version(org=self._org, by=SYSTEM, source=source, number=source.latest)
        return True


def _lock_repository(org_id: UUID, repository_id: UUID) -> Repository | None:
    rows = Repository.objects.for_org(org_id).filter(pk=repository_id)
    repository: Repository | None = rows.select_for_update().first()
    return repository
