"""Remove one filter or policy at a time and check that the suite fails: `python -m tests.mutants [NAME ...]`.

Each mutant is created in a copy of the tree, where the tests that should notice it are run. If they pass, the removed
code is not tested, and the exit code is 1. Not part of the suite, because it takes about 10 minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from apps.orgs.walls.sql_functions import digest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mutant:
    """`old` is replaced by `new` in `file`, where it must occur exactly once; `noticed_by` are arguments for
    pytest.
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
RETENTION = "tests/runs/keeping/test_retention.py"
STREAMS = "tests/isolation/test_streams.py"
CUSTOM = "tests/connectors/test_custom_sources.py"
REPOSITORIES = "tests/connectors/test_repositories.py"
SSO = "tests/orgs/sign_in/test_sso.py"
FROZEN = "tests/runs/claiming/test_frozen.py"
ROLES = "tests/local/test_roles.py"
VERIFIED = "tests/orgs/sign_in/test_verified_domains.py"
MAILED = "tests/auth/test_mailed_links.py"

MUTANTS = [
    # A frozen process does not block others for long.
    Mutant(
        "a request waits for a lock for ever",
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
        "an org whose rows are held keeps the turn",
        "apps/runs/claiming/leases.py",
        "passed_over.add(chosen[0])",
        "raise",
        FROZEN,
    ),
    Mutant(
        "a claim is not looked for after a lost commit",
        "apps/runs/claiming/leases.py",
        "if self._chosen is None:",
        "if self._worker:",
        "tests/runs/claiming/test_turns.py",
    ),
    Mutant(
        "a worker that stops fetching says nothing",
        "apps/background/generations.py",
        """still have a living worker.
        \"\"\"
        self.stopping.set()""",
        """still have a living worker.
        \"\"\"""",
        "tests/runs/claiming/test_generations.py",
    ),
    # The only deletions of an org's data: after its own number of days, and never of live runs.
    Mutant(
        "one org's days prune every trail",
        "apps/runs/keeping/retention.sql",
        "WHERE a.org_id = due.id AND a.at < due.before",
        "WHERE a.at < due.before",
        RETENTION,
    ),
    Mutant(
        "the log of a run that was started again is removed",
        "apps/runs/keeping/retention.py",
        "pk=run_id, status__in=ENDED)",
        "pk=run_id)",
        RETENTION,
    ),
    # The first barrier: reads that start from the org.
    Mutant(
        "for_org forgets the org",
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
        "a read goes around for_org",
        "apps/orgs/members/visibility.py",
        "return Domain.objects.for_org(org)",
        "return Domain.unscoped.all()  # type: ignore[return-value]",
        WALLS,
    ),
    Mutant(
        "scopes of two orgs nest",
        "apps/orgs/walls/scope.py",
        'raise NestedOrgScope(f"scope of {org_id} opened inside the scope of {current}")',
        "pass",
        WALLS,
    ),
    Mutant(
        "the scope outlives its block",
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
        "the policy takes every row",
        "apps/orgs/walls/rls.py",
        "WITH CHECK (org_id = (SELECT app_current_org()))",
        "WITH CHECK (true)",
        WALLS,
    ),
    Mutant(
        "no org in scope is no error",
        "apps/orgs/walls/rls.py",
        "RAISE EXCEPTION 'no organization is in scope' USING ERRCODE = 'insufficient_privilege';",
        "RETURN NULL;",
        WALLS,
    ),
    Mutant(
        "one table is forgotten",
        "apps/orgs/migrations/0005_rules_walls.py",
        'rls.protect("orgs_invitation"),',
        "",
        WALLS,
    ),
    Mutant(
        "the trail can be rewritten",
        "apps/orgs/walls/rls.py",
        "REVOKE UPDATE, DELETE ON {table} FROM app_user;",
        "SELECT 1;",
        WALLS,
    ),
    # The third barrier: composite keys.
    Mutant(
        "a key may point into another org",
        "apps/orgs/migrations/0002_walls.py",
        'rls.same_org("orgs_apikey", "domain_id", "orgs_domain", on_delete="CASCADE"),',
        "",
        WALLS,
    ),
    # Credentials.
    Mutant(
        "no permission is asked for",
        "apps/orgs/http/views.py",
        "            self.principal.require(permission)\n",
        "            pass\n",
        MATRIX,
    ),
    Mutant(
        "keys do what is for people",
        "apps/orgs/http/views.py",
        "            self.principal.require_session()\n        permission",
        "            pass\n        permission",
        MATRIX,
    ),
    Mutant(
        "account routes take keys",
        "apps/orgs/http/views.py",
        "        raise SessionNeeded\n\n\nclass OrgView",
        "        return Response({})\n\n\nclass OrgView",
        MATRIX,
    ),
    Mutant(
        "an ended session goes on",
        "apps/orgs/credentials.sql",
        "f.user_id = wanted_user AND f.revoked_at IS NULL\n          AND (f.only_org",
        "f.user_id = wanted_user\n          AND (f.only_org",
        CREDENTIALS,
    ),
    Mutant(
        "one org's identity provider opens another org",
        "apps/orgs/credentials.sql",
        "AND (f.only_org IS NULL OR f.only_org = wanted_org)",
        "",
        CREDENTIALS,
    ),
    Mutant(
        "a switched-off account goes on",
        "apps/orgs/credentials.sql",
        "JOIN identity_user u ON u.id = m.user_id AND u.is_active\n    JOIN orgs_org o ON o.id = m.org_id\n    LEFT",
        "JOIN identity_user u ON u.id = m.user_id\n    JOIN orgs_org o ON o.id = m.org_id\n    LEFT",
        CREDENTIALS,
    ),
    Mutant(
        "an old password's token goes on",
        "apps/orgs/credentials.py",
        "    elif access.token_version != credential.token_version:",
        "    elif False:",
        CREDENTIALS,
    ),
    Mutant(
        "the network rule lets everyone in",
        "apps/orgs/rules.py",
        "    if org.networks and not within(ip, org.networks):",
        "    if False:",
        "tests/orgs/test_rules.py",
    ),
    # Roles.
    Mutant(
        "roles above one's own can be given",
        "apps/orgs/members/services.py",
        "    require_rank(by, before, role)\n",
        "",
        MEMBERS,
    ),
    Mutant(
        "owners can be removed by admins",
        "apps/orgs/members/services.py",
        '    require_rank(by, Role(member.role))\n    _end(org, by, member, "member.remove")',
        '    _end(org, by, member, "member.remove")',
        MEMBERS,
    ),
    Mutant(
        "invitations give roles above one's own",
        "apps/orgs/members/invitations.py",
        "    require_rank(by, role)\n",
        "",
        INVITATIONS,
    ),
    Mutant(
        "the last owner can go",
        "apps/orgs/members/services.py",
        "    if not owners.exists():\n        raise LastOwner",
        "    if not owners.exists():\n        pass",
        MEMBERS,
    ),
    Mutant(
        "a raised role counts outside its domain",
        "apps/orgs/principals.py",
        "        override = self.domain_roles.get(domain_id) if domain_id else None\n",
        "        override = next(iter(self.domain_roles.values()), None)\n",
        "tests/orgs/test_domains.py tests/pipelines/test_domains.py",
    ),
    Mutant(
        "a raised role counts for the whole org",
        "apps/orgs/principals.py",
        "        if override is None or permission not in DOMAIN_PERMISSIONS:",
        "        if override is None:",
        "tests/orgs/test_domains.py tests/pipelines/test_domains.py",
    ),
    # Invitations.
    Mutant(
        "anyone may take an invitation",
        "apps/orgs/members/invitations.py",
        "        if user.email != invitation.email:\n            raise OtherAddress\n",
        "",
        INVITATIONS,
    ),
    Mutant(
        "invitations last for ever",
        "apps/orgs/members/invitations.py",
        "pk=invitation_id, expires_at__gt=timezone.now()",
        "pk=invitation_id",
        INVITATIONS,
    ),
    Mutant(
        "an old link works after a new one was sent",
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
        "a key keeps the role its maker lost",
        "apps/orgs/credentials.py",
        "    role = min(credential.role, creators, key=RANK.__getitem__)\n",
        "    role = credential.role\n",
        KEYS,
    ),
    Mutant(
        "a key has more scopes than it was given",
        "apps/orgs/principals.py",
        "        if self.scopes is not None and permission not in self.scopes:\n            return False\n",
        "",
        KEYS,
    ),
    Mutant(
        "a key outlives its maker's membership",
        "apps/orgs/members/services.py",
        "    made_by.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())\n",
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
        "a key for one domain sees the others' pipelines",
        "apps/orgs/placement.py",
        "    return queryset.filter(domain_id=principal.only_domain)",
        "    return queryset",
        MATRIX,
    ),
    Mutant(
        "a key for one domain sees the others' runs",
        "apps/runs/visibility.py",
        "    return rows.filter(pipeline__domain_id=by.only_domain)",
        "    return rows",
        MATRIX,
    ),
    # Streams, files, stored responses.
    Mutant(
        "a stream of a run nobody may see",
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
        "a kept answer is given to someone else",
        "apps/web/idempotency.py",
        "    said = [caller, request.get_full_path(), request.data]",
        "    said = [request.get_full_path(), request.data]",
        "tests/api/test_idempotency.py",
    ),
    Mutant(
        "a request that was given up for dead still makes its object",
        "apps/web/idempotency.py",
        "        if not store.hold():",
        "        if store.hold() is None:",
        "tests/api/test_idempotency.py",
    ),
    Mutant(
        "an error blocks its key for a minute",
        "apps/web/slow.py",
        "        if answer.release:\n            answer.release()\n",
        "",
        "tests/api/test_idempotency.py",
    ),
    Mutant(
        "an answer is told to who lost sight of its object meanwhile",
        "apps/orgs/slow_calls.py",
        "        self.recheck_access(by)\n",
        "",
        "tests/api/test_rights_after_a_wait.py",
    ),
    Mutant(
        "an answer is told to who was demoted meanwhile",
        "apps/orgs/http/views.py",
        '            self._allow((request.method or "").lower())\n',
        "",
        "tests/api/test_rights_after_a_wait.py",
    ),
    Mutant(
        "a preview is told to who may no longer use its connector",
        "apps/pipelines/trials/services.py",
        "lambda later: _unsaved(org, later, config)",
        "lambda later: None",
        "tests/api/test_rights_after_a_wait.py",
    ),
    # The directory, and operators.
    Mutant(
        "a directory makes its own groups stronger",
        "apps/orgs/scim/role_views.py",
        '    session_methods = frozenset({"put"})\n',
        "",
        f"tests/orgs/scim/test_scim.py {MATRIX}",
    ),
    Mutant(
        "whom the directory calls by another address stays in",
        "apps/orgs/scim/provisioning.py",
        '    if row.email and row.email != fields["email"]:\n',
        "    if False:\n",
        "tests/orgs/scim/test_scim.py",
    ),
    Mutant(
        "operators need no reason",
        "apps/orgs/operators/site.py",
        "            rows = rows.filter(org_id__in=support.orgs_open_to(user))\n",
        "",
        OPERATORS,
    ),
    Mutant(
        "an operator's look lasts for ever",
        "apps/orgs/operators/support.py",
        "filter(operator=operator, until__gt=timezone.now())",
        "filter(operator=operator)",
        OPERATORS,
    ),
    Mutant(
        "operators need no second factor",
        "apps/orgs/operators/site.py",
        "    def has_permission(self, request: HttpRequest) -> bool:\n        return has_shown(request)",
        "    def has_permission(self, request: HttpRequest) -> bool:\n"
        "        return request.user.is_active and request.user.is_staff",
        OPERATORS,
    ),
    # Custom sources and their repositories.
    Mutant(
        "nobody need approve what runs",
        "apps/connectors/custom_sources/kinds.py",
        "versions = versions.filter(approved_at__isnull=False).select_related",
        "versions = versions.select_related",
        CUSTOM,
    ),
    Mutant(
        "any member may open all hosts",
        "apps/connectors/custom_sources/edits.py",
        "if ANY in hosts and not ",
        "if False and not ",
        CUSTOM,
    ),
    Mutant(
        "a webhook needs no signature",
        "apps/connectors/repositories/webhooks.py",
        "if not _is_signed(org, repository, headers, body):",
        "if False:",
        "tests/connectors/test_repository_webhooks.py",
    ),
    Mutant(
        "an overtaken sync writes",
        "apps/connectors/repositories/syncs.py",
        "if repository is None or repository.claim != claim:",
        "if repository is None:",
        REPOSITORIES,
    ),
    Mutant(
        "a token follows to another address",
        "apps/connectors/repositories/services.py",
        'if "url" in changed and plain["token"] and "token" not in changes:',
        "if False:",
        REPOSITORIES,
    ),
    Mutant(
        "new hosts are approved by a push",
        "apps/connectors/repositories/syncs.py",
        "if ANY in new or not new <= old:",
        "if ANY in new:",
        REPOSITORIES,
    ),
    Mutant(
        "code of a repository is edited here",
        "apps/connectors/custom_sources/services.py",
        "if source.repository_id is not None:\n        raise ComesFromRepository",
        "if False:\n        raise ComesFromRepository",
        REPOSITORIES,
    ),
    # Users of an org's own issuer and directory, and what these learn.
    Mutant(
        "an issuer brings people who have not agreed",
        "apps/orgs/sign_in/sso.py",
        "if not (agreed or verified_domains.proves(org, email)):",
        "if False:",
        SSO,
    ),
    Mutant(
        "a domain counts before it is proven",
        "apps/orgs/members/verified_domains.py",
        "for_org(org).filter(verified_at__isnull=False)",
        "for_org(org).filter()",
        VERIFIED,
    ),
    Mutant(
        "any record at a domain proves it",
        "apps/orgs/members/verified_domains.py",
        "elif value_of(row) in seen:",
        "elif seen:",
        VERIFIED,
    ),
    Mutant(
        "an alias proves a domain",
        "apps/orgs/members/dns_records.py",
        "or answer.canonical_name != name",
        "",
        VERIFIED,
    ),
    Mutant(
        "the secret of another address is consent",
        "apps/orgs/members/invitations.py",
        'return invitation is not None and bytes(invitation.digest or b"") == links.digest(token)',
        "return invitation is not None",
        SSO,
    ),
    Mutant(
        "an issuer is told of the account",
        "apps/orgs/sign_in/answers.py",
        '"email": "", "name": ""}), **UNTOLD}',
        '"email": "", "name": ""}), **person(session.user)}',
        SSO,
    ),
    Mutant(
        "an account with somebody's password gets a membership",
        "apps/orgs/sign_in/sso.py",
        "if user.email_verified_at is None and user.has_usable_password():",
        "if False:",
        SSO,
    ),
    # What was on its way when something changed.
    Mutant(
        "links outlive what they prove",
        "apps/auth/proofs.py",
        "MailedLink.objects.filter(user_id=user_id).delete()",
        "pass",
        MAILED,
    ),
    Mutant(
        "mail that waits makes a link after the change",
        "apps/auth/proofs.py",
        'update(proof_version=F("proof_version") + 1)',
        'update(proof_version=F("proof_version"))',
        MAILED,
    ),
    Mutant(
        "a link proves another address than its own",
        "apps/auth/mailing/links.py",
        "if link.purpose != Purpose.CHANGE and link.email != user.email:",
        "if False:",
        MAILED,
    ),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.mutants")
    parser.add_argument("names", nargs="*", help="parts of names; all of them when left out")
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    wanted = parser.parse_args()
    chosen = [m for m in MUTANTS if not wanted.names or any(n in m.name for n in wanted.names)]
    if wanted.list:
        print(*(f"{mutant.name}: {mutant.file}" for mutant in chosen), sep="\n")
        return 0
    alive = []
    with tempfile.TemporaryDirectory(prefix="drover-mutants-") as folder:
        tree = copy_to(Path(folder) / "tree")
        Path(folder).chmod(
            0o711
        )  # as root PostgreSQL runs as another user, who must be able to enter
        (ROOT / ".tools").mkdir(exist_ok=True)
        # The migrated clusters in it are named after their input files.
        (tree / ".tools").symlink_to(ROOT / ".tools")
        for mutant in chosen:
            killed, last = meet(mutant, tree)
            print(f"{'red ' if killed else 'LIVES'}  {mutant.name}: {last}", flush=True)
            alive += [] if killed else [mutant.name]
    print(f"{len(chosen) - len(alive)} of {len(chosen)} noticed")
    return 1 if alive else 0


def copy_to(tree: Path) -> Path:
    """Return the files of this tree that git tracks or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    return tree


def meet(mutant: Mutant, tree: Path) -> tuple[bool, str]:
    """Return whether the tests noticed it, and pytest's last line.

    Raises ValueError for a mutant that does not apply.
    """
    edited = _edited(mutant, tree)
    before = {path: path.read_text() for path in edited}
    _write(edited)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-n", "2", *mutant.noticed_by.split()],
            cwd=tree,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    finally:
        _write(before)
    lines = done.stdout.strip().splitlines() or ["nothing"]
    failed = [line for line in lines if line.startswith("FAILED")]
    if done.returncode and not failed:  # the suite itself failed, which does not count as noticing
        raise RuntimeError(f"{mutant.name}: {done.stdout}{done.stderr}")
    return bool(failed), (failed or lines[-1:])[0][:150]


def _edited(mutant: Mutant, tree: Path) -> dict[Path, str]:
    """Return the changed files. A migration contains the digest of each `.sql` file that it installs."""
    path = tree / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: found {text.count(mutant.old)} times in {mutant.file}")
    edited = {path: text.replace(mutant.old, mutant.new)}
    if path.suffix == ".sql":
        before, after = digest(text), digest(edited[path])
        for migration in tree.glob("apps/*/migrations/*.py"):
            if before in (source := migration.read_text()):
                edited[migration] = source.replace(before, after)
    return edited


def _write(texts: dict[Path, str]) -> None:
    for path, text in texts.items():
        path.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
