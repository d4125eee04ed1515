"""One valid call of each operation of the OpenAPI document.

To add an operation, add a `Case` to `CASES["<operationId>"]`. It names a planted object for every id in the path and in
the query, and its body contains every id of the body's schema. Plant missing objects in `planted.py`. For every kind of
caller, test_matrix.py then replaces each id by an id of another org and by an unknown id.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.utils import timezone

from apps.orgs.roles import Role
from tests.isolation.planted import (
    PASSWORD,
    PlantedOrg,
    add_passkey,
    issue_invitation,
    issue_refresh_token,
    issue_reset_link,
    issue_verify_link,
)


@dataclass(frozen=True)
class Case:
    """One valid call. `path` and `query` map a parameter to the name of a planted object."""

    status: int = 200
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    # Parameters in the path and query that are not ids.
    other_parameters: Mapping[str, Any] = field(default_factory=dict)
    body: Callable[[PlantedOrg], dict[str, Any]] | None = None
    # The status for each actor who gets another status.
    status_by_actor: Mapping[str, int] = field(default_factory=dict)
    unknown_id_status: int = 404  # the status for an unknown id in the body
    # The status for a wrong id in a position, if it is not the usual one.
    status_by_wrong_id: Mapping[str, int] = field(default_factory=dict)
    varying_part: bytes = b""  # regular expression of what differs in each response
    headers: Callable[[PlantedOrg], dict[str, Any]] = lambda planted: {}
    cookies: Callable[[PlantedOrg], dict[str, str]] = lambda planted: {}


OTHERS_THAN_THE_OWNER: Mapping[str, int] = dict.fromkeys(
    (Role.ADMIN, Role.MEMBER, Role.VIEWER), 404
)
SCIM_USER, SCIM_GROUP = (
    f"urn:ietf:params:scim:schemas:core:2.0:{kind}" for kind in ("User", "Group")
)
SCIM_SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
SCIM_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
DASHBOARD_HEADERS = {"HTTP_X_REQUESTED_WITH": "drover"}


def tomorrow() -> str:
    return (timezone.now() + timedelta(days=1)).isoformat()


def refresh_cookie(planted: PlantedOrg) -> dict[str, str]:
    return {"drover_refresh": issue_refresh_token(planted)}


def dashboard_headers(planted: PlantedOrg) -> dict[str, Any]:
    return dict(DASHBOARD_HEADERS)


AUTH = {
    "auth_register": Case(
        201,
        body=lambda p: {
            "email": "new@example.com",
            "password": PASSWORD,
            "organization_name": "New",
        },
    ),
    "auth_login": Case(body=lambda p: {"email": p["email"], "password": PASSWORD, "org": p["org"]}),
    "auth_refresh": Case(
        body=lambda p: {"org": p["org"]}, headers=dashboard_headers, cookies=refresh_cookie
    ),
    "auth_logout": Case(204, headers=dashboard_headers, cookies=refresh_cookie),
    "auth_switch": Case(body=lambda p: {"org": p["org"]}, status_by_actor={"removed": 404}),
    "auth_stream_ticket": Case(201),
    "auth_me": Case(),
    "auth_me_update": Case(body=lambda p: {"name": "Somebody"}),
    "auth_password_change": Case(
        204,
        body=lambda p: {"current_password": PASSWORD, "new_password": PASSWORD + "!"},
    ),
    "auth_password_forgot": Case(202, body=lambda p: {"email": p["email"]}),
    "auth_password_reset": Case(
        204, body=lambda p: {"token": issue_reset_link(p), "password": PASSWORD + "!"}
    ),
    "auth_email_verify": Case(204, body=lambda p: {"token": issue_verify_link(p)}),
    "auth_email_send": Case(202),
    "auth_email_change": Case(
        202, body=lambda p: {"email": "elsewhere@example.com", "current_password": PASSWORD}
    ),
    "auth_passkey_begin": Case(varying_part=rb'"challenge":"[^"]+"'),
    "auth_passkey_login": Case(
        401,
        body=lambda p: {"challenge": "unknown", "credential": {}, "org": p["org"]},
        unknown_id_status=401,
    ),
    "auth_factors_get": Case(),
    "auth_factors_show": Case(422, body=lambda p: {"code": "000000"}),  # no second factor is set up
    "auth_factors_show_passkey": Case(
        401, body=lambda p: {"challenge": "unknown", "credential": {}}
    ),
    "auth_totp_begin": Case(body=lambda p: {"current_password": PASSWORD}),
    "auth_totp_confirm": Case(410, body=lambda p: {"challenge": "unknown", "code": "000000"}),
    "auth_totp_remove": Case(204, body=lambda p: {"current_password": PASSWORD}),
    "auth_recovery_codes_renew": Case(404, body=lambda p: {"current_password": PASSWORD}),
    "auth_passkeys_begin": Case(body=lambda p: {"current_password": PASSWORD}),
    "auth_passkeys_confirm": Case(
        410, body=lambda p: {"challenge": "unknown", "name": "Laptop", "credential": {}}
    ),
    "auth_passkeys_remove": Case(
        204,
        path={"id": "passkey"},  # belongs to the owner
        body=lambda p: {"current_password": PASSWORD},
        headers=add_passkey,
        status_by_actor=dict.fromkeys((Role.ADMIN, Role.MEMBER, Role.VIEWER, "removed"), 404),
    ),
    "auth_providers": Case(),
    "auth_provider_start": Case(302, other_parameters={"provider": "google"}),
    "auth_provider_callback": Case(302, other_parameters={"provider": "google"}),
    "auth_login_continue": Case(
        401,
        body=lambda p: {"challenge": "unknown", "mfa_code": "000000", "org": p["org"]},
        unknown_id_status=401,
    ),
    "auth_links_list": Case(),
    "auth_links_add": Case(
        404, other_parameters={"provider": "google"}, body=lambda p: {"current_password": PASSWORD}
    ),
    "auth_links_remove": Case(
        404, other_parameters={"provider": "google"}, body=lambda p: {"current_password": PASSWORD}
    ),
    "auth_sessions_list": Case(),
    "auth_sessions_end_all": Case(204),
    "auth_sessions_end": Case(
        204,
        path={"id": "session"},  # belongs to the owner
        status_by_actor=dict.fromkeys((Role.ADMIN, Role.MEMBER, Role.VIEWER, "removed"), 404),
    ),
    "organizations_create": Case(201, body=lambda p: {"name": "Another"}),
    "invitations_show": Case(body=lambda p: {"token": issue_invitation(p)}),
    "invitations_accept": Case(
        body=lambda p: {"token": issue_invitation(p)},
        status_by_actor=dict.fromkeys((Role.ADMIN, Role.MEMBER, Role.VIEWER, "removed"), 403),
    ),
}
ORGS = {
    "org_get": Case(),
    "org_update": Case(body=lambda p: {"name": "Renamed"}),
    "identity_provider_get": Case(),
    "identity_provider_put": Case(
        body=lambda p: {"issuer": "https://login.example.com", "client_id": "drover"}
    ),
    "identity_provider_remove": Case(204),
    "identity_provider_check": Case(
        body=lambda p: {
            "issuer": "http://127.0.0.1:1"  # no issuer responds, which is a valid result
        }
    ),
    "verified_domains_list": Case(),
    "verified_domains_add": Case(201, body=lambda p: {"domain": "new.example"}),
    "verified_domains_remove": Case(204, path={"id": "verified_domain"}),
    "verified_domains_check": Case(path={"id": "verified_domain"}),
    "org_delete": Case(202),
    "org_restore": Case(),
    "org_transfer": Case(204, body=lambda p: {"member_id": p["member"]}),
    "org_leave": Case(204, status_by_actor={Role.OWNER: 409}),
    "invitations_list": Case(),
    "invitations_create": Case(
        201, body=lambda p: {"email": "grace@example.com", "role": "member"}
    ),
    "invitations_withdraw": Case(204, path={"id": "invitation"}),
    "invitations_resend": Case(path={"id": "invitation"}),
    "members_list": Case(),
    "members_update": Case(path={"id": "member"}, body=lambda p: {"role": "member"}),
    "members_remove": Case(204, path={"id": "member"}),
    "members_access": Case(
        path={"id": "member"}, query={"domain": "domain"}, status_by_wrong_id={"query domain": 404}
    ),
    "service_accounts_list": Case(),
    "service_accounts_create": Case(201, body=lambda p: {"name": "Robot", "role": "viewer"}),
    "service_accounts_keys_create": Case(
        201,
        path={"id": "service_account"},
        body=lambda p: {"name": "Another", "domain_id": p["domain"]},
        unknown_id_status=422,
    ),
    "scim_config": Case(),
    "scim_resource_types": Case(),
    "scim_resource_type": Case(other_parameters={"name": "User"}),
    "scim_schemas": Case(),
    "scim_schema": Case(other_parameters={"name": SCIM_GROUP}),
    "scim_search": Case(body=lambda p: {"schemas": [SCIM_SEARCH], "filter": "id pr"}),
    "scim_users_search": Case(body=lambda p: {"schemas": [SCIM_SEARCH], "filter": "id pr"}),
    "scim_groups_search": Case(body=lambda p: {"schemas": [SCIM_SEARCH], "filter": "id pr"}),
    "scim_roles_list": Case(),
    "scim_roles_set": Case(path={"id": "scim_group"}, body=lambda p: {"role": "member"}),
    "scim_users_list": Case(other_parameters={"filter": 'userName eq "nobody@example.com"'}),
    "scim_users_create": Case(
        201, body=lambda p: {"schemas": [SCIM_USER], "userName": "new@example.com"}
    ),
    "scim_users_get": Case(path={"id": "scim_user"}),
    "scim_users_replace": Case(
        path={"id": "scim_user"},
        body=lambda p: {"schemas": [SCIM_USER], "userName": "other@example.com"},
    ),
    "scim_users_patch": Case(
        path={"id": "scim_user"},
        body=lambda p: {
            "schemas": [SCIM_PATCH],
            "Operations": [{"op": "replace", "path": "active", "value": False}],
        },
    ),
    "scim_users_delete": Case(204, path={"id": "scim_user"}),
    "scim_groups_list": Case(),
    "scim_groups_create": Case(
        201,
        body=lambda p: {
            "schemas": [SCIM_GROUP],
            "displayName": "Others",
            "members": [{"value": p["scim_user"]}],
        },
        unknown_id_status=400,
    ),
    "scim_groups_get": Case(path={"id": "scim_group"}),
    "scim_groups_replace": Case(
        path={"id": "scim_group"},
        body=lambda p: {
            "schemas": [SCIM_GROUP],
            "displayName": "Others",
            "members": [{"value": p["scim_user"]}],
        },
        unknown_id_status=400,
    ),
    "scim_groups_patch": Case(
        path={"id": "scim_group"},
        body=lambda p: {
            "schemas": [SCIM_PATCH],
            "Operations": [{"op": "add", "path": "members", "value": [{"value": p["scim_user"]}]}],
        },
        unknown_id_status=400,
    ),
    "scim_groups_delete": Case(204, path={"id": "scim_group"}),
    "usage_get": Case(),
    "usage_export": Case(),
    "org_export": Case(),
    "domains_list": Case(),
    "domains_create": Case(201, body=lambda p: {"name": "Another"}),
    "domains_get": Case(path={"id": "domain"}),
    "domains_update": Case(path={"id": "domain"}, body=lambda p: {"name": "Another"}),
    "domains_delete": Case(204, path={"id": "domain"}),
    "domains_members_set": Case(
        path={"id": "domain", "member_id": "member"}, body=lambda p: {"role": "admin"}
    ),
    "domains_members_clear": Case(204, path={"id": "domain", "member_id": "raised_member"}),
    "api_keys_list": Case(),
    "api_keys_create": Case(
        201,
        body=lambda p: {"name": "Another", "role": "viewer", "domain_id": p["domain"]},
        unknown_id_status=422,
    ),
    "api_keys_revoke": Case(204, path={"id": "api_key"}),
    "api_keys_rotate": Case(201, path={"id": "api_key"}, body=lambda p: {}),
    "audit_list": Case(query={"actor": "user", "object": "domain"}),
    "audit_export": Case(query={"actor": "user", "object": "domain"}),
}

DUMMY_SETTINGS = {"rows": 3}


def make_definition(planted: PlantedOrg) -> dict[str, Any]:
    return {
        "source": {"connector_id": planted["connector"]},
        "streams": [{"stream": "generated"}],
        "destination": {"connector_id": planted["destination"]},
    }


CONNECTORS = {
    "catalog_sources_list": Case(),
    "catalog_destinations_list": Case(),
    "catalog_sources_retrieve": Case(other_parameters={"kind": "postgres"}),
    "catalog_destinations_retrieve": Case(other_parameters={"kind": "parquet"}),
    "connectors_list": Case(query={"domain": "domain"}),
    "connectors_create": Case(
        201,
        body=lambda p: {
            "name": "Another",
            "role": "source",
            "kind": "dummy",
            "config": DUMMY_SETTINGS,
            "domain_id": p["domain"],
        },
        unknown_id_status=422,
    ),
    "connectors_retrieve": Case(path={"id": "secret_connector"}),
    "connectors_replace": Case(
        path={"id": "connector"},
        body=lambda p: {"name": "Another", "config": DUMMY_SETTINGS, "domain_id": p["domain"]},
        unknown_id_status=422,
    ),
    "connectors_update": Case(
        path={"id": "connector"}, body=lambda p: {"domain_id": p["domain"]}, unknown_id_status=422
    ),
    "connectors_delete": Case(204, path={"id": "connector"}),
    "connectors_check": Case(path={"id": "connector"}),
    "connectors_check_unsaved": Case(
        body=lambda p: {
            "role": "source",
            "kind": "dummy",
            "config": DUMMY_SETTINGS,
        },
    ),
    "connectors_streams": Case(path={"id": "connector"}, varying_part=rb'"found_at":"[^"]+"'),
}


def remove_stored_file(planted: PlantedOrg) -> dict[str, Any]:
    """Remove what an earlier upload has stored: a test rolls back the database, but not the storage."""
    default_storage.delete(f"org/{planted['org']}/files/another.csv")
    return {}


FILES = {
    "files_list": Case(),
    "files_limits": Case(),
    "files_upload": Case(201, other_parameters={"name": "another.csv"}, headers=remove_stored_file),
    "files_retrieve": Case(path={"id": "file"}),
    "files_replace": Case(path={"id": "file"}),
    "files_delete": Case(204, path={"id": "file"}),
}
WEBHOOK_SECRET = rb'"webhook_secret":"[^"]+"'
CODE = "from drover import Page, Source\n\n\nclass S(Source):\n    streams = ['a']\n\n    def get(self, pagination=None):\n        return Page([])\n"
CUSTOM_SOURCES = {
    "custom_sources_list": Case(),
    "custom_sources_create": Case(201, body=lambda p: {"name": "Another", "code": CODE}),
    "custom_sources_retrieve": Case(path={"id": "custom_source"}),
    "custom_sources_update": Case(path={"id": "custom_source"}, body=lambda p: {"name": "Another"}),
    "custom_sources_delete": Case(409, path={"id": "custom_source"}),  # a connector uses it
    "custom_sources_validate": Case(body=lambda p: {"code": CODE}),
    "custom_sources_preview": Case(
        body=lambda p: {
            "id": p["custom_source"],
            "connector_id": p["custom_connector"],
            "version": 1,
            "stream": "planted",
        },
        varying_part=rb'"ms":[0-9.e-]+',
    ),
    "custom_sources_cookbook": Case(),
    "custom_sources_upload": Case(
        body=lambda p: {"filename": "up.py", "content": b64encode(CODE.encode()).decode()}
    ),
    "repositories_list": Case(),
    "repositories_create": Case(
        201, body=lambda p: {"url": "https://git.example.com/another"}, varying_part=WEBHOOK_SECRET
    ),
    "repositories_retrieve": Case(path={"id": "repository"}),
    "repositories_update": Case(path={"id": "repository"}, body=lambda p: {"branch": "other"}),
    "repositories_delete": Case(204, path={"id": "repository"}),
    "repositories_sync": Case(202, path={"id": "repository"}),
    "repositories_renew_webhook_secret": Case(
        path={"id": "repository"}, varying_part=WEBHOOK_SECRET
    ),
    "repositories_hook": Case(
        202,
        path={"org_id": "org", "id": "repository"},
        headers=lambda p: {"HTTP_X_GITLAB_TOKEN": p["hook_secret"]},
    ),
    "custom_sources_versions_list": Case(path={"id": "custom_source"}),
    "custom_sources_versions_retrieve": Case(
        path={"id": "custom_source"}, other_parameters={"number": 1}
    ),
    "custom_sources_versions_diff": Case(
        path={"id": "custom_source"}, other_parameters={"number": 2}
    ),
    "custom_sources_versions_restore": Case(
        path={"id": "custom_source"}, other_parameters={"number": 1}
    ),
    "custom_sources_versions_approve": Case(
        path={"id": "custom_source"}, other_parameters={"number": 2}
    ),
}
HOOK_SECRET = rb'"secret(_last4)?":"[^"]+"'
PIPELINES = {
    "pipelines_list": Case(query={"domain": "domain", "connector": "connector"}),
    "pipelines_facets": Case(query={"domain": "domain", "connector": "connector"}),
    "views_list": Case(),
    "views_create": Case(
        201, body=lambda p: {"name": "Failing", "filter": {"status": "failed", "q": "flights"}}
    ),
    # The view belongs to the owner.
    "views_get": Case(path={"id": "view"}, status_by_actor=OTHERS_THAN_THE_OWNER),
    "views_update": Case(
        path={"id": "view"},
        body=lambda p: {"name": "Other"},
        status_by_actor=OTHERS_THAN_THE_OWNER,
    ),
    "views_delete": Case(204, path={"id": "view"}, status_by_actor=OTHERS_THAN_THE_OWNER),
    "pipelines_create": Case(
        201,
        body=lambda p: {"name": "Another", "config": make_definition(p), "domain_id": p["domain"]},
        unknown_id_status=422,
    ),
    "pipelines_retrieve": Case(path={"id": "pipeline"}),
    "pipelines_replace": Case(
        path={"id": "pipeline"},
        body=lambda p: {"name": "Another", "config": make_definition(p), "domain_id": p["domain"]},
        unknown_id_status=422,
    ),
    "pipelines_update": Case(
        path={"id": "pipeline"},
        body=lambda p: {"config": make_definition(p), "domain_id": p["domain"]},
        unknown_id_status=422,
    ),
    "pipelines_delete": Case(204, path={"id": "pipeline"}),
    "pipelines_disable": Case(path={"id": "pipeline"}),
    "pipelines_enable": Case(path={"id": "pipeline"}),
    "pipelines_duplicate": Case(201, path={"id": "pipeline"}, body=lambda p: {"name": "Copy"}),
    "pipelines_preview": Case(path={"id": "pipeline"}, body=lambda p: {"max_records": 2}),
    "pipelines_preview_unsaved": Case(
        body=lambda p: {"config": make_definition(p), "max_records": 2},
        unknown_id_status=422,
        status_by_wrong_id={"body config.destination.connector_id": 200},  # nothing is written
        varying_part=rb'"ms":[0-9.e-]+',
    ),
    "pipelines_match": Case(
        body=lambda p: {"config": make_definition(p)},
        unknown_id_status=422,
        status_by_wrong_id={"body config.destination.connector_id": 200},  # nothing is written
    ),
    "pipelines_streams": Case(path={"id": "pipeline"}),
    "pipelines_streams_decide": Case(  # 422, because the pipeline has no patterns
        422, path={"id": "pipeline"}, body=lambda p: {"decision": "add", "streams": ["none"]}
    ),
    "pipelines_drift": Case(path={"id": "pipeline"}, query={"run": "run"}),
    "pipelines_drift_decide": Case(
        path={"id": "pipeline", "change_id": "source_change"}, body=lambda p: {"decision": "ignore"}
    ),
    "pipelines_validate": Case(
        body=lambda p: {"name": "Another", "config": make_definition(p), "domain_id": p["domain"]},
        unknown_id_status=200,  # {"valid": false, "errors": [...]}
    ),
    "pipelines_schedule_pause": Case(path={"id": "pipeline"}, body=lambda p: {"note": "Audit"}),
    "pipelines_schedule_preview": Case(path={"id": "pipeline"}),
    "pipelines_schedule_resume": Case(path={"id": "paused_pipeline"}),
    "hooks_list": Case(path={"id": "paused_pipeline"}),
    "hooks_create": Case(
        201,
        path={"id": "paused_pipeline"},
        body=lambda p: {"name": "Another"},
        varying_part=HOOK_SECRET,
    ),
    "hooks_get": Case(path={"id": "paused_pipeline", "hook": "hook"}),
    "hooks_update": Case(
        path={"id": "paused_pipeline", "hook": "hook"}, body=lambda p: {"enabled": False}
    ),
    "hooks_delete": Case(204, path={"id": "paused_pipeline", "hook": "hook"}),
    "hooks_rotate": Case(path={"id": "paused_pipeline", "hook": "hook"}, varying_part=HOOK_SECRET),
    "hooks_call": Case(
        202,
        path={"id": "hook"},
        headers=lambda p: {"HTTP_DROVER_TOKEN": p["hook_token"]},
        varying_part=rb'"run_id":"[^"]+"',
    ),
    "follow_ups_list": Case(path={"id": "pipeline"}),
    "follow_ups_create": Case(
        201,
        path={"id": "pipeline"},
        body=lambda p: {
            "name": "Another",
            "kind": "webhook",
            "settings": {"url": "https://hooks.example.com", "secret": "correct-horse-battery"},
        },
    ),
    "follow_ups_calls": Case(path={"id": "pipeline"}),
    "follow_ups_get": Case(path={"id": "pipeline", "follow_up": "follow_up"}),
    "follow_ups_update": Case(
        path={"id": "pipeline", "follow_up": "follow_up"}, body=lambda p: {"enabled": False}
    ),
    "follow_ups_delete": Case(204, path={"id": "pipeline", "follow_up": "follow_up"}),
    "follow_ups_test": Case(202, path={"id": "pipeline", "follow_up": "follow_up"}),
    "pipelines_file_watch": Case(path={"id": "pipeline"}),
    "pipelines_file_watch_replace": Case(
        path={"id": "pipeline"}, body=lambda p: {"enabled": False}
    ),
    "pipelines_dependencies": Case(path={"id": "pipeline"}),
    "pipelines_dependencies_replace": Case(
        path={"id": "pipeline"},
        body=lambda p: {"upstream_ids": [p["busy_pipeline"]]},
        unknown_id_status=422,
    ),
    "dependencies": Case(),
    "pipelines_versions_list": Case(path={"id": "pipeline"}),
    "pipelines_versions_retrieve": Case(path={"id": "pipeline"}, other_parameters={"number": 1}),
    "pipelines_versions_diff": Case(path={"id": "pipeline"}, other_parameters={"number": 2}),
    "pipelines_versions_restore": Case(path={"id": "pipeline"}, other_parameters={"number": 1}),
    "schedules_words": Case(body=lambda p: {"words": "daily at 6"}),
    "schedules_preview": Case(body=lambda p: {"schedule": {"cron": "0 6 * * *"}}),
}
RUNS = {
    # Each id has a result of its own.
    "pipelines_bulk": Case(
        body=lambda p: {"ids": [p["pipeline"]], "action": "disable"},
        unknown_id_status=200,
        varying_part=rb'"id":"[^"]+"',  # the ids of the request are repeated
    ),
    "pipelines_recent_runs": Case(query={"pipelines": "pipeline"}),
    "pipelines_run": Case(201, path={"id": "pipeline"}, body=lambda p: {}),
    "pipelines_state_get": Case(path={"id": "pipeline"}),
    "pipelines_state_put": Case(  # 422, because each run reads the whole stream
        422, path={"id": "pipeline"}, body=lambda p: {"state": {}}
    ),
    "pipelines_state_reset": Case(path={"id": "pipeline"}, body=lambda p: {}),
    "pipelines_state_history": Case(path={"id": "pipeline"}),
    "pipelines_state_restore": Case(  # 404, because nothing was changed yet
        404,
        path={"id": "pipeline"},
        body=lambda p: {"change": "019caa57-7cbc-7a47-9e75-d7e5a0a3a6a9"},
    ),
    "pipelines_backfills": Case(path={"id": "pipeline"}),
    "pipelines_backfills_create": Case(  # 422, because each run reads the whole stream
        422, path={"id": "pipeline"}, body=lambda p: {"streams": ["generated"]}
    ),
    "pipelines_backfills_estimate": Case(
        422, path={"id": "pipeline"}, body=lambda p: {"streams": ["generated"]}
    ),
    "pipelines_backfills_get": Case(path={"id": "pipeline", "backfill": "backfill"}),
    "pipelines_backfills_cancel": Case(path={"id": "pipeline", "backfill": "backfill"}),
    "pipelines_rows": Case(path={"id": "pipeline"}),
    "runs_rows": Case(path={"id": "run"}),
    "runs_list": Case(query={"pipeline": "pipeline", "domain": "domain"}),
    "runs_export": Case(query={"pipeline": "pipeline", "domain": "domain"}),
    "runs_get": Case(path={"id": "run"}),
    "runs_cancel": Case(path={"id": "live_run"}),
    "runs_retry": Case(path={"id": "run"}),
    "runs_logs": Case(path={"id": "run"}),
    "runs_logs_matches": Case(path={"id": "run"}),
    "runs_logs_download": Case(path={"id": "run"}),
    "runs_compare": Case(path={"id": "run", "other": "run"}),
    "runs_events": Case(path={"id": "live_run"}),
    "runs_rejected_list": Case(path={"id": "run"}),
    "runs_rejected_replayable": Case(path={"id": "run"}),
    # 409, because the run has rejected nothing
    "runs_rejected_replay": Case(409, path={"id": "run"}, body=lambda p: {}),
    "runs_streams": Case(path={"id": "run"}),
    "runs_outputs_list": Case(path={"id": "run"}),
    "runs_outputs_get": Case(path={"id": "run", "name": "output"}),
    "events": Case(),
    "queue_get": Case(),
    "stats_overview": Case(),
    "stats_timeline": Case(query={"domain": "domain"}),
    "stats_pipeline": Case(path={"id": "pipeline"}),
}

# The planted conversations belong to the owner. Other members cannot see them.
OTHER_MEMBERS: dict[str, int] = dict.fromkeys((Role.ADMIN, Role.MEMBER), 404)
AGENT = {
    "org_conversations_list": Case(),
    "org_conversations_by_member": Case(),
    "org_model_get": Case(),
    "org_model_put": Case(body=lambda p: {"provider": "anthropic", "model": "claude"}),
    "org_model_remove": Case(204),
    "org_model_check": Case(  # 422, because a check takes seconds
        422, body=lambda p: {"draft": {"provider": "openai_compatible", "model": "m"}}
    ),
    "agent_status": Case(),
    "agent_conversations_list": Case(),
    "agent_conversations_create": Case(201),
    "agent_conversations_export": Case(),
    "agent_conversations_get": Case(path={"id": "conversation"}, status_by_actor=OTHER_MEMBERS),
    "agent_conversations_update": Case(
        path={"id": "conversation"},
        body=lambda p: {"title": "Renamed"},
        status_by_actor=OTHER_MEMBERS,
    ),
    "agent_conversations_delete": Case(
        204, path={"id": "conversation"}, status_by_actor=OTHER_MEMBERS
    ),
    "agent_conversations_stop": Case(
        204, path={"id": "conversation"}, status_by_actor=OTHER_MEMBERS
    ),
    "agent_conversations_retry": Case(
        202, path={"id": "failed_conversation"}, status_by_actor=OTHER_MEMBERS
    ),
    "agent_conversations_events": Case(path={"id": "conversation"}, status_by_actor=OTHER_MEMBERS),
    "agent_messages_create": Case(
        202,
        path={"id": "conversation"},
        body=lambda p: {"text": "Hello", "page": "/pipelines"},
        status_by_actor=OTHER_MEMBERS,
    ),
    "agent_tool_requests_list": Case(),
    "agent_tool_requests_get": Case(
        path={"id": "tool_request"}, status_by_actor={Role.MEMBER: 404}
    ),
    "agent_tool_requests_decide": Case(
        path={"id": "tool_request"},
        body=lambda p: {"decision": "reject"},
        status_by_actor={Role.MEMBER: 404},
    ),
    "agent_documents_create": Case(
        201,
        path={"id": "conversation"},
        body=lambda p: {"name": "openapi.json", "content": "{}"},
        status_by_actor=OTHER_MEMBERS,
    ),
    "agent_source_settings_save": Case(
        204,
        path={"id": "conversation"},
        body=lambda p: {"config": {"token": "t"}, "hosts": ["api.example.com"]},
        status_by_actor=OTHER_MEMBERS,
    ),
    "agent_approvals_decide": Case(
        path={"id": "conversation", "approval_id": "approval"},
        body=lambda p: {"decision": "reject"},
        status_by_actor=OTHER_MEMBERS,
    ),
}

ALERTS = {
    "alert_channels_list": Case(),
    "alert_channels_create": Case(
        201, body=lambda p: {"name": "Team", "kind": "email", "settings": {"to": []}}
    ),
    "alert_channels_get": Case(path={"id": "channel"}),
    "alert_channels_update": Case(path={"id": "channel"}, body=lambda p: {"name": "Renamed"}),
    "alert_channels_delete": Case(204, path={"id": "channel"}),
    "alert_channels_test": Case(202, path={"id": "channel"}),
    "alert_channels_kinds": Case(),
    "alert_kinds_list": Case(),
    "pipelines_usual": Case(path={"id": "pipeline"}),
    "alert_rules_list": Case(query={"pipeline": "pipeline"}),
    "alert_rules_create": Case(
        201,
        body=lambda p: {
            "kind": "run_failed",
            "scope": "domain",
            "scope_id": p["domain"],
            "channel_ids": [p["channel"]],
        },
        unknown_id_status=422,
    ),
    "alert_rules_get": Case(path={"id": "rule"}),
    "alert_rules_update": Case(
        path={"id": "rule"},
        body=lambda p: {
            "scope": "pipeline",
            "scope_id": p["pipeline"],
            "channel_ids": [p["channel"]],
        },
        unknown_id_status=422,
    ),
    "alert_rules_delete": Case(204, path={"id": "rule"}),
    "alert_rules_snooze": Case(path={"id": "rule"}, body=lambda p: {"until": tomorrow()}),
    "alert_rules_wake": Case(path={"id": "rule"}),
    "alerts_open_list": Case(),
    "alerts_snooze": Case(path={"id": "alert"}, body=lambda p: {"until": tomorrow()}),
    "alerts_wake": Case(path={"id": "alert"}),
    "alert_deliveries_list": Case(query={"channel": "channel", "pipeline": "pipeline"}),
    "alert_deliveries_get": Case(path={"id": "delivery"}),
    "alert_deliveries_replay": Case(202, path={"id": "delivery"}),
}

FRESHNESS_LINK = rb'"(badge_)?url":"[^"]+"|"id":"[^"]+"'
# The link is a credential: tests/alerts/freshness_pages reads pages with it. Here it is unknown.
UNKNOWN_LINK = {"token": "unknown"}
FRESHNESS_PAGES = {
    "freshness_pages_list": Case(),
    "freshness_pages_create": Case(
        201,
        body=lambda p: {"title": "Data", "pipelines": [{"pipeline_id": p["pipeline"]}]},
        unknown_id_status=422,
        varying_part=FRESHNESS_LINK,
    ),
    "freshness_pages_get": Case(path={"id": "freshness_page"}),
    "freshness_pages_update": Case(
        path={"id": "freshness_page"},
        body=lambda p: {"enabled": False, "pipelines": [{"pipeline_id": p["pipeline"]}]},
        unknown_id_status=422,
    ),
    "freshness_pages_delete": Case(204, path={"id": "freshness_page"}),
    "freshness_pages_preview": Case(path={"id": "freshness_page"}),
    "freshness_pages_renew_link": Case(path={"id": "freshness_page"}, varying_part=FRESHNESS_LINK),
    "public_freshness": Case(404, other_parameters=UNKNOWN_LINK),
    "public_freshness_json": Case(404, other_parameters=UNKNOWN_LINK),
    "public_freshness_badge": Case(404, other_parameters=UNKNOWN_LINK),
    "public_freshness_pipeline_badge": Case(
        404, path={"id": "freshness_entry"}, other_parameters=UNKNOWN_LINK
    ),
}

HEALTH = {
    "health_live": Case(),
    "health_ready": Case(503),  # the suite has no worker
    "metrics": Case(401),  # the suite sets no token for metrics
}

CASES: dict[str, Case] = {
    **HEALTH,
    **AUTH,
    **ORGS,
    **CONNECTORS,
    **CUSTOM_SOURCES,
    **FILES,
    **PIPELINES,
    **RUNS,
    **ALERTS,
    **FRESHNESS_PAGES,
    **AGENT,
}
