"""Middleware for Django's admin, which is the operators' site.

Sessions and messages are only used there. The API is stateless and does not need them.
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


def restrict_to_admin(middleware: type[MiddlewareMixin]) -> type[MiddlewareMixin]:
    """Return a subclass of the middleware that is active only below OPERATORS_PATH."""

    class AdminOnlyMiddleware(middleware):  # type: ignore[valid-type,misc]
        def __call__(self, request: HttpRequest) -> Any:
            if request.path.startswith(settings.OPERATORS_PATH):
                return super().__call__(request)
            return self.get_response(request)

        def process_view(
            self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
        ) -> HttpResponseBase | None:
            parent_method = getattr(super(), "process_view", None)
            if parent_method is None or not request.path.startswith(settings.OPERATORS_PATH):
                return None
            response: HttpResponseBase | None = parent_method(request, view, args, kwargs)
            return response

    AdminOnlyMiddleware.__name__ = middleware.__name__
    return AdminOnlyMiddleware


AdminSession = restrict_to_admin(SessionMiddleware)
AdminUser = restrict_to_admin(AuthenticationMiddleware)
AdminMessages = restrict_to_admin(MessageMiddleware)
