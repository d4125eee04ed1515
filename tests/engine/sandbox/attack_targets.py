"""Create the targets of attacks: files, sockets, a process and a descriptor. Run attacks with and without a sandbox."""

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
from tests.engine.sandbox.attacks import AttackTargets

SOURCE_SETTINGS: dict[str, Any] = {
    "config": {},
    "stream": "attack",
    "sync_mode": "full_refresh",
    "cursor": None,
}
SMALL_LIMITS = Limits(
    memory=512 * MEGABYTE, cpu_seconds=20, wall_seconds=120, disk=8 * MEGABYTE, page=16 * MEGABYTE
)
UNSANDBOXED_SCRIPT = """
import json, sys
sys.path[:0] = [{library!r}]
targets = json.load(sys.stdin)
module = type(sys)("source")
exec(compile(targets["code"], "source.py", "exec"), module.__dict__)
from drover._source import SettingValues, StreamSettings
source = module.Hostile(SettingValues(None, {{"targets": targets}}), StreamSettings("attack"))
print(json.dumps(list(source.get().rows)[0]))
"""


@contextlib.contextmanager
def create_targets() -> Iterator[AttackTargets]:
    """Create targets that every user of this machine may access, so that only the sandbox can stop an attack."""
    canary = f"canary-{secrets.token_hex(8)}"
    folder = Path(tempfile.mkdtemp(prefix="drover-targets-"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        key_file = folder / "keys" / "encryption"
        other_output = folder / "org" / "other" / "out.jsonl"
        for path in (key_file, other_output):
            path.parent.mkdir(parents=True)
            path.write_text(canary)
        open_folder, open_file = folder / "open", folder / "open-file"
        open_folder.mkdir()
        open_folder.chmod(0o777)
        open_file.write_text(canary)
        (folder / "open.lock").touch()  # Every work folder has such a lock file.
        open_file.chmod(0o666)
        victim = subprocess.Popen(
            [sys.executable, "-c", "input()"],
            stdin=subprocess.PIPE,
            env={"CANARY": canary},
            start_new_session=True,
        )
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        unix_server = _listen(stack, socket.AF_UNIX, str(folder / "db.sock"))
        (folder / "db.sock").chmod(0o777)
        abstract_name = f"drover-{secrets.token_hex(6)}"
        _listen(stack, socket.AF_UNIX, f"\0{abstract_name}")
        tcp_server = _listen(stack, socket.AF_INET, ("127.0.0.1", 0))
        inherited_fd = os.open(key_file, os.O_RDONLY)
        stack.callback(os.close, inherited_fd)
        os.set_inheritable(inherited_fd, True)
        yield {
            "canary": canary,
            "platform_code": str(Path(__file__).parents[3] / "apps/engine/sandbox/session.py"),
            "key_file": str(key_file),
            "other_output": str(other_output),
            "open_folder": str(open_folder),
            "open_file": str(open_file),
            "victim": victim.pid,
            "unix_socket": unix_server.getsockname(),
            "abstract_socket": abstract_name,
            "port": tcp_server.getsockname()[1],
            "inherited_fd": inherited_fd,
        }


def _listen(stack: contextlib.ExitStack, family: int, address: Any) -> socket.socket:
    server = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    server.bind(address)
    server.listen(64)
    return server


def run_attack(name: str, targets: AttackTargets, site: SandboxSite) -> dict[str, Any]:
    """Run the attack in a sandbox. Return whether it succeeded as `won`, and the reason as `why`."""
    return run_code(attacks.attack_source(attacks.attacks_by_name()[name]), targets, site)


def run_code(
    code: str, targets: AttackTargets, site: SandboxSite, limits: Limits = SMALL_LIMITS
) -> dict[str, Any]:
    """Run the code in a sandbox. Return its only record, or the failure that ended it."""
    log_lines: list[str] = []
    callbacks = Callbacks(log=lambda level, message: log_lines.append(message))
    try:
        with Sandbox(code, site=site, limits=limits, callbacks=callbacks) as sandbox:
            source_settings = {**SOURCE_SETTINGS, "config": {"targets": targets}}
            page = sandbox.call(
                "page", source_settings=source_settings, pagination=None, since=None, limit=None
            )
    except EngineError as error:
        why = f"{error.message} {' '.join(error.evidence)}"
        return {"won": "WON" in log_lines, "why": why, "error_type": type(error).__name__}
    return dict(page.rows[0])


def run_without_sandbox(name: str, targets: AttackTargets) -> bool:
    """Run the attack without a sandbox. Return whether it succeeded."""
    library = str(paths.LIBRARY)
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-c", UNSANDBOXED_SCRIPT.format(library=library)],
        input=json.dumps(
            {
                **targets,
                "code": attacks.attack_source(attacks.attacks_by_name()[name]),
                "result_descriptor": 1,
            }
        ),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "CANARY": targets["canary"]},
        close_fds=False,
        check=False,
        cwd=targets["open_folder"],
    )
    if "WON" in process.stdout:
        return True
    lines = process.stdout.splitlines()
    return bool(lines) and bool(json.loads(lines[-1])["won"])
