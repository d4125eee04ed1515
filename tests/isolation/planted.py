"""Create one object of every kind in an org. Each text contains the org's canary, a unique string."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from allauth.mfa.models import Authenticator
from django.utils import timezone

from apps.agent.chat_models import budgets, own_model
from apps.agent.conversations.events import Kind, new_event, record
from apps.agent.models import (
    Approval,
    ApprovalKind,
    Call,
    CallState,
    Conversation,
    DocumentKind,
    SourceDocument,
    SourceSettings,
    ToolRequest,
    Turn,
    TurnStatus,
)
from apps.alerts import channels, rules
from apps.alerts.deciding import undecided
from apps.alerts.follow_ups import calls
from apps.alerts.follow_ups import services as follow_ups
from apps.alerts.follow_ups.models import FollowUpCall
from apps.alerts.models import Alert, Delivery
from apps.alerts.snoozing import services as snoozing
from apps.auth import sessions
from apps.auth.mailing import links
from apps.auth.models import RefreshFamily, User
from apps.auth.tokens import Claims
from apps.connectors.custom_sources import services as custom_sources
from apps.connectors.custom_sources.checked_code import CheckedCode
from apps.connectors.files import uploads
from apps.connectors.models import UploadedFile
from apps.connectors.repositories import services as repositories
from apps.engine.authoring.validation import validate
from apps.engine.contract import LogLine
from apps.engine.source_columns import SourceColumns
from apps.orgs import vault
from apps.orgs.keys import service_accounts
from apps.orgs.keys import services as api_keys
from apps.orgs.members import domains
from apps.orgs.models import (
    ApiKey,
    Invitation,
    Membership,
    ScimGroup,
    ScimMembership,
    ScimUser,
    VerifiedDomain,
)
from apps.orgs.principals import SYSTEM, Actor, Principal
from apps.orgs.roles import Permission, Role
from apps.orgs.sign_in import own_provider
from apps.pipelines.drift import recording as drift
from apps.pipelines.models import FileWatch, SourceChange
from apps.runs import snapshots
from apps.runs.models import Backfill, LogPart, Output, Run
from apps.runs.outputs import logs, storage
from tests.world import World, claims_for, make_connector, make_pipeline, make_user, make_world

PASSWORD = "correct horse battery staple"


@dataclass
class PlantedOrg:
    """An org and its objects, by name: `planted["pipeline"]` is the id of its pipeline, `planted["email"]` a text."""

    world: World
    removed_user: User
    canary: str
    ids: dict[str, UUID]
    texts: dict[str, str]
    claims: dict[str, Claims]  # of one session for each role and one for the removed member

    def __getitem__(self, name: str) -> str:
        return self.texts[name] if name in self.texts else str(self.ids[name])


def principal(world: World, role: Role) -> Principal:
    user = world.users[role]
    return Principal(
        org_id=world.org.pk,
        user_id=user.pk,
        role=role,
        actor=Actor("user", user.pk, user.email),
        membership_id=membership(world, user).pk,
    )


def membership(world: World, user: User) -> Membership:
    member: Membership = Membership.objects.for_org(world.org).get(user=user)
    return member


def plant() -> PlantedOrg:
    """Create an org with members, a removed member, and one object of every kind in the API."""
    canary = f"canary-{uuid4().hex}"
    world = make_world(canary)
    removed_user = make_user("removed")
    owner = world.users[Role.OWNER]
    owner.set_password(PASSWORD)
    owner.save()
    for user in (*world.users.values(), removed_user):
        user.password = owner.password
        user.save(update_fields=["password"])
    with world.scope():
        texts = {"removed_id": str(removed_user.pk)}
        ids = _create_people(world, removed_user) | _create_domain(world, canary)
        ids |= _create_keys(world, canary, texts, ids["other_domain"])
    ids |= _create_connectors(world, canary, ids["domain"])
    ids |= _create_custom_source(world, canary)
    with world.scope():
        ids |= _create_file(world, canary)
        ids |= _create_repository(world, canary, texts)
    ids |= _create_pipelines(world, canary, ids["domain"])
    ids |= _create_hook(world, canary, texts, ids["paused_pipeline"])
    with world.scope():
        FileWatch.unscoped.create(
            org=world.org,
            pipeline_id=ids["pipeline"],
            next_look_at=timezone.now(),
            problem=canary,
            seen_digest=canary,
        )
        ids |= _create_runs(world, canary, ids)
        ids |= _create_alerts(world, canary, ids)
        ids |= _create_freshness_page(world, canary, ids["pipeline"])
        ids |= _create_conversations(world, canary)
        ids |= {"tool_request": _create_tool_request(world, canary)}
    texts |= {"email": world.users[Role.OWNER].email, "output": f"{canary}.parquet"}
    claims = {str(role): claims_for(user, world.org) for role, user in world.users.items()}
    claims["removed"] = claims_for(removed_user, world.org)
    return PlantedOrg(world, removed_user, canary, ids, texts, claims)


def _create_people(world: World, removed_user: User) -> dict[str, UUID]:
    Membership.unscoped.create(org=world.org, user=removed_user, role=Role.OWNER).delete()
    user = make_user("member")
    member = Membership.unscoped.create(org=world.org, user=user, role=Role.VIEWER)
    session = sessions.begin(user=world.users[Role.OWNER], ip=None, user_agent="tests")
    own_provider.save_provider(
        org=world.org,
        by=principal(world, Role.OWNER),
        fields={
            "issuer": "https://login.example.com",
            "client_id": world.org.name,
            "client_secret": f"{world.org.name} secret",
            "join_role": "",
            "enabled": True,
        },
    )
    invitation = Invitation.unscoped.create(
        org=world.org,
        email=f"invited-{uuid4().hex[:10]}@example.com",
        role=Role.MEMBER,
        expires_at=timezone.now() + timedelta(days=1),
    )
    service_account = service_accounts.create(
        org=world.org,
        by=principal(world, Role.OWNER),
        name=f"{world.org.name} robot",
        role=Role.MEMBER,
    )
    address = f"scim-{uuid4().hex[:10]}@example.com"
    scim_user = ScimUser.unscoped.create(
        org=world.org, user_name=address, email=address, display_name=world.org.name
    )
    verified_domain = VerifiedDomain.unscoped.create(
        org=world.org,
        domain=f"{uuid4().hex[:10]}.example",
        token=world.org.name,
        verified_at=timezone.now(),
        checked_at=timezone.now(),
    )
    group = ScimGroup.unscoped.create(org=world.org, display_name=f"{world.org.name} group")
    ScimMembership.unscoped.create(org=world.org, group=group, user=scim_user)
    return {
        "scim_user": scim_user.pk,
        "scim_group": group.pk,
        "verified_domain": verified_domain.pk,
        "service_account": service_account.pk,
        "org": world.org.pk,
        "member": member.pk,
        "user": world.users[Role.ADMIN].pk,
        "session": session.id,
        "invitation": invitation.pk,
        "passkey": uuid4(),
    }


def _create_domain(world: World, canary: str) -> dict[str, UUID]:
    owner = principal(world, Role.OWNER)
    domain = domains.create(org=world.org, by=owner, name=f"{canary} domain")
    member = membership(world, world.users[Role.MEMBER])
    domains.set_role(
        org=world.org, by=owner, domain_id=domain.pk, member_id=member.pk, role=Role.ADMIN
    )
    other_domain = domains.create(org=world.org, by=owner, name=f"{canary} other_domain")
    return {"domain": domain.pk, "raised_member": member.pk, "other_domain": other_domain.pk}


def _create_keys(
    world: World, canary: str, texts: dict[str, str], other_domain: UUID
) -> dict[str, UUID]:
    owner = principal(world, Role.OWNER)

    def create_key(name: str, role: Role, **limits: Any) -> api_keys.CreatedKey:
        return api_keys.create(
            org=world.org, by=owner, name=f"{canary} {name}", role=role, **limits
        )

    admin_key, reading_key = (
        create_key("full", Role.ADMIN),
        create_key("reader", Role.ADMIN, scopes=[Permission.READ]),
    )
    other_domain_key = create_key("other_domain", Role.ADMIN, domain_id=other_domain)
    texts |= {
        "key": admin_key.text,
        "reading_key": reading_key.text,
        "other_domain_key": other_domain_key.text,
    }
    member_key = api_keys.create(
        org=world.org, by=principal(world, Role.MEMBER), name=f"{canary} own", role=Role.VIEWER
    )
    return {"api_key": member_key.row.pk}


def _create_connectors(world: World, canary: str, domain: UUID) -> dict[str, UUID]:
    database = {
        "host": "db.example.com",
        "port": 5432,
        "database": "shop",
        "user": canary,
        "password": f"{canary} password",
    }
    source = make_connector(world, name=f"{canary} source", domain_id=domain)
    secret_connector = make_connector(
        world, name=f"{canary} postgres", kind="postgres", config=database, description=canary
    )
    destination = make_connector(
        world, name=f"{canary} target", role="destination", kind="logger", domain_id=domain
    )
    return {
        "connector": source.pk,
        "secret_connector": secret_connector.pk,
        "destination": destination.pk,
    }


def _create_file(world: World, canary: str) -> dict[str, UUID]:
    owner = principal(world, Role.OWNER)
    name = f"{canary}.csv"
    uploads.put(org=world.org, by=owner, name=name, data=canary.encode())
    make_connector(world, name=f"{canary} file", kind="files", config={"path": f"{canary}*.csv"})
    return {"file": UploadedFile.objects.for_org(world.org).get(name=name).pk}


def _create_custom_source(world: World, canary: str) -> dict[str, UUID]:
    """Create a custom source with two versions, and a connector that uses it. Only the first version is approved.

    The code is validated here, so that the engine is not called.
    """
    code = (
        f"from drover import Page, Secret, Source\n\n\nclass Planted(Source):\n"
        f'    """{canary}"""\n\n    streams = ["planted"]\n\n'
        "    class Config:\n        token: str = Secret()\n\n"
        f'    def get(self, pagination=None):\n        return Page([{{"id": "{canary}"}}])\n'
    )
    with world.scope():
        by = principal(world, Role.OWNER)
        checked_code = CheckedCode(code, validate(code).to_json())
        source = custom_sources.create(
            org=world.org,
            by=by,
            name=f"{canary} code",
            code=code,
            checked=checked_code,
            approve=True,
        )
        checked_code = CheckedCode(f"{code}\n", validate(code).to_json())
        changes = custom_sources.SourceChanges(code=checked_code.code, note=canary)
        custom_sources.update(
            org=world.org, by=by, source_id=source.pk, changes=changes, checked=checked_code
        )
    connector = make_connector(
        world, name=f"{canary} coded", kind=source.kind, config={"token": f"{canary} token"}
    )
    return {"custom_source": source.pk, "custom_connector": connector.pk}


def _create_repository(world: World, canary: str, texts: dict[str, str]) -> dict[str, UUID]:
    """Create a repository that was not synced yet, and store its webhook secret in `texts`."""
    row, texts["hook_secret"] = repositories.connect(
        org=world.org,
        by=principal(world, Role.OWNER),
        fields={
            "url": f"https://git.example.com/{canary}",
            "branch": "main",
            "path": "",
            "username": "git",
            "token": f"{canary} git token",
            "approves": False,
        },
    )
    return {"repository": row.pk}


def _create_pipelines(world: World, canary: str, domain: UUID) -> dict[str, UUID]:
    from apps.pipelines import services as pipelines
    from apps.pipelines.dependencies import services as dependencies
    from apps.pipelines.saved_views import services as saved_views
    from apps.pipelines.schedules import services as schedules

    schedule = {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}
    pipeline = make_pipeline(
        world,
        name=f"{canary} pipeline",
        description=canary,
        tags=[canary[:40]],
        schedule=schedule,
        domain_id=domain,
    )
    with world.scope():
        change = {"source": {"config": {"rows": 11}}}
        pipelines.update(
            org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes={"config": change}
        )
    paused_pipeline = make_pipeline(world, name=f"{canary} paused", schedule=schedule)
    with world.scope():
        schedules.pause(org=world.org, by=SYSTEM, pipeline_id=paused_pipeline.pk, note=canary)
    busy_pipeline = make_pipeline(world, name=f"{canary} busy")
    with world.scope():
        view = saved_views.create(
            org=world.org,
            by=principal(world, Role.OWNER),
            values={"name": f"{canary} view"[:80], "filter": {"q": canary}},
        )
        (source_change,) = _find_source_change(world, canary, pipeline.pk)
        dependencies.replace(
            org=world.org,
            by=SYSTEM,
            pipeline_id=paused_pipeline.pk,
            mode="all",
            window_seconds=None,
            upstream_ids=[pipeline.pk],
        )
    return {
        "view": view.pk,
        "source_change": source_change.pk,
        "pipeline": pipeline.pk,
        "paused_pipeline": paused_pipeline.pk,
        "busy_pipeline": busy_pipeline.pk,
    }


def _create_hook(
    world: World, canary: str, texts: dict[str, str], pipeline_id: UUID
) -> dict[str, UUID]:
    from apps.pipelines.hooks import services as hooks

    with world.scope():
        hook, texts["hook_token"] = hooks.create(
            org=world.org,
            by=SYSTEM,
            pipeline_id=pipeline_id,
            name=f"{canary} hook",
            credential="token",
        )
    return {"hook": hook.pk}


def _find_source_change(world: World, canary: str, pipeline_id: UUID) -> list[SourceChange]:
    found = [SourceColumns({"id": ""}), SourceColumns({"id": "", canary: ""})]
    changes = [
        drift.record(
            org_id=world.org.pk,
            pipeline_id=pipeline_id,
            run_id=uuid4(),
            found={"generated": columns},
        )
        for columns in found
    ]
    return changes[-1]


def _create_runs(world: World, canary: str, ids: dict[str, UUID]) -> dict[str, UUID]:
    now = timezone.now()
    failed_run = Run.unscoped.create(
        org=world.org,
        pipeline_id=ids["pipeline"],
        version=1,
        status="failed",
        trigger="manual",
        attempt=1,
        started_at=now - timedelta(minutes=1),
        finished_at=now,
        failure_class="source",
        failure_message=f"{canary} failed",
        failure_evidence=[canary],
        failure_retryable=True,
        log_lines=1,
    )
    line = LogLine(at=now.isoformat(), level="info", message=f"{canary} line")
    log_key = storage.log_key(world.org.pk, failed_run.pk, 1, 0)
    storage.write(log_key, logs.encode([line]))
    LogPart.unscoped.create(
        org=world.org,
        run=failed_run,
        first_line=0,
        lines=1,
        bytes=1,
        key=log_key,
        levels={"info": 1},
    )
    key = f"org/{world.org.pk}/run/{failed_run.pk}/{canary}"
    storage.write(key, canary.encode())
    Output.unscoped.create(
        org=world.org,
        run=failed_run,
        name=f"{canary}.parquet",
        key=key,
        bytes=len(canary),
        rows=1,
        media_type="application/octet-stream",
    )
    live_run = Run.unscoped.create(
        org=world.org,
        pipeline_id=ids["busy_pipeline"],
        version=1,
        status="pending",
        trigger="manual",
    )
    backfill = Backfill.unscoped.create(
        org=world.org,
        pipeline_id=ids["pipeline"],
        version=1,
        stream="generated",
        cursor_field="id",
        mode="merge",
        bounds=[None, canary],
        rows_expected=1,
        rows_counted=True,
    )
    return {"run": failed_run.pk, "live_run": live_run.pk, "backfill": backfill.pk}


def _create_alerts(world: World, canary: str, ids: dict[str, UUID]) -> dict[str, UUID]:
    """Create a channel, a rule, and the delivery of an alert that the failed run has opened."""
    by = principal(world, Role.OWNER)
    channel = channels.create(
        org=world.org,
        by=by,
        name=f"{canary} channel",
        kind="webhook",
        settings={"url": f"https://hooks.example.com/{canary}", "secret": f"{canary} secret"},
    )
    rule = rules.create(
        org=world.org,
        by=by,
        values={
            "scope": "pipeline",
            "kind": "run_failed",
            "scope_id": ids["pipeline"],
            "channel_ids": [channel.pk],
        },
    )
    undecided.on_end(world.org.pk, snapshots.run(org_id=world.org.pk, run_id=ids["run"]))
    deliveries = Delivery.objects.for_org(world.org).filter(channel=channel)
    deliveries.update(state="failed", answer=canary, problem=canary)
    waiting = channels.create(
        org=world.org, by=by, name=f"{canary} waiting", kind="email", settings={"to": []}
    )
    channels.test(org=world.org, by=by, channel_id=waiting.pk)
    until = timezone.now() + timedelta(days=1)
    snoozing.snooze_rule(org=world.org, by=by, rule_id=rule.pk, until=until, reason=canary)
    follow_up = follow_ups.create(
        org=world.org,
        by=by,
        pipeline_id=ids["pipeline"],
        name=f"{canary} follow-up",
        kind="webhook",
        settings={"url": f"https://hooks.example.com/{canary}", "secret": f"{canary} secret"},
        after="end",
    )
    calls.on_end(world.org.pk, snapshots.run(org_id=world.org.pk, run_id=ids["run"]))
    calls_made = FollowUpCall.objects.for_org(world.org)
    calls_made.update(state="failed", answer=canary, problem=canary)
    return {
        "follow_up": follow_up.pk,
        "follow_up_call": calls_made.get().pk,
        "channel": channel.pk,
        "waiting_channel": waiting.pk,
        "rule": rule.pk,
        "delivery": deliveries.get().pk,
        "alert": Alert.objects.for_org(world.org).get(rule=rule).pk,
    }


def _create_freshness_page(world: World, canary: str, pipeline_id: UUID) -> dict[str, UUID]:
    from apps.alerts.freshness_pages import services as freshness_pages

    page = freshness_pages.create(
        org=world.org,
        by=principal(world, Role.OWNER),
        values={
            "title": f"{canary} page",
            "enabled": True,
            "pipelines": [{"pipeline_id": pipeline_id, "name": f"{canary} data"}],
        },
    )
    (entry,) = freshness_pages.entries(world.org, [page.pk])
    return {"freshness_page": page.pk, "freshness_entry": entry.pk}


def issue_reset_link(planted: PlantedOrg) -> str:
    owner = planted.world.users[Role.OWNER]
    return links.issue(owner, links.Purpose.RESET, owner.email)


def add_passkey(planted: PlantedOrg) -> dict[str, Any]:
    """Give the owner a passkey that each session of the owner has verified. Returns no headers for the request."""
    owner = planted.world.users[Role.OWNER]
    data = {"id": planted["passkey"], "name": "Laptop", "credential": {}}
    Authenticator.objects.create(user=owner, type=Authenticator.Type.WEBAUTHN, data=data)
    RefreshFamily.objects.filter(user=owner).update(second_factor_at=timezone.now())
    return {}


def issue_verify_link(planted: PlantedOrg) -> str:
    owner = planted.world.users[Role.OWNER]
    return links.issue(owner, links.Purpose.VERIFY, owner.email)


def issue_invitation(planted: PlantedOrg) -> str:
    """Create an invitation to the owner's own address and return its secret."""
    secret = links.new_secret()
    email = planted.world.users[Role.OWNER].email
    with planted.world.scope():
        Invitation.objects.for_org(planted.world.org).filter(email=email).delete()
        Invitation.unscoped.create(
            org=planted.world.org,
            email=email,
            role=Role.MEMBER,
            digest=links.digest(secret),
            expires_at=timezone.now() + timedelta(days=1),
        )
    return secret


