"""Code that exceeds a limit, or sends invalid output, ends with a clear failure; nothing is left behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from apps.engine.failures import CODE_USED_CPU, CODE_WAS_SILENT, EngineError, SourceError
from apps.engine.sandbox import claims, process, roots
from apps.engine.sandbox.limits import BrokenOutput, LimitExceeded, Limits, TookTooLong
from apps.engine.sandbox.process import IsolationTooWeak, SandboxSite
from apps.engine.sandbox.session import Callbacks, CodeFailed, Sandbox
from tests.engine.sandbox import modes
from tests.engine.sandbox.worlds import BOUND, SMALL

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Greedy:
    """`body` is the body of get(); `raises` is the expected exception, and `says` a part of its message."""

    body: str
    raises: type[EngineError] | tuple[type[EngineError], ...]
    says: str | None = None
    limits: Limits = SMALL


# 109 MB of empty rows, in lines of the maximum length.
ROWS = (
    'line = b\'{"t":"rows","rows":[\' + b"{}," * 2_600_000 + b"{}]}" + bytes([10])\n'
    "for _ in range(14): raw(line)"
)
GREEDY = {
    "spins and ignores SIGXCPU": Greedy(
        "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        TookTooLong,
        CODE_USED_CPU,
        replace(SMALL, cpu_seconds=1),
    ),
    "sleeps": Greedy(
        "import time; time.sleep(60)",
        TookTooLong,
        CODE_WAS_SILENT,
        replace(SMALL, silence_seconds=0.6),
    ),
    "runs past the clock while it talks": Greedy(
        "import time\nwhile True: time.sleep(0.01); say('log', level='info', message='still here')",
        TookTooLong,
        "did not finish within 1 seconds",
        replace(SMALL, wall_seconds=1),
    ),
    "ignores every signal": Greedy(
        "import signal, time\n"
        "for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(n, signal.SIG_IGN)\n"
        "time.sleep(60)",
        TookTooLong,
        CODE_WAS_SILENT,
        replace(SMALL, silence_seconds=0.6),
    ),
    "allocates": Greedy(
        "held = []\nwhile True: held.append(bytearray(1 << 20))",
        LimitExceeded,
        "memory",
        replace(SMALL, memory=256 * MEGABYTE),
    ),
    "unpacks a bomb": Greedy(
        "import zlib; z = zlib.compressobj(1)\n"
        "bomb = b''.join(z.compress(bytes(1 << 20)) for _ in range(300)) + z.flush()\n"
        "zlib.decompress(bomb)",
        LimitExceeded,
        "memory",
        replace(SMALL, memory=256 * MEGABYTE),
    ),
    "fills the disk with many files": Greedy(
        "for n in range(4000): open(f'f{n}', 'wb').write(bytes(1 << 20))",
        (LimitExceeded, SourceError, CodeFailed),
    ),
    "writes one file that is too large": Greedy(
        "file = open('f', 'wb')\nwhile True: file.write(bytes(1 << 20))",
        (LimitExceeded, SourceError, CodeFailed),
    ),
    "fills the disk with deleted files": Greedy(
        "import os, time\nheld = []\n"
        "for n in range(40):\n"
        "    held.append(open('f', 'w+b')); os.unlink('f'); held[-1].write(bytes(1 << 20)); held[-1].flush()\n"
        "time.sleep(20)",
        (LimitExceeded, SourceError, CodeFailed),
    ),
    "starts threads without end": Greedy(
        "import threading, time, _thread\nthreading.stack_size(32768)\n"
        "for _ in range(2000): _thread.start_new_thread(time.sleep, (60,))\n"
        "time.sleep(60)",
        (LimitExceeded, CodeFailed),
        "more than 80 threads|can't start new thread",
        replace(SMALL, memory=1024 * MEGABYTE),
    ),
    "prints without end": Greedy("import os\nwhile True: os.write(1, b'x' * 65536)", LimitExceeded),
    "answers a line without end": Greedy(
        "while True: raw(b'x' * 65536)", BrokenOutput, "longer than"
    ),
    "answers garbage": Greedy("raw(b'\\xff\\x00garbage\\n')", BrokenOutput, "not JSON"),
    "answers a pickle": Greedy(
        "import pickle; raw(pickle.dumps({'t': 'answer'}) + b'\\n')", BrokenOutput, "not JSON"
    ),
    "answers JSON that is too deep": Greedy(
        "raw(b'[' * 100_000 + b']' * 100_000 + b'\\n')", BrokenOutput
    ),
    "answers NaN": Greedy('raw(b\'{"t":"rows","rows":[{"a":NaN}]}\\n\')', BrokenOutput),
    "answers rows that are none": Greedy(
        'raw(b\'{"t":"rows","rows":[1]}\\n\')', BrokenOutput, "wrong shape"
    ),
    "answers an unknown kind": Greedy(
        'raw(b\'{"t":"succeeded"}\\n\')', BrokenOutput, "unknown kind"
    ),
    "answers an error of our own making": Greedy(
        'raw(b\'{"t":"error","failure":"internal","message":"","evidence":[],'
        '"retry_after":null,"retryable":true,"line":null}\\n\')',
        BrokenOutput,
    ),
    "answers more than one page may hold": Greedy(
        "return Page({'text': 'x' * 1000} for _ in iter(int, 1))", LimitExceeded, "one answer"
    ),
    "answers more rows than one page may hold": Greedy(
        "return Page({} for _ in range(20_000))",
        LimitExceeded,
        "rows at once",
        replace(SMALL, rows=10_000),
    ),
    "answers more values than one page may hold": Greedy(
        ROWS,
        LimitExceeded,
        "values at once",
        replace(SMALL, page=1 << 30, line=8 << 20),
    ),
    "closes its output and goes on": Greedy(
        "import os, time\nfor fd in range(1, 64):\n    try: os.close(fd)\n    except OSError: pass\n"
        "time.sleep(60)",
        (LimitExceeded, SourceError),
    ),
    "leaves without a word": Greedy("import os; os._exit(0)", CodeFailed, "exit status 0"),
    "pretends that its walls did not stand": Greedy(
        "import os; os._exit(97)", CodeFailed, "exit status 97"
    ),
    "pretends that it was killed": Greedy(
        "import os; os._exit(137)", CodeFailed, r"exit status 137|SIGSEGV"
    ),
    "says exit": Greedy("import sys; sys.exit(3)", CodeFailed),
    "breaks the interpreter": Greedy("import ctypes; ctypes.string_at(0)", CodeFailed, "SIGSEGV"),
    "recurses": Greedy("f = lambda: f()\nf()", CodeFailed, "RecursionError"),
}


def code(body: str) -> str:
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


# The results of these depend on the layers; the others depend only on the reader, and run in one mode each.
BY_THE_WALLS = (
    "allocates",
    "closes its output and goes on",
    "fills the disk with deleted files",
    "fills the disk with many files",
    "ignores every signal",
    "leaves without a word",
    "pretends that it was killed",
    "pretends that its walls did not stand",
    "spins and ignores SIGXCPU",
    "starts threads without end",
    "writes one file that is too large",
)
CASES = modes.spread(BY_THE_WALLS, whole=modes.USUAL[:1])
CASES += modes.spread([name for name in GREEDY if name not in BY_THE_WALLS], whole=())


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_greedy_code_ends_with_a_reason(
    name: str, mode: str, ground: Callable[[str], SandboxSite], tmp_path: Path
) -> None:
    greedy, stands = GREEDY[name], ground(mode)
    if mode not in modes.ROOTS:  # preparing another root takes seconds
        stands = replace(stands, home=str(tmp_path))
    with Sandbox(code(greedy.body), site=stands, limits=greedy.limits) as sandbox:
        with pytest.raises(greedy.raises, match=greedy.says):
            sandbox.call("page", bound=BOUND, pagination=None, since=None, limit=None)
        pid = sandbox.pid
    assert not os.path.exists(f"/proc/{pid}")
    assert work_folders(Path(stands.home)) == []


def work_folders(home: Path) -> list[Path]:
    """Return what is left below `home`, with and without a prepared root, besides the locks."""
    found = [*home.glob(f"*/{roots.WORK_FOLDER}/*"), *home.glob(f"*/root-*/{roots.WORK_FOLDER}/*")]
    return [path for path in found if path.suffix != claims.SUFFIX]


def test_an_undecodable_name_is_handled(ground: Callable[[str], SandboxSite]) -> None:
    body = (
        "import ctypes, time\n"
        "assert ctypes.CDLL(None).prctl(15, bytes([255, 254]) + b') x', 0, 0, 0) == 0\n"
        "time.sleep(0.6)\nreturn Page([{'id': 1}])"  # longer than until its clock is checked
    )
    with Sandbox(code(body), site=ground(modes.available()[0]), limits=SMALL) as sandbox:
        answer = sandbox.call("page", bound=BOUND, pagination=None, since=None, limit=None)
        assert process.cpu_seconds(sandbox.pid) > 0
    assert answer.rows == [{"id": 1}]


def test_a_page_that_fails_does_not_end_the_conversation(
    ground: Callable[[str], SandboxSite],
) -> None:
    mode = modes.available()[0]
    body = "if pagination is None: raise ValueError('once')\nreturn Page([{'id': 1}])"
    with Sandbox(code(body), site=ground(mode), limits=SMALL) as sandbox:
        with pytest.raises(CodeFailed, match="ValueError: once") as failed:
            sandbox.call("page", bound=BOUND, pagination=None, since=None, limit=None)
        assert "source.py, line 19" in " ".join(failed.value.evidence)
        answer = sandbox.call("page", bound=BOUND, pagination={"n": 1}, since=None, limit=None)
    assert answer.rows == [{"id": 1}]


@pytest.mark.parametrize("end", ["return Page([])", "raise ValueError('no')"])
def test_lines_printed_before_the_last_answer_are_kept(
    ground: Callable[[str], SandboxSite], end: str
) -> None:
    heard: list[str] = []
    with (
        Sandbox(
            code("print('the last line')\n" + end),
            site=ground(modes.available()[0]),
            limits=SMALL,
            callbacks=Callbacks(log=lambda level, message: heard.append(message)),
        ) as sandbox,
        contextlib.suppress(CodeFailed),
    ):
        sandbox.call("page", bound=BOUND, pagination=None, since=None, limit=None)
    assert heard == ["the last line"]


def test_its_log_lines_are_kept_up_to_a_limit(ground: Callable[[str], SandboxSite]) -> None:
    heard: list[str] = []
    body = "for n in range(5000): print('line', n)\nreturn Page([])"
    with Sandbox(
        code(body),
        site=ground(modes.available()[0]),
        limits=replace(SMALL, log=10_000),
        callbacks=Callbacks(log=lambda level, message: heard.append(message)),
    ) as sandbox:
        sandbox.call("page", bound=BOUND, pagination=None, since=None, limit=None)
    assert heard[0] == "line 0"
    assert "logged too much" in heard[-1]
    assert sum(map(len, heard[:-1])) <= 10_000


def test_below_the_level_that_is_asked_for_nothing_runs(home: str) -> None:
    with pytest.raises(IsolationTooWeak, match="only at level weak, but good is required"):
        Sandbox("", site=SandboxSite(home, "good", ("seccomp",)), limits=SMALL)


def test_a_layer_that_cannot_be_had_ends_the_process_before_the_code(
    ground: Callable[[str], SandboxSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_encoded_filter", lambda chosen: "AAAA")  # no filter at all
    heard: list[str] = []
    with (
        Sandbox(
            "print('I ran')",
            site=ground(modes.available()[0]),
            limits=SMALL,
            callbacks=Callbacks(log=lambda level, message: heard.append(message)),
        ) as sandbox,
        pytest.raises(EngineError, match="could not be set up"),
    ):
        sandbox.wait_until_ready()
    assert "seccomp is not available" in " ".join(heard)
    assert "I ran" not in heard
