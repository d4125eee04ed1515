"""The disk limit of a sandbox applies at all times, however the code writes, hides or names its files."""

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
from tests.engine.sandbox.attack_targets import SMALL_LIMITS, SOURCE_SETTINGS
from tests.engine.sandbox.test_limits import source_code
from tests.engine.sandbox.test_removal import WORKER_CAPABILITIES

LIMITS = replace(SMALL_LIMITS, disk=2 * MEGABYTE)
END_TIMEOUT = 20.0  # seconds
SLEEP_AND_RETURN = "\ntime.sleep(25)\nreturn Page([{'id': 1}])"
CODE_WRITING_AFTER_ITS_PAGE = """
def write():
    for n in range(8):
        with open(f'{n}', 'wb') as file:
            file.write(bytes(1 << 20))
        time.sleep(0.01)
threading.Thread(target=write, daemon=True).start()
return Page([{'id': 1}])
"""
WRITING_CODE = {
    "files": "for n in range(8): open(f'{n}', 'wb').write(bytes(1 << 20))",
    "empty files": "for n in range(600): open(f'{n}', 'wb').close()",
    "folders": "for n in range(600): os.mkdir(f'{n}')",
    "links": "for n in range(600): os.symlink('x' * 30, f'{n}')",
    "files in a folder": (
        "os.makedirs('a/b/c')\nfor n in range(8): open(f'a/b/c/{n}', 'wb').write(bytes(1 << 20))"
    ),
}
# These cases apply only if the folder is not a separate file system, which would have its own size.
HIDING_CODE = {
    "sparse files": "for n in range(8):\n    with open(f'{n}', 'wb') as file: file.truncate(1 << 20)",
    "deleted files": (
        "held = [open('f', 'w+b', 0) for n in range(8) if n == 0 or os.unlink('f') is None]\n"
        "for file in held: file.write(bytes(1 << 20))"
    ),
    "deleted files that only one thread has open": """
def hold():
    ctypes.CDLL(None).syscall(436, 60, 60, 2)  # close_range with a flag that gives the thread its own descriptors
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
    "folders nested too deeply to measure": "for n in range(1_100): os.mkdir('a'); os.chdir('a')",
    "files of a process whose first thread has exited": """
def write():
    time.sleep(0.5)
    for n in range(8):
        with open(f'{n}', 'wb') as file: file.write(bytes(1 << 20))
    time.sleep(25)
threading.Thread(target=write, daemon=True).start()
ctypes.CDLL(None).syscall(60, 0)  # exit of x86_64, which ends only this thread""",
}
CODE_BELOW_LIMIT = (
    "import mmap, tempfile\n"
    "file = tempfile.TemporaryFile()\n"
    "os.posix_fallocate(file.fileno(), 0, 1 << 19)\n"
    "held = mmap.mmap(file.fileno(), 1 << 19)\n"
    "os.makedirs('a/b'); open('a/b/c', 'wb').write(bytes(1 << 19)); os.mkdir('d', 0o700)\n"
    "time.sleep(0.8)\n"
    "return Page([{'id': held[0]}])"
)
CODE_WITH_CLOSED_FOLDER = "os.umask(0o777); os.mkdir('closed')"
FIRST_MODE = modes.available_modes()[0]
CASES_IN_ALL_MODES = ("files", "empty files")
WRITE_CASES = modes.case_params(CASES_IN_ALL_MODES)
WRITE_CASES += [(name, FIRST_MODE) for name in WRITING_CODE if name not in CASES_IN_ALL_MODES]
# In these modes the files of the code are in the file system of the platform.
HIDE_CASES = modes.case_params(HIDING_CODE, full_modes=(), allowed_modes=("landlock", "root"))
LIMIT_MESSAGES = "more than 2,097,152 bytes of files|hides files|nested folders"


