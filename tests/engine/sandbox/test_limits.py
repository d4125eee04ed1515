"""Code that exceeds a limit or sends invalid output ends with a clear failure. Its process and files are removed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from apps.engine.failures import CODE_WAS_SILENT, SECONDS_OF_CPU_TIME, EngineError, SourceError
from apps.engine.sandbox import claims, process, roots
from apps.engine.sandbox.limits import BrokenOutput, LimitExceeded, Limits, TookTooLong
from apps.engine.sandbox.process import IsolationTooWeak, SandboxSite
from apps.engine.sandbox.session import Callbacks, CodeFailed, Sandbox
from tests.engine.sandbox import modes
from tests.engine.sandbox.attack_targets import SMALL_LIMITS, SOURCE_SETTINGS

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class GreedyCase:
    """The body of `get()`, the exception that the sandbox must raise, and a part of its message."""

    body: str
    failure: type[EngineError] | tuple[type[EngineError], ...]
    message_part: str | None = None
    limits: Limits = SMALL_LIMITS


# Sends 109 MB of empty rows in lines of the maximum length.
MANY_EMPTY_ROWS = (
    'line = b\'{"t":"rows","rows":[\' + b"{}," * 2_600_000 + b"{}]}" + bytes([10])\n'
    "for _ in range(14): raw(line)"
)
GREEDY_CASES = {
    "computes without end and ignores SIGXCPU": GreedyCase(
        "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        TookTooLong,
        SECONDS_OF_CPU_TIME,
        replace(SMALL_LIMITS, cpu_seconds=1),
    ),
    "sleeps without end": GreedyCase(
        "import time; time.sleep(60)",
        TookTooLong,
        CODE_WAS_SILENT,
        replace(SMALL_LIMITS, silence_seconds=0.6),
    ),
    "exceeds its time while it logs": GreedyCase(
        "import time\nwhile True: time.sleep(0.01); say('log', level='info', message='working')",
        TookTooLong,
        "did not finish within 1 seconds",
        replace(SMALL_LIMITS, wall_seconds=1),
    ),
    "ignores every signal": GreedyCase(
        "import signal, time\n"
        "for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(n, signal.SIG_IGN)\n"
        "time.sleep(60)",
        TookTooLong,
        CODE_WAS_SILENT,
        replace(SMALL_LIMITS, silence_seconds=0.6),
    ),
    "allocates memory without end": GreedyCase(
        "held = []\nwhile True: held.append(bytearray(1 << 20))",
        LimitExceeded,
        "memory",
        replace(SMALL_LIMITS, memory=256 * MEGABYTE),
    ),
    "decompresses a bomb": GreedyCase(
        "import zlib; z = zlib.compressobj(1)\n"
        "bomb = b''.join(z.compress(bytes(1 << 20)) for _ in range(300)) + z.flush()\n"
        "zlib.decompress(bomb)",
        LimitExceeded,
        "memory",
        replace(SMALL_LIMITS, memory=256 * MEGABYTE),
    ),
    "fills the disk with many files": GreedyCase(
        "for n in range(4000): open(f'f{n}', 'wb').write(bytes(1 << 20))",
        (LimitExceeded, SourceError, CodeFailed),
    ),
    "writes one file that is too large": GreedyCase(
        "file = open('f', 'wb')\nwhile True: file.write(bytes(1 << 20))",
        (LimitExceeded, SourceError, CodeFailed),
    ),
    "fills the disk with deleted files": GreedyCase(
        "import os, time\nheld = []\n"
        "for n in range(40):\n"
        "    held.append(open('f', 'w+b')); os.unlink('f'); held[-1].write(bytes(1 << 20)); held[-1].flush()\n"
        "time.sleep(20)",
        (LimitExceeded, SourceError, CodeFailed),
    ),
    "starts threads without end": GreedyCase(
        "import threading, time, _thread\nthreading.stack_size(32768)\n"
        "for _ in range(2000): _thread.start_new_thread(time.sleep, (60,))\n"
        "time.sleep(60)",
        (LimitExceeded, CodeFailed),
        "more than 80 threads|can't start new thread",
        replace(SMALL_LIMITS, memory=1024 * MEGABYTE),
    ),
    "prints without end": GreedyCase(
        "import os\nwhile True: os.write(1, b'x' * 65536)", LimitExceeded
    ),
    "sends a line without end": GreedyCase(
        "while True: raw(b'x' * 65536)", BrokenOutput, "longer than"
    ),
    "sends invalid bytes": GreedyCase("raw(b'\\xff\\x00garbage\\n')", BrokenOutput, "not JSON"),
    "sends a pickle": GreedyCase(
        "import pickle; raw(pickle.dumps({'t': 'answer'}) + b'\\n')", BrokenOutput, "not JSON"
    ),
    "sends JSON that is nested too deeply": GreedyCase(
        "raw(b'[' * 100_000 + b']' * 100_000 + b'\\n')", BrokenOutput
    ),
    "sends NaN": GreedyCase('raw(b\'{"t":"rows","rows":[{"a":NaN}]}\\n\')', BrokenOutput),
    "sends rows that are not objects": GreedyCase(
        'raw(b\'{"t":"rows","rows":[1]}\\n\')', BrokenOutput, "wrong shape"
    ),
    "sends an unknown kind of message": GreedyCase(
        'raw(b\'{"t":"succeeded"}\\n\')', BrokenOutput, "unknown kind"
    ),
    "sends an error of class internal": GreedyCase(
        'raw(b\'{"t":"error","failure":"internal","message":"","evidence":[],'
        '"retry_after":null,"retryable":true,"line":null}\\n\')',
        BrokenOutput,
    ),
    "sends more bytes than a page may have": GreedyCase(
        "return Page({'text': 'x' * 1000} for _ in iter(int, 1))", LimitExceeded, "one answer"
    ),
    "sends more rows than a page may have": GreedyCase(
        "return Page({} for _ in range(20_000))",
        LimitExceeded,
        "rows at once",
        replace(SMALL_LIMITS, rows=10_000),
    ),
    "sends more values than a page may have": GreedyCase(
        MANY_EMPTY_ROWS,
        LimitExceeded,
        "values at once",
        replace(SMALL_LIMITS, page=1 << 30, line=8 << 20),
    ),
    "closes its output and continues": GreedyCase(
        # The file descriptor of the answers may be a large number, if this process has many open files.
        "import os, time\nos.closerange(1, 65536)\ntime.sleep(60)",
        (LimitExceeded, SourceError),
    ),
    "exits without a message": GreedyCase("import os; os._exit(0)", CodeFailed, "exit status 0"),
    "exits with the status of a failed isolation": GreedyCase(
        "import os; os._exit(97)", CodeFailed, "exit status 97"
    ),
    "exits with the status of a killed process": GreedyCase(
        "import os; os._exit(137)", CodeFailed, r"exit status 137|SIGSEGV"
    ),
    "calls sys.exit": GreedyCase("import sys; sys.exit(3)", CodeFailed),
    "crashes the interpreter": GreedyCase(
        "import ctypes; ctypes.string_at(0)", CodeFailed, "SIGSEGV"
    ),
    "recurses without end": GreedyCase("f = lambda: f()\nf()", CodeFailed, "RecursionError"),
}


def source_code(body: str) -> str:
    indented = "\n".join(f"        {line}" for line in body.splitlines())
    return f"""
