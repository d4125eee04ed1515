"""The verbs of connected Git repositories: connect, change, sync, disconnect.

A sync reads the branch in the sandbox (`apps.engine.repository`) and makes a version of each file that
changed. It holds no transaction while it reads; what it found is written in one, if no later sync began meanwhile.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone
from procrastinate.exceptions import AlreadyEnqueued

from apps.auth import names
from apps.background import jobs
from apps.connectors import engine
from apps.connectors.custom_sources import outcomes
from apps.connectors.custom_sources import services as custom_sources
from apps.connectors.custom_sources.outcomes import File, Outcome
from apps.connectors.exceptions import CustomSourceNameTaken, RepositoryConnected
from apps.connectors.models import CustomSource, Origin, Repository, SyncStatus
from apps.egress.allowlist import ANY
from apps.engine.failures import EngineError
from apps.orgs import audit, vault
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM, Principal, system
from apps.orgs.tenancy import org_scope

logger = structlog.get_logger(__name__)

SYNC = "connectors.sync_repository"
QUEUE = "repositories"  # reading one may take two minutes
SEALED_FOR = "repository"
PLACE = ("url", "branch", "path", "username")
SETTINGS = (*PLACE, "approves")
WAITS = "It waits for approval."
WEBHOOK = system("Webhook")


def connect(*, org: Org, by: Principal, fields: Mapping[str, Any]) -> tuple[Repository, str]:
    """The repository, and the secret its webhook signs with, which is shown once. Raises RepositoryConnected."""
    repository = Repository(org=org, created_by_id=by.user_id)
    for name in SETTINGS:
        setattr(repository, name, fields[name])
    webhook_secret = secrets.token_urlsafe(32)
    _seal(org, repository, {"token": fields.get("token", ""), "webhook_secret": webhook_secret})
    with transaction.atomic():
        _save(repository, new=True)
        changes = {name: [None, getattr(repository, name)] for name in SETTINGS}
        _record(org, by, "repository.create", repository, changes)
        ask(org=org, by=by, repository=repository)
    return repository, webhook_secret


def change(
    *, org: Org, by: Principal, repository: Repository, changes: Mapping[str, Any]
) -> Repository:
    """Change a locked repository. Its token stays only where it was for: another address asks for it again.

    Raises Invalid and RepositoryConnected.
    """
    sealed = _unseal(org, repository)
    changed: dict[str, Any] = {}
    for name in SETTINGS:
        if name in changes and changes[name] != getattr(repository, name):
            changed[name] = [getattr(repository, name), changes[name]]
            setattr(repository, name, changes[name])
    if "url" in changed and sealed["token"] and "token" not in changes:
        raise Invalid([("token", "Another address needs the token again.", "required")])
    if "token" in changes and changes["token"] != sealed["token"]:
        before = _hint(repository)
        _seal(org, repository, {**sealed, "token": changes["token"]})
        changed["token"] = [before, _hint(repository)]
    if changed:
        repository.etag += 1
        repository.claim = None  # what is being read now is another place's
        _save(repository)
        _record(org, by, "repository.update", repository, changed)
        ask(org=org, by=by, repository=repository)
    return repository


def renew_webhook_secret(*, org: Org, by: Principal, repository: Repository) -> str:
    """A new secret for a locked repository; the old one signs nothing any more."""
    webhook_secret = secrets.token_urlsafe(32)
    _seal(org, repository, {**_unseal(org, repository), "webhook_secret": webhook_secret})
    repository.etag += 1
    _save(repository)
    _record(org, by, "repository.renew_webhook_secret", repository, {})
    return webhook_secret


def disconnect(*, org: Org, by: Principal, repository: Repository) -> None:
    """Its sources stay, with their versions, and can be edited from now on."""
    pk, label = repository.pk, str(repository)
    repository.delete()
    audit.record(
        org=org,
        by=by,
        action="repository.delete",
        object_kind="repository",
        object_id=pk,
        object_label=label,
        changes={name: [getattr(repository, name), None] for name in SETTINGS},
    )


def ask(*, org: Org, by: Principal, repository: Repository) -> None:
    """A sync soon. One that waits already serves everybody who asked."""
    lock = f"repository:{repository.pk}"
    about = {"org_id": str(org.pk), "repository_id": str(repository.pk)}
    with transaction.atomic():
        try:
            with transaction.atomic():
                jobs.defer(SYNC, queue=QUEUE, about=about, lock=lock)
        except AlreadyEnqueued:
            return
        if repository.status != SyncStatus.RUNNING:
            repository.status = SyncStatus.WAITING
            repository.save(update_fields=["status"])
        _record(org, by, "repository.sync", repository, {})


def is_signed(org: Org, repository: Repository, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the sender of a webhook knows its secret.

    GitHub, Gitea, Forgejo and Bitbucket sign the body (HMAC-SHA256, hex); GitLab sends the secret itself.
    """
    secret = _unseal(org, repository)["webhook_secret"]
    token = headers.get("X-Gitlab-Token")
    if token is not None:
        return hmac.compare_digest(token.encode(), secret.encode())
    given = headers.get("X-Hub-Signature-256") or headers.get("X-Hub-Signature") or ""
    scheme, _, digest = given.partition("=")
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return scheme == "sha256" and hmac.compare_digest(digest.encode(), expected.encode())


