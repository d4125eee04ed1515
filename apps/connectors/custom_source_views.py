"""Custom sources over HTTP: write, validate, try, approve, restore."""

from __future__ import annotations

import difflib
from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors import configuration, cookbook, custom_kinds, custom_sources, engine, services
from apps.connectors.access import visible
from apps.connectors.custom_source_serializers import (
    MOST_COMPARED,
    CodeReport,
    CodeRequest,
    Cookbook,
    CustomSourceCreate,
    CustomSourceDetail,
    CustomSourceDiff,
    CustomSourceDiffQuery,
    CustomSourceFilter,
    CustomSourceRow,
    CustomSourceUpdate,
    CustomSourceVersionDetail,
    CustomSourceVersionRow,
    TryAnswer,
    TryRequest,
)
from apps.connectors.custom_sources import Text
from apps.connectors.models import CUSTOM, Connector, CustomSource, CustomSourceVersion
from apps.connectors.ordering import ordering
from apps.connectors.serializers import Empty
from apps.engine.contract import CodeSpec, SourceSpec
from apps.orgs.exceptions import Invalid, NotFound
from apps.orgs.roles import Permission
from config.api import OrgView, data_of, etag, one, query_of, require_match
from config.paging import Order, newest, page
from config.schema import IF_MATCH, PAGE_PARAMETERS, operation, page_of
from config.slow import Slowly

HIGHEST = 2**31 - 1
ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10"
CODE = cookbook.EXAMPLE
REPORT = {
    "valid": True,
    "errors": [],
    "warnings": [],
    "source_name": "Shop",
    "description": "",
    "contract": "rest",
    "streams": [
        {
            "name": "orders",
            "sync_modes": ["full_refresh"],
            "primary_key": ["id"],
            "cursor_field": None,
        }
    ],
    "config_schema": {"type": "object", "properties": {"token": {"type": "string"}}},
    "secret_names": ["token"],
    "auth_type": "bearer",
    "hosts": ["api.example.com"],
}
ROW = {
    "id": ID,
    "kind": f"custom-{ID}",
    "name": "Shop",
    "description": "",
    "origin": "editor",
    "repository_id": None,
    "repository_path": "",
    "latest_version": 2,
    "approved_version": 1,
    "archived": False,
    "created_at": "2026-11-27T10:00:00Z",
    "updated_at": "2026-11-27T10:00:00Z",
}
VERSION_ROW = {
    "number": 2,
    "note": "Orders by date",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit": "",
    "author": "",
    "hosts": ["api.example.com"],
    "created_at": "2026-11-27T10:00:00Z",
    "created_by": {"id": ID, "name": "Ada"},
    "approved_at": None,
    "approved_by": None,
}
VERSION = {**VERSION_ROW, "code": CODE, "report": REPORT}
DETAIL = {**ROW, "version": VERSION}
TRY = {
    "ok": True,
    "records": [{"id": 1}],
    "rejected": 0,
    "columns": [{"name": "id", "type": "integer", "nullable": True}],
    "ms": 310.5,
    "requests": [
        {"method": "GET", "url": "https://api.example.com/v1/orders", "status": 200, "ms": 81.0}
    ],
    "log": [{"level": "info", "message": "one page"}],
    "network": [
        {
            "host": "api.example.com",
            "port": 443,
            "address": "93.184.216.34",
            "refused": "",
            "connections": 1,
            "sent": 812,
            "received": 5120,
        }
    ],
    "isolation": "good (landlock, seccomp)",
    "failure": None,
}
ORDERS = {"newest": newest(), "name": Order("name"), "updated": newest("updated_at")}
BY_NUMBER = {"newest": Order("number", descending=True, parse=int)}


SHOWN = (
    "id", "name", "description", "origin", "repository_id", "repository_path", "created_at",
    "updated_at",
)  # fmt: skip
SHOWN_OF_VERSION = ("number", "note", "sha256", "commit", "author", "created_at", "approved_at")
PEOPLE = ("created_by", "approved_by")


def row(values: dict[str, Any]) -> dict[str, Any]:
    """A source in a list, from `.rows()`."""
    return {
        **{name: values[name] for name in SHOWN},
        "kind": f"{CUSTOM}{values['id']}",
        "latest_version": values["latest"],
        "approved_version": values["approved"],
        "archived": values["archived_at"] is not None,
    }


