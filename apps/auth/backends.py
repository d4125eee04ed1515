"""Log in to the operators' pages, with the same password check and the same rate limits as in the API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from apps.auth import accounts
from apps.auth.exceptions import BadCredentials, TooManyAttempts
from apps.auth.models import User
from apps.web.addresses import client_ip


class PasswordBackend(BaseBackend):
    """Check an e-mail address and a password, with rate limits."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> User | None:
        if request is None or not username or not password:
            return None
        try:
            return accounts.authenticate(email=username, password=password, ip=client_ip(request))
        except BadCredentials:
            return None
        except TooManyAttempts as error:
            raise PermissionDenied(str(error)) from error

    def get_user(self, user_id: Any) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).first()