def issue_refresh_token(planted: PlantedOrg) -> str:
    """Begin a session of the org's owner and return its refresh token."""
    owner = planted.world.users[Role.OWNER]
    return sessions.begin(user=owner, ip=None, user_agent="tests").refresh_token or ""


def add_rows(planted: PlantedOrg, count: int) -> None:
    """Create `count` more rows for every list of the API."""
    world, canary = planted.world, planted.canary
    owner_id = world.users[Role.OWNER].pk
    for number in range(count):
        domain_id = planted.ids["domain"]
        make_connector(world, name=f"{canary} {number}", domain_id=domain_id)
        pipeline = make_pipeline(world, name=f"{canary} {number}", domain_id=domain_id)
        with world.scope():
            domains.create(
                org=world.org, by=principal(world, Role.OWNER), name=f"{canary} {number}"
            )
            UploadedFile.unscoped.create(org=world.org, name=f"{canary} {number}", size=number)
            member = make_user("listed")
            Membership.unscoped.create(org=world.org, user=member, role=Role.VIEWER)
            ApiKey.unscoped.create(
                org=world.org,
                name=f"{canary} {number}",
                prefix=uuid4().hex[:12],
                hash="x",
                tag=b"x",
                role=Role.VIEWER,
                created_by_id=owner_id,
            )
            _add_alerts(world, f"{canary} {number}", planted.ids["channel"])
            _add_people(world, f"{canary} {number}", planted.ids["scim_user"])
            Run.unscoped.create(
                org=world.org, pipeline=pipeline, version=1, status="pending", trigger="manual"
            )


