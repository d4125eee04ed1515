"""The targets of an attacker, created for a test: files, sockets, a process, a descriptor."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.engine.failures import EngineError
from apps.engine.sandbox import paths
from apps.engine.sandbox.limits import MEGABYTE, Limits
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Callbacks, Sandbox
from tests.engine.sandbox import attacks
from tests.engine.sandbox.attacks import World

BOUND: dict[str, Any] = {
    "config": {},
    "stream": "attack",
    "sync_mode": "full_refresh",
    "cursor": None,
}
SMALL = Limits(
    memory=512 * MEGABYTE, cpu_seconds=20, wall_seconds=120, disk=8 * MEGABYTE, page=16 * MEGABYTE
)
CONTROL = """
import json, sys
sys.path[:0] = [{library!r}]
world = json.load(sys.stdin)
module = type(sys)("source")
exec(compile(world["code"], "source.py", "exec"), module.__dict__)
from drover._source import SettingValues, StreamSettings
source = module.Hostile(SettingValues(None, {{"world": world}}), StreamSettings("attack"))
print(json.dumps(list(source.get().rows)[0]))
"""


@contextlib.contextmanager
def made() -> Iterator[World]:
    """A world readable by every user of this machine, so that only the sandbox can stop an attack."""
    canary = f"canary-{secrets.token_hex(8)}"
    folder = Path(tempfile.mkdtemp(prefix="drover-world-"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        key_file, other = folder / "keys" / "encryption", folder / "org" / "other" / "out.jsonl"
        for path in (key_file, other):
            path.parent.mkdir(parents=True)
            path.write_text(canary)
        open_folder, open_file = folder / "open", folder / "open-file"
        open_folder.mkdir()
        open_folder.chmod(0o777)
        open_file.write_text(canary)
        (folder / "open.lock").touch()  # next to it, as next to every work folder
        open_file.chmod(0o666)
        victim = subprocess.Popen(
            [sys.executable, "-c", "input()"],
            stdin=subprocess.PIPE,
            env={"CANARY": canary},
            start_new_session=True,
        )
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        unix = _listening(stack, socket.AF_UNIX, str(folder / "db.sock"))
        (folder / "db.sock").chmod(0o777)
        abstract = f"drover-{secrets.token_hex(6)}"
        _listening(stack, socket.AF_UNIX, f"\0{abstract}")
        tcp = _listening(stack, socket.AF_INET, ("127.0.0.1", 0))
        inherited = os.open(key_file, os.O_RDONLY)
        stack.callback(os.close, inherited)
        os.set_inheritable(inherited, True)
        yield {
            "canary": canary,
            "platform_code": str(Path(__file__).parents[3] / "apps/engine/sandbox/session.py"),
            "key_file": str(key_file),
            "other_output": str(other),
            "open_folder": str(open_folder),
            "open_file": str(open_file),
            "victim": victim.pid,
            "unix_socket": unix.getsockname(),
            "abstract_socket": abstract,
            "port": tcp.getsockname()[1],
            "inherited": inherited,
        }


def _listening(stack: contextlib.ExitStack, family: int, address: Any) -> socket.socket:
    server = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    server.bind(address)
    server.listen(64)
    return server


def attacked(name: str, world: World, ground: SandboxSite) -> dict[str, Any]:
    """Return `{"won", "why"}` of the attack inside the sandbox; code that was killed has not won."""
    return tried(attacks.code(attacks.named()[name]), world, ground)


def tried(code: str, world: World, ground: SandboxSite, limits: Limits = SMALL) -> dict[str, Any]:
    """Return the only record of the code, or the failure that ended it."""
    printed: list[str] = []
    heard = Callbacks(log=lambda level, message: printed.append(message))
    try:
        with Sandbox(code, site=ground, limits=limits, callbacks=heard) as sandbox:
            bound = {**BOUND, "config": {"world": world}}
            answer = sandbox.call("page", bound=bound, pagination=None, since=None, limit=None)
    except EngineError as error:
        why = f"{error.message} {' '.join(error.evidence)}"
        return {"won": "WON" in printed, "why": why, "ended": type(error).__name__}
    return dict(answer.rows[0])


def unsandboxed(name: str, world: World) -> bool:
    """Whether the attack succeeds without a sandbox."""
    library = str(paths.LIBRARY)
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", CONTROL.format(library=library)],
        input=json.dumps({**world, "code": attacks.code(attacks.named()[name]), "told": 1}),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "CANARY": world["canary"]},
        close_fds=False,
        check=False,
        cwd=world["open_folder"],
    )
    if "WON" in ended.stdout:
        return True
    lines = ended.stdout.splitlines()
    return bool(lines) and bool(json.loads(lines[-1])["won"])
