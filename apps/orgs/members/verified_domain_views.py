"""An org's verified e-mail domains over HTTP: add, verify by DNS, remove."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.members import dns_records, verified_domains, visibility
from apps.orgs.models import VerifiedDomain
from apps.orgs.roles import Permission
from apps.web.schema import operation
from apps.web.slow import SlowResponse
from apps.web.views import data_of

ROW_EXAMPLE = {
    "id": "01936c69-b4c5-7607-df96-829304152637",
    "domain": "example.com",
    "record_name": "example.com",
    "record_value": "drover-domain-verification=Q2hhbGxlbmdlIG1lIG9uY2U",
    "verified_at": None,
    "missing_since": None,
    "unanswered_since": None,
    "checked_at": None,
    "created_at": "2026-11-22T09:00:00Z",
}
CHECKED_EXAMPLE = {
    "ok": True,
    "message": "The record was found: example.com is verified for your organization.",
    "domain": {**ROW_EXAMPLE, "verified_at": "2026-11-22T09:05:00Z"},
}


class DomainNameField(serializers.CharField):
    """A domain with at least two labels, converted to the form used by DNS."""

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data)).removeprefix("@")
        try:
            return dns_records.ascii_domain(text)
        except ValueError:
            message = "Enter the part of your addresses after the @, like example.com."
            raise serializers.ValidationError(message, code="invalid") from None


class NewVerifiedDomain(serializers.Serializer[Any]):
    domain = DomainNameField(max_length=253)


class VerifiedDomainRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    domain = serializers.CharField()
    record_name = serializers.CharField(help_text="Name at which to publish the TXT record.")
    record_value = serializers.CharField(help_text="Value of the TXT record.")
    verified_at = serializers.DateTimeField(allow_null=True, help_text="null while not verified.")
    missing_since = serializers.DateTimeField(
        allow_null=True,
        help_text="When the record was first found missing. After three days the domain is no longer verified.",
    )
    unanswered_since = serializers.DateTimeField(
        allow_null=True,
        help_text="When its name servers first did not respond. After two weeks the domain is no longer verified.",
    )
    checked_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class VerifiedDomainList(serializers.Serializer[Any]):
    domains = VerifiedDomainRow(many=True)


class DomainCheckResult(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    message = serializers.CharField(help_text="The result, and the next step.")
    domain = VerifiedDomainRow()


def render_row(row: VerifiedDomain) -> dict[str, Any]:
    record_fields = {"record_name": row.domain, "record_value": verified_domains.record_value(row)}
    return {
        **{name: getattr(row, name) for name in ROW_EXAMPLE if name not in record_fields},
        **record_fields,
    }


class VerifiedDomains(OrgView):
    permissions = {"get": Permission.ORG_UPDATE, "post": Permission.ORG_UPDATE}
    session_methods = frozenset({"post"})

    @operation(
        "verified_domains_list",
        tag="single sign-on",
        summary="List verified e-mail domains, and those not verified yet",
        answer=VerifiedDomainList,
        example={"domains": [ROW_EXAMPLE]},
    )
    def get(self, request: Request) -> Response:
        rows = visibility.verified_domains(self.org)
        return Response({"domains": [render_row(row) for row in rows]})

    @operation(
        "verified_domains_add",
        tag="single sign-on",
        summary="Add an e-mail domain; it must be verified with the TXT record in the response",
        request=NewVerifiedDomain,
        answer=VerifiedDomainRow,
        status=201,
        errors=(409,),
        example=ROW_EXAMPLE,
        request_example={"domain": "example.com"},
    )
    def post(self, request: Request) -> Response:
        domain = data_of(NewVerifiedDomain, request)["domain"]
        row = verified_domains.add(org=self.org, by=self.principal, domain=domain)
        return Response(render_row(row), status=201)


class OneVerifiedDomain(OrgView):
    permissions = {"delete": Permission.ORG_UPDATE}
    session_methods = frozenset({"delete"})

    @operation(
        "verified_domains_remove",
        tag="single sign-on",
        summary="Remove a verified domain; members stay members",
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        verified_domains.remove(org=self.org, by=self.principal, domain_id=pk)
        return Response(status=204)


class VerifiedDomainCheck(OrgView):
    permissions = {"post": Permission.ORG_UPDATE}

    @operation(
        "verified_domains_check",
        tag="single sign-on",
        summary="Check the TXT record now",
        answer=DomainCheckResult,
        errors=(404,),
        example=CHECKED_EXAMPLE,
    )
    def post(self, request: Request, pk: UUID) -> SlowResponse:
        domain = verified_domains.begin_check(self.org, self.principal, pk)

        def respond(lookup: Any) -> Response:
            result = verified_domains.store_result(
                org=self.org, by=self.principal, domain_id=pk, lookup=lookup
            )
            return Response(
                {"ok": result.ok, "message": result.message, "domain": render_row(result.row)}
            )

        return SlowResponse(lambda: verified_domains.look_up(domain), then=respond)