def _add_alerts(world: World, name: str, channel_id: UUID) -> None:
    """Create a channel, a rule and a delivery."""
    by = principal(world, Role.OWNER)
    channels.create(org=world.org, by=by, name=name, kind="email", settings={"to": []})
    rules.create(org=world.org, by=by, values={"kind": "run_failed", "channel_ids": [channel_id]})
    channels.test(org=world.org, by=by, channel_id=channel_id)


def _add_people(world: World, name: str, scim_user_id: UUID) -> None:
    """Create an invitation, a service account, an unverified domain, a directory user, and a group with two users."""
    Invitation.unscoped.create(
        org=world.org,
        email=f"{uuid4().hex}@example.com",
        role=Role.VIEWER,
        expires_at=timezone.now() + timedelta(days=1),
    )
    service_accounts.create(
        org=world.org, by=principal(world, Role.OWNER), name=f"{name} robot", role=Role.VIEWER
    )
    person = ScimUser.unscoped.create(org=world.org, user_name=f"{uuid4().hex}@example.com")
    VerifiedDomain.unscoped.create(org=world.org, domain=f"{uuid4().hex}.example", token=name)
    group = ScimGroup.unscoped.create(org=world.org, display_name=name)
    for user_id in (scim_user_id, person.pk):
        ScimMembership.unscoped.create(org=world.org, group=group, user_id=user_id)


