"""Views of rules, channels and deliveries. Each one parses the request, makes one call, and renders the result."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.alerts import channels, examples, rules
from apps.alerts.kinds.registry import SETTINGS, described_kinds
from apps.alerts.models import Channel, Delivery, DeliveryState, Rule, Snooze
from apps.alerts.rule_kinds.registry import RULE_KINDS, described_rule_kinds
from apps.alerts.sending import log, timing
from apps.alerts.sending.log import DeliveryColumns
from apps.alerts.sending.timing import TimingKind
from apps.alerts.serializers import (
    ChannelCreate,
    ChannelKindList,
    ChannelRow,
    ChannelUpdate,
    DeliveryFilter,
    DeliveryRow,
    RuleCreate,
    RuleFilter,
    RuleKindList,
    RuleRow,
    RuleUpdate,
)
from apps.alerts.snoozing.services import snoozes_of_rules
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.web.paging import Order, newest_first, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, page_of
from apps.web.views import data_of, etag, match_of, query_of

CHANNEL_COLUMNS = (
    *("id", "name", "kind", "settings", "secret_hints", "timing", "enabled", "failing_since"),
    *("disabled_reason", "created_at", "updated_at"),
)
RULE_COLUMNS = (
    *("id", "kind", "settings", "scope", "domain_id", "domain__name", "tag", "pipeline_id"),
    *("pipeline__name", "urgent", "enabled", "created_at", "updated_at"),
)
SCOPE_COLUMNS = ("domain_id", "pipeline_id", "domain__name", "pipeline__name")
CHANNEL_ORDERS = {"name": Order("name")}
NEWEST = {"newest": newest_first()}
NEWEST_OPENED = {"newest": newest_first("opened_at")}


def render_channel(
    row: Any, last: Mapping[UUID, log.LastDelivery], fixed: Collection[UUID]
) -> dict[str, object]:
    hints = row["secret_hints"]
    hold = timing.hold(row["timing"], timezone.now())
    body = {name: row[name] for name in CHANNEL_COLUMNS if name != "secret_hints"}
    return {
        **body,
        "settings": SETTINGS.masked(row["kind"], row["settings"], hints),
        "timing": row["timing"] or {"kind": TimingKind.AT_ONCE},
        "held_until": hold.until if hold else None,
        "last_delivery": last.get(row["id"]),
        "editable": row["id"] not in fixed,
    }


def render_snooze(snooze: Snooze | None) -> dict[str, object] | None:
    if snooze is None:
        return None
    return {name: getattr(snooze, name) for name in ("until", "reason", "by", "created_at")}


def render_rule(
    row: Any, channel_ids: Mapping[UUID, list[UUID]], snoozes: Mapping[UUID, Snooze]
) -> dict[str, object]:
    return {
        **{name: row[name] for name in RULE_COLUMNS if name not in SCOPE_COLUMNS},
        "sentence": RULE_KINDS[row["kind"]].sentence(row["settings"]),
        "scope_id": row["domain_id"] or row["pipeline_id"],
        "scope_name": row["domain__name"] or row["pipeline__name"] or "",
        "channel_ids": channel_ids[row["id"]],
        "snooze": render_snooze(snoozes.get(row["id"])),
    }


def render_delivery(row: DeliveryColumns) -> dict[str, object]:
    copied = (
        *("id", "event_id", "message_id", "kind", "state", "attempts", "answer_status", "answer"),
        *("problem", "created_at", "sent_at"),
    )
    is_pending = row["state"] == DeliveryState.PENDING
    is_held = is_pending and row["message_id"] is None and not row["urgent"]
    hold = timing.hold(row["channel__timing"], timezone.now()) if is_held else None
    return {
        **{name: row[name] for name in copied},  # type: ignore[literal-required]
        "channel": {"id": row["channel_id"], "name": row["channel__name"]},
        "event": row["payload"],
        "next_attempt_at": row["next_attempt_at"] if is_pending else None,
        "held_until": hold.until if hold and row["next_attempt_at"] >= hold.since else None,
    }


class AlertView(OrgView):
    permissions = dict.fromkeys(("get", "post", "patch", "delete"), Permission.ALERTS_EDIT)

    def channel_response(self, channel: Channel, status: int = 200) -> Response:
        (body,) = self.channel_rows([{name: getattr(channel, name) for name in CHANNEL_COLUMNS}])
        return Response(body, status=status, headers={"ETag": etag(channel.etag)})

    def channel_rows(self, rows: Sequence[Any]) -> list[dict[str, object]]:
        ids = [row["id"] for row in rows]
        last = log.last_deliveries(self.org, ids)
        fixed = channels.fixed_ids(self.org, self.principal, ids)
        return [render_channel(row, last, fixed) for row in rows]

    def rule_rows(self, rows: Sequence[Any]) -> list[dict[str, object]]:
        ids = [row["id"] for row in rows]
        channel_ids, snoozes = rules.channel_ids(self.org, ids), snoozes_of_rules(self.org, ids)
        return [render_rule(row, channel_ids, snoozes) for row in rows]

    def rule_response(self, rule: Rule, status: int = 200) -> Response:
        row = rules.rules(self.org, self.principal).values(*RULE_COLUMNS).get(pk=rule.pk)
        (body,) = self.rule_rows([row])
        return Response(body, status=status, headers={"ETag": etag(rule.etag)})

    def delivery_response(self, delivery: Delivery, status: int = 202) -> Response:
        rows = log.matching(log.deliveries(self.org, self.principal))
        return Response(render_delivery(rows.get(pk=delivery.pk)), status=status)


class ChannelKinds(AlertView):
    @operation(
        "alert_channels_kinds",
        tag="alerts",
        summary="List the kinds of channels, each with the schema of its settings",
        answer=ChannelKindList,
        example={"results": [examples.CHANNEL_KIND], "count": 1},
    )
    def get(self, request: Request) -> Response:
        kinds = described_kinds()
        return Response({"results": kinds, "count": len(kinds)})


class Channels(AlertView):
    @operation(
        "alert_channels_list",
        tag="alerts",
        summary="List the channels to which alerts are sent",
        answer=page_of(ChannelRow),
        parameters=[*PAGE_PARAMETERS],
        example={"results": [examples.CHANNEL], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        rows = channels.channels(self.org, self.principal).values(*CHANNEL_COLUMNS)
        orders = CHANNEL_ORDERS
        return page(request, rows, orders=orders, default="name", render_all=self.channel_rows)

    @operation(
        "alert_channels_create",
        tag="alerts",
        summary="Create a channel",
        request=ChannelCreate,
        answer=ChannelRow,
        status=201,
        errors=(409, 422),
        example=examples.CHANNEL,
        request_example=examples.NEW_CHANNEL,
    )
    def post(self, request: Request) -> Response:
        fields = data_of(ChannelCreate, request)
        channel = channels.create(org=self.org, by=self.principal, **fields)
        return self.channel_response(channel, status=201)


class ChannelById(AlertView):
    @operation(
        "alert_channels_get",
        tag="alerts",
        summary="Show a channel",
        answer=ChannelRow,
        errors=(404,),
        example=examples.CHANNEL,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return self.channel_response(
            channels.find_channel(org=self.org, by=self.principal, channel_id=pk)
        )

    @operation(
        "alert_channels_update",
        tag="alerts",
        summary="Change a channel; secrets that are left out are kept",
        request=ChannelUpdate,
        answer=ChannelRow,
        errors=(404, 409, 412, 422),
        parameters=[IF_MATCH],
        example=examples.CHANNEL,
        request_example={"enabled": False},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        channel = channels.update(
            org=self.org,
            by=self.principal,
            channel_id=pk,
            changes=data_of(ChannelUpdate, request),
            match=match_of(request),
        )
        return self.channel_response(channel)

    @operation(
        "alert_channels_delete",
        tag="alerts",
        summary="Delete a channel with its deliveries",
        status=204,
        errors=(404, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        channels.delete(org=self.org, by=self.principal, channel_id=pk, match=match_of(request))
        return Response(status=204)


class TestChannel(AlertView):
    __test__ = False  # not a class of tests

    @operation(
        "alert_channels_test",
        tag="alerts",
        summary="Send a test message soon; the log of deliveries shows the answer",
        answer=DeliveryRow,
        status=202,
        errors=(404, 409),
        example=examples.DELIVERY,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        return self.delivery_response(channels.test(org=self.org, by=self.principal, channel_id=pk))


class RuleKinds(AlertView):
    @operation(
        "alert_kinds_list",
        tag="alerts",
        summary="List the kinds of rules, each with the schema of its settings",
        answer=RuleKindList,
        example={"results": [examples.RULE_KIND], "count": 1},
    )
    def get(self, request: Request) -> Response:
        kinds = described_rule_kinds(rules.hidden_kinds(self.principal))
        return Response({"results": kinds, "count": len(kinds)})


class Rules(AlertView):
    @operation(
        "alert_rules_list",
        tag="alerts",
        summary="List the rules that decide who is told",
        answer=page_of(RuleRow),
        parameters=[RuleFilter, *PAGE_PARAMETERS],
        example={"results": [examples.RULE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        pipeline_id = query_of(RuleFilter, request).get("pipeline")
        rows = (
            rules.rules_for_pipeline(self.org, self.principal, pipeline_id)
            if pipeline_id
            else rules.rules(self.org, self.principal)
        )
        rows = rows.values(*RULE_COLUMNS)
        return page(request, rows, orders=NEWEST, default="newest", render_all=self.rule_rows)

    @operation(
        "alert_rules_create",
        tag="alerts",
        summary="Create a rule",
        request=RuleCreate,
        answer=RuleRow,
        status=201,
        errors=(409, 422),
        example=examples.RULE,
        request_example=examples.NEW_RULE,
    )
    def post(self, request: Request) -> Response:
        values = data_of(RuleCreate, request)
        return self.rule_response(
            rules.create(org=self.org, by=self.principal, values=values), status=201
        )


class RuleById(AlertView):
    @operation(
        "alert_rules_get",
        tag="alerts",
        summary="Show a rule",
        answer=RuleRow,
        errors=(404,),
        example=examples.RULE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return self.rule_response(rules.find_rule(org=self.org, by=self.principal, rule_id=pk))

    @operation(
        "alert_rules_update",
        tag="alerts",
        summary="Change a rule",
        request=RuleUpdate,
        answer=RuleRow,
        errors=(404, 412, 422),
        parameters=[IF_MATCH],
        example=examples.RULE,
        request_example={"enabled": False},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        rule = rules.update(
            org=self.org,
            by=self.principal,
            rule_id=pk,
            changes=data_of(RuleUpdate, request),
            match=match_of(request),
        )
        return self.rule_response(rule)

    @operation(
        "alert_rules_delete",
        tag="alerts",
        summary="Delete a rule with its alerts",
        status=204,
        errors=(404, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        rules.delete(org=self.org, by=self.principal, rule_id=pk, match=match_of(request))
        return Response(status=204)


class Deliveries(AlertView):
    @operation(
        "alert_deliveries_list",
        tag="alerts",
        summary="List what was sent to the channels, with the answers",
        answer=page_of(DeliveryRow),
        parameters=[DeliveryFilter, *PAGE_PARAMETERS],
        example={"results": [examples.DELIVERY], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        filters = query_of(DeliveryFilter, request)
        rows = log.matching(log.deliveries(self.org, self.principal), **filters)
        return page(request, rows, orders=NEWEST, default="newest", render=render_delivery)


class DeliveryById(AlertView):
    @operation(
        "alert_deliveries_get",
        tag="alerts",
        summary="Show what was sent to a channel, with the answer",
        answer=DeliveryRow,
        errors=(404,),
        example=examples.DELIVERY,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        delivery = log.find_delivery(org=self.org, by=self.principal, delivery_id=pk)
        return self.delivery_response(delivery, status=200)


class ReplayDelivery(AlertView):
    @operation(
        "alert_deliveries_replay",
        tag="alerts",
        summary="Send an event again, with the same event id",
        answer=DeliveryRow,
        status=202,
        errors=(404, 409),
        example=examples.DELIVERY,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        return self.delivery_response(log.replay(org=self.org, by=self.principal, delivery_id=pk))
