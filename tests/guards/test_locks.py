"""Every place that takes a lock is listed, with a test of a process that freezes there or with a reason."""

from __future__ import annotations

import ast
import re

from tests.guards.source import FoundNode, assert_listed, called_name, find_nodes
from tests.runs.claiming.locks import LOCKS

LOCK_WORDS = (
    "select_for_update",
    "lock=True",
    "advisory_",
    "FOR UPDATE",
    "for update",
    "LOCK TABLE",
)
LOCK_IN_SQL = re.compile(
    r"advisory_(xact_)?lock|for (no key )?update\b|\block table\b", re.IGNORECASE
)

# Each key is the name of a process in tests/runs/claiming/locks.py that freezes while it holds the lock.
TESTED_PLACES = {
    "the claim": ["apps/runs/claiming/admission.py:try_lock"],
    "an expired run": ["apps/runs/claiming/reconciler.py:recover"],
    "a run to be cancelled": ["apps/runs/claiming/reconciler.py:enforce_cancel"],
    "a due schedule": ["apps/runs/scheduling.py:handle_due_schedule"],
    "an idempotency key": ["apps/orgs/http/idempotency.py:OrgIdempotencyStore.lock_claim"],
    "the org": ["apps/orgs/members/services.py:_lock_org"],
    "a pipeline": [
        "apps/pipelines/visibility.py:lock_pipeline",
        "apps/orgs/placement.py:find_object",
    ],
    "a connector": ["apps/connectors/services.py:_lock_editable"],
    "the engine's stream": [
        "apps/engine/sync/statements.py:<module>",
        "apps/runs/positions/services.py:_lock_pipeline",
    ],
}
# Each key is a reason. Most of these rows belong to one org or one user. A request that waits too long for such a lock
# gets the same error and retry delay as a request that waits for a tested lock.
UNTESTED_PLACES = {
    "The org's own row, like `the org`.": [
        "apps/alerts/channels.py:create",
        "apps/alerts/freshness_pages/services.py:create",
        "apps/alerts/rules.py:create",
        "apps/pipelines/dependencies/services.py:replace",
        "apps/orgs/keys/rotation.py:_rotate_org",
        "apps/orgs/sign_in/sso.py:_log_in_to_org",
        "apps/orgs/operators/support.py:resume",
        "apps/orgs/operators/support.py:suspend",
        "apps/orgs/members/invitations.py:deliver",
    ],
    "A lock of one org, for beginning turns and conversations, like `a connector`.": [
        "apps/agent/conversations/limits.py:<module>",
    ],
    "A lock of one org, for beginning uploads, like `a connector`.": [
        "apps/connectors/files/limits.py:<module>",
    ],
    "A row that members of one org change, like `a connector`.": [
        "apps/connectors/files/services.py:begin_deletion",
        "apps/connectors/files/uploads.py:Upload._take_over_unfinished_row",
        "apps/alerts/channels.py:_lock",
        "apps/alerts/follow_ups/services.py:_lock",
        "apps/alerts/follow_ups/calls.py:test",
        "apps/alerts/freshness_pages/services.py:_lock",
        "apps/alerts/rules.py:lock",
        "apps/alerts/snoozing/services.py:_lock_alert",
        "apps/alerts/sending/log.py:replay",
        "apps/connectors/files/uploads.py:Upload.claim",
        "apps/connectors/custom_sources/services.py:_lock_editable",
        "apps/connectors/repositories/services.py:_lock_editable",
        "apps/connectors/repositories/syncs.py:_lock_repository",
        "apps/connectors/repositories/syncs.py:_update_sources",
        "apps/connectors/custom_sources/uploads.py:_save_file",
        "apps/orgs/keys/services.py:_lock_active_key",
        "apps/orgs/members/invitations.py:_lock_open_invitation",
        "apps/orgs/members/invitations.py:_load_acceptable_invitation",
        "apps/orgs/members/invitations.py:accept",
        "apps/orgs/members/invitations.py:lock_pending_invitation",
        "apps/agent/chat_models/own_model.py:remove_model",
        "apps/agent/chat_models/own_model.py:save_model",
        "apps/orgs/sign_in/own_provider.py:save_provider",
        "apps/orgs/sign_in/own_provider.py:remove_provider",
        "apps/orgs/members/verified_domains.py:remove",
        "apps/orgs/members/verified_domains.py:store_result",
        "apps/orgs/members/verified_domains.py:recheck",
        "apps/orgs/members/domains.py:_lock_domain",
        "apps/pipelines/history/versions.py:usable_connectors",
        "apps/pipelines/hooks/services.py:_lock",
        "apps/pipelines/bulk/changes.py:_change",
        "apps/pipelines/bulk/changes.py:permitted_pipelines",
        "apps/pipelines/saved_views/services.py:create",
        "apps/pipelines/saved_views/services.py:delete",
        "apps/pipelines/saved_views/services.py:update",
        "apps/runs/bulk/services.py:retry",
        "apps/runs/states.py:announce_pending",
        "apps/pipelines/targets.py:_rows_with_targets",
        "apps/pipelines/matching/storing.py:resolve",
        "apps/runs/demo/pipelines.py:_ensure_connector",
    ],
    "A row of one conversation: only the turn and the requests of one user wait for it.": [
        "apps/agent/approvals/closing.py:close_open",
        "apps/agent/approvals/services.py:decide",
        "apps/agent/conversations/services.py:_lock_with_live_turn",
        "apps/agent/conversations/services.py:rename",
        "apps/agent/conversations/services.py:retry",
        "apps/agent/conversations/services.py:stop",
        "apps/agent/sources/storage.py:add_document",
        "apps/agent/sources/storage.py:save_settings",
        "apps/agent/turns/calls.py:<module>",
        "apps/agent/turns/calls.py:_use_approval",
        "apps/agent/turns/checkpoints.py:_try_lock",
        "apps/agent/turns/leases.py:locked",
        "apps/agent/turns/quick_ending.py:<module>",
        "apps/agent/turns/tokens.py:<module>",
        "apps/agent/turns/reconciler.py:_expire",
    ],
    "One request of one API key: only its program and the person who decides it wait for it.": [
        "apps/agent/mcp/collecting.py:_locked",
        "apps/agent/mcp/decisions.py:decide",
    ],
    "A row of one org's directory, like `a connector`.": [
        "apps/orgs/scim/provisioning.py:apply_user",
        "apps/orgs/scim/group_roles.py:set_group_role",
        "apps/orgs/scim/store.py:Store.lock_row",
    ],
    "A row of one person: only their own requests wait for it.": [
        "apps/auth/factors.py:_load_challenge_state",
        "apps/auth/factors.py:check_code",
        "apps/auth/mailing/links.py:use_link",
        "apps/auth/proofs.py:lock_user",
        "apps/orgs/keys/rotation.py:_rotate_factors",
    ],
    "The calls after runs of one pipeline. Storing a call would wait for the same row, because it refers to it.": [
        "apps/alerts/follow_ups/calls.py:on_end",
    ],
    "A call after a run. Another worker goes on with other calls.": [
        "apps/alerts/follow_ups/calls.py:_claim",
    ],
    "A channel. Another worker that wants to send to it goes on with other channels.": [
        "apps/alerts/sending/delivering.py:_claim",
        "apps/alerts/sending/delivering.py:_record",
        "apps/alerts/sending/incidents.py:add_end",
    ],
    "Alerts and snoozes of one org. The end of a run of their pipelines waits for them, like `a connector`.": [
        "apps/alerts/snoozing/releasing.py:end_snoozes",
        "apps/alerts/snoozing/releasing.py:release",
        "apps/alerts/snoozing/releasing.py:_remind",
    ],
    "A backfill, which the next round skips while it is locked, like `a due schedule`.": [
        "apps/runs/backfills/chunks.py:advance",
    ],
    "A pipeline, which the next round skips while it is locked, like `a due schedule`.": [
        "apps/alerts/deciding/by_time.py:watch",
        "apps/alerts/deciding/undecided.py:decide_again",
    ],
    "The org, which the next round skips while it is locked. Others wait as for `the org`.": [
        "apps/alerts/deciding/by_subject.py:watch",
    ],
    "What web processes have seen. Other processes do not wait, and look again later.": [
        "apps/alerts/installation/observing.py:observe",
    ],
    "A table of a user's source database, locked against TRUNCATE and ALTER only. Without the process the lock ends.": [
        "apps/engine/sources/postgres/files.py:lock_statement",
    ],
    "A lock in the user's own database, which ends our idle transactions after 30 seconds.": [
        "apps/engine/destinations/postgres/publications.py:Publications.lock_and_read",
        "apps/engine/destinations/postgres/publications.py:lock_job",
        "apps/engine/destinations/postgres/publications.py:Publications.create_table",
        "apps/engine/destinations/postgres/staging.py:Staging.lock",
    ],
    "Checkpoints wait for a backup. tests/runs/keeping/test_backup.py tests a backup that freezes.": [
        "local/backups/databases.py:Snapshot.__init__",
    ],
    "Only taken while an installation is prepared.": [
        "apps/engine/sync/state.py:install",
        "local/database/roles.py:_create_roles",
    ],
}
REASONS = {
    place: f"tested: {name}" for name, places in TESTED_PLACES.items() for place in places
} | {place: reason for reason, places in UNTESTED_PLACES.items() for place in places}


