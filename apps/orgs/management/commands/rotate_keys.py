from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.orgs.keys import rotation as key_rotation


class Command(BaseCommand):
    """Re-encrypt every organization's data key, and the secrets of second factors, with the newest platform key.

    Put the new key first in ENCRYPTION_KEYS, restart every process, run this command, then remove the old key. Runs
    continue during the rotation.
    """

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        counts = key_rotation.rotate_all()
        self.stdout.write(
            f"Data keys and second factors: {counts.reencrypted} re-encrypted, "
            f"{counts.already_newest} already encrypted with the newest key, "
            f"{counts.unreadable} could not be decrypted."
        )
        if counts.unreadable:
            self.stdout.write(
                "Add the key that can decrypt them to ENCRYPTION_KEYS, then run this command again."
            )
            raise SystemExit(1)
        self.stdout.write("The older keys can be removed from ENCRYPTION_KEYS.")
