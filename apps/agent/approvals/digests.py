"""The digest that binds an approval to one tool and its exact arguments."""

from __future__ import annotations

import hmac
import json

from django.conf import settings

from apps.json import JsonObject


def digest(tool: str, arguments: JsonObject) -> str:
    """Return a keyed SHA-256 of the tool's name and its arguments, as hexadecimal digits.

    It is keyed because arguments may be guessed from a plain hash.
    """
    content = json.dumps([tool, arguments], sort_keys=True)
    key = settings.SECRET_KEY.encode()
    return hmac.digest(key, b"approval:" + content.encode(), "sha256").hex()
