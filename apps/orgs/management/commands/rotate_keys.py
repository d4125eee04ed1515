from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.orgs.keys import rotation as key_rotation


class Command(BaseCommand):
    """Re-encrypt every organization's data key with the newest platform key. Runs continue during the rotation.

    Put the new key first in ENCRYPTION_KEYS, restart every process, run this command, then remove the old key.
    """

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        counts = key_rotation.rotate_all()
        self.stdout.write(
            f"{counts.reencrypted} re-encrypted, {counts.already_newest} already encrypted with the newest key, "
            f"{counts.unreadable} could not be decrypted."
        )
        if counts.unreadable:
            self.stdout.write("Add the key they were encrypted with to ENCRYPTION_KEYS and repeat.")
            raise SystemExit(1)
        self.stdout.write("The older keys can be removed from ENCRYPTION_KEYS.")
