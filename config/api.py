"""DRF glue: JSON in and out, and the view every org's route derives from.

`OrgView` reads the credential, opens the org's scope (one transaction), loads the principal, checks the one
permission the method names, and only then calls the handler. A view that names none fails a guard test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

import orjson
from django.db import connection
from django.http import HttpRequest
from rest_framework import exceptions as drf
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from apps.orgs import credentials
from apps.orgs.exceptions import NotFound
from apps.orgs.models import IdempotencyRecord, Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.tenancy import org_scope
from config import slow
from config.problems import Problem
from config.slow import Slowly


class JSONRenderer(BaseRenderer):
    """orjson: UUIDs, UTC times with Z, and dicts as they come from `.values()`."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, *_: Any, **__: Any) -> bytes:
        if data is None:
            return b""
        if isinstance(data, bytes):
            return data
        return orjson.dumps(data, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list | tuple):
        return type(value).__mro__[-2](value)
    return str(value)


class JSONParser(BaseParser):
    """JSON objects only; NUL is refused because PostgreSQL cannot hold it."""

    media_type = "application/json"

    def parse(self, stream: Any, *_: Any, **__: Any) -> Any:
        raw = stream.read()
        if not raw:
            return {}
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise drf.ParseError(f"The body is not valid JSON: {error}") from None
        if not isinstance(value, dict):
            raise drf.ParseError("The body must be a JSON object.")
        if b"\\u0000" in raw:
            refuse_nul(value)
        return value


def refuse_nul(value: Any, path: str = "") -> None:
    """Raise a 422 naming the field that holds a NUL character."""
    if isinstance(value, str) and "\0" in value:
        raise Problem(
            422, "Some fields are invalid.", "invalid", [(path, "NUL is not allowed.", "nul")]
        )
    if isinstance(value, dict):
        for key, inner in value.items():
            step = key.replace("\0", "\\0")
            refuse_nul(key, f"{path}.{step}" if path else step)
            refuse_nul(inner, f"{path}.{step}" if path else step)
    if isinstance(value, list):
        for index, inner in enumerate(value):
            refuse_nul(inner, f"{path}.{index}")


class PublicView(APIView):
    """A route without a credential. The guard test lists each with its reason."""

    public_because: ClassVar[str]


