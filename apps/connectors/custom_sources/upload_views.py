"""Uploading custom sources over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors import engine
from apps.connectors.custom_sources import uploads
from apps.connectors.repositories.serializers import UploadAnswer, UploadRequest
from apps.orgs.exceptions import Invalid
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.web.schema import operation
from apps.web.slow import Slowly
from apps.web.views import data_of

OUTCOME = {
    "path": "shop.py",
    "outcome": "created",
    "message": "",
    "source_id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10",
    "version": 1,
}


class Upload(OrgView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_upload",
        tag="custom sources",
        summary="Make sources, or new versions of them, of a .py file or a .zip of some",
        request=UploadRequest,
        answer=UploadAnswer,
        errors=(413, 422),
        example={"results": [OUTCOME]},
        request_example={"filename": "shop.py", "content": "ZnJvbSBkcm92ZXIgaW1wb3J0IC4uLg=="},
    )
    def post(self, request: Request) -> Slowly:
        data = data_of(UploadRequest, request)
        unpack = partial(
            engine.unpack,
            org_id=self.org.pk,
            filename=data["filename"],
            content=data["content"],
        )
        return Slowly(partial(_unpacked, unpack), then=partial(self._take, data))

    def _take(self, data: dict[str, Any], found: engine.Answer) -> Response:
        results = uploads.take(
            org=self.org,
            by=self.principal,
            filename=data["filename"],
            files=found["files"],
            approve=data["approve"],
        )
        return Response({"results": results})


def _unpacked(unpack: Any) -> engine.Answer:
    """Raises Invalid for an upload that holds no source."""
    found: engine.Answer = unpack()
    if not found["files"]:
        message = "There is no source in it: files named *.py that do not begin with _ or test_."
        raise Invalid([("content", message, "empty")])
    return found
