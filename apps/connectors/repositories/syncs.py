"""Sync a connected repository to custom sources.

A sync reads the branch in the sandbox (`apps.engine.repository`) and creates a version for each changed file. It
reads outside any transaction, and writes the result in one transaction, unless a later sync has begun meanwhile.
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
from apps.connectors.custom_sources.outcomes import Outcome
from apps.connectors.custom_sources.texts import Text
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

PLACE = ("url", "branch", "path", "username")
WAITS = "It waits for approval."


def sync(*, org_id: UUID, repository_id: UUID) -> None:
    """Read the branch and store the result, failures too. Safe to repeat, and to run concurrently."""
    claim = uuid4()
    wanted = _claimed(org_id, repository_id, claim)
    if wanted is None:
        return
    try:
        found = engine.read_repository(org_id=org_id, config=wanted)
        _conclude(org_id, repository_id, claim, lambda org, row: _taken(org, row, found))
    except EngineError as error:
        words = " ".join((error.message, *error.evidence[:1]))
        _conclude(org_id, repository_id, claim, lambda *_: _failed(words))
    except Exception:  # Outermost handler of the task: otherwise the sync would stay unfinished.
        words = "The sync itself failed; try it again."
        _conclude(org_id, repository_id, claim, lambda *_: _failed(words))
        raise


def _claimed(org_id: UUID, repository_id: UUID, claim: UUID) -> dict[str, Any] | None:
    """Return what to read, or None if there is nothing to do."""
    with org_scope(org_id):
        repository = _locked(org_id, repository_id)
        org = Org.objects.filter(pk=org_id).first()
        if org is None or repository is None or org.suspended_at or org.deletion_at:
            return None
        repository.claim, repository.status = claim, SyncStatus.RUNNING
        repository.save(update_fields=["claim", "status"])
        token = sealed.unseal(org, repository)["token"]
        return {**{name: getattr(repository, name) for name in PLACE}, "token": token}


def _conclude(
    org_id: UUID,
    repository_id: UUID,
    claim: UUID,
    result: Callable[[Org, Repository], dict[str, Any]],
) -> None:
    """Write the columns that `result` returns, unless a later sync has begun."""
    with org_scope(org_id):
        repository = _locked(org_id, repository_id)
        if repository is None or repository.claim != claim:
            logger.info("a later sync has begun", repository=str(repository_id))
            return
        changes = result(Org.objects.get(pk=org_id), repository)
        for name, value in {**changes, "synced_at": timezone.now(), "claim": None}.items():
            setattr(repository, name, value)
        repository.save()


def _failed(message: str) -> dict[str, Any]:
    return {"status": SyncStatus.FAILED, "message": names.clean_name(message, longest=1000)}


def _taken(org: Org, repository: Repository, found: Mapping[str, Any]) -> dict[str, Any]:
    """Create versions from the files, and archive the sources of missing files."""
    rows = CustomSource.objects.for_org(org).filter(repository=repository)
    sources = {row.repository_path: row for row in rows.select_for_update()}
    gone_before = {one["path"] for one in repository.outcomes if one["outcome"] == "archived"}
    taking = _Taking(org, repository, found, sources, gone_before)
    done = [taking.take(file) for file in found["files"]]
    done += taking.archive_the_rest()
    partly = any(one["outcome"] == "failed" for one in done)
    return {
        "status": SyncStatus.PARTLY if partly else SyncStatus.SUCCEEDED,
        "message": "",
        "outcomes": done,
        **{name: found[name] for name in ("commit", "committed_at")},
        **{name: names.clean_name(found[name], longest=200) for name in ("author", "subject")},
    }


class _Taking:
    """The update of a repository's sources to one commit."""

    def __init__(
        self,
        org: Org,
        repository: Repository,
        found: Mapping[str, Any],
        sources: dict[str, CustomSource],
        gone_before: set[str],
    ) -> None:
        self._org = org
        self._repository = repository
        self._found = found
        self._left = sources  # sources whose file was not seen yet
        self._gone_before = gone_before

    def take(self, file: File) -> Outcome:
        path = file["path"]
        source = self._left.pop(path, None)
        if problem := outcomes.problem(file):
            return outcomes.outcome(path, "failed", message=problem, source=source)
        found = self._found
        text = outcomes.text_of(
            file, note=found["subject"], commit=found["commit"], author=found["author"]
        )
        if source is not None:
            return self._update(source, path, text)
        try:
            made = edits.add(
                org=self._org,
                by=SYSTEM,
                name=outcomes.name_of(path),
                text=text,
                origin=Origin.REPOSITORY,
                repository=self._repository,
                repository_path=path,
            )
        except CustomSourceNameTaken:
            message = f"Another custom source has the name {outcomes.name_of(path)}: rename it, or the file."
            return outcomes.outcome(path, "failed", message=message)
        return outcomes.outcome(path, "created", message=WAITS, source=made)

    def archive_the_rest(self) -> list[Outcome]:
        done = []
        for path, source in sorted(self._left.items()):
            edits.set_archived(org=self._org, by=SYSTEM, source=source, archived=True)
            message = "The file was removed; pipelines that use the source keep running."
            done.append(outcomes.outcome(path, "archived", message=message, source=source))
        return done

    def _update(self, source: CustomSource, path: str, text: Text) -> Outcome:
        before = source.latest
        if path in self._gone_before:
            edits.set_archived(org=self._org, by=SYSTEM, source=source, archived=False)
        edits.change(org=self._org, by=SYSTEM, source=source, text=text)
        if source.latest == before:
            return outcomes.outcome(path, "unchanged", source=source)
        approved = self._repository.approves and self._approve(source)
        waits = "" if approved else WAITS
        return outcomes.outcome(path, "updated", message=waits, source=source)

    def _approve(self, source: CustomSource) -> bool:
        """Approve a version that needs only hosts which the approved version has too."""
        if source.approved is None:
            return False
        old, new = (
            set(edits.version(self._org, source, number).report["hosts"])
            for number in (source.approved, source.latest)
        )
        if ANY_HOST in new or not new <= old:
            return False
        edits.approve_version(org=self._org, by=SYSTEM, source=source, number=source.latest)
        return True


def _locked(org_id: UUID, repository_id: UUID) -> Repository | None:
    rows = Repository.objects.for_org(org_id).filter(pk=repository_id)
    found: Repository | None = rows.select_for_update().first()
    return found
