"""Map the exceptions of this app to HTTP responses. Subclasses in other apps use the same responses."""

from __future__ import annotations

from apps.orgs import exceptions
from apps.orgs.scim import errors as scim_errors
from apps.web.problems import NOT_FOUND, Problem, register, register_error_format

register_error_format(f"{scim_errors.BASE_PATH}/", scim_errors.error_response)


@register(exceptions.Invalid)
def invalid(error: exceptions.Invalid) -> Problem:
    return Problem(422, "Some fields are invalid.", "invalid", error.errors)


@register(exceptions.NotFound)
def not_found(error: exceptions.NotFound) -> Problem:
    return Problem(404, NOT_FOUND, "not_found")


@register(exceptions.ChangedMeanwhile)
def changed_meanwhile(error: exceptions.ChangedMeanwhile) -> Problem:
    return Problem(412, str(error), "precondition_failed")


@register(exceptions.Conflict)
def conflict(error: exceptions.Conflict) -> Problem:
    return Problem(409, str(error), error.code, extra=dict(error.context))


@register(exceptions.Disabled)
def disabled(error: exceptions.Disabled) -> Problem:
    return Problem(423, str(error), "disabled")


@register(exceptions.NoOrganization)
def no_organization(error: exceptions.NoOrganization) -> Problem:
    return Problem(403, str(error), "no_organization")


@register(exceptions.OrgAccessDenied)
def org_access_denied(error: exceptions.OrgAccessDenied) -> Problem:
    return Problem(403, str(error), error.code)


@register(exceptions.OrgReadOnly)
def org_read_only(error: exceptions.OrgReadOnly) -> Problem:
    return Problem(423, str(error), error.code)


@register(exceptions.InvitationForOtherAddress)
def invitation_for_other_address(error: exceptions.InvitationForOtherAddress) -> Problem:
    return Problem(403, str(error), "other_address")


@register(exceptions.SessionLimited)
def session_limited(error: exceptions.SessionLimited) -> Problem:
    return Problem(403, str(error), "session_limited")


@register(exceptions.SessionNeeded)
def session_needed(error: exceptions.SessionNeeded) -> Problem:
    return Problem(403, str(error), "session_needed")


@register(exceptions.PermissionMissing)
def permission_missing(error: exceptions.PermissionMissing) -> Problem:
    missing = {"permission": error.permission.value}
    return Problem(403, str(error), "permission_missing", extra=missing)
