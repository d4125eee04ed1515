"""Hooks: create, change, rotate and delete the addresses at which programs start a pipeline."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any, TypedDict
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apps.auth.constraints import refused_as
from apps.background.sweeping import remove_in_batches
from apps.orgs import audit, vault
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.tenancy import OrgQuerySet
from apps.orgs.versions import Match, require_match
from apps.pipelines.exceptions import HookNameTaken, TooManyHooks
from apps.pipelines.models import Hook, Pipeline
from apps.pipelines.visibility import find_pipeline, lock_pipeline

SEAL_KIND = "hook"
KEEP = timedelta(hours=24)  # how long a key is known, and a signature
MAX_HOOKS = 20  # of one pipeline
SECRET_PREFIX = "drvh_"  # noqa: S105 - lets scanners of secrets find it


class HookChanges(TypedDict, total=False):
    """Changes of a hook. A value that is left out does not change."""

    name: str
    enabled: bool


def hooks(*, org: Org, by: Principal, pipeline_id: UUID) -> OrgQuerySet[Hook]:
    """Return the hooks of the pipeline. Raises NotFound."""
    find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    return Hook.objects.for_org(org).filter(pipeline_id=pipeline_id)


def find_hook(*, org: Org, by: Principal, pipeline_id: UUID, hook_id: UUID) -> Hook:
    """Return the hook. Raises NotFound."""
    return find_object(hooks(org=org, by=by, pipeline_id=pipeline_id), hook_id)


def address(hook_id: UUID) -> str:
    """Return the address that a program calls."""
    return f"{settings.PUBLIC_URL}/api/v1/hooks/{hook_id}"


def create(
    *, org: Org, by: Principal, pipeline_id: UUID, name: str, credential: str
) -> tuple[Hook, str]:
    """Create a hook, and return it with its secret. Raises NotFound, HookNameTaken and TooManyHooks."""
    # The pipeline is locked, so that two requests cannot both create the last hook.
    pipeline = lock_pipeline(Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id)
    if Hook.objects.for_org(org).filter(pipeline=pipeline).count() >= MAX_HOOKS:
        raise TooManyHooks
    hook = Hook(
        org=org,
        pipeline=pipeline,
        name=name,
        credential=credential,
        created_by_id=by.user_id,
    )
    secret = _set_new_secret(org, hook)
    _save(hook)
    _record(org, by, "hook.create", pipeline, hook, {"name": [None, name]})
    return hook, secret


def update(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    hook_id: UUID,
    changes: HookChanges,
    match: Match = None,
) -> Hook:
    """Rename, enable or disable a hook. Raises NotFound, ChangedMeanwhile and HookNameTaken."""
    pipeline, hook = _lock(org, by, pipeline_id, hook_id, match)
    before = {"name": hook.name, "enabled": hook.enabled}
    hook.name = changes.get("name", hook.name)
    hook.enabled = changes.get("enabled", hook.enabled)
    after = {"name": hook.name, "enabled": hook.enabled}
    hook.etag += 1
    _save(hook)
    changed = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
    _record(org, by, "hook.update", pipeline, hook, changed)
    return hook


def rotate(*, org: Org, by: Principal, pipeline_id: UUID, hook_id: UUID) -> tuple[Hook, str]:
    """Give the hook a new secret, and return it. The old one stops working at once. Raises NotFound."""
    pipeline, hook = _lock(org, by, pipeline_id, hook_id)
    secret = _set_new_secret(org, hook)
    hook.etag += 1
    _save(hook)
    _record(org, by, "hook.rotate", pipeline, hook, {})
    return hook, secret


def delete(
    *, org: Org, by: Principal, pipeline_id: UUID, hook_id: UUID, match: Match = None
) -> None:
    """Delete a hook. Raises NotFound and ChangedMeanwhile."""
    pipeline, hook = _lock(org, by, pipeline_id, hook_id, match)
    _record(org, by, "hook.delete", pipeline, hook, {})
    hook.delete()


def remove_old_calls() -> None:
    """Forget the keys and signatures of calls that are older than KEEP."""
    remove_in_batches("hooks_remove_old_calls", timezone.now() - KEEP)


def unsealed_secret(org: Org, hook: Hook) -> str:
    """Return the secret in plain text. Never show, log or store it."""
    secret: str = vault.unseal(org, SEAL_KIND, hook.pk, hook.sealed)
    return secret


def _set_new_secret(org: Org, hook: Hook) -> str:
    secret = SECRET_PREFIX + secrets.token_urlsafe(32)
    hook.sealed = vault.seal(org, SEAL_KIND, hook.pk, secret)
    hook.secret_last4 = secret[-4:]
    return secret


def _lock(
    org: Org, by: Principal, pipeline_id: UUID, hook_id: UUID, match: Match = None
) -> tuple[Pipeline, Hook]:
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    by.require(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)
    hook = find_object(Hook.objects.for_org(org).filter(pipeline=pipeline), hook_id, lock=True)
    require_match(match, hook.etag)
    return pipeline, hook


def _save(hook: Hook) -> None:
    with refused_as(HookNameTaken, "pipelines_hook_name"):
        hook.save()


def _record(
    org: Org, by: Principal, action: str, pipeline: Pipeline, hook: Hook, changes: dict[str, Any]
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="hook",
        object_id=hook.pk,
        object_label=hook.name,
        changes={"pipeline_id": [None, str(pipeline.pk)], **changes},
    )
