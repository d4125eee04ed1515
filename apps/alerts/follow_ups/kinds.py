"""The kinds of follow-ups: a signed webhook, and a job of dbt Cloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

import orjson
from rest_framework import serializers

from apps.alerts.follow_ups.choices import CallKind, FollowUpKind
from apps.alerts.kinds import webhook
from apps.alerts.kinds.answers import Answer
from apps.alerts.kinds.posting import KeyField, UrlField, post
from apps.alerts.payloads import NamePart, RunPart
from apps.alerts.settings import SettingsOf
from apps.connectors.schemas import Error, Pattern
from apps.json import JsonObject
from apps.orgs.models import Org


class Payload(TypedDict):
    """What a webhook gets. `id` is the same if the call is repeated."""

    id: str
    kind: str  # a CallKind
    at: str
    organization: dict[str, str]
    pipeline: NamePart
    run: RunPart
    records_written: int


class DbtCloudSettings(serializers.Serializer[Any]):
    url = UrlField(
        help_text="The access URL of your dbt Cloud account, like https://cloud.getdbt.com."
    )
    account_id = serializers.IntegerField(min_value=1, help_text="The number in the account's URL.")
    job_id = serializers.IntegerField(min_value=1, help_text="The number in the job's URL.")
    token = KeyField(min_length=8, max_length=500, help_text="A service token that may run jobs.")


def call_webhook(payload: Payload, settings: JsonObject) -> Answer:
    return webhook.post_signed(payload["id"], orjson.dumps(payload), settings)


def start_dbt_job(payload: Payload, settings: JsonObject) -> Answer:
    """Start the job, as https://docs.getdbt.com/dbt-cloud/api-v2 describes it. dbt Cloud does not know a repeated call."""
    token, pipeline = str(settings["token"]), payload["pipeline"]["name"]
    path = f"api/v2/accounts/{settings['account_id']}/jobs/{settings['job_id']}/run/"
    test = "a test after " if payload["kind"] == CallKind.TEST else ""
    cause = f"Drover: {test}a run of {pipeline} has {payload['run']['status']} ({payload['run']['url']})"
    return post(
        f"{str(settings['url']).rstrip('/')}/{path}",
        orjson.dumps({"cause": cause}),
        headers={"Authorization": f"Token {token}", "Accept": "application/json"},
        secrets=[token],
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """`call` is called outside of any transaction. It returns why a call was not accepted, and does not raise for it."""

    secrets: frozenset[Pattern]
    form: type[serializers.Serializer[Any]]
    call: Callable[[Payload, JsonObject], Answer]
    check: Callable[[JsonObject, Org], list[Error]] = lambda settings, org: []


KINDS: dict[str, Kind] = {
    FollowUpKind.WEBHOOK: Kind(webhook.SECRETS, webhook.Settings, call_webhook),
    FollowUpKind.DBT_CLOUD: Kind(frozenset({("token",)}), DbtCloudSettings, start_dbt_job),
}

SETTINGS = SettingsOf("follow_up", KINDS)