def test_every_lock_is_tested_with_a_frozen_process_or_has_a_reason() -> None:
    found = {
        found_node.place
        for found_node in find_nodes("apps", "config", "local", words=LOCK_WORDS)
        if _takes_lock(found_node.node)
    }
    assert_listed(found, REASONS, subject="locks")
    assert set(TESTED_PLACES) <= set(LOCKS)


def test_no_transaction_uses_a_psycopg_pipeline() -> None:
    """After a pipeline, the server does not measure idle time, so a frozen process would hold its locks forever."""
    words = ("executemany", "pipeline()")
    found = [
        found_node.place
        for found_node in find_nodes("apps", "config", words=words)
        if _uses_pipeline(found_node)
    ]
    assert not found


def _uses_pipeline(found_node: FoundNode) -> bool:
    if called_name(found_node.node) == "executemany":
        return True
    return called_name(found_node.node) == "pipeline" and not getattr(found_node.node, "args", None)


def _takes_lock(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        keywords = {word.arg: word.value for word in node.keywords}
        lock = keywords.get("lock")
        return called_name(node) == "select_for_update" or (
            isinstance(lock, ast.Constant) and lock.value is True
        )
    return isinstance(node, ast.Constant) and bool(LOCK_IN_SQL.search(str(node.value)))
