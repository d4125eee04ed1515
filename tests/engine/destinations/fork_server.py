"""Fork a process that stages or publishes, and kill it at a chosen moment.

Run as `python -m tests.engine.destinations.fork_server`. Each line on stdin describes one attempt, which a fork
executes. Every call of a function of destinations and stores, and every return from one, is a numbered moment.
With `kill_at=0` the fork runs to its end and reports the number of moments.
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
from tests.engine.destinations.targets import SyncJob, Target

COUNTED_FOLDERS = (f"apps{os.sep}engine{os.sep}destinations", f"apps{os.sep}engine{os.sep}stores")

KILL_BEFORE_RESULT = -1  # kill after all work, before the fork sends its result


@dataclass(frozen=True)
class ForkResult:
    """Whether the fork was killed, the number of its moments, and its failure, if it had one."""

    killed: bool
    moments: int
    failure: dict[str, Any] | None


class ForkServer:
    """Control the process that forks. That process has imported all modules and has run no attempt."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.destinations.fork_server"],
            cwd=Path(__file__).resolve().parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def publish(self, job: SyncJob, *, kill_at: int) -> ForkResult:
        return self._request_fork(job, kill_at=kill_at, rows=None)

    def stage(
        self,
        job: SyncJob,
        rows: Sequence[dict[str, Any]],
        *,
        kill_at: int,
        file_limit: int | None = None,
    ) -> ForkResult:
        """Stage the rows in a fork that can write files of at most `file_limit` bytes."""
        return self._request_fork(job, kill_at=kill_at, rows=rows, file_limit=file_limit)

    def _request_fork(self, job: SyncJob, **attempt: Any) -> ForkResult:
        target: Target = job.target
        request = {
            "spec": asdict(target.spec(job.mode, job.key, **job.settings)),
            "data": asdict(target.data),
            "job": job.job_id,
            "committed": [asdict(batch) for batch in job.committed],
            **attempt,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return ForkResult(**json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def main() -> None:
    """Import what the forks need, then fork once per line."""
    import apps.engine.destinations.duckdb.publishing
    import apps.engine.destinations.postgres
    import apps.engine.stores.gcs
    import apps.engine.stores.s3  # noqa: F401 - the forks need them

    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _run_attempt(json.loads(line), writer)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            received = pipe.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        result = json.loads(received) if received else {"moments": 0, "failure": None}
        print(json.dumps({"killed": killed, **result}), flush=True)


def _run_attempt(request: dict[str, Any], writer: int) -> None:
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
    with _count_moments(request["kill_at"]) as count:
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
    if request["kill_at"] == KILL_BEFORE_RESULT:
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(writer, json.dumps({"moments": count[0], "failure": failure}).encode())
    os._exit(0)


@contextmanager
def _count_moments(kill_at: int) -> Iterator[list[int]]:
    count = [0]

    def count_moment(frame: FrameType, event: str, _argument: Any) -> None:
        if event in {"call", "return"} and any(
            part in frame.f_code.co_filename for part in COUNTED_FOLDERS
        ):
            count[0] += 1
            if count[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count_moment)
    yield count
    sys.setprofile(None)


if __name__ == "__main__":
    main()
