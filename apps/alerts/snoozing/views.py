"""Views of open alerts and snoozes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.alerts import examples
from apps.alerts.serializers import RuleRow
from apps.alerts.snoozing import services
from apps.alerts.snoozing.serializers import OpenAlertRow, SnoozeRequest
from apps.alerts.views import NEWEST_OPENED, AlertView, render_snooze
from apps.web.paging import page
from apps.web.schema import PAGE_PARAMETERS, operation, page_of
from apps.web.views import data_of

COLUMNS = ("id", "opened_at", "rule_id", "cause")


class OpenAlertView(AlertView):
    def alert_rows(self, rows: Sequence[Any]) -> list[dict[str, object]]:
        snoozes = services.snoozes_of_alerts(self.org, [row["id"] for row in rows])
        return [
            {
                "id": row["id"],
                "opened_at": row["opened_at"],
                "rule_id": row["rule_id"],
                "event": row["cause"],
                "snooze": render_snooze(snoozes.get(row["id"])),
            }
            for row in rows
        ]


class OpenAlerts(OpenAlertView):
    @operation(
        "alerts_open_list",
        tag="alerts",
        summary="List the open alerts",
        answer=page_of(OpenAlertRow),
        parameters=[*PAGE_PARAMETERS],
        example={"results": [examples.OPEN_ALERT], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        rows = services.open_alerts(self.org, self.principal).values(*COLUMNS)
        orders = NEWEST_OPENED
        return page(request, rows, orders=orders, default="newest", render_all=self.alert_rows)


class SnoozeAlert(OpenAlertView):
    @operation(
        "alerts_snooze",
        tag="alerts",
        summary="Snooze an open alert: its channels are reminded at the end, if it is still open",
        request=SnoozeRequest,
        answer=OpenAlertRow,
        errors=(404, 422),
        example=examples.OPEN_ALERT,
        request_example=examples.SNOOZE_REQUEST,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        fields = data_of(SnoozeRequest, request)
        services.snooze_alert(org=self.org, by=self.principal, alert_id=pk, **fields)
        return self._response(pk)

    @operation(
        "alerts_wake",
        tag="alerts",
        summary="End the snooze of an alert",
        answer=OpenAlertRow,
        errors=(404,),
        example=examples.OPEN_ALERT,
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        services.wake_alert(org=self.org, by=self.principal, alert_id=pk)
        return self._response(pk)

    def _response(self, pk: UUID) -> Response:
        row = services.open_alerts(self.org, self.principal).values(*COLUMNS).get(pk=pk)
        (body,) = self.alert_rows([row])
        return Response(body)


class SnoozeRule(AlertView):
    @operation(
        "alert_rules_snooze",
        tag="alerts",
        summary="Snooze a rule: what is still open at the end is told then",
        request=SnoozeRequest,
        answer=RuleRow,
        errors=(404, 422),
        example=examples.RULE,
        request_example=examples.SNOOZE_REQUEST,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        fields = data_of(SnoozeRequest, request)
        rule = services.snooze_rule(org=self.org, by=self.principal, rule_id=pk, **fields)
        return self.rule_response(rule)

    @operation(
        "alert_rules_wake",
        tag="alerts",
        summary="End the snooze of a rule, and tell what is still open",
        answer=RuleRow,
        errors=(404,),
        example=examples.RULE,
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        rule = services.wake_rule(org=self.org, by=self.principal, rule_id=pk)
        return self.rule_response(rule)
