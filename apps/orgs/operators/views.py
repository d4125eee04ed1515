"""Pages of the operators' site for the second factor, for access to an org, and for suspending an org."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import update_session_auth_hash
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import mark_safe

from apps.auth import names
from apps.auth.exceptions import ChallengeExpired, TooManyAttempts, WrongCode
from apps.auth.models import User
from apps.orgs.operators import second_factors, support
from apps.web.addresses import client_ip

VERIFIED_KEY = (
    "operator_second_factor"  # key in the web session, set when the second factor was verified
)


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=40, widget=forms.TextInput({"autocomplete": "one-time-code", "autofocus": True})
    )
    challenge = forms.CharField(max_length=200, required=False, widget=forms.HiddenInput)


class ReasonField(forms.CharField):
    """A reason, as one line of visible text. The owners of the org read it in their audit log."""

    def to_python(self, value: Any) -> str:
        try:
            return names.parse_name(str(super().to_python(value)))
        except names.InvalidName as error:
            raise forms.ValidationError(str(error), code="characters") from None


class ReasonForm(forms.Form):
    reason = ReasonField(
        min_length=10,
        max_length=500,
        widget=forms.TextInput({"size": 60}),
        help_text="The organization's owners can read this in their audit log.",
    )


def second_factor(request: HttpRequest) -> HttpResponse:
    """Show a form for a code of the second factor, and verify the code.

    An operator without a factor sets up an authenticator app here, and then sees the recovery codes.
    """
    user: Any = request.user
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return HttpResponseRedirect(reverse("admin:login"))
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return _verify_code(request, user, form.cleaned_data)
        except (WrongCode, TooManyAttempts, ChallengeExpired) as error:
            form.add_error("code", str(error))
    # After a wrong code the form keeps its challenge, so the operator can try the same secret again.
    setup = second_factors.begin_setup(operator=user) if request.method == "GET" else None
    if setup:
        form.initial["challenge"] = setup["challenge"]
    svg = mark_safe(setup["qr_svg"].partition("?>")[2]) if setup else ""  # noqa: S308 - our own SVG
    return _render_page(
        request,
        "operators/second_factor.html",
        form=form,
        setup=setup,
        svg=svg,
        has_factor=second_factors.has_factor(user),
        title="Second factor",
    )


def _verify_code(request: HttpRequest, user: User, data: dict[str, str]) -> HttpResponse:
    """Redirect to the index page, or show new recovery codes. Raises WrongCode, TooManyAttempts and ChallengeExpired."""
    codes = second_factors.verify(
        operator=user, code=data["code"], challenge=data["challenge"], ip=client_ip(request)
    )
    if codes:
        # Setting up the factor ended every session, so renew this one.
        update_session_auth_hash(request, user)
    request.session[VERIFIED_KEY] = True
    request.session.cycle_key()
    if not codes:
        return HttpResponseRedirect(reverse("admin:index"))
    return _render_page(request, "operators/recovery_codes.html", codes=codes)


def request_access(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Request access to an org's rows."""
    return _handle_reason_form(
        request,
        pk,
        title="Access this organization for an hour",
        action=support.grant_access,
        success_message="You have access to this organization for an hour.",
    )


def suspend(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _handle_reason_form(
        request,
        pk,
        title="Suspend this organization",
        action=support.suspend,
        success_message="The organization is suspended; its runs are being ended.",
    )


def resume(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _handle_reason_form(
        request,
        pk,
        title="Resume this organization",
        action=support.resume,
        success_message="The organization is active again.",
    )


def _handle_reason_form(
    request: HttpRequest, pk: UUID, *, title: str, action: Callable[..., Any], success_message: str
) -> HttpResponse:
    org = support.find_org(pk)
    if org is None:
        raise Http404
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        operator: Any = request.user
        action(
            org_id=pk,
            operator=operator,
            reason=form.cleaned_data["reason"],
            ip=client_ip(request),
        )
        messages.success(request, success_message)
        return HttpResponseRedirect(reverse("admin:orgs_org_change", args=[pk]))
    return _render_page(request, "operators/reason.html", form=form, org=org, title=title)


def _render_page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    """Render a page with the site's own header and menu."""
    return render(request, template, {**admin.site.each_context(request), **context})


def has_verified_factor(request: HttpRequest) -> bool:
    """Whether an active operator is logged in and has verified a second factor in this web session."""
    user = request.user
    is_staff = isinstance(user, User) and user.is_active and user.is_staff
    return is_staff and bool(request.session.get(VERIFIED_KEY))