def sync(*, org_id: UUID, repository_id: UUID) -> None:
    """Read the branch and write down what became of it, failures too. Safe to run twice, and at once."""
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
    except Exception:  # the edge of the task: nobody else would say that it is over
        words = "The sync itself failed; try it again."
        _conclude(org_id, repository_id, claim, lambda *_: _failed(words))
        raise


def _claimed(org_id: UUID, repository_id: UUID, claim: UUID) -> dict[str, Any] | None:
    """What to read, None when there is nothing to do."""
    with org_scope(org_id):
        repository = _locked(org_id, repository_id)
        org = Org.objects.filter(pk=org_id).first()
        if org is None or repository is None or org.suspended_at or org.deletion_at:
            return None
        repository.claim, repository.status = claim, SyncStatus.RUNNING
        repository.save(update_fields=["claim", "status"])
        token = _unseal(org, repository)["token"]
        return {**{name: getattr(repository, name) for name in PLACE}, "token": token}


def _conclude(
    org_id: UUID,
    repository_id: UUID,
    claim: UUID,
    result: Callable[[Org, Repository], dict[str, Any]],
) -> None:
    """Write the columns that `result` answers, unless a later sync has begun."""
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
    return {"status": SyncStatus.FAILED, "message": names.cleaned(message, longest=1000)}


def _taken(org: Org, repository: Repository, found: Mapping[str, Any]) -> dict[str, Any]:
    """Make versions of what was found, and archive what is gone."""
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
        **{name: names.cleaned(found[name], longest=200) for name in ("author", "subject")},
    }


class _Taking:
    """One commit on its way into the sources of a repository."""

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
        self._left = sources  # those whose file was not seen yet
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
            made = custom_sources.create(
                org=self._org,
                by=SYSTEM,
                name=outcomes.name_of(path),
                text=text,
                origin=Origin.REPOSITORY,
                repository=self._repository,
                repository_path=path,
            )
        except CustomSourceNameTaken:
            message = (
                f"Another custom source is called {outcomes.name_of(path)}: rename it, or the file."
            )
            return outcomes.outcome(path, "failed", message=message)
        return outcomes.outcome(path, "created", message=WAITS, source=made)

    def archive_the_rest(self) -> list[Outcome]:
        done = []
        for path, source in sorted(self._left.items()):
            custom_sources.set_archived(org=self._org, by=SYSTEM, source=source, archived=True)
            message = "The file is gone; pipelines that use it go on."
            done.append(outcomes.outcome(path, "archived", message=message, source=source))
        return done

    def _update(self, source: CustomSource, path: str, text: custom_sources.Text) -> Outcome:
        before = source.latest
        if path in self._gone_before:
            custom_sources.set_archived(org=self._org, by=SYSTEM, source=source, archived=False)
        custom_sources.update(org=self._org, by=SYSTEM, source=source, changes={}, text=text)
        if source.latest == before:
            return outcomes.outcome(path, "unchanged", source=source)
        approved = self._repository.approves and self._approve(source)
        waits = "" if approved else WAITS
        return outcomes.outcome(path, "updated", message=waits, source=source)

    def _approve(self, source: CustomSource) -> bool:
        """Let pipelines run a version that reaches no host the approved one does not."""
        if source.approved is None:
            return False
        old, new = (
            set(custom_sources.version(self._org, source, number).report["hosts"])
            for number in (source.approved, source.latest)
        )
        if ANY in new or not new <= old:
            return False
        custom_sources.approve_version(
            org=self._org, by=SYSTEM, source=source, number=source.latest
        )
        return True


def _locked(org_id: UUID, repository_id: UUID) -> Repository | None:
    rows = Repository.objects.for_org(org_id).filter(pk=repository_id)
    found: Repository | None = rows.select_for_update().first()
    return found


def _seal(org: Org, repository: Repository, plain: Mapping[str, str]) -> None:
    repository.sealed = vault.seal(org, SEALED_FOR, repository.pk, dict(plain))
    token = plain["token"]
    repository.has_token = bool(token)
    repository.token_last4 = token[-4:] if len(token) >= 12 else ""


def _hint(repository: Repository) -> dict[str, Any] | None:
    """Of the token, for the audit trail."""
    return {"set": True, "last4": repository.token_last4} if repository.has_token else None


def _unseal(org: Org, repository: Repository) -> dict[str, str]:
    plain: dict[str, str] = vault.unseal(org, SEALED_FOR, repository.pk, repository.sealed)
    return plain


def _save(repository: Repository, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            repository.save(force_insert=new)
    except IntegrityError as error:
        if "connectors_repository_place" not in str(error):
            raise
        raise RepositoryConnected from None


def _record(
    org: Org, by: Principal, action: str, repository: Repository, changes: dict[str, Any]
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="repository",
        object_id=repository.pk,
        object_label=str(repository),
        changes=changes,
    )
