"""Code that bypasses the isolation of orgs is listed with a reason, and the list is complete and up to date."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

from tests.guards.source import ROOT, Mention, called, compare, mentions

# `Model.unscoped.create(org=...)` names its org and is checked by row-level security; anything else is listed.
UNSCOPED = {
    "apps/orgs/members/domains.py:set_role": "update_or_create with org= among the look-up values.",
    "apps/orgs/sign_in/responses.py:memberships_of": "One's own memberships of every org: the policy `own` answers them.",
    "apps/orgs/operators/support.py:orgs_open_to": "An operator's own rows of every org, read by the operators' role.",
    "apps/orgs/tenancy.py:OrgOwned": "Where the bypass is defined.",
    "apps/runs/outputs/logs.py:save": "bulk_create has no for_org; the row names its org.",
    "apps/runs/attempts/rows.py:AttemptRows._record_output": "update_or_create with org_id= among the look-up values.",
    "apps/orgs/http/idempotency.py:OrgStore.claim": "bulk_create has no for_org; the row names its org.",
}
RAW = ("cursor", "raw", "RawSQL", "extra")
# By file. Each statement runs inside an org's scope, or calls a function that returns little more than ids.
CURSORS = {
    "apps/auth/mailing/access_notices.py": "NOTIFY has no ORM form.",
    "apps/auth/name_cleaning.py": "A migration over all orgs, by the owner of the tables.",
    "apps/orgs/members/invitations.py": "Asks the function that finds an invitation before its org is known.",
    "apps/orgs/sign_in/providers.py": "Asks the function that finds an org's provider before the org is known.",
    "apps/orgs/walls/scope.py": "SET LOCAL has no ORM form.",
    "apps/orgs/http/authentication.py": "Asks the functions that find a key, and note its use, before an org is known.",
    "apps/orgs/credentials.py": "One function of the database answers the org and what the principal may do in it.",
    "apps/background/health.py": "Asks about the installation: version, queue, roles; no row of an org.",
    "apps/orgs/members/verified_domains.py": "Which domains are looked at again is asked of a function that answers ids.",
    "apps/pipelines/listing.py": "The hot list is one query that builds its JSON in the database.",
    "apps/pipelines/services.py": "A delete that cascades in the database instead of loading every run.",
    "apps/runs/keeping/retention.py": "Asks functions that see all orgs for ids; sizes of one org in one statement.",
    "apps/runs/claiming/admission.py": "Turns between orgs are asked of functions that answer ids and counts.",
    "apps/orgs/members/erasure.py": "Which orgs end is asked of functions that answer ids; their last rows go in one.",
    "apps/runs/keeping/closing.py": "Which orgs end is asked of a function that answers ids.",
    "apps/background/sweeping.py": "Calls functions that remove what is old and answer how many there were.",
    "apps/live/events.py": "A number, a row and its NOTIFY in as few round trips as there can be.",
    "apps/background/jobs.py": "Procrastinate's own tables, which belong to no org.",
    "apps/runs/claiming/reconciler.py": "Which runs need help is asked of functions that answer ids.",
    "apps/runs/scheduling.py": "Which schedules are due is asked of a function that answers ids.",
    "apps/runs/claiming/workers.py": "Which runs this machine holds is asked of a function that answers ids.",
    "apps/live/feeds.py": "Bodies of events go through as text, without being parsed and written again.",
}


def unscoped() -> set[str]:
    return {
        mention.place
        for mention in mentions("apps", "config", "local", of=("unscoped",))
        if _names_unscoped(mention) and not _creates_in_an_org(mention)
    }


def _names_unscoped(mention: Mention) -> bool:
    node = mention.node
    attribute = isinstance(node, ast.Attribute) and node.attr == "unscoped"
    return attribute or (isinstance(node, ast.Name) and node.id == "unscoped")


def _creates_in_an_org(mention: Mention) -> bool:
    calls = [parent for parent in mention.parents[-2:] if isinstance(parent, ast.Call)]
    return any(
        called(call) == "create" and {k.arg for k in call.keywords} & {"org", "org_id"}
        for call in calls
    )


def test_every_use_of_the_bypass_has_a_reason() -> None:
    compare(unscoped(), UNSCOPED, what="unscoped")


def test_every_raw_cursor_has_a_reason() -> None:
    found = {
        mention.place.partition(":")[0]
        for mention in mentions("apps", "config", of=RAW)
        if called(mention.node) in RAW
        and not mention.place.startswith("apps/engine/")  # plain Python with its own connections
    }
    compare(found, CURSORS, what="raw SQL")


def test_no_scope_is_opened_in_async_code() -> None:
    found = {
        mention.place
        for mention in mentions("apps", "config", of=("async def",))
        if mention.asynchronous and called(mention.node) in {"org_scope", "user_scope", "atomic"}
    }
    assert not found, f"open the scope in one sync function instead: {sorted(found)}"


def test_rooms_import_one_way() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


HEAVY = (
    *("polars", "bizon", "duckdb", "pyarrow", "pandas", "numpy", "apps.engine.process.child"),
    "scim2_models",  # half a second of each start
)


def test_the_web_process_imports_nothing_of_the_engines_weight() -> None:
    program = (
        "import django, sys; django.setup(); import config.asgi, config.urls; "
        "from django.urls import get_resolver; get_resolver().url_patterns; "
        "from apps.web import openapi; openapi.as_json(); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "[]"
