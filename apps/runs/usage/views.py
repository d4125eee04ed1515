"""An org's usage and limits."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.runs.keeping import retention
from apps.runs.serializers import UsageSerializer
from apps.runs.usage import counting as usage
from apps.web.schema import operation

EXAMPLE = {
    "limits": [{"name": "rows_month", "used": 820000, "limit": 1000000, "state": "warning"}],
    "months": [{"month": "2026-11-01", "rows": 820000, "bytes": 96000000, "runs": 412}],
    "kept": [{"name": "logs", "days": 90, "rows": 31000, "bytes": 4200000}],
}


class UsageView(OrgView):
    reads_from_replica = True

    @operation(
        "usage_get",
        tag="usage",
        summary="Show usage per month, limits, and stored data",
        answer=UsageSerializer,
        example=EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        limits = [
            {"name": m.name, "used": m.used, "limit": m.limit, "state": m.state}
            for m in usage.read_measures(self.org)
        ]
        kept = [asdict(amount) for amount in retention.stored_amounts(self.org)]
        return Response({"limits": limits, "months": usage.read_months(self.org), "kept": kept})


class UsageExportView(OrgView):
    permissions = {"get": Permission.AUDIT_VIEW}

    @operation(
        "usage_export",
        tag="usage",
        summary="Export usage per month as CSV",
        answer=str,
        media_type="text/csv",
        example="month,rows,bytes,runs",
    )
    def get(self, request: Request) -> Any:
        text = io.StringIO()
        writer = csv.DictWriter(text, ["month", "rows", "bytes", "runs"])
        writer.writeheader()
        writer.writerows(usage.read_months(self.org))
        response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="usage.csv"'
        return response
