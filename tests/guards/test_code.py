"""Code that bypasses the isolation of orgs is listed with a reason, and the list is complete and up to date."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

from tests.guards.source import ROOT, FoundNode, assert_listed, called_name, find_nodes

# `Model.unscoped.create(org=...)` needs no reason, because row-level security checks its org. Every other use needs one.
ALLOWED_UNSCOPED = {
    "apps/orgs/members/domains.py:set_role": "update_or_create selects the row by org= too.",
    "apps/orgs/sign_in/responses.py:memberships_of": "A user's own memberships, which the policy `own` permits.",
    "apps/orgs/operators/support.py:accessible_org_ids": "One operator's support access, read with the operators' role.",
    "apps/orgs/tenancy.py:OrgOwned": "Defines the bypass.",
    "apps/runs/outputs/logs.py:save": "bulk_create has no for_org. The row contains its org.",
    "apps/runs/attempts/rows.py:AttemptRows._record_output": "update_or_create selects the row by org_id= too.",
    "apps/orgs/audit.py:record_many": "bulk_create has no for_org. Each row contains its org.",
    "apps/runs/bulk/services.py:start": "bulk_create has no for_org. Each row contains its org.",
    "apps/alerts/beginning.py:add_first_rules": "bulk_create has no for_org. Each row contains its org.",
    "apps/alerts/deciding/alerts.py:open_alerts": "bulk_create has no for_org. Each row contains its org.",
    "apps/alerts/deciding/alerts.py:add_deliveries": "bulk_create has no for_org. Each row contains its org.",
    "apps/alerts/freshness_pages/services.py:_set_pipelines": "bulk_create has no for_org. Each row contains its org.",
    "apps/alerts/rules.py:_set_channels": "bulk_create has no for_org. Each row contains its org.",
    "apps/agent/mcp/requesting.py:request_approval": "bulk_create has no for_org. The row contains its org.",
    "apps/orgs/http/idempotency.py:OrgIdempotencyStore.claim": "bulk_create has no for_org. The row contains its org.",
}
RAW_SQL_CALLS = ("cursor", "raw", "RawSQL", "extra")
# The reasons by file. Each statement runs inside an org's scope, or calls a database function that returns little more than ids.
ALLOWED_RAW_SQL = {
    "apps/agent/chat_models/budgets.py": "Two statements of each model call; building them each time took longer than running them.",
    "apps/agent/conversations/events.py": "Each turn reads its events twice; building the statement took longer than running it.",
    "apps/agent/turns/acting.py": "A statement of each tool call; building it each time took longer than running it.",
    "apps/agent/conversations/limits.py": "Django has no function for an advisory lock.",
    "apps/agent/turns/calls.py": "A statement of each tool call; building it each time took longer than running it.",
    "apps/agent/turns/quick_ending.py": "Ends each turn over the turn's own connection, which has the org's scope.",
    "apps/agent/turns/leases.py": "Locks the row in each transaction of a turn; building the statement took longer than running it.",
    "apps/agent/turns/tokens.py": "A statement of each model call that stores tokens, if the lease is still held.",
    "apps/agent/turns/reconciler.py": "Finds lost turns and expired approvals of all orgs.",
    "apps/alerts/deciding/by_time.py": "Calls a database function that returns the ids of rules and of their late or stale pipelines.",
    "apps/alerts/deciding/by_subject.py": "Calls a database function that returns limits and keys, and the ids of their rules.",
    "apps/alerts/installation/observing.py": "Takes an advisory lock, and reads the clock of the database.",
    "apps/live/checks.py": "Sends a notice to itself.",
    "apps/alerts/deciding/undecided.py": "Calls a database function that returns the ids of pipelines with undecided runs.",
    "apps/alerts/follow_ups/calls.py": "Calls a database function that returns the ids of orgs with calls that are due.",
    "apps/alerts/freshness_pages/contents.py": "Calls a database function that returns the org of a page, before an org is in scope.",
    "apps/alerts/sending/delivering.py": "Calls a database function that returns the ids of channels to which something is due.",
    "apps/alerts/snoozing/releasing.py": "Calls a database function that returns the ids of orgs in which a snooze is over.",
    "apps/alerts/sending/incidents.py": "Calls a database function that returns the ids of incidents whose alerts have ended.",
    "apps/alerts/usual/history.py": "Reads the runs at one time of day by a lateral join, in the scope of the org.",
    "apps/auth/mailing/access_notices.py": "NOTIFY has no ORM form.",
    "apps/auth/name_cleaning.py": "A migration of all orgs, run by the owner of the tables.",
    "apps/background/counts.py": "Counts over all orgs for the metrics, read with the operators' role.",
    "apps/orgs/members/invitations.py": "Calls a database function that finds an invitation before its org is known.",
    "apps/orgs/sign_in/providers.py": "Calls a database function that finds an org's provider before the org is known.",
    "apps/orgs/walls/scope.py": "SET LOCAL has no ORM form.",
    "apps/orgs/walls/replica.py": "positions in the log of the server",
    "apps/orgs/http/authentication.py": "Calls database functions that find a key and record its use before an org is known.",
    "apps/orgs/credentials.py": "Calls a database function that returns the org and the principal's permissions in it.",
    "apps/background/health.py": "Reads the version, the queue and the roles of the installation, and no row of an org.",
    "apps/orgs/members/verified_domains.py": "Calls a database function that returns the ids of domains to check again.",
    "apps/pipelines/facets/counting.py": "One query counts the values of all filters of the list of pipelines.",
    "apps/runs/bulk/recent.py": "Reads the newest runs of each of many pipelines by a lateral join.",
    "apps/pipelines/listing.py": "The list of pipelines is one query that builds its JSON in the database, for speed.",
    "apps/pipelines/schedules/freshness.py": "Evaluates the expression of the list of pipelines for one pipeline.",
    "apps/pipelines/services.py": "Deletes with a cascade in the database, so that the runs are not loaded.",
    "apps/runs/overview/summary.py": "Counts the pipelines by the expression of their list.",
    "apps/runs/attempts/rows.py": "Updates many streams by one statement of fixed length, under the org's policies.",
    "apps/runs/keeping/retention.py": "Calls database functions that return ids of all orgs, and reads the sizes of one org.",
    "apps/runs/claiming/admission.py": "Calls database functions that return ids and counts, to start runs of all orgs in turn.",
    "apps/orgs/members/erasure.py": "Calls database functions that return ids of closed orgs and delete their last rows.",
    "apps/runs/keeping/closing.py": "Calls a database function that returns the ids of closed orgs.",
    "apps/background/sweeping.py": "Calls database functions that delete old rows and return their number.",
    "apps/live/events.py": "Numbers, inserts and announces an event in as few round trips as possible.",
    "apps/background/jobs.py": "Reads Procrastinate's own tables, which belong to no org.",
    "apps/runs/claiming/reconciler.py": "Calls database functions that return the ids of runs to recover.",
    "apps/runs/backfills/chunks.py": "Calls a database function that returns the ids of unfinished backfills.",
    "apps/runs/file_watches/looking.py": "Calls a database function that returns the ids of pipelines to look for files of.",
    "apps/runs/hooks/calls.py": "Calls a database function that returns the org of a hook, before an org is in scope.",
    "apps/runs/scheduling.py": "Calls a database function that returns the ids of due schedules.",
    "apps/runs/dependents/starting.py": "Calls a database function that returns the ids of pipelines that successes of others start.",
    "apps/runs/claiming/workers.py": "Calls a database function that returns the ids of runs with a lease on this machine.",
    "apps/connectors/files/limits.py": "Django has no function for an advisory lock.",
    "apps/connectors/files/sweeping.py": "Calls a database function that returns the ids of orgs with old uploads.",
    "apps/live/feeds.py": "Reads bodies of events as text, so that they are not parsed and serialized again.",
    "apps/runs/statistics/size.py": "Counts over all orgs for a command of operators, read with the operators' role.",
}


def find_unscoped() -> set[str]:
    return {
        found_node.place
        for found_node in find_nodes("apps", "config", "local", words=("unscoped",))
        if _is_unscoped(found_node) and not _creates_in_an_org(found_node)
    }


def _is_unscoped(found_node: FoundNode) -> bool:
    node = found_node.node
    is_attribute = isinstance(node, ast.Attribute) and node.attr == "unscoped"
    return is_attribute or (isinstance(node, ast.Name) and node.id == "unscoped")


def _creates_in_an_org(found_node: FoundNode) -> bool:
    calls = [parent for parent in found_node.parents[-2:] if isinstance(parent, ast.Call)]
    return any(
        called_name(call) == "create" and {k.arg for k in call.keywords} & {"org", "org_id"}
        for call in calls
    )


def test_every_use_of_unscoped_has_a_reason() -> None:
    assert_listed(find_unscoped(), ALLOWED_UNSCOPED, subject="unscoped")


def test_every_use_of_raw_sql_has_a_reason() -> None:
    found = {
        found_node.place.partition(":")[0]
        for found_node in find_nodes("apps", "config", words=RAW_SQL_CALLS)
        if called_name(found_node.node) in RAW_SQL_CALLS
        and not found_node.place.startswith("apps/engine/")  # plain Python with its own connections
    }
    assert_listed(found, ALLOWED_RAW_SQL, subject="raw SQL")


def test_no_scope_is_opened_in_async_code() -> None:
    found = {
        found_node.place
        for found_node in find_nodes("apps", "config", words=("async def",))
        if found_node.in_async_function
        and called_name(found_node.node) in {"org_scope", "user_scope", "atomic"}
    }
    assert not found, f"open the scope in one sync function instead: {sorted(found)}"


def test_apps_import_each_other_only_in_the_allowed_direction() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "0 broken" in finished.stdout


HEAVY_MODULES = (
    *("polars", "bizon", "duckdb", "pyarrow", "pandas", "numpy", "apps.engine.process.child"),
    "mcp",  # imported at the first request to /mcp
    "scim2_models",  # takes half a second to import
)


def test_the_web_process_imports_no_heavy_module() -> None:
    program = (
        "import django, sys; django.setup(); import config.asgi, config.urls; "
        "from django.urls import get_resolver; get_resolver().url_patterns; "
        "from apps.web import openapi; openapi.as_json(); "
        f"print([name for name in {HEAVY_MODULES!r} if name in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == "[]"
