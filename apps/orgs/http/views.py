"""The base classes of all views inside an org.

`OrgView` reads the credential, opens the org's scope (one transaction), loads the principal, checks the one
permission that the method names, and only then calls the handler. A view that names none fails a guard test. An
exception rolls everything back and becomes a problem response; a returned response commits, whatever its status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpRequest
from rest_framework import exceptions as drf
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.auth.exceptions import WrongCode
from apps.orgs import credentials
from apps.orgs.exceptions import CheckFirst, SessionLimited, SessionNeeded, WrongPassword
from apps.orgs.http import authentication
from apps.orgs.http.idempotency import OrgStore
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import ResultT, SlowCall
from apps.orgs.walls.scope import org_scope
from apps.web import idempotency, slow
from apps.web.slow import SlowResponse


class AccountView(APIView):
    """A route about the logged-in user, independent of orgs: for sessions, never for API keys.

    A session that began with an org's own identity provider may use only the methods in `limited_methods`.
    """

    limited_methods: ClassVar[frozenset[str]] = frozenset()
    account: credentials.Account

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.args, self.kwargs = args, kwargs
        drf_request = self.initialize_request(request, *args, **kwargs)
        self.request = drf_request
        self.headers = self.default_response_headers
        try:
            with transaction.atomic():
                response = self._answer(drf_request, authentication.read(request))
        # outermost handler: the exception becomes a problem response, or is raised again
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(drf_request, response, *args, **kwargs)
        return self.response

    def _answer(self, request: Request, credential: credentials.Credential) -> Response:
        handler, method = _handler(self, request)
        if isinstance(credential, credentials.KeyCredential):
            return self.answer_key(request, credential)
        self.account = credentials.load_account(credential)
        self.initial(request, *self.args, **self.kwargs)
        if self.account.session.only_org is not None and method not in self.limited_methods:
            raise SessionLimited
        try:
            answer: Response = handler(request, *self.args, **self.kwargs)
        except (WrongPassword, WrongCode) as wrong:
            return self.handle_exception(wrong)  # Commit, so that the attempt is recorded.
        return answer

    def answer_key(self, request: Request, credential: credentials.KeyCredential) -> Response:
        """Respond to an API key: by default with SessionNeeded."""
        raise SessionNeeded


class OrgView(APIView):
    """A route inside one org. `permissions` names one permission per method; the default for GET is `read`.

    `session_methods` are for logged-in users: an API key gets 403. `always_methods` work even while the org is
    suspended or scheduled for deletion, when other changes are refused.
    """

    always_methods: ClassVar[frozenset[str]] = frozenset({"get", "head"})
    permissions: ClassVar[Mapping[str, Permission]] = {}
    session_methods: ClassVar[frozenset[str]] = frozenset()
    principal: Principal
    org: Org

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.args, self.kwargs = args, kwargs
        drf_request = self.initialize_request(request, *args, **kwargs)
        self.request = drf_request
        self.headers = self.default_response_headers
        try:
            credential = authentication.read(request)
            with self._scope(request, credential):
                self.initial(drf_request, *args, **kwargs)
                answer = self._answer(drf_request)
            response = slow.finish(answer, partial(self._scope_again, request, credential))
        # outermost handler: the exception becomes a problem response, or is raised again
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(drf_request, response, *args, **kwargs)
        return self.response

    @contextmanager
    def _scope(self, request: HttpRequest, credential: credentials.Credential) -> Iterator[None]:
        """Open the org's scope, for a credential that has access now."""
        changing = (request.method or "").lower() not in self.always_methods
        with org_scope(credentials.org_of(credential)):
            self.org, self.principal = credentials.load(credential, changing=changing)
            yield

    @contextmanager
    def _scope_again(
        self, request: HttpRequest, credential: credentials.Credential
    ) -> Iterator[None]:
        """Open the scope again after a wait.

        An API key is read again, because it may have been revoked meanwhile or have lost permissions.
        """
        if isinstance(credential, credentials.KeyCredential):
            credential = authentication.read(request)
        with self._scope(request, credential):
            self._allow((request.method or "").lower())
            yield

    def _allow(self, method: str) -> None:
        """Raise unless the principal could use this method on some object."""
        if method in self.session_methods:
            self.principal.require_session()
        permission = self.permission_for(method)
        if not self.principal.may_somewhere(permission):
            self.principal.require(permission)

    def wait_for(
        self, call: SlowCall[ResultT], render: Callable[[ResultT], Response] = Response
    ) -> SlowResponse:
        """Run a slow call, and render its result if the principal may still see it afterwards."""
        return SlowResponse(call.run, then=lambda found: render(call.finish(self.principal, found)))

    def _answer(self, request: Request) -> Response | SlowResponse:
        handler, method = _handler(self, request)
        self._allow(method)
        key = idempotency.key_of(request) if method == "post" else None

        def act() -> Response | SlowResponse:
            answer: Response | SlowResponse = handler(request, *self.args, **self.kwargs)
            return answer

        if key is None:
            return act()
        caller = str(self.principal.actor.id)
        return idempotency.answer_once(request, key, caller, OrgStore(self.org), act)

    @classmethod
    def permission_for(cls, method: str) -> Permission:
        """Return the permission that this method needs. Raises LookupError if the class does not name one."""
        method = "get" if method == "head" else method
        if method in cls.permissions:
            return cls.permissions[method]
        if method == "get":
            return Permission.READ
        raise LookupError(f"{cls.__name__}.{method} names no permission")


def after_check(change: Callable[[Any], Response], *, once: bool = True) -> Response | SlowResponse:
    """Return the response of `change(None)`; if its action raises CheckFirst, run the check and call `change` with
    its result.
    """
    try:
        with transaction.atomic():
            return change(None)
    except CheckFirst as first:
        return SlowResponse(first.check, then=change, once=once)


def _handler(view: APIView, request: Request) -> tuple[Callable[..., Any], str]:
    """Return the view's method for this request, and its name. Raises 405."""
    method = (request.method or "").lower()
    handler = getattr(view, method, None) if method in view.http_method_names else None
    if handler is None or method == "options":
        raise drf.MethodNotAllowed(method.upper())
    return handler, method
