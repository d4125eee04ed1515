"""The keys of an installation as one file, separate from its backup.

Secrets can be read only with both files, not with the backup alone.
"""

import hashlib
import hmac
import json
import os
from pathlib import Path

from config import env
from local.errors import LocalError
from local.home import Home
from local.keys import GENERATED, write_private

NEEDED = ("secret_key", "encryption_keys", "api_key_pepper")  # other keys belong to one machine

Keys = dict[str, str]


def of_installation(home: Home) -> Keys:
    """Return the keys of the running processes: from the environment, else the home's files."""
    keys = {name: env.secret(name.upper()) for name in NEEDED}
    for name in GENERATED:
        if name not in keys and (path := home.keys / name).exists():
            keys[name] = path.read_text().strip()
    return keys


def write(path: Path, keys: Keys) -> None:
    write_private(path, json.dumps(keys, indent=1) + "\n")


def read(path: Path) -> Keys:
    """Raises LocalError if the file contains no keys."""
    try:
        keys: Keys = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise LocalError(f"The keys in {path} cannot be read ({error}).") from error
    known = isinstance(keys, dict) and all(isinstance(value, str) for value in keys.values())
    if not known or not all(keys.get(name) for name in NEEDED) or keys.keys() - GENERATED.keys():
        raise LocalError(f"{path} is not a file of keys that `manage.py backup` wrote.")
    return keys


def fingerprints(keys: Keys) -> dict[str, list[str]]:
    """Return fingerprints that identify keys without revealing them, so that they can be in the archive."""
    return {name: [_fingerprint(word) for word in keys[name].split()] for name in NEEDED}


def _fingerprint(key: str) -> str:
    return hmac.digest(key.encode(), b"drover-backup", hashlib.sha256).hex()[:16]


def refuse_others(keys: Keys, wanted: dict[str, list[str]]) -> None:
    """Raise LocalError unless these keys can decrypt the backup. Additional encryption keys are allowed."""
    found = fingerprints(keys)
    missing = [name for name in NEEDED if not set(wanted[name]) <= set(found[name])]
    if missing:
        raise LocalError(
            f"These are not the keys of this backup ({', '.join(missing)} differ): give the file "
            "that was written with it."
        )


def refuse_other_environment(keys: Keys) -> None:
    """Raise LocalError if the environment has other keys, which the processes would use instead."""
    for name in NEEDED:
        given = env.text(name.upper(), "")
        if given and given.split() != keys[name].split():
            raise LocalError(
                f"{name.upper()} in the environment is not the backup's: unset it, or set it to "
                "the value in the keys file."
            )


def install(home: Home, keys: Keys) -> None:
    """Write them where every process of this home finds them."""
    for name, value in keys.items():
        write_private(home.keys / name, value + "\n")


def adopt(keys: Keys) -> None:
    """Make this process and its children use them."""
    os.environ.update({name.upper(): keys[name] for name in NEEDED})
