"""bizon's session under our egress policy."""

from __future__ import annotations

from bizon.source.session import Session

from apps.egress.http import CONNECT_TIMEOUT, READ_TIMEOUT, PolicySession, apply_policy


class SourceSession(PolicySession, Session):
    """The session for sources. It has a timeout (in seconds), and raises for 4xx and 5xx only with `raise_for_status`."""

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout: tuple[float, float] = (CONNECT_TIMEOUT, READ_TIMEOUT),
        raise_for_status: bool = False,
    ) -> None:
        Session.__init__(self, raise_for_status=raise_for_status)
        self.default_timeout = timeout
        apply_policy(self, allow_private=allow_private)
