"""The file of keys: only hashes, written in one step, read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shortlist.cli.app import app
from shortlist.errors import SettingsError
from shortlist.service.keys import Keyring, add_key, read_keys, remove_key

HASH = "0" * 64


def test_only_a_hash_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    tokens = [add_key(file, "shop", ["write", "read"]), add_key(file, "me", ["admin"])]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.toml"]
    assert not any(token in file.read_text() for token in tokens)
    assert len(set(tokens)) == 2
    assert min(map(len, tokens)) == 43, "256 bits"
    shop, me = read_keys(file)
    assert (shop.name, shop.scopes, shop.digest) == (
        "shop",
        ("read", "write"),
        hashlib.sha256(tokens[0].encode()).digest(),
    )
    ring = Keyring(file)
    assert [ring.find(token.encode()) for token in tokens] == [shop, me]
    for wrong in (b"", b"x", tokens[0][:-1].encode(), tokens[0].encode() + b" ", b"\xff" * 100_000, shop.digest):
        assert ring.find(wrong) is None


def test_every_key_is_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.toml"
    tokens = [add_key(file, name, ["read"]) for name in ("a", "b", "c")]
    ring, compared = Keyring(file), []

    constant_time = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(one) == len(other) == 32)
        return constant_time(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for token in (*tokens, "wrong", ""):
        compared.clear()
        ring.find(token.encode())
        assert compared == [True] * 3, "however soon it was found"


def test_a_running_service_follows_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, now = tmp_path / "keys.toml", 0.0
    old = add_key(file, "old", ["read"]).encode()
    ring = Keyring(file, clock=lambda: now)
    new = add_key(file, "new", ["read"]).encode()
    remove_key(file, "old")
    assert (ring.find(old) is None, ring.find(new) is None) == (False, True), "looked at once a second"
    now = 1.0
    assert (ring.find(old) is None, ring.find(new) is None) == (True, False)
    for name in ("shortlist", "shortlist.service"):  # a server that ran before has set up its own log
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    for now, text in ((2.0, f"[new]\nsha256 = '{new.decode()}'"), (3.0, None)):  # noqa: B007 - the clock reads it
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        with caplog.at_level(logging.ERROR, "shortlist.service"):
            assert ring.find(new) is not None
    assert caplog.text.count("the keys stay as they were") == 2
    assert new.decode() not in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[shop", "is not valid TOML"),
        ("shop = 3", "[shop]: expected a table"),
        ("['a b']", "a name has 1 to 64 letters"),
        (f"[a]\nsha256 = '{HASH}'", "[a] scopes: expected a list of some of read, write, admin"),
        (f"[a]\nsha256 = '{HASH}'\nscopes = ['raed']", "there is no 'raed'; did you mean 'read'?"),
        (f"[a]\nsha256 = '{HASH}'\nscopes = [['read']]", "there is no ['read']"),
        (f"[a]\nsha256 = '{HASH}'\nscopes = ['read']\ncreated = 'x'", "created: expected a date"),
        ("[a]\nsha256 = 'my-secret-key'\nscopes = ['read']", "sha256: expected the SHA-256 of the key"),
        ("[a]\nkey = 'my-secret-key'\nscopes = ['read']", "and no 'key'"),
        (
            f"[a]\nsha256='{HASH}'\nscopes=['read']\n[b]\nsha256='{HASH}'\nscopes=['read']",
            "two names have the same key",
        ),
        ("", "has no key. Make one: shortlist keys add"),
        (None, "Cannot read the keys"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "keys.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        Keyring(file)
    assert message in str(caught.value)
    assert "my-secret-key" not in str(caught.value)


def test_the_command_line(tmp_path: Path) -> None:
    file, run = tmp_path / "keys.toml", CliRunner()
    made = run.invoke(app, ["keys", "add", str(file), "--name", "shop", "--scopes", "read, write"])
    token = made.stdout.strip()
    assert made.exit_code == 0
    found = Keyring(file).find(token.encode())
    assert found is not None
    assert found.scopes == ("read", "write")
    other = json.loads(run.invoke(app, ["keys", "add", str(file), "--name", "me", "--json"]).stdout)
    assert (other["name"], other["scopes"]) == ("me", ["read"])
    listed = json.loads(run.invoke(app, ["keys", "list", str(file), "--json"]).stdout)
    assert [(one["name"], one["scopes"]) for one in listed] == [("shop", ["read", "write"]), ("me", ["read"])]
    assert "shop" in run.invoke(app, ["keys", "list", str(file)]).stdout
    assert run.invoke(app, ["keys", "remove", str(file), "--name", "shop"]).exit_code == 0
    assert [key.name for key in read_keys(file)] == ["me"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "--name", "me"], "has a key named 'me'"),
        (["add", "--name", "a.b"], "a name has 1 to 64 letters"),
        (["add", "--name", "you", "--scopes", "reed"], "did you mean 'read'?"),
        (["remove", "--name", "mee"], "did you mean 'me'?"),
    ],
)
def test_what_cannot_be_done_changes_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    file = tmp_path / "keys.toml"
    add_key(file, "me", ["read"])
    before = file.read_bytes()
    failed = CliRunner().invoke(app, ["keys", arguments[0], str(file), *arguments[1:]])
    assert isinstance(failed.exception, SettingsError)
    assert message in str(failed.exception)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["keys.toml"]


def test_two_writers_do_not_lose_a_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.with_name("keys.toml.part").touch()
    with pytest.raises(SettingsError, match="is being written by somebody else"):
        add_key(file, "me", ["read"])
    assert file.with_name("keys.toml.part").exists(), "it is the other's"
