"""The request and response schemas of follow-ups."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.alerts.follow_ups.choices import CallKind, CallState, FollowUpAfter, FollowUpKind
from apps.alerts.serializers import AlertPipeline, AlertRun
from apps.orgs.http.texts import NameField

KIND_HELP = "`webhook`: a signed POST request. `dbt_cloud`: starts a job of dbt Cloud."
AFTER_HELP = "`success`: after a run that has succeeded. `end`: also after one that has failed or was cancelled."
SETTINGS_HELP = (
    "`webhook`: url, secret. `dbt_cloud`: url, account_id, job_id, token. The secret and the token are never shown; "
    "if they are left out, they are kept, unless the URL changes."
)
SHOWN_SETTINGS_HELP = (
    f"{SETTINGS_HELP} Without the permission `pipelines.edit`, what follows the host in the URL is replaced by `…`, because it "
    "may contain a credential."
)


class FollowUpUpdate(serializers.Serializer[Any]):
    name = NameField(max_length=120, required=False)
    after = serializers.ChoiceField(
        choices=FollowUpAfter.choices, required=False, help_text=AFTER_HELP
    )
    settings = serializers.DictField(required=False, help_text=SETTINGS_HELP)
    enabled = serializers.BooleanField(required=False)


class FollowUpCreate(serializers.Serializer[Any]):
    name = NameField(max_length=120)
    kind = serializers.ChoiceField(choices=FollowUpKind.choices, help_text=KIND_HELP)
    after = serializers.ChoiceField(
        choices=FollowUpAfter.choices, default=FollowUpAfter.SUCCESS, help_text=AFTER_HELP
    )
    settings = serializers.DictField(help_text=SETTINGS_HELP)
    enabled = serializers.BooleanField(default=True)


class FollowUpRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=FollowUpKind.choices, help_text=KIND_HELP)
    after = serializers.ChoiceField(choices=FollowUpAfter.choices, help_text=AFTER_HELP)
    settings = serializers.DictField(help_text=SHOWN_SETTINGS_HELP)
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class CalledFollowUp(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class FollowUpCallRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    follow_up = CalledFollowUp()
    run_id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=CallState.choices)
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    answer_status = serializers.IntegerField(allow_null=True, help_text="Of HTTP.")
    answer = serializers.CharField(
        help_text="The beginning of the answer. Empty without the permission `pipelines.edit`."
    )
    problem = serializers.CharField(help_text="Why the last attempt has failed, or empty.")
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
    test = serializers.BooleanField(help_text="Whether somebody has asked for it as a test.")


class CalledForOrg(serializers.Serializer[Any]):
    id = serializers.UUIDField()


class RunEndedMessage(serializers.Serializer[Any]):
    """What a webhook gets after a run. It is an apps.alerts.follow_ups.kinds.Payload."""

    id = serializers.UUIDField(help_text="The same if the call is repeated.")
    kind = serializers.ChoiceField(
        choices=CallKind.choices, help_text="`test`: somebody has asked for this call."
    )
    at = serializers.DateTimeField(help_text="When the run has ended.")
    organization = CalledForOrg()
    pipeline = AlertPipeline()
    run = AlertRun()
    records_written = serializers.IntegerField()
