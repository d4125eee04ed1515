"""What Procrastinate calls for orgs: an id and one call each. Safe to run twice."""

from __future__ import annotations

from uuid import UUID

from procrastinate.contrib.django import app

from apps.auth import mail
from apps.auth.tasks import PATIENTLY
from apps.orgs import invitations


@app.task(name=invitations.MAIL, queue=mail.QUEUE, retry=PATIENTLY)
def mail_invitation(*, org_id: str, invitation_id: str) -> None:
    invitations.deliver(org_id=UUID(org_id), invitation_id=UUID(invitation_id))
