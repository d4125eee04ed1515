"""Other pages of the operators' site: second factor, access to an org, suspension."""

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
from apps.auth.exceptions import LinkSpent, TooManyAttempts, WrongCode
from apps.auth.models import User
from apps.orgs.operators import second_factors, support
from apps.web.addresses import client_ip

SHOWN = (
    "operator_second_factor"  # set in the web session once this login has passed the second factor
)


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=40, widget=forms.TextInput({"autocomplete": "one-time-code", "autofocus": True})
    )
    challenge = forms.CharField(max_length=200, required=False, widget=forms.HiddenInput)


class ReasonField(forms.CharField):
    """One line of visible text: owners read it in the audit log, and it is logged."""

    def to_python(self, value: Any) -> str:
        try:
            return names.read(str(super().to_python(value)))
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
    """Verify a code.

    An operator without a factor first sets up an authenticator app, and sees the recovery codes.
    """
    user: Any = request.user
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return HttpResponseRedirect(reverse("admin:login"))
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return _shown(request, user, form.cleaned_data)
        except (WrongCode, TooManyAttempts, LinkSpent) as error:
            form.add_error("code", str(error))
    # After a wrong first code, the same secret can be tried again.
    begun = second_factors.begin(operator=user) if request.method == "GET" else None
    if begun:
        form.initial["challenge"] = begun["challenge"]
    svg = mark_safe(begun["qr_svg"].partition("?>")[2]) if begun else ""  # noqa: S308 - made by us
    return _page(
        request,
        "operators/second_factor.html",
        form=form,
        begun=begun,
        svg=svg,
        known=second_factors.has_one(user),
        title="Second factor",
    )


def _shown(request: HttpRequest, user: User, data: dict[str, str]) -> HttpResponse:
    """Return the site, or the new recovery codes. Raises WrongCode, TooManyAttempts and LinkSpent."""
    codes = second_factors.show(
        operator=user, code=data["code"], challenge=data["challenge"], ip=client_ip(request)
    )
    if codes:
        update_session_auth_hash(request, user)  # Every session was ended, so keep this one.
    request.session[SHOWN] = True
    request.session.cycle_key()
    if not codes:
        return HttpResponseRedirect(reverse("admin:index"))
    return _page(request, "operators/recovery_codes.html", codes=codes)


def open_access(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Request access to an org's rows."""
    return _with_reason(
        request,
        pk,
        title="Access this organization for an hour",
        act=support.open_access,
        done="You have access to this organization for an hour.",
    )


def suspend(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _with_reason(
        request,
        pk,
        title="Suspend this organization",
        act=support.suspend,
        done="The organization is suspended; its runs are being ended.",
    )


def resume(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _with_reason(
        request,
        pk,
        title="Resume this organization",
        act=support.resume,
        done="The organization is active again.",
    )


def _with_reason(
    request: HttpRequest, pk: UUID, *, title: str, act: Callable[..., Any], done: str
) -> HttpResponse:
    org = support.org_of_page(pk)
    if org is None:
        raise Http404
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        operator: Any = request.user
        act(
            org_id=pk,
            operator=operator,
            reason=form.cleaned_data["reason"],
            ip=client_ip(request),
        )
        messages.success(request, done)
        return HttpResponseRedirect(reverse("admin:orgs_org_change", args=[pk]))
    return _page(request, "operators/reason.html", form=form, org=org, title=title)


def _page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    """Render a page with the site's own header and menu."""
    return render(request, template, {**admin.site.each_context(request), **context})


def has_shown(request: HttpRequest) -> bool:
    """Whether this login of an active operator has passed the second factor."""
    user = request.user
    staff = isinstance(user, User) and user.is_active and user.is_staff
    return staff and bool(request.session.get(SHOWN))
