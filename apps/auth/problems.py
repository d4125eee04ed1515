"""Map the exceptions of this app to HTTP responses."""

from __future__ import annotations

from apps.auth import exceptions
from apps.web.problems import Problem, register, unauthenticated


@register(exceptions.BadCredentials, exceptions.SessionEnded)
def invalid_credential(error: Exception) -> Problem:
    return unauthenticated(str(error))


@register(exceptions.TooManyAttempts)
def too_many_attempts(error: exceptions.TooManyAttempts) -> Problem:
    headers = {"Retry-After": str(error.retry_after)}
    return Problem(429, str(error), "too_many_attempts", headers=headers)


@register(exceptions.WeakPassword)
def weak_password(error: exceptions.WeakPassword) -> Problem:
    faults = [("password", fault, "weak") for fault in error.faults]
    return Problem(422, "Some fields are invalid.", "invalid", faults)


@register(exceptions.NotVerified)
def not_verified(error: exceptions.NotVerified) -> Problem:
    return Problem(403, str(error), "email_not_verified")


@register(exceptions.WrongCode)
def wrong_code(error: exceptions.WrongCode) -> Problem:
    return Problem(422, str(error), "wrong_code", [("code", str(error), "wrong_code")])


@register(exceptions.SecondFactorNeeded)
def second_factor_needed(error: exceptions.SecondFactorNeeded) -> Problem:
    return Problem(401, str(error), "second_factor_needed", extra={"methods": error.methods})


@register(exceptions.LinkSpent)
def link_spent(error: exceptions.LinkSpent) -> Problem:
    return Problem(410, str(error), "link_spent")


@register(exceptions.ChallengeExpired)
def challenge_expired(error: exceptions.ChallengeExpired) -> Problem:
    return Problem(410, str(error), "link_spent")


@register(exceptions.TooManyPasskeys)
def too_many_passkeys(error: exceptions.TooManyPasskeys) -> Problem:
    return Problem(409, str(error), "too_many_passkeys")


@register(exceptions.RegistrationRefused)
def registration_refused(error: exceptions.RegistrationRefused) -> Problem:
    return Problem(409, str(error), "registration_refused")
