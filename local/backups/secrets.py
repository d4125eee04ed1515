"""The file with the keys of an installation, separate from its backup.

Secrets can be decrypted only with both files.
"""

import hashlib
import hmac
import json
import os
from pathlib import Path

from config import env
from local.errors import LocalError
from local.home import Home
from local.keys import KEY_GENERATORS, write_private

REQUIRED_KEYS = (
    "secret_key",
    "encryption_keys",
    "api_key_pepper",
)  # the other generated keys belong to one machine

Keys = dict[str, str]


def read_installation_keys(home: Home) -> Keys:
    """Return the keys that the installation's processes use: those of the environment, else those of the home."""
    keys = {name: env.secret(name.upper()) for name in REQUIRED_KEYS}
    for name in KEY_GENERATORS:
        if name not in keys and (path := home.keys / name).exists():
            keys[name] = path.read_text().strip()
    return keys


def write(path: Path, keys: Keys) -> None:
    write_private(path, json.dumps(keys, indent=1) + "\n")


def read(path: Path) -> Keys:
    """Return the keys in the file. Raises LocalError if it is not a file of keys."""
    try:
        keys: Keys = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise LocalError(f"The keys in {path} cannot be read ({error}).") from error
    has_texts = isinstance(keys, dict) and all(isinstance(value, str) for value in keys.values())
    if (
        not has_texts
        or not all(keys.get(name) for name in REQUIRED_KEYS)
        or keys.keys() - KEY_GENERATORS.keys()
    ):
        raise LocalError(f"{path} is not a file of keys that `manage.py backup` wrote.")
    return keys


def fingerprints(keys: Keys) -> dict[str, list[str]]:
    """Return the fingerprints of the required keys. They do not reveal the keys, so the backup contains them."""
    return {name: [_fingerprint(key) for key in keys[name].split()] for name in REQUIRED_KEYS}


def _fingerprint(key: str) -> str:
    return hmac.digest(key.encode(), b"drover-backup", hashlib.sha256).hex()[:16]


def require_matching_keys(keys: Keys, backup_fingerprints: dict[str, list[str]]) -> None:
    """Raise LocalError unless these keys can decrypt the backup. Additional encryption keys are allowed."""
    own_fingerprints = fingerprints(keys)
    differing_names = [
        name
        for name in REQUIRED_KEYS
        if not set(backup_fingerprints[name]) <= set(own_fingerprints[name])
    ]
    if differing_names:
        raise LocalError(
            f"These are not the keys of this backup ({', '.join(differing_names)} differ): use the keys file "
            "that was written together with it."
        )


def require_same_environment(keys: Keys) -> None:
    """Raise LocalError if the environment has different keys, because the processes would use those."""
    for name in REQUIRED_KEYS:
        value = env.text(name.upper(), "")
        if value and value.split() != keys[name].split():
            raise LocalError(
                f"{name.upper()} in the environment is not the key of the backup: unset it, or set it to "
                "the value in the keys file."
            )


def write_to_home(home: Home, keys: Keys) -> None:
    """Write the keys to the home's files, where every process of this home reads them."""
    for name, value in keys.items():
        write_private(home.keys / name, value + "\n")


def set_environment(keys: Keys) -> None:
    """Set the keys in the environment of this process, which its children inherit."""
    os.environ.update({name.upper(): keys[name] for name in REQUIRED_KEYS})