def version_row(values: dict[str, Any]) -> dict[str, Any]:
    """A version in a list, from its values."""
    return {
        **{name: values[name] for name in SHOWN_OF_VERSION},
        "hosts": values["report__hosts"],
        **{who: _person(values, who) for who in PEOPLE},
    }


class CustomSourceView(OrgView):
    """What the views share: which sources there are, and how code becomes a version."""

    def sources(self) -> Any:
        """An API key limited to a domain sees none: they belong to the whole org."""
        rows = CustomSource.objects.for_org(self.org)
        return rows.none() if self.principal.only_domain else rows

    def versions(self, source: CustomSource) -> Any:
        return CustomSourceVersion.objects.for_org(self.org).filter(source=source)

    def version_rows(self, source: CustomSource, *more: str) -> Any:
        named = [f"{who}__{name}" for who in PEOPLE for name in ("name", "email")]
        return self.versions(source).values(
            "id", *SHOWN_OF_VERSION, "report__hosts", *PEOPLE, *named, *more
        )

    def version(self, source: CustomSource, number: int) -> CustomSourceVersion:
        found: CustomSourceVersion | None = (
            self.versions(source)
            .select_related("source")
            .filter(number=min(number, HIGHEST))
            .first()
        )
        if found is None:
            raise NotFound
        return found

    def version_detail(self, source: CustomSource, number: int) -> dict[str, Any]:
        found = self.version_rows(source, "code", "report").filter(number=min(number, HIGHEST))
        values = found.first()
        if values is None:
            raise NotFound
        return {**version_row(values), "code": values["code"], "report": values["report"]}

    def text(self, data: dict[str, Any]) -> Text:
        """The code with its report. Raises Invalid with the messages of code that is not valid."""
        report = engine.validate(org_id=self.org.pk, code=data["code"])
        if not report["valid"]:
            raise Invalid(
                [
                    ("code", f"Line {one['line']}: {one['message']}", "invalid_code")
                    for one in report["errors"]
                ]
            )
        return Text(data["code"], report, note=data.get("note", ""))

    def answer(self, source: CustomSource, status: int = 200) -> Response:
        values = self.sources().rows().get(pk=source.pk)
        body = {**row(values), "version": self.version_detail(source, source.latest)}
        return Response(body, status=status, headers={"ETag": etag(source.etag)})


