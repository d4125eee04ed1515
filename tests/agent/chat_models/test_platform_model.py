"""A mistake in the operator's language model ends each process when it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import language_model
from config.env import SettingInvalid

ROOT = Path(__file__).resolve().parents[3]
ANTHROPIC = {"DROVER_MODEL": "anthropic:claude-test", "DROVER_MODEL_KEY": "sk-test"}
OLLAMA = {
    "DROVER_MODEL": "openai_compatible:qwen",
    "DROVER_MODEL_URL": "http://127.0.0.1:11434/v1/",
}


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> language_model.LanguageModel:
    for name in ("DROVER_MODEL", "DROVER_MODEL_KEY", "DROVER_MODEL_URL"):
        monkeypatch.setenv(name, variables.get(name, ""))
    return language_model.read()


def test_a_model_is_read_with_its_key_and_url(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch)["model"] == ""
    assert read(monkeypatch, **ANTHROPIC)["key"] == "sk-test"
    assert read(monkeypatch, **OLLAMA) == {
        "model": "openai_compatible:qwen",
        "key": "",
        "url": "http://127.0.0.1:11434/v1",
    }


def test_a_key_is_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-of-the-file\n")
    monkeypatch.setenv("DROVER_MODEL_KEY_FILE", str(file))
    assert read(monkeypatch, DROVER_MODEL="google:gemini-test")["key"] == "sk-of-the-file"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DROVER_MODEL": "claude-test"}, "DROVER_MODEL must be provider:name"),
        ({"DROVER_MODEL": "mistral:large"}, "openai, anthropic, google, openai_compatible"),
        ({"DROVER_MODEL": "openai: "}, "DROVER_MODEL must be provider:name"),
        ({"DROVER_MODEL": "openai:" + "m" * 200}, "At most 120 characters"),
        ({"DROVER_MODEL": "openai:gpt-test"}, "DROVER_MODEL_KEY is not set"),
        ({**ANTHROPIC, "DROVER_MODEL_KEY": "sk\ntest"}, "DROVER_MODEL_KEY contains"),
        ({"DROVER_MODEL": "openai_compatible:qwen"}, "DROVER_MODEL_URL is not set"),
        ({**OLLAMA, "DROVER_MODEL_URL": "127.0.0.1:11434"}, "DROVER_MODEL_URL must look like"),
        ({**ANTHROPIC, "DROVER_MODEL_URL": "https://me:pw@models.test"}, "without a user"),
        ({**ANTHROPIC, "DROVER_MODEL_URL": "https://models.test:x"}, "DROVER_MODEL_URL must look"),
    ],
)
def test_a_mistake_is_told_with_the_name_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingInvalid, match=words) as raised:
        read(monkeypatch, **variables)
    assert "pw@" not in str(raised.value), "a URL may contain a password"


def test_a_process_does_not_start_with_a_mistake() -> None:
    environment = {**os.environ, "DROVER_MODEL": "openai:gpt-test", "DROVER_MODEL_KEY": ""}
    environment.pop("DROVER_MODEL_KEY_FILE", None)
    process = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert process.returncode != 0
    assert "DROVER_MODEL_KEY is not set" in process.stderr
    assert "Traceback" not in process.stderr
