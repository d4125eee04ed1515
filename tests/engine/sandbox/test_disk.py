"""The disk limit applies for a sandbox's whole life, however code writes, hides or names its files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from apps.engine.failures import EngineError
from apps.engine.sandbox import disk
from apps.engine.sandbox.limits import MEGABYTE, LimitExceeded
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Sandbox
from tests.engine.sandbox import modes, trees
from tests.engine.sandbox.test_limits import code
from tests.engine.sandbox.test_removal import OF_A_WORKER
from tests.engine.sandbox.worlds import BOUND, SMALL

LIMITS = replace(SMALL, disk=2 * MEGABYTE)
ENDED = 20.0  # seconds until it must be killed
WAIT = "\ntime.sleep(25)\nreturn Page([{'id': 1}])"
KEEPS_WRITING = """
def write():
    for n in range(8):
        with open(f'{n}', 'wb') as file:
            file.write(bytes(1 << 20))
        time.sleep(0.01)
threading.Thread(target=write, daemon=True).start()
return Page([{'id': 1}])
"""
WRITES = {
    "files": "for n in range(8): open(f'{n}', 'wb').write(bytes(1 << 20))",
    "empty files": "for n in range(600): open(f'{n}', 'wb').close()",
    "folders": "for n in range(600): os.mkdir(f'{n}')",
    "links": "for n in range(600): os.symlink('x' * 30, f'{n}')",
    "files in a folder": (
        "os.makedirs('a/b/c')\nfor n in range(8): open(f'a/b/c/{n}', 'wb').write(bytes(1 << 20))"
    ),
}
# If the folder is a separate file system it has a size, and these do not apply.
HIDES = {
    "holes": "for n in range(8):\n    with open(f'{n}', 'wb') as file: file.truncate(1 << 20)",
    "deleted files": (
        "held = [open('f', 'w+b', 0) for n in range(8) if n == 0 or os.unlink('f') is None]\n"
        "for file in held: file.write(bytes(1 << 20))"
    ),
    "deleted files of a thread alone": """
def hold():
    ctypes.CDLL(None).syscall(436, 60, 60, 2)  # close_range, which unshares the table of descriptors first
    held = []
    for n in range(8):
        held.append(open('f', 'w+b', 0)); os.unlink('f'); held[-1].write(bytes(1 << 20))
    time.sleep(25)
threading.Thread(target=hold, daemon=True).start()""",
    "deleted files that are only mapped": """
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
for n in range(8):
    with open('f', 'w+b', 0) as file:
        file.write(bytes(1 << 20))
        assert libc.mmap(None, ctypes.c_size_t(4096), 1, 1, file.fileno(), ctypes.c_long(0)) > 0
    os.unlink('f')""",
    "folders too deep to look into": "for n in range(1_100): os.mkdir('a'); os.chdir('a')",
    "with the first thread gone": """
def write():
    time.sleep(0.5)
    for n in range(8):
        with open(f'{n}', 'wb') as file: file.write(bytes(1 << 20))
    time.sleep(25)
