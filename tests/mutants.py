"""Remove one filter or policy at a time and check that the suite fails: `python -m tests.mutants [NAME ...]`.

Each mutant is created in a copy of the tree, and the tests that should notice it are run there. If they pass, the
removed code is not tested, and the exit code is 1. The suite does not run the mutants, because they take 10 minutes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest

from apps.orgs.walls.sql_functions import digest

ROOT = Path(__file__).resolve().parent.parent
PARALLEL = 2  # mutants that are tested at the same time, each in a copy of its own

# A modification time for each file that is written. Python compares whole seconds, so a file that changed twice within
# a second could be loaded from outdated bytecode.
modification_times = itertools.count(int(time.time()) + 1)


@dataclass(frozen=True)
class Mutant:
    """A change of the source: `old` is replaced by `new` in `file`, where it must occur exactly once.

    `noticed_by` lists the tests that must fail, as arguments of pytest.
    """

    name: str
    file: str
    old: str
    new: str
    noticed_by: str


WALLS = "tests/orgs/test_walls.py tests/guards"
MATRIX = "tests/isolation/test_matrix.py"
MEMBERS = "tests/orgs/test_members.py"
KEYS = "tests/orgs/test_api_keys.py"
INVITATIONS = "tests/orgs/test_invitations.py"
OPERATORS = "tests/orgs/test_operators.py"
CREDENTIALS = "tests/orgs/test_credentials.py"
ACCOUNTING = "tests/corpora/test_accounting.py"
REJECTED = "tests/runs/test_rejected.py"
ARRIVED = "tests/runs/tables/test_arrived.py"
RETENTION = "tests/runs/keeping/test_retention.py"
STREAMS = "tests/isolation/test_streams.py"
CHECKS = "tests/connectors/test_checks.py"
CUSTOM_SOURCES = "tests/connectors/test_custom_sources.py"
REPOSITORIES = "tests/connectors/test_repositories.py"
SSO = "tests/orgs/sign_in/test_sso.py"
FROZEN_PROCESSES = "tests/runs/claiming/test_frozen.py"
ROLES = "tests/local/test_roles.py"
VERIFIED_DOMAINS = "tests/orgs/sign_in/test_verified_domains.py"
MAILED_LINKS = "tests/auth/test_mailed_links.py"
MCP_APPROVALS = "tests/agent/mcp/test_approvals.py"
MCP_TOOLS = "tests/agent/mcp/test_tools.py"

AGENT = "tests/agent/test_bad_luck.py"
ENDING = "tests/agent/turns/test_quick_ending.py"
SOURCE_BUILDER = "tests/agent/sources/test_source_builder.py"
KNOWN_PAGES = "tests/agent/sources/test_known_pages.py"
MODELS = "tests/agent/chat_models"
FILES = "tests/connectors/files/test_files.py"
ONE_WRITER = "tests/pipelines/test_one_writer.py"
DATABASES = "tests/runs/tables/test_shared_databases.py"
MANY_STREAMS = "tests/runs/tables/test_many_streams.py"

STREAM_SERIES = "tests/engine/runs/test_stream_series.py"

DEPENDENTS = "tests/runs/dependents"
HOOKS = "tests/runs/hooks"
REPLICA = "tests/deployment/test_replica.py"
LOST_REPLICA = "tests/deployment/test_lost_replica.py"
FRESHNESS_PAGES = "tests/alerts/freshness_pages"

MUTANTS = [
    # Lists from a read replica.
    Mutant(
        "a list from the replica misses what was saved before",
        "apps/orgs/walls/replica.py",
        "            if cursor.fetchone()[0]:",
        "            if cursor.fetchone():",
        REPLICA,
    ),
    Mutant(
        "the replica is read outside of the scope of the org",
        "apps/orgs/http/views.py",
        "with replica.reading(position), org_scope(self.org.pk):",
        "with replica.reading(position):",
        REPLICA,
    ),
    Mutant(
        "a list fails while the replica is gone",
        "apps/orgs/walls/replica.py",
        "except (InterfaceError, OperationalError) as error:",
        "except InterfaceError as error:",
        LOST_REPLICA,
    ),
    # Public freshness pages.
    Mutant(
        "the freshness page of a suspended organization is shown",
        "apps/alerts/freshness_pages/freshness_pages.sql",
        "o.suspended_at IS NULL AND",
        "true AND",
        FRESHNESS_PAGES,
    ),
    Mutant(
        "a freshness page shows a pipeline of another organization",
        "apps/alerts/freshness_pages/services.py",
        "if pipeline_id not in known:",
        "if False:",
        FRESHNESS_PAGES,
    ),
    Mutant(
        "a freshness page shows the ids of pipelines",
        "apps/alerts/freshness_pages/contents.py",
        "id=entry.pk,",
        "id=entry.pipeline_id,",
        FRESHNESS_PAGES,
    ),
    Mutant(
        "alerts about how a pipeline works are shown to the public",
        "apps/alerts/freshness_pages/contents.py",
        "rule__kind__in=list(INCIDENT_KINDS),",
        "",
        FRESHNESS_PAGES,
    ),
    Mutant(
        "a change of a freshness page breaks the badges of its pipelines",
        "apps/alerts/freshness_pages/services.py",
        "shown.exclude(pipeline_id__in=wanted).delete()",
        "shown.delete()",
        FRESHNESS_PAGES,
    ),
    Mutant(
        "a name can put elements into a badge",
        "apps/alerts/freshness_pages/badge.py",
        "text, title = escape(label),",
        "text, title = label,",
        FRESHNESS_PAGES,
    ),
    # Dependencies and hooks.
    Mutant(
        "a slow worker starts a pipeline again for a success that was used",
        "apps/runs/dependents/starting.py",
        "!= len(edges):",
        "is None:",
        DEPENDENTS,
    ),
    Mutant(
        "a success that came while a pipeline was running is forgotten",
        "apps/runs/dependents/starting.py",
        "affected = Q(pipeline_id=pipeline_id)",
        "affected = Q(pk=None)",
        DEPENDENTS,
    ),
    Mutant(
        "a pipeline starts though another one before it has failed",
        "apps/pipelines/dependencies/conditions.py",
        "if upstream.failing_since is not None and (",
        "if upstream.failing_since is None and (",
        DEPENDENTS,
    ),
    Mutant(
        "the database forgets the window of a dependency",
        "apps/runs/dependents/dependents.sql",
        "(a.window_seconds IS NULL OR",
        "(true OR",
        DEPENDENTS,
    ),
    Mutant(
        "a cycle of three pipelines is accepted",
        "apps/pipelines/dependencies/graph.py",
        "waiting += [(upstream, found) for upstream in upstreams_of[found]]",
        "pass",
        DEPENDENTS,
    ),
    Mutant(
        "a key of a domain removes dependencies that it cannot see",
        "apps/pipelines/dependencies/services.py",
        "for one in before.values() if not can_see(by, one.domain_id)",
        "for one in before.values() if False",
        DEPENDENTS,
    ),
    Mutant(
        "a signed call of a hook can be replayed",
        "apps/runs/hooks/calls.py",
        "raise CallReplayed",
        "return None",
        HOOKS,
    ),
    Mutant(
        "a hook accepts an old signature",
        "apps/runs/hooks/calls.py",
        "        _require_recent(call.header(TIMESTAMP_HEADER))\n",
        "",
        HOOKS,
    ),
    Mutant(
        "an unknown hook takes less work than a wrong secret",
        "apps/runs/hooks/calls.py",
        "    org_id = _org_of(hook_id)\n",
        "    if (org_id := _org_of(hook_id)) == _made_up()[0].pk:\n        raise NotFound\n",
        HOOKS,
    ),
    Mutant(
        "a hook that wants a signature accepts its secret",
        "apps/runs/hooks/calls.py",
        "return is_signed if hook.credential == HookCredential.SIGNATURE else has_token",
        "return is_signed or has_token",
        HOOKS,
    ),
    # Alerts.
    Mutant(
        "a webhook can redirect a message to another address",
        "apps/alerts/kinds/posting.py",
        "allow_redirects=False",
        "allow_redirects=True",
        "tests/alerts/test_faults.py",
    ),
    Mutant(
        "an event overtakes an earlier one of its pipeline",
        "apps/alerts/sending/delivering.py",
        'new.exclude(pipeline_id__in=tried.filter(pipeline__isnull=False).values("pipeline_id"))',
        "new",
        "tests/alerts/test_faults.py",
    ),
    Mutant(
        "two workers send the same message",
        "apps/alerts/sending/delivering.py",
        "next_attempt_at=now + CLAIM,",
        "next_attempt_at=now,",
        "tests/alerts/test_faults.py",
    ),
    Mutant(
        "each failure of a pipeline opens another alert",
        "apps/alerts/deciding/decisions.py",
        "if alert is None and isinstance(verdict, Finding):",
        "if isinstance(verdict, Finding):",
        "tests/alerts/test_deciding.py",
    ),
    Mutant(
        "the agent sees the path of a webhook, which may contain a credential",
        "apps/agent/tools/show_pipeline/tool.py",
        "is_editor=False",
        "is_editor=True",
        "tests/agent/tools/test_starts_and_calls.py",
    ),
    Mutant(
        "a replay is told",
        "apps/alerts/deciding/undecided.py",
        'if snapshot["kind"] != RunKind.ORDINARY:',
        "if False:",
        "tests/alerts/test_deciding.py",
    ),
    Mutant(
        "a fault in deciding keeps a run from ending",
        "apps/alerts/deciding/undecided.py",
        "    except Exception:",
        "    except ZeroDivisionError:",
        "tests/alerts/test_undecided.py",
    ),
    Mutant(
        "a success is decided before the failure that it ends",
        "apps/alerts/deciding/undecided.py",
        "pipeline.has_undecided_runs or not",
        "not",
        "tests/alerts/test_undecided.py",
    ),
    Mutant(
        "a rule by time applies outside of its scope",
        "apps/alerts/alerts.sql",
        "IS NOT TRUE THEN false",
        "IS FALSE THEN false",
        "tests/alerts/test_by_time.py",
    ),
    Mutant(
        "a paused pipeline is late",
        "apps/alerts/alerts.sql",
        "WHEN NOT r.enabled OR NOT p.enabled OR s.paused_at IS NOT NULL THEN false",
        "WHEN NOT r.enabled THEN false",
        "tests/alerts/test_by_time.py",
    ),
    Mutant(
        "a pipeline is compared with the runs of another",
        "apps/alerts/usual/history.py",
        "WHERE org_id = %(org)s AND pipeline_id = %(pipeline)s AND status = 'succeeded' AND created_at < %(at)s\n        AND created_at BETWEEN",
        "WHERE org_id = %(org)s AND status = 'succeeded' AND created_at < %(at)s\n        AND created_at BETWEEN",
        "tests/alerts/test_usual.py",
    ),
    Mutant(
        "usual ranges ignore the weekday",
        "apps/alerts/usual/bands.py",
        "centre = centres.get(weekday)",
        "centre = centre_of_all",
        "tests/alerts/test_usual.py",
    ),
    Mutant(
        "an organization sends mails to strangers",
        "apps/alerts/kinds/email.py",
        "_allowed(org, chosen) if chosen",
        "chosen if chosen",
        "tests/alerts/test_kinds.py",
    ),
    Mutant(
        "a role in one domain edits the rules of another",
        "apps/alerts/rules.py",
        "by.require(Permission.ALERTS_EDIT, domain_id=_domain_of(org, rule))",
        "pass",
        "tests/alerts/test_api.py",
    ),
    # Secrets whose names users choose.
    Mutant(
        "a new header sends the stored secrets to another host",
        "apps/connectors/configuration.py",
        "places.places(kind.schema, named_by_user)",
        "places.places(kind.schema, settings.visible)",
        "tests/connectors/test_secret_entries.py",
    ),
    Mutant(
        "a secret of a list can be moved to an entry with another host",
        "apps/connectors/configuration.py",
        "if (found := changed or _places_changed_by_move(path, before, after, merged))",
        "if (found := changed)",
        "tests/connectors/test_secret_entries.py",
    ),
    # The list of pipelines.
    Mutant(
        "a member sees the saved views of other members",
        "apps/pipelines/saved_views/services.py",
        ".filter(membership_id=_membership_id(by))",
        "",
        "tests/pipelines/lists/test_saved_views.py",
    ),
    Mutant(
        "an action on many pipelines ignores the role in their domains",
        "apps/pipelines/bulk/changes.py",
        "if by.may(permission, domain_id=pipeline.domain_id):",
        "if True:",
        "tests/runs/bulk/test_bulk.py",
    ),
    # Streams that share a child.
    Mutant(
        "a child that has run code of users runs another stream",
        "apps/engine/process/supervisor.py",
        "may_repeat = may_repeat and not has_code",
        "has_code = False",
        STREAM_SERIES,
    ),
    Mutant(
        "a child that has used much memory runs another stream",
        "apps/engine/process/child.py",
        " and _peak_memory() <= REUSE_MEMORY",
        "",
        STREAM_SERIES,
    ),
    Mutant(
        "a stream reports the hosts of the stream before",
        "apps/engine/process/child.py",
        "        egress_log.clear()\n",
        "",
        STREAM_SERIES,
    ),
    Mutant(
        "a stream uses a connection that the server has ended",
        "apps/engine/kept_connections.py",
        "return not readable",
        "return True",
        STREAM_SERIES,
    ),
    Mutant(
        "what a view has set for its session reaches the next stream",
        "apps/engine/kept_connections.py",
        '"DISCARD ALL"',
        '""',
        STREAM_SERIES,
    ),
    # Tables that have one writer, and DuckDB files that pipelines share.
    Mutant(
        "the name of a pipeline of another domain is told",
        "apps/pipelines/targets.py",
        " for other in others if can_see(by, other.domain_id)]",
        " for other in others]",
        ONE_WRITER,
    ),
    Mutant(
        "a table of pipelines that share it since an older release is free",
        "apps/pipelines/targets.py",
        "    _require_free(org, by, pipeline, whole, new_rows)\n",
        "",
        ONE_WRITER,
    ),
    # Patterns that choose streams.
    Mutant(
        "a pattern that begins with ! excludes nothing",
        "apps/pipelines/definition/patterns.py",
        " and not _is_any(excluding, name)",
        "",
        "tests/pipelines/test_patterns.py",
    ),
    Mutant(
        "a pipeline reads the tables that it writes",
        "apps/pipelines/matching/storing.py",
        " if target not in written]",
        "]",
        "tests/pipelines/test_patterns.py",
    ),
    Mutant(
        "a new stream is read although somebody is to be asked",
        "apps/pipelines/matching/choosing.py",
        '"ask": WAITING',
        '"ask": INCLUDED',
        "tests/pipelines/test_patterns.py",
    ),
    Mutant(
        "a retry runs a stream whose table another pipeline writes",
        "apps/runs/attempts/preparation.py",
        "    chosen_streams.fail_rows(claim, rows, problems)\n",
        "",
        "tests/runs/tables/test_patterns.py",
    ),
    # Pipelines with several streams.
    Mutant(
        "two streams of a pipeline write one table",
        "apps/pipelines/targets.py",
        "    _require_different_tables(whole, rows, destination)\n",
        "",
        "tests/pipelines/test_many_streams.py",
    ),
    Mutant(
        "a run succeeds although a stream has failed",
        "apps/runs/attempts/stream_tracker.py",
        "            if row.status == Status.FAILED\n        }\n",
        "            if row.status == Status.CANCELLED\n        }\n",
        MANY_STREAMS,
    ),
    Mutant(
        "a stream that was not started counts as read",
        "apps/runs/attempts/children.py",
        "_of_limit(recorder, stop_failure(reason))",
        "Succeeded(0, 0, 0, 0)",
        MANY_STREAMS,
    ),
    Mutant(
        "the streams that wait are begun although the run was cancelled",
        "apps/runs/attempts/children.py",
        "            if reason in LEAVES_WAITING:\n",
        '            if reason == "shutdown":\n',
        MANY_STREAMS,
    ),
    Mutant(
        "the streams of two versions are compared by their positions",
        "apps/pipelines/history/diffs.py",
        'str(numbers.get(stream["stream"], position)): stream',
        "str(position): stream",
        "tests/pipelines/test_versions.py",
    ),
    Mutant(
        "a stream that is accepted to be gone is still read",
        "apps/pipelines/drift/services.py",
        "    if change.kind == ChangeKind.STREAM_MISSING:\n",
        "    if False:\n",
        "tests/pipelines/test_drift.py",
    ),
    Mutant(
        "a retry forgets the rules for fields of the patterns",
        "apps/pipelines/definition/patterns.py",
        '    stream: Any = {"transforms": [], **settings, **shared}\n',
        '    stream: Any = {"transforms": [], **settings}\n',
        "tests/runs/tables/test_patterns.py",
    ),
    Mutant(
        "a key that the rules redact is merged by",
        "apps/pipelines/definition/patterns.py",
        "and name not in rules.dropped | redacted",
        "and name not in rules.dropped",
        "tests/pipelines/test_patterns.py",
    ),
    Mutant(
        "a backfill goes on although its stream is ignored",
        "apps/runs/backfills/chunks.py",
        "        return now is None  # Somebody",
        "        return False  # Somebody",
        "tests/runs/backfills/test_backfills.py",
    ),
    Mutant(
        "a pipeline that stops when a stream fails begins the next stream",
        "apps/runs/attempts/children.py",
        " and not recorder.streams.has_stopped",
        "",
        MANY_STREAMS,
    ),
    Mutant(
        "a run that has ended leaves streams waiting",
        "apps/runs/states.py",
        "    if after in {Status.FAILED, Status.CANCELLED}:\n",
        "    if after is Status.SUCCEEDED:\n",
        MANY_STREAMS,
    ),
    Mutant(
        "a retry runs streams that have succeeded",
        "apps/runs/services.py",
        "            streams.exclude(status=Status.SUCCEEDED).update(\n",
        "            streams.update(\n",
        MANY_STREAMS,
    ),
    Mutant(
        "a stream continues after another stream has replaced its table",
        "apps/engine/sync/statements.py",
        " and other.created_at > newest.created_at\n",
        " and false\n",
        MANY_STREAMS,
    ),
    Mutant(
        "the streams of a run are read in different snapshots",
        "apps/runs/attempts/shared_snapshots.py",
        "    return replace(spec, source=replace(spec.source, snapshot=snapshot))\n",
        "    return spec\n",
        "tests/runs/tables/test_shared_snapshots.py",
    ),
    Mutant(
        "a table is not locked before the snapshot of the run is taken",
        "apps/engine/sources/postgres/shared_snapshot.py",
        "    error = _try(cursor, lock_statement(table))\n",
        "    error = None\n",
        "tests/runs/tables/test_shared_snapshots.py",
    ),
    Mutant(
        "a view that cannot be read takes the common snapshot from all streams",
        "apps/engine/sources/postgres/shared_snapshot.py",
        "    error = _try(cursor, query_statement(table))\n",
        "    error = cursor.execute(query_statement(table)) and None\n",
        "tests/databases/test_odd_databases.py",
    ),
    Mutant(
        "another key of the source is not listed if its stream has to be reset",
        "apps/engine/sync/runner.py",
        "                self._emit_found_columns(source.find_columns())\n",
        "                pass\n",
        "tests/engine/sources/test_source_columns.py",
    ),
    Mutant(
        "a value that is to be hashed arrives readable",
        "apps/engine/sync/fields.py",
        '        return hmac.digest(self._key, text.encode(), "sha256").hex()\n',
        "        return text\n",
        "tests/engine/sources/test_fields.py",
    ),
    Mutant(
        "a new column arrives although the columns are frozen",
        "apps/engine/frames/contracts.py",
        '        if new and self.mode == "freeze":\n',
        "        if False:\n",
        "tests/engine/sources/test_contracts.py",
    ),
    Mutant(
        "a change of a column at the source is not listed",
        "apps/pipelines/drift/recording.py",
        "        yield from _compare_columns(row, now)\n",
        "",
        "tests/pipelines/test_drift.py",
    ),
    Mutant(
        "a stream that appends is read again as a whole",
        "apps/runs/backfills/possible.py",
        "    if reads_whole:\n",
        "    if False:\n",
        "tests/runs/backfills/test_whole_streams.py",
    ),
    Mutant(
        "a backfill of a whole stream moves its position",
        "apps/engine/contract.py",
        "        return self.window is not None or self.is_reread\n",
        "        return self.window is not None\n",
        "tests/runs/backfills/test_whole_streams.py",
    ),
    Mutant(
        "a run is expected to read as many records as the replay before it",
        "apps/runs/attempts/earlier_runs.py",
        "        ORDINARY_RUNS, pipeline_id",
        "        pipeline_id",
        "tests/runs/following/test_expected_records.py",
    ),
    Mutant(
        "a record with a masked secret is sent again",
        "apps/engine/sync/left_out_files.py",
        '        if masked["kept"] != record.kept or masked["record"] != record.record:\n',
        "        if False:\n",
        "tests/engine/runs/test_replays.py",
    ),
    Mutant(
        "a replay replaces rows that are newer",
        "apps/engine/destinations/postgres/publishing.py",
        "        if self._newest_by:\n",
        "        if False:\n",
        "tests/engine/runs/test_replays.py",
    ),
    Mutant(
        "a replay creates the table anew that was lost",
        "apps/engine/sync/publishing_rules.py",
        "(job.since is not None or spec.replay is not None)",
        "job.since is not None",
        "tests/engine/runs/test_replays.py",
    ),
    Mutant(
        "hashes of rejected records are hashed again",
        "apps/engine/sync/fields.py",
        "        if rule.field in self._hashed:\n",
        "        if False:\n",
        "tests/engine/runs/test_replays.py",
    ),
    Mutant(
        "the next page of PostgreSQL is read although the table was replaced meanwhile",
        "apps/engine/sources/postgres/source.py",
        "        if not is_same and not is_extended:\n            raise table_replaced",
        "        if False:\n            raise table_replaced",
        "tests/engine/sources/test_postgres_bulk.py",
    ),
    Mutant(
        "records that were sent again are sent once more",
        "apps/engine/sync/checkpoints.py",
        "            statements.READ_STREAM_DONE_ONCE if is_done_once else",
        "            statements.READ_STREAM if is_done_once else",
        "tests/engine/runs/test_replays.py",
    ),
    Mutant(
        "a replay that was published and not recorded is repeated",
        "apps/engine/sync/runner.py",
        "            backend.finish_published(self._has_published_here)\n",
        "            pass\n",
        "tests/engine/runs/test_replays.py",
    ),
    Mutant(
        "a replay sends records of which the rules have dropped a field",
        "apps/runs/replays/possible.py",
        "    if before.drop:\n        return True\n",
        "",
        "tests/runs/replays/test_replays.py",
    ),
    Mutant(
        "a record that could not be read shows a field that is dropped",
        "apps/engine/field_rules.py",
        "return self.drops_fields or bool(self.protected)",
        "return bool(self.protected)",
        "tests/engine/runs/test_replays.py",
    ),
    Mutant(
        "a backfill goes on although a schedule of its pipeline is due",
        "apps/runs/backfills/chunks.py",
        "    return pipeline.enabled and due_schedules.exists()\n",
        "    return False\n",
        "tests/runs/backfills/test_backfills.py",
    ),
    Mutant(
        "a change of a connector leads to a taken table",
        "apps/connectors/services.py",
        "        _call_settings_watchers(org, by, connector)\n",
        "        pass\n",
        ONE_WRITER,
    ),
    Mutant(
        "an earlier version writes a table that another pipeline got",
        "apps/pipelines/specs.py",
        "    targets.require_still_own(org, pipeline, row, definition.streams)\n",
        "",
        ONE_WRITER,
    ),
    Mutant(
        "a key that is limited to a domain gets a file with tables of all domains",
        "apps/runs/outputs/files.py",
        "    if by.only_domain is not None:\n",
        "    if False:\n",
        DATABASES,
    ),
    Mutant(
        "rows are appended to a table of another pipeline",
        "apps/engine/destinations/duckdb/tables.py",
        "    if row and row[0] != owner:\n",
        "    if False:\n",
        DATABASES,
    ),
    Mutant(
        "the DuckDB file of a connector is removed with a pipeline",
        "apps/runs/outputs/databases.py",
        "            return False\n        Output",
        "            pass\n        Output",
        DATABASES,
    ),
    Mutant(
        "a DuckDB file is read while another process writes to it",
        "apps/engine/destinations/duckdb/database.py",
        "        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "        pass\n",
        "tests/engine/destinations/test_duckdb.py",
    ),
    # Pages of connectors.
    Mutant(
        "pipelines of other domains are counted for a key that is limited to a domain",
        "apps/pipelines/visibility.py",
        "        users = pipelines(org, by)",
        "        users = Pipeline.objects.for_org(org)",
        "tests/pipelines/test_domains.py",
    ),
    Mutant(
        "a test of changed settings is stored as one of the saved settings",
        "apps/connectors/checks/services.py",
        "settings.plain),\n        lambda current_principal: _find_connector_to_check(org, current_principal, connector_id),\n",
        "settings.plain),\n        lambda current_principal: _find_connector_to_check(org, current_principal, connector_id),\n"
        "        lambda answer: services.store_check_result(\n"
        "            org=org, connector_id=connector_id, version=connector.version, ok=answer['ok']\n"
        "        ),\n",
        CHECKS,
    ),
    # Uploaded files.
    Mutant(
        "a domain role allows to change files of the whole org",
        "apps/connectors/files/services.py",
        "    by.require(Permission.CONNECTORS_EDIT)\n",
        "    return\n",
        FILES,
    ),
    Mutant(
        "a key that is limited to a domain sees all files",
        "apps/connectors/files/services.py",
        "    return rows if by.only_domain is None else rows.none()\n",
        "    return rows\n",
        FILES,
    ),
    Mutant(
        "a key that is limited to a domain reads all files by its settings",
        "apps/connectors/configuration.py",
        "    if by.only_domain is None or",
        "    if by.only_domain is not None or",
        FILES,
    ),
    Mutant(
        "a file that a connector names is deleted",
        "apps/connectors/files/services.py",
        "    if readers:\n",
        "    if False:\n",
        FILES,
    ),
    Mutant(
        "bytes of uploads that are not complete are not counted",
        "apps/connectors/files/limits.py",
        " + _reserved_bytes(org.pk)",
        "",
        FILES,
    ),
    Mutant(
        "a file that another upload stores is claimed too",
        "apps/connectors/files/content.py",
        "        raise FileBusy\n",
        "        pass\n",
        FILES,
    ),
    Mutant(
        "content of a body that is too short is stored",
        "apps/web/uploads.py",
        "        if received != size:\n",
        "        if False:\n",
        "tests/connectors/files/test_receiving.py",
    ),
    # Two runs of one stream.
    Mutant(
        "an attempt that lost the stream disconnects the new owner",
        "apps/engine/sync/checkpoints.py",
        "        with self._owned_transaction():\n            if self._fetch_one(statements.TRY_LOCK)",
        "        with self._connection.transaction():\n            if self._fetch_one(statements.TRY_LOCK)",
        "tests/engine/runs/test_faults.py",
    ),
    # Only those who may look at data see values of rejected records.
    Mutant(
        "a viewer sees rejected records",
        "apps/runs/outputs/left_out.py",
        "    if not shows_values:\n",
        "    if False:\n",
        REJECTED,
    ),
    Mutant(
        "a member who lost a role meanwhile sees rejected records",
        "apps/runs/outputs/left_out.py",
        "    if shows_values:\n        by.require",
        "    if False:\n        by.require",
        "tests/api/test_rights_after_a_wait.py",
    ),
    Mutant(
        "rejected records are not removed with the log",
        "apps/runs/outputs/storage.py",
        "    remove(left_out_folder(org_id, run_id))\n",
        "",
        REJECTED,
    ),
    # Only those with data.view look at records at a destination, each look is audited, and it changes nothing.
    Mutant(
        "a viewer with a role in one domain looks at records of another",
        "apps/runs/arrived/services.py",
        "find_permitted_pipeline, Permission.DATA_VIEW",
        "find_permitted_pipeline, Permission.READ",
        ARRIVED,
    ),
    Mutant(
        "a look at records is not audited",
        "apps/runs/arrived/services.py",
        'if look.page is not None and look.page["ok"] and not is_same_look:',
        "if False:",
        ARRIVED,
    ),
    Mutant(
        "the token of one look hides another from the audit log",
        "apps/runs/arrived/services.py",
        "signer.unsign(token, max_age=LOOK_SECONDS) == value",
        "signer.unsign(token, max_age=LOOK_SECONDS)",
        ARRIVED,
    ),
    Mutant(
        "the token of a page that showed nothing hides the next look from the audit log",
        "apps/runs/arrived/services.py",
        ' if page["ok"] else ""',
        "",
        ARRIVED,
    ),
    Mutant(
        "a run shows the records that a pipeline of another domain has written to its table",
        "apps/runs/arrived/services.py",
        "    if not all(by.may(",
        "    if False and not all(by.may(",
        "tests/runs/tables/test_shared_databases.py",
    ),
    Mutant(
        "a table of PostgreSQL is shown that the pipeline has not written",
        "apps/engine/destinations/postgres/destination.py",
        "if not self._publications.is_written_by(cursor, self.data.prefix):",
        "if False:",
        "tests/engine/destinations/test_stored_rows.py",
    ),
    Mutant(
        "a look at PostgreSQL may change it",
        "apps/engine/destinations/postgres/reading.py",
        "SET TRANSACTION READ ONLY; ",
        "",
        "tests/engine/destinations/test_stored_rows.py",
    ),
    Mutant(
        "a member of another domain downloads files",
        "apps/runs/outputs/files.py",
        "find_permitted_run, Permission.DATA_VIEW",
        "find_permitted_run, Permission.READ",
        "tests/runs/tables/test_arrived.py tests/api/test_rights_after_a_wait.py",
    ),
    Mutant(
        "a member of one domain downloads the tables of all domains",
        "apps/runs/outputs/files.py",
        "        if is_shared:\n",
        "        if False:\n",
        "tests/runs/tables/test_shared_databases.py",
    ),
    # A run publishes only what its pipeline allows, and its position belongs to it.
    Mutant(
        "too many rejected records are published",
        "apps/engine/sync/publishing_rules.py",
        "    if share <= rules.max_rejected_share:\n",
        "    if True:\n",
        ACCOUNTING,
    ),
    Mutant(
        "an empty result replaces rows",
        "apps/engine/sync/publishing_rules.py",
        "    if destination.has_rows():\n",
        "    if False:\n",
        ACCOUNTING,
    ),
    Mutant(
        "a run continues the unfinished sync of another run",
        "apps/engine/sync/checkpoints.py",
        "        if not belongs_to_run and not (",
        "        if False and not (",
        ACCOUNTING,
    ),
    Mutant(
        "a run continues with other code",
        "apps/engine/sync/checkpoints.py",
        "        if inputs is not None and inputs[",
        "        if False and inputs[",
        "tests/engine/runs/test_runs.py",
    ),
    # The agent changes something only with a valid approval of exactly this call.
    Mutant(
        "an approval is valid for other arguments",
        "apps/agent/turns/calls.py",
        "        or approval.digest != digests.digest(call.tool, call.arguments)\n",
        "",
        AGENT,
    ),
    Mutant(
        "an approval is used twice",
        "apps/agent/turns/calls.py",
        "or approval.state != ApprovalState.APPROVED",
        "or approval.state not in {ApprovalState.APPROVED, ApprovalState.USED}",
        AGENT,
    ),
    Mutant(
        "an expired approval is used",
        "apps/agent/turns/calls.py",
        "        or approval.expires_at <= timezone.now()\n",
        "",
        AGENT,
    ),
    Mutant(
        "a call is carried out without an approval",
        "apps/agent/turns/calls.py",
        "            if tool.asks_before(context, arguments):\n                _use_approval(begun.turn, call)\n",
        "",
        AGENT,
    ),
    # The agent and the streams of pipelines.
    Mutant(
        "the agent sends positions of streams to a language model",
        "apps/agent/tools/record_values.py",
        "    return position if context.values_allowed or position is None else HIDDEN\n",
        "    return position\n",
        "tests/runs/tables/test_agent.py",
    ),
    Mutant(
        "a named stream that the agent removes is read by the patterns",
        "apps/agent/tools/changed_streams.py",
        '            if self._is_matched_by_patterns(stream["stream"]):\n',
        "            if False:\n",
        "tests/agent/tools/test_many_streams.py",
    ),
    Mutant(
        "the agent replaces all rules for fields of a stream",
        "apps/agent/tools/changed_streams.py",
        '    rules = {rule["field"]: dict(rule) for rule in fields["rules"]}\n',
        "    rules: dict[str, Any] = {}\n",
        "tests/agent/tools/test_many_streams.py",
    ),
    # The source builder.
    Mutant(
        "code that fails is repaired without end",
        "apps/agent/graphs/source_builder.py",
        "    if len(answers) <= repairs.MAX_REPAIRS:\n",
        "    if True:\n",
        SOURCE_BUILDER,
    ),
    Mutant(
        "a new host of documentation is reached without an approval",
        "apps/agent/sources/known_pages.py",
        "    if _origin(url) not in {_origin(known) for known in approved}:\n        return False\n",
        "",
        KNOWN_PAGES,
    ),
    Mutant(
        "a link of a document is followed without an approval",
        "apps/agent/sources/known_pages.py",
        "    return url in approved or url in set(_urls_of_user(org, conversation_id))\n",
        "    return True\n",
        KNOWN_PAGES,
    ),
    Mutant(
        "documentation is redirected to another host",
        "apps/agent/sources/fetching.py",
        "        if not _is_same_server(url, target):\n",
        "        if False:\n",
        "tests/agent/sources/test_fetching.py",
    ),
    Mutant(
        "a document ends its block of data",
        "apps/agent/sources/marking.py",
        'return f"<data>\\n{neutralise(text)}\\n</data>"',
        'return f"<data>\\n{text}\\n</data>"',
        SOURCE_BUILDER,
    ),
    Mutant(
        "the settings of a preview are used for code that reaches another host",
        "apps/agent/sources/storage.py",
        '    if not set(hosts) <= set(value["hosts"]):\n        raise SettingsMissing\n',
        "",
        SOURCE_BUILDER,
    ),
    Mutant(
        "the language model gets a secret that the code of a preview reveals",
        "apps/engine/trial.py",
        '"records": redactor.mask_records(display_rows(records.frame)),',
        '"records": display_rows(records.frame),',
        "tests/agent/sources/test_previews.py",
    ),
    Mutant(
        "an agent uses the tools of the other agent",
        "apps/agent/turns/calls.py",
        "or (self.graph is not None and self.graph not in tool.graphs)",
        "",
        "tests/agent/sources/test_hand_over.py",
    ),
    Mutant(
        "a request is decided twice",
        "apps/agent/approvals/services.py",
        "    if request.state != ApprovalState.OPEN or request.expires_at <= timezone.now():\n",
        "    if request.expires_at <= timezone.now():\n",
        AGENT,
    ),
    Mutant(
        "a removed member's turn goes on",
        "apps/agent/turns/leases.py",
        "        acting_member(turn)\n",
        "",
        AGENT,
    ),
    Mutant(
        "a worker writes without the lease of the turn",
        "apps/agent/turns/leases.py",
        "    WHERE org_id = %(org)s AND id = %(turn)s AND lease = %(lease)s\n",
        "    WHERE org_id = %(org)s AND id = %(turn)s AND %(lease)s::uuid IS NOT NULL\n",
        AGENT,
    ),
    Mutant(
        "a turn ends quickly although its user has asked to stop it",
        "apps/agent/turns/quick_ending.py",
        "AND lease = %(lease)s AND stop_requested_at IS NULL FOR UPDATE\n",
        "AND lease = %(lease)s FOR UPDATE\n",
        ENDING,
    ),
    Mutant(
        "a turn ends quickly without an event that was stored meanwhile",
        "apps/agent/turns/quick_ending.py",
        " AND c.event_sequence = %(newest)s",
        "",
        ENDING,
    ),
    Mutant(
        "a turn ends quickly without the lease",
        "apps/agent/turns/quick_ending.py",
        " AND lease = %(lease)s AND stop_requested_at IS NULL FOR UPDATE\n",
        " AND stop_requested_at IS NULL FOR UPDATE\n",
        ENDING,
    ),
    Mutant(
        "a call is begun although its user has asked to stop the turn",
        "apps/agent/turns/calls.py",
        "    leases.require_not_stopped(turn)\n",
        "",
        AGENT,
    ),
    Mutant(
        "a worker stores tokens without the lease of the turn",
        "apps/agent/turns/tokens.py",
        "AND id = %(turn)s AND lease = %(lease)s FOR UPDATE\n",
        "AND id = %(turn)s AND %(lease)s::uuid IS NOT NULL FOR UPDATE\n",
        AGENT,
    ),
    Mutant(
        "a member reads another member's conversation",
        "apps/agent/conversations/visibility.py",
        "return rows.filter(user_id=by.user_id)",
        "return rows",
        MATRIX,
    ),
    Mutant(
        "another org reads checkpoints",
        "apps/agent/migrations/0001_squashed_0014_turn_timezone.py",
        "ALTER TABLE agent.{table} ENABLE ROW LEVEL SECURITY;\n",
        "",
        "tests/agent/test_privacy.py",
    ),
    Mutant(
        "a deleted conversation leaves checkpoints",
        "apps/agent/turns/checkpoints.sql",
        "    DELETE FROM agent.checkpoint_blobs WHERE thread_id = OLD.id::text;\n",
        "",
        "tests/agent/test_privacy.py",
    ),
    Mutant(
        "an approval is shown as approved only although its call has failed",
        "apps/agent/turns/calls.py",
        "[] if answer.ok else _mark_approvals_failed(turn, call)",
        "[]",
        AGENT,
    ),
    Mutant(
        "a reconnecting client of a conversation gets its last event again",
        "apps/agent/conversations/feed.py",
        "AND sequence > %s ORDER BY",
        "AND sequence >= %s ORDER BY",
        "tests/agent/test_outages.py",
    ),
    # Language models: keys stay secret, budgets stop, and nothing incomplete is carried out.
    Mutant(
        "a budget that is used up stops nothing",
        "apps/agent/turns/spending.py",
        "        if self._budget.is_used_up:\n            raise ModelFailed(failures.BUDGET_USED_UP)\n",
        "",
        f"{MODELS}/test_turns_with_models.py",
    ),
    Mutant(
        "the key of a language model is shown",
        "apps/agent/chat_models/views.py",
        '"last4": row.key_last4}',
        '"last4": getattr(own_model.connection_of(self.org, row), "key", "")}',
        f"{MODELS}/test_own_model.py",
    ),
    Mutant(
        "a stored key is sent to another address",
        "apps/agent/chat_models/own_model.py",
        "    if had_key and key is None and moved:\n",
        "    if False:\n",
        f"{MODELS}/test_own_model.py {MODELS}/test_check_route.py",
    ),
    Mutant(
        "the URL of a language model is not under the egress policy",
        "apps/agent/chat_models/providers.py",
        "allow_private=connection.allow_private,",
        "allow_private=True,",
        f"{MODELS}/test_strict.py {MODELS}/test_checks.py -k private_address",
    ),
    Mutant(
        "a failure of a language model shows its key",
        "apps/agent/chat_models/provider_errors.py",
        '        text = text.replace(secret, "***")\n',
        "        text = text.replace(secret, secret)\n",
        f"{MODELS}/test_strict.py",
    ),
    Mutant(
        "an org's audit log shows the address of the operator's language model",
        "apps/agent/chat_models/checks/services.py",
        "    if connection.is_of_operator:\n",
        "    if False:\n",
        f"{MODELS}/test_check_route.py",
    ),
    Mutant(
        "one org uses all turns of a worker",
        "apps/agent/turns/loop.py",
        "own < settings.AGENT_ORG_TURNS_PER_WORKER and not (own and is_busy)",
        "True",
        "tests/agent/limits/test_fairness.py",
    ),
    Mutant(
        "a call from an answer that was cut is carried out",
        "apps/agent/chat_models/answer_checks.py",
        "    if reason not in FINISHED:\n        return CheckedAnswer(problem=",
        "    if False:\n        return CheckedAnswer(problem=",
        f"{MODELS}/test_strict.py",
    ),
    Mutant(
        "a call whose arguments were cut is carried out",
        "apps/agent/chat_models/answer_checks.py",
        "    if problem:\n        return CheckedAnswer(problem=problem)\n",
        "",
        f"{MODELS}/test_strict.py",
    ),
    Mutant(
        "the tokens of a broken answer are not counted",
        "apps/agent/chat_models/strict.py",
        '                _count(attempt, messages, kwargs.get("tools"))\n',
        "                if attempt.is_complete:\n"
        '                    _count(attempt, messages, kwargs.get("tools"))\n',
        f"{MODELS}/test_spent_tokens.py",
    ),
    Mutant(
        "the tokens of a check are not counted",
        "apps/agent/chat_models/checks/services.py",
        'input_tokens=answer["input_tokens"],',
        "input_tokens=0,",
        f"{MODELS}/test_check_route.py",
    ),
    Mutant(
        "checks of language models are not limited",
        "apps/agent/chat_models/checks/services.py",
        "    if len(times) < CHECKS_PER_MINUTE:\n        return\n",
        "    if times is not None:\n        return\n",
        f"{MODELS}/test_check_route.py",
    ),
    # Programs that use tools over MCP change nothing that a person has not approved.
    Mutant(
        "a program collects the results of other keys",
        "apps/agent/mcp/collecting.py",
        "ToolRequest.objects.for_org(org).filter(key_id=caller.credential.key_id)",
        "ToolRequest.objects.for_org(org)",
        MCP_APPROVALS,
    ),
    Mutant(
        "an approval over MCP is valid for other arguments",
        "apps/agent/mcp/collecting.py",
        "if request.digest != digests.digest(request.tool, request.arguments):",
        "if not request.digest:",
        MCP_APPROVALS,
    ),
    Mutant(
        "an expired approval over MCP is valid",
        "apps/agent/mcp/collecting.py",
        "if request.state == ToolRequestState.APPROVED and request.expires_at > timezone.now():",
        "if request.state == ToolRequestState.APPROVED:",
        MCP_APPROVALS,
    ),
    Mutant(
        "a member decides requests of keys that are not theirs",
        "apps/agent/mcp/decisions.py",
        "keys = ApiKey.objects.for_org(org).visible_to(by)",
        "keys = ApiKey.objects.for_org(org)",
        MATRIX,
    ),
    Mutant(
        "a key has tools of every level",
        "apps/agent/mcp/levels.py",
        "and RANK[tool.level] <= RANK[level]\n",
        "",
        MCP_TOOLS,
    ),
    Mutant(
        "the first event of a conversation has all its turns",
        "apps/agent/conversations/transcripts.py",
        "        if first and total > MAX_BYTES:\n",
        "        if False:\n",
        "tests/agent/limits/test_size_limits.py",
    ),
    Mutant(
        "a full conversation takes more messages",
        "apps/agent/conversations/limits.py",
        "    if size >= settings.CONVERSATION_SIZE:\n",
        "    if False:\n",
        "tests/agent/limits/test_size_limits.py",
    ),
    Mutant(
        "the conversations of an org store as much as they want",
        "apps/agent/conversations/limits.py",
        "    if size_of_all >= settings.CONVERSATIONS_SIZE_PER_ORG:\n",
        "    if False:\n",
        "tests/agent/limits/test_size_limits.py",
    ),
    Mutant(
        "turns that are tried again are not limited",
        "apps/agent/conversations/limits.py",
        '("conversation.message", "conversation.retry"),',
        '("conversation.message",),',
        "tests/agent/test_privacy.py",
    ),
    Mutant(
        "answers to questions are not limited",
        "apps/agent/approvals/services.py",
        '    if decision == "answer" and not request.card.get("form"):',
        "    if False:",
        "tests/agent/limits/test_answers_and_decisions.py",
    ),
    Mutant(
        "names of objects are not marked as data",
        "apps/agent/turns/answers.py",
        "if name in answer.foreign_fields]",
        "if name in ()]",
        "tests/agent/evaluations/test_cases.py -k ends-its-block",
    ),
    Mutant(
        "code that is refused before an approval does not count as a repair",
        "apps/agent/approvals/gate.py",
        "    if not (call.tool in repairs.CHECKING_TOOLS and repairs.is_invalid_code(error)):",
        "    if True:",
        "tests/agent/sources/test_source_builder.py -k refused_before",
    ),
    Mutant(
        "one org uses all threads of MCP",
        "apps/agent/mcp/threads.py",
        "if own and all_calls >= THREADS - KEPT_FREE:",
        "if own > THREADS:",
        "tests/agent/mcp/test_fairness.py",
    ),
    Mutant(
        "a page of another site may use MCP",
        "apps/agent/mcp/application.py",
        "if origin is not None and not is_public_origin(origin):",
        "if origin == 'null':",
        MCP_TOOLS,
    ),
    # A frozen process does not block others for long.
    Mutant(
        "a request waits for a lock forever",
        "local/database/roles.py",
        """    USER: {
        "idle_in_transaction_session_timeout": "10s",
        "lock_timeout": "1500ms",""",
        """    USER: {
        "idle_in_transaction_session_timeout": "10s",
        "lock_timeout": "0",""",
        ROLES,
    ),
    Mutant(
        "an org with locked rows is chosen again and again",
        "apps/runs/claiming/leases.py",
        "skipped_orgs.add(chosen_run[0])",
        "raise",
        FROZEN_PROCESSES,
    ),
    Mutant(
        "a claim is not searched for after the response to its commit was lost",
        "apps/runs/claiming/leases.py",
        "if self._chosen_run is None:",
        "if self._worker:",
        "tests/runs/claiming/test_turns.py",
    ),
    Mutant(
        "a worker that stops fetching jobs does not announce it",
        "apps/background/generations.py",
        """still have a worker with a heartbeat.
        \"\"\"
        self.stopping.set()""",
        """still have a worker with a heartbeat.
        \"\"\"""",
        "tests/runs/claiming/test_generations.py",
    ),
    # Retention deletes an org's data after the org's own number of days, and never deletes live runs.
    Mutant(
        "one org's retention deletes the audit logs of all orgs",
        "apps/runs/keeping/retention.sql",
        "WHERE a.org_id = due.id AND a.at < due.before",
        "WHERE a.at < due.before",
        RETENTION,
    ),
    Mutant(
        "the log of a retried run is deleted",
        "apps/runs/keeping/retention.py",
        "pk=run_id, status__in=ENDED)",
        "pk=run_id)",
        RETENTION,
    ),
    # The first barrier: reads that start from the org.
    Mutant(
        "for_org does not filter by org",
        "apps/orgs/tenancy.py",
        "using=self._db).filter(org_id=org_id)",
        "using=self._db).all()",
        WALLS,
    ),
    Mutant(
        "a manager reads without an org",
        "apps/orgs/tenancy.py",
        'raise OrgScopeMissing(f"{self.model.__name__}.objects needs for_org(org)")',
        "return super().get_queryset()",
        WALLS,
    ),
    Mutant(
        "a read bypasses for_org",
        "apps/orgs/members/visibility.py",
        "return Domain.objects.for_org(org)",
        "return Domain.unscoped.all()  # type: ignore[return-value]",
        WALLS,
    ),
    Mutant(
        "scopes of two orgs can be nested",
        "apps/orgs/walls/scope.py",
        'raise NestedOrgScope(f"scope of {org_id} opened inside the scope of {current}")',
        "pass",
        WALLS,
    ),
    Mutant(
        "the scope stays set after its block",
        "apps/orgs/walls/scope.py",
        '_set_local("app.current_org", "")',
        "pass",
        WALLS,
    ),
    # The second barrier: policies of the database.
    Mutant(
        "tables have no row-level security",
        "apps/orgs/walls/rls.py",
        "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;",
        "",
        WALLS,
    ),
    Mutant(
        "the policy shows every row",
        "apps/orgs/walls/rls.py",
        "USING (org_id = (SELECT app_current_org())) WITH",
        "USING (true) WITH",
        WALLS,
    ),
    Mutant(
        "the policy accepts every new row",
        "apps/orgs/walls/rls.py",
        "WITH CHECK (org_id = (SELECT app_current_org()))",
        "WITH CHECK (true)",
        WALLS,
    ),
    Mutant(
        "a query without an org in scope raises no error",
        "apps/orgs/walls/rls.py",
        "RAISE EXCEPTION 'no organization is in scope' USING ERRCODE = 'insufficient_privilege';",
        "RETURN NULL;",
        WALLS,
    ),
    Mutant(
        "one table has no policy",
        "apps/orgs/migrations/0001_squashed_0025_plain_sql_comments.py",
        '"orgs_invitation", ',
        "",
        WALLS,
    ),
    Mutant(
        "the audit log can be changed",
        "apps/orgs/walls/rls.py",
        "REVOKE UPDATE, DELETE ON {table} FROM app_user;",
        "SELECT 1;",
        WALLS,
    ),
    # The third barrier: composite keys.
    Mutant(
        "a foreign key can reference a row of another org",
        "apps/orgs/migrations/0001_squashed_0025_plain_sql_comments.py",
        'rls.same_org("orgs_apikey", "domain_id", "orgs_domain", on_delete="CASCADE"),',
        "",
        WALLS,
    ),
    # Credentials.
    Mutant(
        "permissions are not checked",
        "apps/orgs/http/views.py",
        "            self.principal.require(permission)\n",
        "            pass\n",
        MATRIX,
    ),
    Mutant(
        "API keys can use routes that require a session",
        "apps/orgs/http/views.py",
        "            self.principal.require_session()\n        permission",
        "            pass\n        permission",
        MATRIX,
    ),
    Mutant(
        "account routes accept API keys",
        "apps/orgs/http/views.py",
        "        raise SessionNeeded\n\n\nclass OrgView",
        "        return Response({})\n\n\nclass OrgView",
        MATRIX,
    ),
    Mutant(
        "a revoked session still works",
        "apps/orgs/credentials.sql",
        "f.user_id = wanted_user AND f.revoked_at IS NULL\n          AND (f.only_org",
        "f.user_id = wanted_user\n          AND (f.only_org",
        CREDENTIALS,
    ),
    Mutant(
        "a session of one org's identity provider works in another org",
        "apps/orgs/credentials.sql",
        "AND (f.only_org IS NULL OR f.only_org = wanted_org)",
        "",
        CREDENTIALS,
    ),
    Mutant(
        "a disabled account still works",
        "apps/orgs/credentials.sql",
        "JOIN identity_user u ON u.id = m.user_id AND u.is_active\n    JOIN orgs_org o ON o.id = m.org_id\n    LEFT",
        "JOIN identity_user u ON u.id = m.user_id\n    JOIN orgs_org o ON o.id = m.org_id\n    LEFT",
        CREDENTIALS,
    ),
    Mutant(
        "a token issued before a change of the password still works",
        "apps/orgs/credentials.py",
        "    elif access.token_version != credential.token_version:",
        "    elif False:",
        CREDENTIALS,
    ),
    Mutant(
        "the network rule allows every address",
        "apps/orgs/rules.py",
        "    if org.networks and not is_in_networks(ip, org.networks):",
        "    if False:",
        "tests/orgs/test_rules.py",
    ),
    # Roles.
    Mutant(
        "members can grant roles above their own",
        "apps/orgs/members/services.py",
        "    require_rank(by, old_role, role)\n",
        "",
        MEMBERS,
    ),
    Mutant(
        "admins can remove owners",
        "apps/orgs/members/services.py",
        '    require_rank(by, Role(member.role))\n    _end_membership(org, by, member, "member.remove")',
        '    _end_membership(org, by, member, "member.remove")',
        MEMBERS,
    ),
    Mutant(
        "members can invite with roles above their own",
        "apps/orgs/members/invitations.py",
        "    require_rank(by, role)\n",
        "",
        INVITATIONS,
    ),
    Mutant(
        "the last owner can leave",
        "apps/orgs/members/services.py",
        "    if not owners.exists():\n        raise LastOwner",
        "    if not owners.exists():\n        pass",
        MEMBERS,
    ),
    Mutant(
        "a domain role applies outside its domain",
        "apps/orgs/principals.py",
        "        domain_role = self.domain_roles.get(domain_id) if domain_id else None\n",
        "        domain_role = next(iter(self.domain_roles.values()), None)\n",
        "tests/orgs/test_domains.py tests/pipelines/test_domains.py",
    ),
    Mutant(
        "a domain role applies to the whole org",
        "apps/orgs/principals.py",
        "        if domain_role is None or permission not in DOMAIN_PERMISSIONS:",
        "        if domain_role is None:",
        "tests/orgs/test_domains.py tests/pipelines/test_domains.py",
    ),
    # Invitations.
    Mutant(
        "anyone can accept an invitation",
        "apps/orgs/members/invitations.py",
        "        if user.email != invitation.email:\n            raise InvitationForOtherAddress\n",
        "",
        INVITATIONS,
    ),
    Mutant(
        "invitations never expire",
        "apps/orgs/members/invitations.py",
        "pk=invitation_id, expires_at__gt=timezone.now()",
        "pk=invitation_id",
        INVITATIONS,
    ),
    Mutant(
        "an old invitation link works after a new one was sent",
        "apps/orgs/members/invitations.py",
        "    invitation.digest = None\n    invitation.save",
        "    invitation.save",
        INVITATIONS,
    ),
    # API keys.
    Mutant(
        "revoked keys work",
        "apps/orgs/http/authentication.py",
        'if row["revoked_at"] or (row["expires_at"]',
        'if (row["expires_at"]',
        KEYS,
    ),
    Mutant(
        "expired keys work",
        "apps/orgs/http/authentication.py",
        'if row["revoked_at"] or (row["expires_at"] and row["expires_at"] <= timezone.now()):',
        'if row["revoked_at"]:',
        KEYS,
    ),
    Mutant(
        "a key keeps a role that its creator has lost",
        "apps/orgs/credentials.py",
        "    role = min(credential.role, holder_role, key=RANK.__getitem__)\n",
        "    role = credential.role\n",
        KEYS,
    ),
    Mutant(
        "the scopes of a key are not checked",
        "apps/orgs/principals.py",
        "        if self.scopes is not None and permission not in self.scopes:\n            return False\n",
        "",
        KEYS,
    ),
    Mutant(
        "a key works after the membership of its creator has ended",
        "apps/orgs/members/services.py",
        "    own_keys.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())\n",
        "",
        KEYS,
    ),
    Mutant(
        "members see each other's keys",
        "apps/orgs/queries.py",
        "        return self.filter(created_by_id=principal.user_id)",
        "        return self",
        KEYS,
    ),
    Mutant(
        "a key for one domain sees the pipelines of other domains",
        "apps/orgs/placement.py",
        "    return queryset.filter(domain_id=principal.only_domain)",
        "    return queryset",
        MATRIX,
    ),
    Mutant(
        "an explanation names connectors that a key for one domain cannot see",
        "apps/runs/explaining/changes.py",
        "    rows = connectors(facts.org, facts.by).filter(",
        "    rows = connectors(facts.org, facts.by).model.objects.for_org(facts.org).filter(",
        "tests/agent/tools/test_explanations.py -k outside",
    ),
    Mutant(
        "a key for one domain sees the runs of other domains",
        "apps/runs/visibility.py",
        "    return rows.filter(pipeline__domain_id=by.only_domain)",
        "    return rows",
        MATRIX,
    ),
    # Streams and stored responses.
    Mutant(
        "a caller can follow a run that they may not see",
        "apps/runs/following/feed.py",
        "    if not visibility.runs(org_id, principal).filter(pk=run_id).exists():\n        raise NotFound\n",
        "",
        STREAMS,
    ),
    Mutant(
        "a ticket opens two streams",
        "apps/live/tickets.py",
        "    if ticket is None or not StreamTicket.objects.filter(pk=ticket.pk).delete()[0]:",
        "    if ticket is None:",
        STREAMS,
    ),
    Mutant(
        "a stored response is returned to another caller",
        "apps/web/idempotency.py",
        "    content = [caller, request.get_full_path(), request.data]",
        "    content = [request.get_full_path(), request.data]",
        "tests/api/test_idempotency.py",
    ),
    Mutant(
        "a request whose claim was taken over still creates its object",
        "apps/web/idempotency.py",
        "        if not store.lock_claim():",
        "        if store.lock_claim() is None:",
        "tests/api/test_idempotency.py",
    ),
    Mutant(
        "an error blocks the idempotency key for a minute",
        "apps/web/slow.py",
        "        if answer.release:\n            answer.release()\n",
        "",
        "tests/api/test_idempotency.py",
    ),
    Mutant(
        "a caller gets a response about an object that left their domain meanwhile",
        "apps/orgs/slow_calls.py",
        "        self.recheck_access(by)\n",
        "",
        "tests/api/test_rights_after_a_wait.py",
    ),
    Mutant(
        "a caller who was demoted meanwhile gets the response",
        "apps/orgs/http/views.py",
        '            self._check_permission((request.method or "").lower())\n',
        "",
        "tests/api/test_rights_after_a_wait.py",
    ),
    Mutant(
        "a caller who may no longer use the connector gets its preview",
        "apps/pipelines/trials/services.py",
        "lambda principal: build_unsaved(org, principal, config)",
        "lambda principal: None",
        "tests/api/test_rights_after_a_wait.py",
    ),
    # The directory and operators.
    Mutant(
        "a directory can raise the roles of its own groups",
        "apps/orgs/scim/role_views.py",
        '    session_methods = frozenset({"put"})\n',
        "",
        f"tests/orgs/scim/test_scim.py {MATRIX}",
    ),
    Mutant(
        "a user whose address the directory changes stays a member",
        "apps/orgs/scim/provisioning.py",
        '    if row.email and row.email != fields["email"]:\n',
        "    if False:\n",
        "tests/orgs/scim/test_scim.py",
    ),
    Mutant(
        "operators see orgs without giving a reason",
        "apps/orgs/operators/site.py",
        "            rows = rows.filter(org_id__in=support.accessible_org_ids(user))\n",
        "",
        OPERATORS,
    ),
    Mutant(
        "support access never expires",
        "apps/orgs/operators/support.py",
        "filter(operator=operator, until__gt=timezone.now())",
        "filter(operator=operator)",
        OPERATORS,
    ),
    Mutant(
        "operators need no second factor",
        "apps/orgs/operators/site.py",
        "    def has_permission(self, request: HttpRequest) -> bool:\n        return has_verified_factor(request)",
        "    def has_permission(self, request: HttpRequest) -> bool:\n"
        "        return request.user.is_active and request.user.is_staff",
        OPERATORS,
    ),
    # Custom sources and their repositories.
    Mutant(
        "versions run without approval",
        "apps/connectors/custom_sources/kinds.py",
        "versions = versions.filter(approved_at__isnull=False).select_related",
        "versions = versions.select_related",
        CUSTOM_SOURCES,
    ),
    Mutant(
        "any member can allow all hosts",
        "apps/connectors/custom_sources/edits.py",
        "if ANY_HOST in hosts and not ",
        "if False and not ",
        CUSTOM_SOURCES,
    ),
    Mutant(
        "a webhook needs no signature",
        "apps/connectors/repositories/webhooks.py",
        "if not _sender_has_secret(org, repository, headers, body):",
        "if False:",
        "tests/connectors/test_repository_webhooks.py",
    ),
    Mutant(
        "a sync that lost its claim still writes",
        "apps/connectors/repositories/syncs.py",
        "if repository is None or repository.claim != claim:",
        "if repository is None:",
        REPOSITORIES,
    ),
    Mutant(
        "the token of a repository is sent to a new URL",
        "apps/connectors/repositories/services.py",
        'if "url" in audited_changes and secret_values["token"] and "token" not in changes:',
        "if False:",
        REPOSITORIES,
    ),
    Mutant(
        "a push can approve new hosts",
        "apps/connectors/repositories/syncs.py",
        "if ANY_HOST in new_hosts or not new_hosts <= old_hosts:",
        "if ANY_HOST in new_hosts:",
        REPOSITORIES,
    ),
    Mutant(
        "code of a repository can be edited in Drover",
        "apps/connectors/custom_sources/services.py",
        "if source.repository_id is not None:\n        raise ComesFromRepository",
        "if False:\n        raise ComesFromRepository",
        REPOSITORIES,
    ),
    # Users of an org's own issuer and directory, and the data that these two receive.
    Mutant(
        "an issuer adds users who have not agreed",
        "apps/orgs/sign_in/sso.py",
        "if not (has_invitation_secret or verified_domains.is_in_verified_domain(org, email)):",
        "if False:",
        SSO,
    ),
    Mutant(
        "a domain is trusted before it is verified",
        "apps/orgs/members/verified_domains.py",
        "for_org(org).filter(verified_at__isnull=False)",
        "for_org(org).filter()",
        VERIFIED_DOMAINS,
    ),
    Mutant(
        "any DNS record verifies a domain",
        "apps/orgs/members/verified_domains.py",
        "elif record_value(row) in lookup:",
        "elif lookup:",
        VERIFIED_DOMAINS,
    ),
    Mutant(
        "an alias in DNS verifies a domain",
        "apps/orgs/members/dns_records.py",
        "or response.canonical_name != name",
        "",
        VERIFIED_DOMAINS,
    ),
    Mutant(
        "the secret of an invitation to another address counts as consent",
        "apps/orgs/members/invitations.py",
        'return invitation is not None and bytes(invitation.digest or b"") == links.digest(token)',
        "return invitation is not None",
        SSO,
    ),
    Mutant(
        "an issuer's log-in response contains data of the account",
        "apps/orgs/sign_in/responses.py",
        '"email": "", "name": ""}), **HIDDEN_ACCOUNT_FIELDS}',
        '"email": "", "name": ""}), **user_fields(session.user)}',
        SSO,
    ),
    Mutant(
        "an unverified account with a password gets a membership",
        "apps/orgs/sign_in/sso.py",
        "if user.email_verified_at is None and user.has_usable_password():",
        "if False:",
        SSO,
    ),
    # Links and mails that a change of the account makes invalid.
    Mutant(
        "mailed links work after the account has changed",
        "apps/auth/proofs.py",
        "MailedLink.objects.filter(user_id=user_id).delete()",
        "pass",
        MAILED_LINKS,
    ),
    Mutant(
        "a mail that waits during a change of the account still creates a link",
        "apps/auth/proofs.py",
        'update(proof_version=F("proof_version") + 1)',
        'update(proof_version=F("proof_version"))',
        MAILED_LINKS,
    ),
    Mutant(
        "a link verifies an address that it was not sent to",
        "apps/auth/mailing/links.py",
        "if link.purpose != Purpose.CHANGE and link.email != user.email:",
        "if False:",
        MAILED_LINKS,
    ),
    # Alerts and calls after runs.
    Mutant(
        "viewers see the whole URLs of calls after runs",
        "apps/alerts/follow_ups/services.py",
        "return by.may(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)",
        "return True",
        "tests/alerts/follow_ups",
    ),
    Mutant(
        "a viewer makes a test call after a run",
        "apps/alerts/follow_ups/calls.py",
        "    by.require(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)\n",
        "",
        "tests/alerts/follow_ups",
    ),
    Mutant(
        "a channel's secret is kept for another URL",
        "apps/alerts/settings.py",
        "        _refuse_kept_secret_at_another_url(row, sent, kind)\n",
        "",
        "tests/alerts/test_api.py",
    ),
    Mutant(
        "the channel of a hidden rule can be changed",
        "apps/alerts/channels.py",
        "if permission is not None and not by.may(permission):",
        "if False:",
        "tests/alerts/test_api.py",
    ),
    Mutant(
        "an incident is resolved while one of its alerts is open",
        "apps/alerts/sending/incidents.py",
        "        if not is_open(first):",
        "        if True:",
        "tests/alerts/incidents/test_incident_kinds.py tests/alerts/test_burst.py",
    ),
    Mutant(
        "a publication does not wait for the disk",
        "apps/engine/destinations/postgres/destination.py",
        "self._connection, self.config, *first, waits_for_disk=waits_for_disk",
        "self._connection, self.config, *first, waits_for_disk=False",
        "tests/engine/destinations/test_server_crashes.py",
    ),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.mutants")
    parser.add_argument(
        "names", nargs="*", help="parts of the mutants' names; without any, all mutants are run"
    )
    parser.add_argument("--list", action="store_true", help="list the mutants and exit")
    options = parser.parse_args()
    selected = [m for m in MUTANTS if not options.names or any(n in m.name for n in options.names)]
    if options.list:
        print(*(f"{mutant.name}: {mutant.file}" for mutant in selected), sep="\n")
        return 0
    survivors = []
    for mutant, noticed, last_line in run_mutants(selected):
        print(f"{'noticed ' if noticed else 'SURVIVED'}  {mutant.name}: {last_line}", flush=True)
        survivors += [] if noticed else [mutant.name]
    print(f"{len(selected) - len(survivors)} of {len(selected)} noticed")
    return 1 if survivors else 0


def run_mutants(selected: Sequence[Mutant]) -> Iterator[tuple[Mutant, bool, str]]:
    """Yield each mutant, whether a test failed, and the first failure or pytest's last line."""
    with tempfile.TemporaryDirectory(prefix="drover-mutants-") as folder:
        # If tests run as root, PostgreSQL runs as another user, which must be able to enter this folder.
        Path(folder).chmod(0o711)
        free_trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(PARALLEL):
            free_trees.put(_copy_with_tools(Path(folder) / f"tree-{number}"))

        def run_in_free_tree(mutant: Mutant) -> tuple[bool, str]:
            tree = free_trees.get()
            try:
                return run_tests_on(mutant, tree)
            finally:
                free_trees.put(tree)

        with ThreadPoolExecutor(PARALLEL) as pool:
            for mutant, result in zip(selected, pool.map(run_in_free_tree, selected), strict=True):
                yield mutant, *result


def _copy_with_tools(tree: Path) -> Path:
    """Copy the tree, and link its `.tools` to ours. Database clusters in this folder are named after a hash of their
    source files, so all copies can share the folder.
    """
    (ROOT / ".tools").mkdir(exist_ok=True)
    copy_to(tree)
    (tree / ".tools").symlink_to(ROOT / ".tools")
    return tree


def copy_to(tree: Path) -> Path:
    """Copy all files except those that git ignores to the folder `tree`. Return `tree`."""
    git_output = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, git_output.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    return tree


def run_tests_on(mutant: Mutant, tree: Path) -> tuple[bool, str]:
    """Create the mutant and return whether a test failed, and the first failure or pytest's last line.

    The long tests are run only if no short test has failed. Raises ValueError if the mutant does not fit the source.
    """
    edited = _mutated_files(mutant, tree)
    originals = {path: path.read_text() for path in edited}
    _write(edited)
    try:
        noticed, line = _run_tests(mutant, tree, "not long")
        return (noticed, line) if noticed else _run_tests(mutant, tree, "long")
    finally:
        _write(originals)


def _run_tests(mutant: Mutant, tree: Path, markers: str) -> tuple[bool, str]:
    completed = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-x", "-n", "0", "-m", markers),
            *mutant.noticed_by.split(),
        ],
        cwd=tree,
        capture_output=True,
        text=True,
    )
    lines = completed.stdout.strip().splitlines() or ["nothing"]
    failed = [line for line in lines if line.startswith("FAILED")]
    has_no_tests = completed.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    if completed.returncode and not failed and not has_no_tests:  # pytest itself has a problem
        raise RuntimeError(f"{mutant.name}: {completed.stdout}{completed.stderr}")
    return bool(failed), (failed or lines[-1:])[0][:150]


def _mutated_files(mutant: Mutant, tree: Path) -> dict[Path, str]:
    """Return the changed files and their new texts.

    A migration contains the digest of each `.sql` file that it installs, so it is changed with that file.
    """
    path = tree / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: found {text.count(mutant.old)} times in {mutant.file}")
    edited = {path: text.replace(mutant.old, mutant.new)}
    if path.suffix == ".sql":
        old_digest, new_digest = digest(text), digest(edited[path])
        for migration in tree.glob("apps/*/migrations/*.py"):
            if old_digest in (source := migration.read_text()):
                edited[migration] = source.replace(old_digest, new_digest)
    return edited


def _write(texts: dict[Path, str]) -> None:
    for path, text in texts.items():
        path.write_text(text)
        modified = next(modification_times)
        os.utime(path, (modified, modified))


if __name__ == "__main__":
    sys.exit(main())
