"""A program calls a hook: check its credential, refuse replays, and start the pipeline once for each key.

Nobody learns which hooks exist. An unknown hook and a wrong credential get the same answer, after the same queries and
decryptions: those of a made-up hook.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from apps.auth.models import new_id
from apps.orgs import vault
from apps.orgs.exceptions import Invalid, NotFound
from apps.orgs.models import Org
from apps.orgs.principals import system_principal
from apps.orgs.rules import require_writable
from apps.orgs.walls.scope import org_scope
from apps.pipelines.exceptions import RunInProgress
from apps.pipelines.hooks.services import SEAL_KIND, unsealed_secret
from apps.pipelines.models import Hook, HookCall, HookCredential, Schedule
from apps.pipelines.schedules.blackouts import end_of_blackout
from apps.runs import services as runs
from apps.runs.exceptions import CallReplayed, HookDisabled, InBlackout, TooManyCalls
from apps.runs.models import Trigger

TOKEN_HEADER = "Drover-Token"  # noqa: S105 - the name of a header
SIGNATURE_HEADER, TIMESTAMP_HEADER = "Drover-Signature", "Drover-Timestamp"
KEY_HEADER = "Idempotency-Key"
MAX_KEY = 200  # characters
TOLERANCE = timedelta(minutes=5)
CALLS_PER_MINUTE = 60  # of one hook, by those who have its secret


@dataclass(frozen=True, slots=True)
class Call:
    """The headers and the body of a request. The body is only used to check its signature."""

    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


@dataclass(frozen=True, slots=True)
class Started:
    """The run that a call has started, or an earlier call with the same key."""

    run_id: UUID
    repeated: bool


def handle(*, hook_id: UUID, call: Call) -> Started:
    """Start a run of the hook's pipeline, or return that of an earlier call with the same key.

    Raises NotFound for an unknown hook and for a wrong credential. A sender with the right credential gets TooManyCalls,
    Invalid for an old time stamp, CallReplayed, HookDisabled, OrgReadOnly, and the exceptions of `runs.services.start`.
    """
    org_id = _org_of(hook_id)
    # This scope is committed before the start, so that a call counts even if it starts nothing.
    with org_scope(org_id):
        org, hook = _find(org_id, hook_id)
        if not _has_credential(org, hook, call) or hook is _made_up()[1]:
            raise NotFound
        _count_call(hook)
    with org_scope(org_id):
        return _start_once(org, hook, call)


def _org_of(hook_id: UUID) -> UUID:
    """Return the org of the hook, or a made-up one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_of_hook(%s)", [hook_id])
        (org_id,) = cursor.fetchone()
    return org_id or _made_up()[0].pk


@cache
def _made_up() -> tuple[Org, Hook]:
    """Return an org and a hook that are not stored, for calls of unknown hooks."""
    org = Org(pk=new_id())
    org.data_key = vault.new_data_key(org.pk)
    hook = Hook(pk=new_id(), credential=HookCredential.TOKEN)
    hook.sealed = vault.seal(org, SEAL_KIND, hook.pk, "drvh_" + "0" * 43)
    return org, hook


def _find(org_id: UUID, hook_id: UUID) -> tuple[Org, Hook]:
    """Return the org and the hook, or the made-up ones. A hook may have been deleted since its org was found."""
    org = Org.objects.filter(pk=org_id).first()
    hook = Hook.objects.for_org(org_id).filter(pk=hook_id).first()
    return (org, hook) if org is not None and hook is not None else _made_up()


def _has_credential(org: Org, hook: Hook, call: Call) -> bool:
    """Whether the sender knows the secret. The same is computed for each kind of credential."""
    secret = unsealed_secret(org, hook).encode()
    signed = call.header(TIMESTAMP_HEADER).encode() + b"." + call.body
    signature = "v1=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()
    is_signed = hmac.compare_digest(call.header(SIGNATURE_HEADER).encode(), signature.encode())
    has_token = hmac.compare_digest(call.header(TOKEN_HEADER).encode(), secret)
    return is_signed if hook.credential == HookCredential.SIGNATURE else has_token


def _count_call(hook: Hook) -> None:
    """Count the call. Raises TooManyCalls, until the minute in which the first call was counted has ended."""
    now = timezone.now()
    rows = Hook.objects.for_org(hook.org_id).filter(pk=hook.pk)
    minute = Q(minute_began_at__gt=now - timedelta(minutes=1))
    if rows.filter(minute, calls_in_minute__gte=CALLS_PER_MINUTE).exists():
        raise TooManyCalls
    if not rows.filter(minute).update(calls_in_minute=F("calls_in_minute") + 1, last_used_at=now):
        rows.update(minute_began_at=now, calls_in_minute=1, last_used_at=now)


def _start_once(org: Org, hook: Hook, call: Call) -> Started:
    key, signature = _key_of(call), ""
    if hook.credential == HookCredential.SIGNATURE:
        signature = call.header(SIGNATURE_HEADER)
        _require_recent(call.header(TIMESTAMP_HEADER))
    if not hook.enabled:
        raise HookDisabled
    require_writable(org)
    if (earlier := _find_earlier(hook, key, signature)) is not None:
        return earlier
    _refuse_in_blackout(hook)
    try:
        with transaction.atomic():
            by = system_principal(f"Hook {hook.name}")
            run = runs.start(org=org, by=by, pipeline_id=hook.pipeline_id, trigger=Trigger.HOOK)
            HookCall.objects.for_org(org).create(
                org=org, hook=hook, key=key, signature=signature, run_id=run.pk
            )
    except (RunInProgress, IntegrityError):
        # The same call may have arrived twice at the same moment.
        if (earlier := _find_earlier(hook, key, signature)) is None:
            raise
        return earlier
    return Started(run.pk, repeated=False)


def _refuse_in_blackout(hook: Hook) -> None:
    schedule = Schedule.objects.for_org(hook.org_id).filter(pipeline_id=hook.pipeline_id).first()
    end = end_of_blackout(schedule, timezone.now())
    if schedule is not None and end is not None:
        raise InBlackout(end, schedule.timezone)


def _find_earlier(hook: Hook, key: str, signature: str) -> Started | None:
    """Return what an earlier call with this key has started. Raises CallReplayed for the signature of another call."""
    calls = HookCall.objects.for_org(hook.org_id).filter(hook=hook)
    if key and (earlier := calls.filter(key=key).first()) is not None:
        return Started(earlier.run_id, repeated=True)
    if signature and calls.filter(signature=signature).exists():
        raise CallReplayed
    return None


def _key_of(call: Call) -> str:
    key = call.header(KEY_HEADER)
    if len(key) > MAX_KEY:
        message = f"At most {MAX_KEY} characters."
        raise Invalid([(KEY_HEADER, message, "max_length")])
    return key


def _require_recent(timestamp: str) -> None:
    """Raise Invalid unless the time, in seconds since 1970, is close to now."""
    seconds = int(timestamp) if re.fullmatch(r"[0-9]{1,12}", timestamp) else 0
    if abs(timezone.now().timestamp() - seconds) > TOLERANCE.total_seconds():
        message = (
            "Must be the time in seconds since 1970, at most 5 minutes from the clock of this server: "
            "sign each call anew, and check your clock."
        )
        raise Invalid([(TIMESTAMP_HEADER, message, "too_old")])
