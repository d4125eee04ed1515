"""Keys are generated once, never replaced, and readable by their owner only."""

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from local.errors import LocalError
from local.home import Home
from local.keys import KEY_GENERATORS, ensure_keys, read_key


def test_keys_are_generated_once_with_private_modes(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create_folders()
    assert set(ensure_keys(home.keys)) == set(KEY_GENERATORS)
    before = {path.name: path.read_text() for path in home.keys.iterdir()}
    assert ensure_keys(home.keys) == []
    assert {path.name: path.read_text() for path in home.keys.iterdir()} == before
    assert stat.S_IMODE(home.keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.keys.iterdir()} == {0o600}


def test_the_generated_keys_have_the_expected_formats(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    assert len(read_key(tmp_path, "secret_key")) >= 50
    assert len(bytes.fromhex(read_key(tmp_path, "api_key_pepper"))) == 32
    token = Fernet(read_key(tmp_path, "encryption_keys")).encrypt(b"x")
    assert token


def test_a_missing_key_is_added_and_existing_keys_stay(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    secret = read_key(tmp_path, "secret_key")
    (tmp_path / "api_key_pepper").unlink()
    assert ensure_keys(tmp_path) == ["api_key_pepper"]
    assert read_key(tmp_path, "secret_key") == secret


def test_an_empty_key_file_is_reported_and_not_replaced(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    (tmp_path / "encryption_keys").write_text("")
    with pytest.raises(LocalError, match="encryption_keys is empty"):
        ensure_keys(tmp_path)
    assert (tmp_path / "encryption_keys").read_text() == ""


def test_a_home_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalError, match=r"DROVER_HOME .* cannot be written"):
        Home(tmp_path / "file" / "home").create_folders()
