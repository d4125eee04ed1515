"""Request mail, and render and send it.

Mail is requested in the transaction of the change that it is about. A worker renders and sends it later. A job
stores the recipient and the kind of mail. The secret of a link is created when the mail is sent, so no job and no log
contains it. The job is deferred even if no account has the address, so that the duration of a response does not reveal
whether such an account exists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from apps.auth import names
from apps.auth.models import MailedLink, User
from apps.background import jobs

QUEUE = "mail"
LINK_TASK = "auth.mail_link"
NOTICE_TASK = "auth.mail_notice"

MAX_NAME_LENGTH = 80  # characters of a name in a mail
MAX_TEXT_LENGTH = 500  # characters of another text in a mail
_INNER_QUOTES = str.maketrans(dict.fromkeys('“”„«»"', "'"))
# Characters by which mail programs detect a link, as in https://, in ada@ and in example.com. The full stops of East
# Asian scripts count too.
_LINK_PART = re.compile(r"(?<=\S)(?:://|@)|(?<=\w)[.\u3002\uff0e\uff61](?=[^\W\d]{2})")
_ADDRESS = re.compile(r"https?://\S+")


def request_link(user: User | None, purpose: MailedLink.Purpose, email: str) -> None:
    """Request a mail with a link of this purpose.

    Nothing is sent if `user` is None, or if the account changes before the worker sends the mail.
    """
    user_id = str(user.pk) if user else ""
    version = user.proof_version if user else 0
    defer_mail(LINK_TASK, user_id=user_id, purpose=purpose.value, email=email, version=version)


def request_notice(email: str, template: str) -> None:
    """Request a notice to an address about its account."""
    defer_mail(NOTICE_TASK, email=email, template=template)


def defer_mail(task: str, **arguments: str | int) -> None:
    """Defer one job of the queue `mail`. The job starts after this transaction is committed."""
    jobs.defer(task, queue=QUEUE, arguments=arguments)


def send(to: str | Sequence[str], template: str, **context: Any) -> None:
    """Render `mail/<template>.txt`, whose first line is the subject, and send it as text and as HTML.

    Several recipients get the same mail and see each other's addresses.
    """
    text = render_to_string(f"mail/{template}.txt", {"home": settings.PUBLIC_URL, **context})
    first_line, _, body = text.partition("\n")
    subject = " ".join(first_line.split())
    recipients = [to] if isinstance(to, str) else list(to)
    message = EmailMultiAlternatives(subject, body.strip() + "\n", to=recipients)
    message.attach_alternative(_render_html(subject, body), "text/html")
    message.send()


def _render_html(subject: str, body: str) -> str:
    """Render the text in the look of the dashboard. A paragraph that is only an address becomes a button."""
    texts = [" ".join(paragraph.split()) for paragraph in body.strip().split("\n\n")]
    paragraphs = [{"text": text, "is_link": _ADDRESS.fullmatch(text) is not None} for text in texts]
    return render_to_string("mail/frame.html", {"subject": subject, "paragraphs": paragraphs})


def quote_name(name: str) -> str:
    """Return a name that a user chose, in quotation marks and without anything that mail programs show as a link."""
    return "“" + unlinked_text(name, max_length=MAX_NAME_LENGTH).translate(_INNER_QUOTES) + "”"


def unlinked_text(text: str, *, max_length: int = MAX_TEXT_LENGTH) -> str:
    """Return a text of a user or of another system on one line, without anything that mail programs show as a link."""
    return _LINK_PART.sub(r"[\g<0>]", names.clean_name(text, max_length=max_length))


def page_url(path: str, secret: str) -> str:
    """Return the URL of a dashboard page. The secret follows `#`, so that browsers do not send it to a server."""
    return f"{settings.PUBLIC_URL}/{path}#{secret}"
