"""Mail: requested in the transaction of the change that it is about, then rendered and sent by a worker.

A job stores the recipient and the kind of mail. The secret of a link is created when the mail is sent, so it is
in no job and no log. A request takes the same time whether or not there is a recipient.
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from apps.auth import names
from apps.auth.models import MailedLink, User
from apps.background import jobs

QUEUE = "mail"
LINK = "auth.mail_link"
NOTICE = "auth.mail_notice"

LONGEST_NAME = 80  # characters of a name in a mail
_INNER_QUOTES = str.maketrans(dict.fromkeys('“”„«»"', "'"))
# Parts of links, as in https://, in ada@ and in example.com, also with the full stops of East Asian scripts.
_LINK_SIGN = re.compile(r"(?<=\S)(?:://|@)|(?<=\w)[.\u3002\uff0e\uff61](?=[^\W\d]{2})")


def ask_for_link(user: User | None, purpose: MailedLink.Purpose, email: str) -> None:
    """Request a link of this purpose for an address.

    Nothing is sent if `user` is None, or if the account changes before the worker sends the mail.
    """
    who = str(user.pk) if user else ""
    version = user.proof_version if user else 0
    ask(LINK, user_id=who, purpose=purpose.value, email=email, version=version)


def ask_for_notice(email: str, template: str) -> None:
    """Request a notice to an address about its account."""
    ask(NOTICE, email=email, template=template)


def ask(task: str, **about: str | int) -> None:
    """Defer one job of the queue `mail`, which starts when this transaction is committed."""
    jobs.defer(task, queue=QUEUE, about=about)


def send(to: str, template: str, **context: Any) -> None:
    """Render `mail/<template>.txt`, whose first line is the subject, and send it."""
    text = render_to_string(f"mail/{template}.txt", {"home": settings.PUBLIC_URL, **context})
    subject, _, body = text.partition("\n")
    EmailMessage(" ".join(subject.split()), body.strip() + "\n", to=[to]).send()


def quoted(name: str) -> str:
    """Return a name that a user chose as a quotation in which mail programs detect no links."""
    shown = names.cleaned(name, longest=LONGEST_NAME).translate(_INNER_QUOTES)
    return "“" + _LINK_SIGN.sub(r"[\g<0>]", shown) + "”"


def page(path: str, secret: str) -> str:
    """Return the URL of a dashboard page. The secret follows `#`, so that no server or log sees it."""
    return f"{settings.PUBLIC_URL.rstrip('/')}/{path}#{secret}"