from drover import Page, Source
from drover import _serving
import gc, os

OUTPUT = next(o for o in gc.get_objects() if type(o).__name__ == "Output")

def say(kind, **values):
    OUTPUT.send(kind, **values)

def raw(data):
    OUTPUT._file.write(data)
    OUTPUT._file.flush()

class Greedy(Source):
    streams = ["attack"]

    def get(self, pagination=None):
{indented}
"""


# The results of these cases depend on the isolation layers. The results of all other cases depend only on the code
# that reads the output, so each of those runs in one mode.
LAYER_DEPENDENT_CASES = (
    "allocates memory without end",
    "closes its output and continues",
    "fills the disk with deleted files",
    "fills the disk with many files",
    "ignores every signal",
    "exits without a message",
    "exits with the status of a killed process",
    "exits with the status of a failed isolation",
    "computes without end and ignores SIGXCPU",
    "starts threads without end",
    "writes one file that is too large",
)
CASES = modes.case_params(LAYER_DEPENDENT_CASES, full_modes=modes.USUAL_MODES[:1])
CASES += modes.case_params(
    [name for name in GREEDY_CASES if name not in LAYER_DEPENDENT_CASES], full_modes=()
)


@pytest.mark.sample(3)
@pytest.mark.parametrize(("name", "mode"), CASES)
def test_greedy_code_ends_with_a_clear_failure(
    name: str, mode: str, make_site: Callable[[str], SandboxSite], tmp_path: Path
) -> None:
    case, site = GREEDY_CASES[name], make_site(mode)
    # In root modes, a new home needs a new root file system, which takes seconds.
    if mode not in modes.ROOT_MODES:
        site = replace(site, home=str(tmp_path))
    with Sandbox(source_code(case.body), site=site, limits=case.limits) as sandbox:
        with pytest.raises(case.failure, match=case.message_part):
            sandbox.call(
                "page", source_settings=SOURCE_SETTINGS, pagination=None, since=None, limit=None
            )
        pid = sandbox.pid
    assert not os.path.exists(f"/proc/{pid}")
    assert work_folders(Path(site.home)) == []


def work_folders(home: Path) -> list[Path]:
    """Return the work folders that exist below `home`, with and without a prepared root, but not their locks."""
    paths = [*home.glob(f"*/{roots.WORK_FOLDER}/*"), *home.glob(f"*/root-*/{roots.WORK_FOLDER}/*")]
    return [path for path in paths if path.suffix != claims.SUFFIX]


def test_a_process_name_that_is_not_utf8_is_accepted(
    make_site: Callable[[str], SandboxSite],
) -> None:
    body = (
        "import ctypes, time\n"
        "assert ctypes.CDLL(None).prctl(15, bytes([255, 254]) + b') x', 0, 0, 0) == 0\n"
        "time.sleep(0.6)\nreturn Page([{'id': 1}])"  # long enough for a measurement of the CPU time
    )
    with Sandbox(
        source_code(body), site=make_site(modes.available_modes()[0]), limits=SMALL_LIMITS
    ) as sandbox:
        page = sandbox.call(
            "page", source_settings=SOURCE_SETTINGS, pagination=None, since=None, limit=None
        )
        assert process.cpu_seconds(sandbox.pid) > 0
    assert page.rows == [{"id": 1}]


def test_code_can_return_another_page_after_an_exception(
    make_site: Callable[[str], SandboxSite],
) -> None:
    mode = modes.available_modes()[0]
    body = "if pagination is None: raise ValueError('once')\nreturn Page([{'id': 1}])"
    with Sandbox(source_code(body), site=make_site(mode), limits=SMALL_LIMITS) as sandbox:
        with pytest.raises(CodeFailed, match="ValueError: once") as raised:
            sandbox.call(
                "page", source_settings=SOURCE_SETTINGS, pagination=None, since=None, limit=None
            )
        assert "source.py, line 19" in " ".join(raised.value.evidence)
        page = sandbox.call(
            "page", source_settings=SOURCE_SETTINGS, pagination={"n": 1}, since=None, limit=None
        )
    assert page.rows == [{"id": 1}]


@pytest.mark.parametrize("end", ["return Page([])", "raise ValueError('no')"])
def test_lines_printed_before_the_last_response_are_logged(
    make_site: Callable[[str], SandboxSite], end: str
) -> None:
    log_lines: list[str] = []
    with (
        Sandbox(
            source_code("print('the last line')\n" + end),
            site=make_site(modes.available_modes()[0]),
            limits=SMALL_LIMITS,
            callbacks=Callbacks(log=lambda level, message: log_lines.append(message)),
        ) as sandbox,
        contextlib.suppress(CodeFailed),
    ):
        sandbox.call(
            "page", source_settings=SOURCE_SETTINGS, pagination=None, since=None, limit=None
        )
    assert log_lines == ["the last line"]


def test_log_lines_are_stored_up_to_a_limit(make_site: Callable[[str], SandboxSite]) -> None:
    log_lines: list[str] = []
    body = "for n in range(5000): print('line', n)\nreturn Page([])"
    with Sandbox(
        source_code(body),
        site=make_site(modes.available_modes()[0]),
        limits=replace(SMALL_LIMITS, log=10_000),
        callbacks=Callbacks(log=lambda level, message: log_lines.append(message)),
    ) as sandbox:
        sandbox.call(
            "page", source_settings=SOURCE_SETTINGS, pagination=None, since=None, limit=None
        )
    assert log_lines[0] == "line 0"
    assert "logged too much" in log_lines[-1]
    assert sum(map(len, log_lines[:-1])) <= 10_000


def test_a_sandbox_below_the_required_level_is_refused(home: str) -> None:
    with pytest.raises(IsolationTooWeak, match="only at level weak, but good is required"):
        Sandbox("", site=SandboxSite(home, "good", ("seccomp",)), limits=SMALL_LIMITS)


def test_code_does_not_run_if_a_layer_cannot_be_set_up(
    make_site: Callable[[str], SandboxSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_encoded_filter", lambda chosen: "AAAA")  # not a valid filter
    log_lines: list[str] = []
    with (
        Sandbox(
            "print('I ran')",
            site=make_site(modes.available_modes()[0]),
            limits=SMALL_LIMITS,
            callbacks=Callbacks(log=lambda level, message: log_lines.append(message)),
        ) as sandbox,
        pytest.raises(EngineError, match="could not be set up"),
    ):
        sandbox.wait_until_ready()
    assert "seccomp is not available" in " ".join(log_lines)
    assert "I ran" not in log_lines