class CustomSources(CustomSourceView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_list",
        tag="custom sources",
        summary="Sources the org's people wrote, without their code",
        answer=page_of(CustomSourceRow),
        parameters=[CustomSourceFilter, *PAGE_PARAMETERS, ordering(ORDERS, "newest")],
        example={"results": [ROW], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        wanted = query_of(CustomSourceFilter, request)
        rows = self.sources().matching(**wanted).rows()
        return page(request, rows, orders=ORDERS, default="newest", render=row)

    @operation(
        "custom_sources_create",
        tag="custom sources",
        summary="Save a source with its first version; nothing of it runs until it is approved",
        request=CustomSourceCreate,
        answer=CustomSourceDetail,
        status=201,
        errors=(409, 413, 422),
        example=DETAIL,
        request_example={"name": "Shop", "code": CODE, "approve": True},
    )
    def post(self, request: Request) -> Response:
        data = data_of(CustomSourceCreate, request)
        made = custom_sources.create(
            org=self.org,
            by=self.principal,
            name=data["name"],
            description=data["description"],
            text=self.text(data),
            approve=data["approve"],
        )
        return self.answer(made, 201)


class CustomSourceById(CustomSourceView):
    permissions = {
        "patch": Permission.CUSTOM_SOURCES_EDIT,
        "delete": Permission.CUSTOM_SOURCES_EDIT,
    }

    @operation(
        "custom_sources_retrieve",
        tag="custom sources",
        summary="A custom source with its newest version",
        answer=CustomSourceDetail,
        errors=(404,),
        example=DETAIL,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return self.answer(one(self.sources(), pk))

    @operation(
        "custom_sources_update",
        tag="custom sources",
        summary="Change a custom source; other code becomes a new version",
        request=CustomSourceUpdate,
        answer=CustomSourceDetail,
        errors=(404, 409, 412, 413, 422),
        parameters=[IF_MATCH],
        example=DETAIL,
        request_example={"code": CODE, "note": "Orders by date"},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        one(self.sources(), pk)  # a stranger learns nothing of the code's faults
        data = data_of(CustomSourceUpdate, request)
        text = self.text(data) if "code" in data else None  # before the lock: nobody waits for it
        source = one(self.sources(), pk, lock=True)
        require_match(request, source.etag)
        if "code" in data:
            custom_sources.require_own_code(source)
        if "archived" in data:
            custom_sources.set_archived(
                org=self.org, by=self.principal, source=source, archived=data["archived"]
            )
        custom_sources.update(
            org=self.org,
            by=self.principal,
            source=source,
            changes=data,
            text=text,
            approve=data.get("approve", False),
        )
        return self.answer(source)

    @operation(
        "custom_sources_delete",
        tag="custom sources",
        summary="Delete a custom source that nothing uses, with its versions",
        status=204,
        errors=(404, 409, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        source = one(self.sources(), pk, lock=True)
        require_match(request, source.etag)
        custom_sources.delete(org=self.org, by=self.principal, source=source)
        return Response(status=204)


class Versions(CustomSourceView):
    @operation(
        "custom_sources_versions_list",
        tag="custom sources",
        summary="Versions of a custom source, newest first",
        answer=page_of(CustomSourceVersionRow),
        errors=(404,),
        parameters=[*PAGE_PARAMETERS, ordering(BY_NUMBER, "newest")],
        example={"results": [VERSION_ROW], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        rows = self.version_rows(one(self.sources(), pk))
        return page(request, rows, orders=BY_NUMBER, default="newest", render=version_row)


class VersionByNumber(CustomSourceView):
    @operation(
        "custom_sources_versions_retrieve",
        tag="custom sources",
        summary="One version with its code",
        answer=CustomSourceVersionDetail,
        errors=(404,),
        example=VERSION,
    )
    def get(self, request: Request, pk: UUID, number: int) -> Response:
        return Response(self.version_detail(one(self.sources(), pk), number))


class Diff(CustomSourceView):
    @operation(
        "custom_sources_versions_diff",
        tag="custom sources",
        summary="What a version changed: its code, and what it may reach",
        answer=CustomSourceDiff,
        errors=(404,),
        parameters=[CustomSourceDiffQuery],
        example={
            "before": 1,
            "after": 2,
            "diff": "--- version 1\n+++ version 2\n@@ -1 +1 @@\n-a\n+b\n",
            "hosts_added": ["api.example.com"],
            "hosts_removed": [],
        },
    )
    def get(self, request: Request, pk: UUID, number: int) -> Response:
        source = one(self.sources(), pk)
        after = self.version(source, number)
        against = query_of(CustomSourceDiffQuery, request).get("against", number - 1)
        before = self.version(source, against) if against else None
        old, new = before.report["hosts"] if before else [], after.report["hosts"]
        return Response(
            {
                "before": against,
                "after": number,
                "diff": _unified(before, after),
                "hosts_added": [host for host in new if host not in old],
                "hosts_removed": [host for host in old if host not in new],
            }
        )


class Restore(CustomSourceView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_versions_restore",
        tag="custom sources",
        summary="Make a new version that equals an old one",
        request=Empty,
        answer=CustomSourceDetail,
        errors=(404, 409, 412),
        parameters=[IF_MATCH],
        example=DETAIL,
    )
    def post(self, request: Request, pk: UUID, number: int) -> Response:
        source = one(self.sources(), pk, lock=True)
        require_match(request, source.etag)
        self.version(source, number)
        custom_sources.require_own_code(source)
        custom_sources.restore(org=self.org, by=self.principal, source=source, number=number)
        return self.answer(source)


class Approve(CustomSourceView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_versions_approve",
        tag="custom sources",
        summary="Let pipelines run a version, and reach the hosts it names",
        request=Empty,
        answer=CustomSourceDetail,
        errors=(404, 412),
        parameters=[IF_MATCH],
        example={**DETAIL, "approved_version": 2},
    )
    def post(self, request: Request, pk: UUID, number: int) -> Response:
        source = one(self.sources(), pk, lock=True)
        require_match(request, source.etag)
        self.version(source, number)
        custom_sources.approve_version(
            org=self.org, by=self.principal, source=source, number=number
        )
        return self.answer(source)


class Validate(CustomSourceView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_validate",
        tag="custom sources",
        summary="Read what code says of itself, without running any of it",
        request=CodeRequest,
        answer=CodeReport,
        errors=(413, 422),
        example=REPORT,
        request_example={"code": CODE},
    )
    def post(self, request: Request) -> Slowly:
        code = data_of(CodeRequest, request)["code"]
        return Slowly(partial(engine.validate, org_id=self.org.pk, code=code), then=Response)


class Try(CustomSourceView):
    permissions = {"post": Permission.CUSTOM_SOURCES_EDIT}

    @operation(
        "custom_sources_preview",
        tag="custom sources",
        summary="Run code in the sandbox for a few real records, with its requests and log",
        request=TryRequest,
        answer=TryAnswer,
        errors=(404, 413, 422),
        example=TRY,
        request_example={"code": CODE, "stream": "orders", "config": {"token": "t-123"}},
    )
    def post(self, request: Request) -> Slowly:
        data = data_of(TryRequest, request)
        text, report, label = self._code(data)
        config = self._config(data, report)
        source = SourceSpec(
            kind="custom",
            config=config,
            stream=data["stream"],
            code=CodeSpec(text, tuple(report["hosts"]), tuple(report["secret_names"]), label),
        )
        ask = partial(
            engine.try_source, org_id=self.org.pk, source=source, limit=data["max_records"]
        )
        return Slowly(ask, then=Response)

    def _code(self, data: dict[str, Any]) -> tuple[str, dict[str, Any], str]:
        """(text, report, label) of the code in the request, or of the saved source it names."""
        if ("code" in data) == ("id" in data):
            raise Invalid([("code", "Send code, or the id of a saved source.", "ambiguous")])
        if "code" in data:
            text = self.text(data)
            custom_sources.require_open_hosts(self.principal, text.report["hosts"])
            return text.code, dict(text.report), "draft"
        source = one(self.sources(), data["id"])
        version = self.version(source, data.get("version") or source.latest)
        if version.approved_at is None:
            custom_sources.require_open_hosts(self.principal, version.report["hosts"])
        if "connector_id" in data and version.approved_at is None:
            message = (
                "Stored secrets are given to approved versions only: send the settings instead."
            )
            raise Invalid([("connector_id", message, "unapproved")])
        return version.code, version.report, f"{source.name}, version {version.number}"

    def _config(self, data: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        """The settings, checked against what the code asks for."""
        kind = custom_kinds.kind_of(CustomSource(name="draft"), report)
        before = configuration.EMPTY
        if "connector_id" in data:
            found: Connector = one(
                visible(Connector.objects.for_org(self.org), self.principal), data["connector_id"]
            )
            self.principal.require(Permission.CONNECTORS_EDIT, domain_id=found.domain_id)
            if "id" not in data or found.custom_source_id != data["id"]:
                message = "Its settings are only for the saved source it belongs to."
                raise Invalid([("connector_id", message, "mismatch")])
            before = services.stored_settings(self.org, found)
        return services.checked(kind, data.get("config", {}), before=before, patch=True).plain


class Recipes(CustomSourceView):
    @operation(
        "custom_sources_cookbook",
        tag="custom sources",
        summary="Short sources to start from, and what code can import",
        answer=Cookbook,
        example={
            "results": [{"name": "bearer", "title": "A bearer token", "code": CODE}],
            "packages": ["requests", "httpx"],
        },
    )
    def get(self, request: Request) -> Response:
        return Response({"results": cookbook.entries(), "packages": cookbook.packages()})


def _unified(before: CustomSourceVersion | None, after: CustomSourceVersion) -> str | None:
    """None when there are too many lines: difflib takes time by their square, and the web would wait for it."""
    old = before.code.splitlines(keepends=True) if before else []
    new = after.code.splitlines(keepends=True)
    if max(len(old), len(new)) > MOST_COMPARED:
        return None
    lines = difflib.unified_diff(
        old,
        new,
        f"version {before.number}" if before else "nothing",
        f"version {after.number}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _person(values: dict[str, Any], who: str) -> dict[str, Any] | None:
    if values[who] is None:
        return None
    return {"id": values[who], "name": values[f"{who}__name"] or values[f"{who}__email"]}