def _create_conversations(world: World, canary: str) -> dict[str, UUID]:
    """Create a conversation of the owner that waits for an approval, one whose turn has failed, and a language model."""
    _choose_model(world, canary)
    waiting, turn = _create_conversation(world, canary, TurnStatus.WAITING)
    failed, _ = _create_conversation(world, canary, TurnStatus.FAILED)
    approval = Approval.unscoped.create(
        org=world.org,
        conversation=waiting,
        turn=turn,
        kind=ApprovalKind.APPROVAL,
        task_id="task",
        tool_call_id="call",
        tool="set_pipeline_enabled",
        arguments={},
        digest="",
        card={"title": canary},
        expires_at=timezone.now() + timedelta(days=1),
    )
    Call.unscoped.create(
        org=world.org,
        conversation=waiting,
        turn=turn,
        task_id="finished task",
        tool_call_id="finished call",
        tool="list_pipelines",
        state=CallState.FINISHED,
        answer=canary,
    )
    SourceDocument.unscoped.create(
        org=world.org, conversation=waiting, name=canary, kind=DocumentKind.TEXT, text=canary
    )
    SourceSettings.unscoped.create(
        org=world.org,
        conversation=waiting,
        sealed=vault.seal(world.org, "source_settings", waiting.pk, {"config": {"a": canary}}),
    )
    return {
        "conversation": waiting.pk,
        "failed_conversation": failed.pk,
        "approval": approval.pk,
        "turn": turn.pk,
    }


