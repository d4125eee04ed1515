"""The login page explains each reason with which a log-in at an identity provider can end."""

from __future__ import annotations

import re
from itertools import chain

from local.home import CHECKOUT

REASON = re.compile(r'(?:SignInRefused|ProviderFailed|redirect_to_problem)\(\s*"(\w+)"')
TEXT = re.compile(r"^  (\w+):", re.MULTILINE)


def test_the_login_page_has_a_text_for_each_reason() -> None:
    sources = chain(*((CHECKOUT / "apps" / app).rglob("*.py") for app in ("auth", "orgs")))
    reasons = set(chain(*(REASON.findall(source.read_text()) for source in sources)))
    texts = TEXT.findall((CHECKOUT / "frontend/src/features/sign-in/problems.ts").read_text())
    assert {"member_linked", "linking_expired", "link_spent"} <= reasons
    assert reasons - set(texts) == set()
