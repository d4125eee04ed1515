"""Django's admin as the operators' site: sessions and messages only below its path.

The API is stateless and does not need them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


def below_admin(middleware: type[MiddlewareMixin]) -> type[MiddlewareMixin]:
    """Return the middleware, active only below OPERATORS_PATH."""

    class BelowAdmin(middleware):  # type: ignore[valid-type,misc]
        def __call__(self, request: HttpRequest) -> Any:
            if request.path.startswith(settings.OPERATORS_PATH):
                return super().__call__(request)
            return self.get_response(request)

        def process_view(
            self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
        ) -> HttpResponseBase | None:
            inner = getattr(super(), "process_view", None)
            if inner is None or not request.path.startswith(settings.OPERATORS_PATH):
                return None
            answer: HttpResponseBase | None = inner(request, view, args, kwargs)
            return answer

    BelowAdmin.__name__ = middleware.__name__
    return BelowAdmin


AdminSession = below_admin(SessionMiddleware)
AdminUser = below_admin(AuthenticationMiddleware)
AdminMessages = below_admin(MessageMiddleware)
