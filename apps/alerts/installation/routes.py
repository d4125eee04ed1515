"""Where messages to operators go: to their addresses, and to a webhook."""

from __future__ import annotations

from smtplib import SMTPException

import orjson
from django.conf import settings

from apps.alerts.installation import messages
from apps.alerts.installation.messages import OperatorsMessage
from apps.alerts.kinds import webhook
from apps.alerts.kinds.answers import Answer
from apps.alerts.kinds.posting import post
from apps.alerts.models import OperatorRoute
from apps.auth.mailing import mail
from apps.auth.models import User


def addresses() -> list[str]:
    """Return the addresses of DROVER_OPERATOR_ADDRESSES, or of all active operators."""
    if settings.OPERATOR_ADDRESSES:
        return list(settings.OPERATOR_ADDRESSES)
    operators = User.objects.filter(is_staff=True, is_active=True)
    return list(operators.order_by("email").values_list("email", flat=True))


def active() -> list[OperatorRoute]:
    routes = [OperatorRoute.EMAIL] if addresses() else []
    return [*routes, OperatorRoute.WEBHOOK] if settings.OPERATOR_WEBHOOK_URL else routes


def send(message: OperatorsMessage, route: OperatorRoute) -> Answer:
    return _mail(message) if route == OperatorRoute.EMAIL else _post(message)


def _mail(message: OperatorsMessage) -> Answer:
    recipients = addresses()
    if not recipients:
        return Answer("No operator has an address.")
    lines = [mail.unlinked_text(line) for line in message["text"].splitlines()]
    try:
        mail.send(recipients, "operators", title=messages.title(message), events=lines)
    except (SMTPException, OSError) as error:
        return Answer(f"The mail server did not take the mail: {error}"[:300], retryable=True)
    return Answer(text=f"Given to the mail server, for {', '.join(recipients)}.")


def _post(message: OperatorsMessage) -> Answer:
    """Send the JSON, signed like the messages of orgs. Operators may choose an address of a private network."""
    body, secret = orjson.dumps(message), settings.OPERATOR_WEBHOOK_SECRET
    headers = webhook.signed_headers(message["id"], secret, body) if secret else {}
    url = settings.OPERATOR_WEBHOOK_URL
    secrets = [secret, url, url.rpartition("/")[2]]
    return post(url, body, headers=headers, secrets=secrets, allow_private=True)