def _choose_model(world: World, canary: str) -> None:
    own_model.save_model(
        org=world.org,
        by=principal(world, Role.OWNER),
        fields={
            "provider": "anthropic",
            "model": canary[:100],
            "key": f"{canary} key",
            "base_url": "",
            "temperature": None,
            "monthly_tokens": None,
            "values_allowed": False,
        },
    )
    budgets.record(world.org.pk, input_tokens=1, output_tokens=1)


def _create_conversation(
    world: World, canary: str, status: TurnStatus
) -> tuple[Conversation, Turn]:
    conversation = Conversation.unscoped.create(
        org=world.org, user=world.users[Role.OWNER], title=f"{canary} conversation"
    )
    first_event = record(
        world.org.pk, conversation.pk, new_event(Kind.TURN_STARTED, 1, text=canary)
    )
    turn = Turn.unscoped.create(
        org=world.org,
        conversation=conversation,
        number=1,
        text=canary,
        status=status,
        first_event=first_event,
    )
    return conversation, turn


def _create_tool_request(world: World, canary: str) -> UUID:
    """Create a request of a key of the owner. Members cannot see it; owners and admins see the requests of all keys."""
    key = ApiKey.objects.for_org(world.org).filter(created_by=world.users[Role.OWNER])[0]
    request = ToolRequest.unscoped.create(
        org=world.org,
        key=key,
        tool="set_pipeline_enabled",
        arguments={"pipeline_id": canary},
        digest="",
        card={"title": canary},
        answer=canary,
        expires_at=timezone.now() + timedelta(days=1),
    )
    return request.pk
