"""The verification that docs/howto/alerts.md shows, in each of its languages, accepts what Drover has sent and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from django.conf import settings

from apps.alerts.kinds.webhook import signed_headers
from tests.alerts.conftest import SECRET, add_webhook, deliver, fail
from tests.alerts.receiver import Received, Receiver
from tests.world import World

HOWTO = settings.BASE_DIR / "docs" / "howto" / "alerts.md"

# Each program reads a list of {"headers", "body", "secret"} as JSON, and prints a list of true and false.
PYTHON = """
import json, sys
from email.message import Message

def headers_of(call):
    headers = Message()
    for name, value in call["headers"].items():
        headers[name] = value
    return headers

calls = json.load(sys.stdin)
print(json.dumps([is_from_drover(headers_of(c), c["body"].encode(), c["secret"]) for c in calls]))
"""
NODE = """
const calls = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(calls.map((c) => isFromDrover(c.headers, Buffer.from(c.body), c.secret))));
"""
GO_IMPORTS = """
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"time"
)
"""
GO = """
func main() {
	var calls []struct {
		Headers      map[string]string
		Body, Secret string
	}
	if json.NewDecoder(os.Stdin).Decode(&calls) != nil {
		panic("no list of calls")
	}
	answers := []bool{}
	for _, call := range calls {
		header := http.Header{}
		for name, value := range call.Headers {
			header.Set(name, value)
		}
		answers = append(answers, isFromDrover(header, []byte(call.Body), call.Secret))
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}
"""


def documented(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", HOWTO.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def program(language: str, folder: Path) -> list[str]:
    """Write the program with the documented function, and return its command. Skips the test without the language."""
    code = documented(language)
    if language == "python":
        (folder / "verify.py").write_text(code + PYTHON)
        return [sys.executable, str(folder / "verify.py")]
    name = {"js": "node", "go": "go"}[language]
    command = shutil.which(name)
    if command is None:
        pytest.skip(f"{name} is not installed")
    if language == "js":
        (folder / "verify.cjs").write_text(code + NODE)
        return [command, str(folder / "verify.cjs")]
    (folder / "verify.go").write_text(GO_IMPORTS + code + GO)
    return [command, "run", str(folder / "verify.go")]


def call(body: bytes, headers: dict[str, str], secret: str = SECRET) -> dict[str, object]:
    # Node has the names in small letters; the others accept any.
    lower = {name.lower(): value for name, value in headers.items()}
    return {"headers": lower, "body": body.decode(), "secret": secret}


def unacceptable(request: Received) -> Iterator[dict[str, object]]:
    """Yield calls that somebody else could send."""
    yield call(request.body + b" ", request.headers)
    yield call(request.body, request.headers, secret="another secret of them")
    later = str(int(request.headers["drover-timestamp"]) + 1)
    yield call(request.body, {**request.headers, "drover-timestamp": later})
    yield call(request.body, {**request.headers, "drover-signature": "v1="})
    an_hour_ago = time.time() - 3600
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: an_hour_ago)
        old = signed_headers(request.message["id"], SECRET, request.body)
    yield call(request.body, old)  # a call that somebody has recorded an hour ago


@pytest.mark.parametrize("language", ["python", "js", "go"])
def test_the_documented_verification_accepts_what_was_sent_and_nothing_else(
    world: World, receiver: Receiver, tmp_path: Path, language: str
) -> None:
    command = program(language, tmp_path)
    channel = add_webhook(world, receiver)
    fail(world, "Ünïcode “orders”")
    deliver(world, channel)
    (request,) = receiver.requests
    calls = [call(request.body, request.headers), *unacceptable(request)]
    answer = subprocess.run(command, input=orjson.dumps(calls), capture_output=True, timeout=120)
    assert answer.returncode == 0, answer.stderr.decode()
    assert orjson.loads(answer.stdout) == [True, False, False, False, False, False]