threading.Thread(target=write, daemon=True).start()
ctypes.CDLL(None).syscall(60, 0)  # exit of x86_64, of this thread alone""",
}
MODEST = (
    "import mmap, tempfile\n"
    "file = tempfile.TemporaryFile()\n"
    "os.posix_fallocate(file.fileno(), 0, 1 << 19)\n"
    "held = mmap.mmap(file.fileno(), 1 << 19)\n"
    "os.makedirs('a/b'); open('a/b/c', 'wb').write(bytes(1 << 19)); os.mkdir('d', 0o700)\n"
    "time.sleep(0.8)\n"
    "return Page([{'id': held[0]}])"
)
CLOSES = "os.umask(0o777); os.mkdir('closed')"
FIRST = modes.available()[0]
EVERYWHERE = ("files", "empty files")
WRITING = modes.spread(EVERYWHERE)
WRITING += [(name, FIRST) for name in WRITES if name not in EVERYWHERE]
HIDING = modes.spread(
    HIDES, whole=(), among=("landlock", "root")
)  # there its files are on our file system
SAYS = "more than 2,097,152 bytes of files|hides files|nested folders"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files without access end the code sooner than `MODEST` is done."""
    monkeypatch.setattr(disk, "UNSEEN_SECONDS_ALLOWED", 0.2)


def written(body: str) -> str:
    return code(f"import ctypes, threading, time\n{body}")


def asked(sandbox: Sandbox) -> None:
    sandbox.call("page", bound=BOUND, pagination=None, since=None, limit=None)


def wait_for_its_end(sandbox: Sandbox) -> None:
    """Even between questions."""
    deadline = time.monotonic() + ENDED
    while _runs(sandbox.pid):
        assert time.monotonic() < deadline, "nobody ended it"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("name", "mode"), WRITING)
def test_whatever_it_writes_counts(
    name: str, mode: str, ground: Callable[[str], SandboxSite]
) -> None:
    with (
        Sandbox(written(WRITES[name] + WAIT), site=ground(mode), limits=LIMITS) as sandbox,
        pytest.raises(LimitExceeded, match=SAYS),
    ):
        asked(sandbox)


@pytest.mark.parametrize(("name", "mode"), HIDING)
def test_however_it_hides_what_it_writes(
    name: str, mode: str, ground: Callable[[str], SandboxSite]
) -> None:
    with (
        Sandbox(written(HIDES[name] + WAIT), site=ground(mode), limits=LIMITS) as sandbox,
        pytest.raises(LimitExceeded, match=SAYS),
    ):
        asked(sandbox)


@pytest.mark.parametrize("mode", modes.each())
def test_between_two_questions_it_is_watched_too(
    mode: str, ground: Callable[[str], SandboxSite]
) -> None:
    with Sandbox(written(KEEPS_WRITING), site=ground(mode), limits=LIMITS) as sandbox:
        asked(sandbox)
        wait_for_its_end(sandbox)
        with pytest.raises(LimitExceeded, match="bytes of files"):
            asked(sandbox)
        with pytest.raises(LimitExceeded, match="bytes of files"):
            sandbox.conclude()


@pytest.mark.parametrize("mode", modes.each())
def test_what_it_wrote_before_its_last_answer_counts(
    mode: str, ground: Callable[[str], SandboxSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if no regular measurement would have happened before."""
    monkeypatch.setattr(disk, "MEASURE_EVERY_WHEN_FULL", 60.0)
    body = WRITES["empty files"] + "\nreturn Page([{'id': 1}])"
    with Sandbox(written(body), site=ground(mode), limits=LIMITS) as sandbox:
        asked(sandbox)
        with pytest.raises(LimitExceeded, match="bytes of files"):
            sandbox.conclude()


@pytest.mark.parametrize("mode", modes.available())
def test_use_below_the_limit_is_allowed(
    mode: str, ground: Callable[[str], SandboxSite], impatient: None
) -> None:
    with Sandbox(written(MODEST), site=ground(mode), limits=LIMITS) as sandbox:
        asked(sandbox)
        sandbox.conclude()


@pytest.mark.parametrize("mode", [mode for mode in modes.available() if "bubble" in mode])
@pytest.mark.parametrize("folder", ["/", "/dev", "/dev/shm"])  # noqa: S108
def test_no_other_file_system_in_memory_can_be_filled(
    folder: str, mode: str, ground: Callable[[str], SandboxSite]
) -> None:
    body = f"open(os.path.join({folder!r}, 'x'), 'wb')"
    with (
        Sandbox(written(body), site=ground(mode), limits=LIMITS) as sandbox,
        pytest.raises(EngineError, match=r"Permission|Read-only"),
    ):
        asked(sandbox)


@pytest.mark.skipif("root" not in modes.available(), reason="only root gives code another user")
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (WRITES["files"], "bytes of files"),
        (HIDES["deleted files"], "bytes of files"),
        (CLOSES, "hides files"),
        (MODEST, None),
    ],
)
def test_a_worker_without_power_over_files_sees_what_there_is(
    body: str,
    says: str | None,
    ground: Callable[[str], SandboxSite],
    tmp_path: Path,
    impatient: None,
) -> None:
    code, stands = written(body + WAIT if says else body), ground("root")

    def ask() -> None:
        ends = pytest.raises(LimitExceeded, match=says) if says else nullcontext()
        with Sandbox(code, site=stands, limits=LIMITS) as sandbox, ends:
            asked(sandbox)
            sandbox.conclude()

    trees.in_child(ask, where=tmp_path, capabilities=OF_A_WORKER)


def test_files_that_cannot_be_counted_in_time_end_it(
    ground: Callable[[str], SandboxSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "MEASURING_SECONDS", 0.0)
    with (
        Sandbox(written("open('x', 'wb')" + WAIT), site=ground(FIRST), limits=LIMITS) as sandbox,
        pytest.raises(EngineError, match="cannot be measured"),
    ):
        asked(sandbox)
    assert not os.path.exists(f"/proc/{sandbox.pid}")
