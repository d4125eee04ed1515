"""The view for uploads of custom sources."""

from __future__ import annotations

from functools import partial

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.custom_sources import uploads
from apps.connectors.repositories.serializers import UploadAnswer, UploadRequest
from apps.engine.answers import File
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.web.schema import operation
from apps.web.slow import SlowResponse
from apps.web.views import data_of

OUTCOME_EXAMPLE = {
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
        summary="Create custom sources, or new versions of them, from a .py or .zip file",
        request=UploadRequest,
        answer=UploadAnswer,
        errors=(413, 422),
        example={"results": [OUTCOME_EXAMPLE]},
        request_example={"filename": "shop.py", "content": "ZnJvbSBkcm92ZXIgaW1wb3J0IC4uLg=="},
    )
    def post(self, request: Request) -> SlowResponse:
        data = data_of(UploadRequest, request)
        filename = data["filename"]
        unpack = partial(
            uploads.unpack, org_id=self.org.pk, filename=filename, content=data["content"]
        )

        def save(files: list[File]) -> Response:
            results = uploads.save_files(
                org=self.org,
                by=self.principal,
                filename=filename,
                files=files,
                approve=data["approve"],
            )
            return Response({"results": results})

        return SlowResponse(unpack, then=save, once=True)
