"""Envelope encryption: the platform's keys encrypt the data key of each org, and the data key encrypts its secrets.

Fernet authenticates the text but not its context. So the plaintext contains `[org, kind of object, id]`, and decrypting
a text that was copied to another row or org fails. The format is that of cryptography's Fernet and MultiFernet
(AES-128-CBC, HMAC-SHA256).
"""

from __future__ import annotations

import hmac
from typing import Any
from uuid import UUID

import orjson
from cryptography.fernet import Fernet, InvalidToken

from apps.auth.sealing import platform_keys
from apps.orgs.exceptions import SecretUnreadable
from apps.orgs.models import Org


def new_data_key(org_id: UUID) -> str:
    """Return an encrypted data key for a new org."""
    return platform_keys().encrypt(org_id.bytes + Fernet.generate_key()).decode()


def seal(org: Org, object_kind: str, object_id: UUID, value: Any) -> str:
    """Encrypt `value` (JSON). The result can be decrypted only for this org, kind and object."""
    context = [str(org.pk), object_kind, str(object_id)]
    return _data_key(org).encrypt(orjson.dumps({"for": context, "value": value})).decode()


def unseal(org: Org, object_kind: str, object_id: UUID, sealed: str) -> Any:
    """Decrypt the value.

    Raises SecretUnreadable if it was encrypted for another org, kind or object, or with an unknown key.
    """
    try:
        content = orjson.loads(_data_key(org).decrypt(sealed.encode()))
    except InvalidToken:
        raise SecretUnreadable(
            "the secret was sealed for another organization or with a lost key"
        ) from None
    if content["for"] != [str(org.pk), object_kind, str(object_id)]:
        raise SecretUnreadable("the secret was sealed for another object")
    return content["value"]


def field_hash_secret(org: Org) -> str:
    """Return the secret with which the values of fields are hashed. It stays the same when the platform's keys are rotated."""
    return hmac.new(_plain_data_key(org), b"drover: hashes of fields, 1", "sha256").hexdigest()


def _data_key(org: Org) -> Fernet:
    return Fernet(_plain_data_key(org))


def _plain_data_key(org: Org) -> bytes:
    try:
        unwrapped = platform_keys().decrypt(org.data_key.encode())
    except InvalidToken:
        raise SecretUnreadable("no platform key can decrypt this organization's data key") from None
    if unwrapped[:16] != org.pk.bytes:
        raise SecretUnreadable("the data key belongs to another organization")
    return unwrapped[16:]
