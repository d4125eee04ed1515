"""Every place that takes a lock is listed: with a test of a process that freezes there, or with a reason why not."""

from __future__ import annotations

import ast
import re

from tests.guards.source import Mention, called, compare, mentions
from tests.runs.claiming.locks import LOCKS

WORDS = ("select_for_update", "lock=True", "advisory_", "FOR UPDATE", "for update", "LOCK TABLE")
IN_SQL = re.compile(r"advisory_(xact_)?lock|for (no key )?update\b|\block table\b", re.IGNORECASE)

# `tried: NAME` is a process of tests/runs/claiming/locks.py that freezes there. The other rows belong to one org or
# one user: requests for the same row are told to retry after the same wait, which those processes test.
TRIED = {
    "the claim": ["apps/runs/claiming/admission.py:try_lock"],
    "an expired run": ["apps/runs/claiming/reconciler.py:recover"],
    "a run to be cancelled": ["apps/runs/claiming/reconciler.py:enforce_cancel"],
    "a due schedule": ["apps/runs/scheduling.py:fire"],
    "an idempotency key": ["apps/orgs/http/idempotency.py:OrgStore.lock_claim"],
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
ROWS = {
    "The org's own row: as `the org`.": [
        "apps/orgs/keys/rotation.py:_rotate_org",
        "apps/orgs/sign_in/sso.py:_log_in_to_org",
        "apps/orgs/operators/support.py:resume",
        "apps/orgs/operators/support.py:suspend",
        "apps/orgs/members/invitations.py:deliver",
    ],
    "A row that one org's members change: as `a connector`.": [
        "apps/connectors/custom_sources/services.py:_lock_editable",
        "apps/connectors/repositories/services.py:_lock_editable",
        "apps/connectors/repositories/syncs.py:_lock_repository",
        "apps/connectors/repositories/syncs.py:_update_sources",
        "apps/connectors/custom_sources/uploads.py:_save_file",
        "apps/orgs/keys/services.py:_lock_active_key",
        "apps/orgs/members/invitations.py:_lock_unaccepted",
        "apps/orgs/members/invitations.py:_load_acceptable",
        "apps/orgs/members/invitations.py:accept",
        "apps/orgs/members/invitations.py:lock_pending_invitation",
        "apps/orgs/sign_in/own_provider.py:save_provider",
        "apps/orgs/sign_in/own_provider.py:remove_provider",
        "apps/orgs/members/verified_domains.py:remove",
        "apps/orgs/members/verified_domains.py:store_result",
        "apps/orgs/members/verified_domains.py:recheck",
        "apps/orgs/members/domains.py:_lock_domain",
        "apps/pipelines/history/versions.py:usable_connectors",
        "apps/runs/demo/pipelines.py:_ensure_connector",
    ],
    "A row of one org's directory: as `a connector`.": [
        "apps/orgs/scim/provisioning.py:apply_user",
        "apps/orgs/scim/group_roles.py:set_group_role",
        "apps/orgs/scim/store.py:Store.lock_row",
    ],
    "A row of one person: as `a refresh token`.": [
        "apps/auth/factors.py:_load_challenge_state",
        "apps/auth/factors.py:check_code",
        "apps/auth/mailing/links.py:use_link",
        "apps/auth/proofs.py:lock_user",
        "apps/orgs/keys/rotation.py:_rotate_factors",
    ],
    "The user's own database, whose transactions end by the same limit there.": [
        "apps/engine/destinations/postgres/publications.py:Publications.lock",
        "apps/engine/destinations/postgres/publications.py:Publications.create_table",
        "apps/engine/destinations/postgres/staging.py:Staging.lock",
    ],
    "A backup: checkpoints wait until its files are linked; one that freezes is tried in tests/runs/keeping/test_backup.py.": [
        "local/backups/databases.py:Snapshot.__init__",
    ],
    "While an installation is prepared; nothing else takes this lock.": [
        "apps/engine/sync/state.py:install",
        "local/database/roles.py:_create_roles",
    ],
}
PLACES = {place: f"tried: {name}" for name, places in TRIED.items() for place in places} | {
    place: reason for reason, places in ROWS.items() for place in places
}


def test_every_lock_is_tested_with_a_frozen_process_or_has_a_reason() -> None:
    found = {
        mention.place
        for mention in mentions("apps", "config", "local", of=WORDS)
        if _locks(mention.node)
    }
    compare(found, PLACES, what="locks")
    assert set(TRIED) <= set(LOCKS)


def test_no_transaction_of_ours_uses_a_pipeline() -> None:
    """After a statement with a pipeline the server does not count idle time, so a frozen process would keep its
    locks.
    """
    words = ("executemany", "pipeline()")
    found = [mention.place for mention in mentions("apps", "config", of=words) if _pipes(mention)]
    assert not found


def _pipes(mention: Mention) -> bool:
    if called(mention.node) == "executemany":
        return True
    return called(mention.node) == "pipeline" and not getattr(mention.node, "args", None)


def _locks(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        keywords = {word.arg: word.value for word in node.keywords}
        asks = keywords.get("lock")
        return called(node) == "select_for_update" or (
            isinstance(asks, ast.Constant) and asks.value is True
        )
    return isinstance(node, ast.Constant) and bool(IN_SQL.search(str(node.value)))
