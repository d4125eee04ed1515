"""The address that programs call to start a pipeline."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.runs.hooks import calls
from apps.web.schema import IDEMPOTENCY, header, operation
from apps.web.views import PublicView


class StartedRun(serializers.Serializer[Any]):
    run_id = serializers.UUIDField()
    repeated = serializers.BooleanField(
        help_text="Whether an earlier call with the same Idempotency-Key has started the run. Then the status is 200."
    )


class CallHook(PublicView):
    public_because = "A program calls it. The secret of the hook is its credential."

    @operation(
        "hooks_call",
        tag="runs",
        summary="Start a run of the hook's pipeline; a wrong credential gets 404, as an unknown hook does",
        answer=StartedRun,
        status=202,
        errors=(404, 409, 413, 422, 423, 429),
        parameters=[
            header(calls.TOKEN_HEADER, "The secret of the hook, if its credential is `token`."),
            header(
                calls.SIGNATURE_HEADER,
                "`v1=` and the HMAC-SHA256 of the time stamp, a full stop and the body, with the secret of the hook, in "
                "hexadecimal digits, if its credential is `signature`.",
            ),
            header(
                calls.TIMESTAMP_HEADER,
                "The time of the signature, in seconds since 1970. It may differ by 5 minutes from the server's clock.",
            ),
            IDEMPOTENCY,
        ],
        example={"run_id": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11", "repeated": False},
        public=True,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        call = calls.Call(headers=request.headers, body=request._request.body)
        started = calls.handle(hook_id=pk, call=call)
        body = {"run_id": started.run_id, "repeated": started.repeated}
        return Response(body, status=200 if started.repeated else 202)
