"""Mails that Drover has sent. They are in a folder, because there is no mail server."""

from __future__ import annotations

import re
import time
from email import message_from_bytes, policy

from tests.journeys.conftest import STEP_TIMEOUT, Site

LINK = re.compile(r"https?://\S+#\S+")


def wait_for_mail(site: Site, address: str, subject: str) -> str:
    """Return the text of the mail whose subject begins with `subject`, once a worker has written it."""
    deadline = time.monotonic() + STEP_TIMEOUT / 1000
    while time.monotonic() < deadline:
        for file in sorted(site.mail.glob("*.log")):
            for raw in file.read_bytes().split(b"-" * 79):
                message = message_from_bytes(raw.strip(), policy=policy.default)
                if message["To"] == address and str(message["Subject"]).startswith(subject):
                    body = message.get_body(("plain",))
                    assert body is not None
                    return str(body.get_content())
        time.sleep(0.2)
    raise AssertionError(f"no mail to {address}: {subject}")


def wait_for_link(site: Site, address: str, subject: str) -> str:
    """Return the link with a secret in the mail whose subject begins with `subject`."""
    link = LINK.search(wait_for_mail(site, address, subject))
    assert link, subject
    return link[0]
