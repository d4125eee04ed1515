"""The base classes of all views of accounts and orgs.

`OrgView` reads the credential, opens the org's scope (one transaction) and loads the principal. Then it checks the
permission of the method and calls the handler. A guard test fails for a view without a permission. An exception rolls
the transaction back and becomes a problem response. A returned response commits the transaction, whatever its status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
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
from apps.orgs.http.idempotency import OrgIdempotencyStore
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import ResultT, SlowCall
from apps.orgs.walls import replica
from apps.orgs.walls.scope import org_scope
from apps.web import idempotency, slow
from apps.web.slow import SlowResponse


class AccountView(APIView):
    """A route about the account of the logged-in user. API keys cannot use it.

    A session that began with an org's own identity provider may use only `single_sign_on_methods`.
    """

    single_sign_on_methods: ClassVar[frozenset[str]] = frozenset()
    account: credentials.Account

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.args, self.kwargs = args, kwargs
        drf_request = self.initialize_request(request, *args, **kwargs)
        self.request = drf_request
        self.headers = self.default_response_headers
        try:
            with transaction.atomic():
                response = self._respond(drf_request, authentication.read_credential(request))
        # This is the outermost handler. The exception becomes a problem response, or is raised again.
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(drf_request, response, *args, **kwargs)
        return self.response

    def _respond(self, request: Request, credential: credentials.Credential) -> Response:
        handler, method = _find_handler(self, request)
        if isinstance(credential, credentials.KeyCredential):
            return self.respond_to_key(request, credential)
        self.account = credentials.load_account(credential)
        self.initial(request, *self.args, **self.kwargs)
        if self.account.session.only_org is not None and method not in self.single_sign_on_methods:
            raise SessionLimited
        try:
            response: Response = handler(request, *self.args, **self.kwargs)
        except (WrongPassword, WrongCode) as error:
            # Returning commits the transaction, so the failed attempt is recorded.
            return self.handle_exception(error)
        return response

    def respond_to_key(self, request: Request, credential: credentials.KeyCredential) -> Response:
        """Return the response to an API key. By default raises SessionNeeded."""
        raise SessionNeeded


class OrgView(APIView):
    """A route inside one org. `permissions` has one permission per method; the default for GET is `read`.

    Each of `other_permissions` is enough as well: the action in the body decides which one it needs.

    `session_methods` are for logged-in users only: an API key gets 403. `methods_while_read_only` are also allowed
    while the org is suspended or scheduled for deletion.
    """

    methods_while_read_only: ClassVar[frozenset[str]] = frozenset({"get", "head"})
    # Whether GET may be answered by the read replica. Then its handler must not write.
    reads_from_replica: ClassVar[bool] = False
    permissions: ClassVar[Mapping[str, Permission]] = {}
    other_permissions: ClassVar[frozenset[Permission]] = frozenset()
    session_methods: ClassVar[frozenset[str]] = frozenset()
    principal: Principal
    org: Org

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.args, self.kwargs = args, kwargs
        drf_request = self.initialize_request(request, *args, **kwargs)
        self.request = drf_request
        self.headers = self.default_response_headers
        try:
            response = self.make_response(request, drf_request)
        # This is the outermost handler. The exception becomes a problem response, or is raised again.
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(drf_request, response, *args, **kwargs)
        return self.response

    def make_response(self, request: HttpRequest, drf_request: Request) -> Response:
        """Return the response of the handler. Raises the exceptions that become problem responses."""
        credential = authentication.read_credential(request)
        if self.reads_from_replica and request.method == "GET" and replica.may_be_used():
            answer = self._respond_from_replica(request, drf_request, credential)
        else:
            with self._scope(request, credential):
                self.initial(drf_request, *self.args, **self.kwargs)
                answer = self._respond(drf_request)
        return self.finish(answer, partial(self._reopen_scope, request, credential))

    def finish(
        self,
        answer: Response | SlowResponse,
        scope: Callable[[], AbstractContextManager[None]],
    ) -> Response:
        """Return the response of an answer, outside every scope. `scope` opens a new one."""
        return slow.finish(answer, scope)

    def _respond_from_replica(
        self, request: HttpRequest, drf_request: Request, credential: credentials.Credential
    ) -> Response | SlowResponse:
        """Check the credential at the primary server, and read from the replica. If it cannot, read from the primary."""
        with self._scope(request, credential):
            self.initial(drf_request, *self.args, **self.kwargs)
            position = replica.primary_position()
        try:
            with replica.reading(position), org_scope(self.org.pk):
                return self._respond(drf_request)
        except replica.ReplicaUnusable:
            with self._scope(request, credential):
                return self._respond(drf_request)

    @contextmanager
    def _scope(self, request: HttpRequest, credential: credentials.Credential) -> Iterator[None]:
        """Open the org's scope. Raises an exception if the credential no longer gives access."""
        changing = (request.method or "").lower() not in self.methods_while_read_only
        with org_scope(credentials.org_id_of(credential)):
            self.org, self.principal = credentials.load_principal(credential, changing=changing)
            yield

    @contextmanager
    def _reopen_scope(
        self, request: HttpRequest, credential: credentials.Credential
    ) -> Iterator[None]:
        """Open the org's scope again after a slow call.

        An API key is read again, because it may have been revoked or have lost permissions during the call.
        """
        if isinstance(credential, credentials.KeyCredential):
            credential = authentication.read_credential(request)
        with self._scope(request, credential):
            self._check_permission((request.method or "").lower())
            yield

    def _check_permission(self, method: str) -> None:
        """Raise unless the principal may use this method: with a session if needed, and for at least one object."""
        if method in self.session_methods:
            self.principal.require_session()
        permission = self.permission_for(method)
        enough = (permission, *self.other_permissions)
        if not any(self.principal.may_somewhere(one) for one in enough):
            self.principal.require(permission)

    def wait_for(
        self, call: SlowCall[ResultT], render: Callable[[ResultT], Response] = Response
    ) -> SlowResponse:
        """Run a slow call, and render its result if the principal may still see it after the call."""
        return SlowResponse(
            call.run, then=lambda result: render(call.finish(self.principal, result))
        )

    def _respond(self, request: Request) -> Response | SlowResponse:
        handler, method = _find_handler(self, request)
        self._check_permission(method)
        key = idempotency.key_of(request) if method == "post" else None

        def call_handler() -> Response | SlowResponse:
            answer: Response | SlowResponse = handler(request, *self.args, **self.kwargs)
            return answer

        if key is None:
            return call_handler()
        caller = str(self.principal.actor.id)
        return idempotency.process_once(
            request, key, caller, OrgIdempotencyStore(self.org), call_handler
        )

    @classmethod
    def permission_for(cls, method: str) -> Permission:
        """Return the permission that this method needs. Raises LookupError if the class has none for it."""
        method = "get" if method == "head" else method
        if method in cls.permissions:
            return cls.permissions[method]
        if method == "get":
            return Permission.READ
        raise LookupError(f"{cls.__name__}.{method} has no permission")


def respond_after_check(
    change: Callable[[Any], Response], *, once: bool = True
) -> Response | SlowResponse:
    """Return the response of `change(None)`.

    If `change` raises CheckFirst, run the check outside the transaction, and then call `change` with its result.
    `once` is explained at `SlowResponse`.
    """
    try:
        with transaction.atomic():
            return change(None)
    except CheckFirst as needed:
        return SlowResponse(needed.check, then=change, once=once)


def _find_handler(view: APIView, request: Request) -> tuple[Callable[..., Any], str]:
    """Return the view's handler for this request, and the name of the method. Raises MethodNotAllowed."""
    method = (request.method or "").lower()
    handler = getattr(view, method, None) if method in view.http_method_names else None
    if handler is None or method == "options":
        raise drf.MethodNotAllowed(method.upper())
    return handler, method
