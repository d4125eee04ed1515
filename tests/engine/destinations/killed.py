"""A process that publishes, or stages, and is killed at a chosen moment.

Run as `python -m tests.engine.destinations.killed`. Each line on stdin describes one attempt, which a fork
executes. Moments are numbered: every call into and return from the code of destinations and stores is one.
With moment 0 the fork runs to the end and reports how many moments there were.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from apps.engine.contract import StorageRoot
from apps.engine.destinations.base import Batch
from apps.engine.frames.decoding import StreamSchema
from tests.engine.destinations.targets import Sync, Target

WATCHED = (f"apps{os.sep}engine{os.sep}destinations", f"apps{os.sep}engine{os.sep}stores")

AT_THE_END = -1  # the moment after everything is done and before the result is sent


@dataclass(frozen=True)
class Ending:
    """How the fork ended: by a signal, or normally after so many moments, with its failure if any."""

    killed: bool
    moments: int
    failure: dict[str, Any] | None


class Zygote:
    """The process that forks; it has imported everything and run nothing."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.destinations.killed"],
            cwd=Path(__file__).resolve().parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def publish(self, sync: Sync, *, kill_at: int) -> Ending:
        return self._try(sync, kill_at=kill_at, rows=None)

    def stage(
        self,
        sync: Sync,
        rows: Sequence[dict[str, Any]],
        *,
        kill_at: int,
        file_limit: int | None = None,
    ) -> Ending:
        """`file_limit` is the largest file, in bytes, that the fork can write."""
        return self._try(sync, kill_at=kill_at, rows=rows, file_limit=file_limit)

    def _try(self, sync: Sync, **what: Any) -> Ending:
        target: Target = sync.target
        request = {
            "spec": asdict(target.spec(sync.mode, sync.key, **sync.settings)),
            "data": asdict(target.data),
            "job": sync.job,
            "committed": [asdict(batch) for batch in sync.committed],
            **what,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Ending(**json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def main() -> None:
    """Import what the forks need, then fork once per line."""
    import apps.engine.destinations.duckdb.publishing
    import apps.engine.destinations.postgres
    import apps.engine.stores.gcs
    import apps.engine.stores.s3  # noqa: F401 - each is for the forks

    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _carry_out(json.loads(line), writer)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        told = json.loads(said) if said else {"moments": 0, "failure": None}
        print(json.dumps({"killed": killed, **told}), flush=True)


def _carry_out(request: dict[str, Any], writer: int) -> None:
    from apps.engine.contract import DestinationSpec
    from apps.engine.failures import EngineError
    from apps.engine.sync.build import build_destination

    failure = None
    if request.get("file_limit"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"],) * 2)
    committed = tuple(Batch(**batch) for batch in request["committed"])
    destination = build_destination(
        DestinationSpec(**request["spec"]),
        job_id=request["job"],
        data=StorageRoot(**request["data"]),
        allow_private_networks=True,
    )
    with _moments(request["kill_at"]) as count:
        try:
            if request["rows"] is None:
                destination.publish(committed)
            else:
                destination.open(committed)
                frame = StreamSchema().decode(request["rows"]).frame
                destination.stage(frame, Batch("late", 99, 99, frame.height))
        except EngineError as error:
            failure = {
                "class": type(error).__name__,
                "message": error.message,
                "evidence": error.evidence,
            }
    if request["kill_at"] == AT_THE_END:
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(writer, json.dumps({"moments": count[0], "failure": failure}).encode())
    os._exit(0)


@contextmanager
def _moments(kill_at: int) -> Iterator[list[int]]:
    count = [0]

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        if event in {"call", "return"} and any(
            part in frame.f_code.co_filename for part in WATCHED
        ):
            count[0] += 1
            if count[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    yield count
    sys.setprofile(None)


if __name__ == "__main__":
    main()