@pytest.fixture
def short_time_without_access(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time that files may stay without access. `CODE_BELOW_LIMIT` takes longer."""
    monkeypatch.setattr(disk, "MAX_INACCESSIBLE_SECONDS", 0.2)


def with_imports(body: str) -> str:
    return source_code(f"import ctypes, threading, time\n{body}")


def request_page(sandbox: Sandbox) -> None:
    sandbox.call("page", source_settings=SOURCE_SETTINGS, pagination=None, since=None, limit=None)


def wait_until_ended(sandbox: Sandbox) -> None:
    """Wait until Drover has ended the process, while no request is open."""
    deadline = time.monotonic() + END_TIMEOUT
    while _is_running(sandbox.pid):
        assert time.monotonic() < deadline, "the process was not ended"
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.sample(2)
@pytest.mark.parametrize(("name", "mode"), WRITE_CASES)
def test_code_that_writes_more_than_its_limit_is_ended(
    name: str, mode: str, make_site: Callable[[str], SandboxSite]
) -> None:
    with (
        Sandbox(
            with_imports(WRITING_CODE[name] + SLEEP_AND_RETURN),
            site=make_site(mode),
            limits=LIMITS,
        ) as sandbox,
        pytest.raises(LimitExceeded, match=LIMIT_MESSAGES),
    ):
        request_page(sandbox)


@pytest.mark.parametrize(("name", "mode"), HIDE_CASES)
def test_code_that_hides_files_over_its_limit_is_ended(
    name: str, mode: str, make_site: Callable[[str], SandboxSite]
) -> None:
    with (
        Sandbox(
            with_imports(HIDING_CODE[name] + SLEEP_AND_RETURN),
            site=make_site(mode),
            limits=LIMITS,
        ) as sandbox,
        pytest.raises(LimitExceeded, match=LIMIT_MESSAGES),
    ):
        request_page(sandbox)


@pytest.mark.parametrize("mode", modes.mode_params())
def test_code_that_writes_between_two_requests_is_ended(
    mode: str, make_site: Callable[[str], SandboxSite]
) -> None:
    with Sandbox(
        with_imports(CODE_WRITING_AFTER_ITS_PAGE), site=make_site(mode), limits=LIMITS
    ) as sandbox:
        request_page(sandbox)
        wait_until_ended(sandbox)
        with pytest.raises(LimitExceeded, match="bytes of files"):
            request_page(sandbox)
        with pytest.raises(LimitExceeded, match="bytes of files"):
            sandbox.conclude()


@pytest.mark.parametrize("mode", modes.mode_params())
def test_files_written_before_the_last_response_count_towards_the_limit(
    mode: str, make_site: Callable[[str], SandboxSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drover measures once more at the end, even if no regular measurement was due."""
    monkeypatch.setattr(disk, "MEASURE_EVERY_WHEN_FULL", 60.0)
    body = WRITING_CODE["empty files"] + "\nreturn Page([{'id': 1}])"
    with Sandbox(with_imports(body), site=make_site(mode), limits=LIMITS) as sandbox:
        request_page(sandbox)
        with pytest.raises(LimitExceeded, match="bytes of files"):
            sandbox.conclude()


@pytest.mark.parametrize("mode", modes.available_modes())
def test_use_below_the_limit_is_allowed(
    mode: str, make_site: Callable[[str], SandboxSite], short_time_without_access: None
) -> None:
    with Sandbox(with_imports(CODE_BELOW_LIMIT), site=make_site(mode), limits=LIMITS) as sandbox:
        request_page(sandbox)
        sandbox.conclude()


@pytest.mark.parametrize("mode", [mode for mode in modes.available_modes() if "bubble" in mode])
@pytest.mark.parametrize("folder", ["/", "/dev", "/dev/shm"])  # noqa: S108
def test_code_cannot_write_to_other_in_memory_file_systems(
    folder: str, mode: str, make_site: Callable[[str], SandboxSite]
) -> None:
    body = f"open(os.path.join({folder!r}, 'x'), 'wb')"
    with (
        Sandbox(with_imports(body), site=make_site(mode), limits=LIMITS) as sandbox,
        pytest.raises(EngineError, match=r"Permission|Read-only"),
    ):
        request_page(sandbox)


@pytest.mark.skipif(
    "root" not in modes.available_modes(), reason="only root gives code another user"
)
@pytest.mark.parametrize(
    ("body", "expected_text"),
    [
        (WRITING_CODE["files"], "bytes of files"),
        (HIDING_CODE["deleted files"], "bytes of files"),
        (CODE_WITH_CLOSED_FOLDER, "hides files"),
        (CODE_BELOW_LIMIT, None),
    ],
)
def test_a_worker_measures_files_with_only_its_usual_capabilities(
    body: str,
    expected_text: str | None,
    make_site: Callable[[str], SandboxSite],
    tmp_path: Path,
    short_time_without_access: None,
) -> None:
    code, site = with_imports(body + SLEEP_AND_RETURN if expected_text else body), make_site("root")

    def request_and_conclude() -> None:
        expected_failure = (
            pytest.raises(LimitExceeded, match=expected_text) if expected_text else nullcontext()
        )
        with Sandbox(code, site=site, limits=LIMITS) as sandbox, expected_failure:
            request_page(sandbox)
            sandbox.conclude()

    trees.run_in_child(request_and_conclude, folder=tmp_path, capabilities=WORKER_CAPABILITIES)


def test_code_is_ended_if_its_files_cannot_be_measured_in_time(
    make_site: Callable[[str], SandboxSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "MEASURING_SECONDS", 0.0)
    with (
        Sandbox(
            with_imports("open('x', 'wb')" + SLEEP_AND_RETURN),
            site=make_site(FIRST_MODE),
            limits=LIMITS,
        ) as sandbox,
        pytest.raises(EngineError, match="cannot be measured"),
    ):
        request_page(sandbox)
    assert not os.path.exists(f"/proc/{sandbox.pid}")