class OrgView(APIView):
    """A route inside one org. `permissions` names one permission per method, GET being `read` unless told."""

    permissions: ClassVar[Mapping[str, Permission]] = {}
    principal: Principal
    org: Org

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.args, self.kwargs = args, kwargs
        drf_request = self.initialize_request(request, *args, **kwargs)
        self.request = drf_request
        self.headers = self.default_response_headers
        try:
            credential = credentials.read(request)
            with org_scope(credential.org_id):
                self.org, self.principal = credentials.load(credential)
                self.initial(drf_request, *args, **kwargs)
                answer = self._answer(drf_request)
            response = slow.finish(answer, credential.org_id)
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(drf_request, response, *args, **kwargs)
        return self.response

    def _answer(self, request: Request) -> Response | Slowly:
        method = (request.method or "").lower()
        handler = getattr(self, method, None) if method in self.http_method_names else None
        if handler is None or method == "options":
            raise drf.MethodNotAllowed(method.upper())
        permission = self.permission_for(method)
        if not self.principal.may_somewhere(permission):
            self.principal.require(permission)
        key = request.headers.get("Idempotency-Key") if method == "post" else None
        if key:
            return self._answer_once(request, key, handler)
        return handler(request, *self.args, **self.kwargs)  # type: ignore[no-any-return]

    @classmethod
    def permission_for(cls, method: str) -> Permission:
        if method in cls.permissions:
            return cls.permissions[method]
        if method in {"get", "head"}:
            return Permission.READ
        raise LookupError(f"{cls.__name__}.{method} names no permission")

    def _answer_once(self, request: Request, key: str, handler: Any) -> Response | Slowly:
        """Replay the first answer to this key. The unique row makes parallel twins wait for the first."""
        if not (1 <= len(key) <= 200 and key.isprintable()):
            raise Problem(
                400,
                "Bad Idempotency-Key.",
                "malformed",
                [("Idempotency-Key", "1 to 200 printable characters.", "invalid")],
            )
        operation = f"{request.method} {request.path}"
        digest = hashlib.sha256(
            orjson.dumps(request.data, option=orjson.OPT_SORT_KEYS)
            + str(self.principal.actor.id).encode()
        ).digest()
        record, made = self._reserve(key, operation, digest)
        if not made:
            if record.operation[:200] != operation[:200] or bytes(record.body_digest) != digest:
                raise Problem(
                    422,
                    "This Idempotency-Key was used for another request.",
                    "idempotency_key_reused",
                    [("Idempotency-Key", "Used for another request.", "reused")],
                )
            replay = Response(bytes(record.body), status=record.status, headers=record.headers)
            replay["Idempotency-Replayed"] = "true"
            return replay
        response: Response | Slowly = handler(request, *self.args, **self.kwargs)
        if isinstance(response, Slowly):  # looks at something and makes nothing: asked again, it looks again
            record.delete()
            return response
        record.status = response.status_code
        record.body = JSONRenderer().render(response.data)
        record.headers = {k: v for k, v in response.headers.items() if k in {"ETag", "Location"}}
        record.save(update_fields=["status", "body", "headers"])
        return response

    def _reserve(self, key: str, operation: str, digest: bytes) -> tuple[IdempotencyRecord, bool]:
        fresh = IdempotencyRecord(
            org=self.org, key=key, operation=operation[:200], body_digest=digest
        )
        IdempotencyRecord.unscoped.bulk_create([fresh], ignore_conflicts=True)
        kept: IdempotencyRecord = IdempotencyRecord.objects.for_org(self.org).get(key=key)
        return kept, kept.pk == fresh.pk


def data_of(
    serializer: type[Serializer[Any]], request: Request, *, partial: bool = False
) -> dict[str, Any]:
    """The validated body. Unknown fields are errors that name the field, because a typo loses data."""
    form = serializer(data=request.data, partial=partial)
    unknown = sorted(set(request.data) - set(form.fields))
    if unknown:
        raise drf.ValidationError(
            dict.fromkeys(unknown, "This field is not known."), code="unknown"
        )
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


def query_of(serializer: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """The validated query parameters of a list; `cursor`, `limit` and `order` belong to config.paging."""
    values = {
        k: v for k, v in request.query_params.items() if k not in {"cursor", "limit", "order"}
    }
    form = serializer(data=values)
    unknown = sorted(set(values) - set(form.fields))
    if unknown or not form.is_valid():
        errors = {name: ["This parameter is not known."] for name in unknown} or form.errors
        flat = [(str(name), str(messages[0]), "invalid") for name, messages in errors.items()]
        raise Problem(400, "Some query parameters are invalid.", "malformed", flat)
    refuse_nul(values)
    return dict(form.validated_data)


def one(queryset: Any, pk: UUID, *, lock: bool = False) -> Any:
    """The object with this id in an org's QuerySet, or NotFound: foreign and unknown look the same."""
    found = (queryset.select_for_update(of=("self",)) if lock else queryset).filter(pk=pk).first()
    if found is None:
        raise NotFound
    return found


def etag(version: int | str) -> str:
    return f'"{version}"'


def require_match(request: Request, version: int | str) -> None:
    """Raise 412 when If-Match names another version than the present one."""
    wanted = request.headers.get("If-Match")
    if (
        wanted
        and wanted.strip() != "*"
        and etag(version) not in [w.strip() for w in wanted.split(",")]
    ):
        raise Problem(
            412, "The object changed since you read it; read it again.", "precondition_failed"
        )


def close_connection() -> None:
    """Give the connection back before a long answer begins."""
    connection.close()
