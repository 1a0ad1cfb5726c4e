"""API keys: a file of names, hashes and scopes. What a key is, is known to its holder alone."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import time
import tomllib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from shortlist.errors import SettingsError, did_you_mean

READ, WRITE, ADMIN = "read", "write", "admin"
SCOPES = (READ, WRITE, ADMIN)
LOG = logging.getLogger("shortlist.service")
_HEAD = "# API keys of shortlist serve. Only hashes are kept: a key that was lost is removed, and another one added.\n"
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Key:
    """What is kept of one key.

    Args:
        name: whose it is; letters, digits, ``_`` and ``-``.
        digest: SHA-256 of the key. A slow, salted hash is for passwords, which can be guessed. A key has 256 random
            bits: nobody goes through those, no table holds them, and a fast hash costs each request a microsecond.
        scopes: ``read`` and ``write`` allow nothing else, ``admin`` allows all.
        created: day it was made.
    """

    name: str
    digest: bytes
    scopes: tuple[str, ...]
    created: date | None = None

    def may(self, scope: str) -> bool:
        """Whether it has the scope.

        >>> shop = Key("shop", b"", ("write",))
        >>> shop.may("write"), shop.may("read"), Key("me", b"", ("admin",)).may("read")
        (True, False, True)
        """
        return scope in self.scopes or ADMIN in self.scopes


class Keyring:
    """The keys of a running service; the file is looked at once a second, so that a removed key soon counts no more.

    Args:
        path: file that `shortlist keys` writes.
        clock: seconds.

    Raises:
        SettingsError: the file cannot be used, or has no key.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self._clock = path, clock
        self._state, self._looked = _state(path), clock()
        self._keys = read_keys(path)
        if not self._keys:
            raise SettingsError(f"{path} has no key. Make one: shortlist keys add {path} --name NAME --scopes read")

    def find(self, token: bytes) -> Key | None:
        """The key that this is, or None. Takes the same time for any that is wrong, however nearly right."""
        self._look()
        digest = hashlib.sha256(token).digest()
        found = None
        for key in self._keys:  # all of them, always
            if hmac.compare_digest(digest, key.digest):
                found = key
        return found

    def _look(self) -> None:
        if self._clock() - self._looked < _LOOK_SECONDS:
            return
        self._looked = self._clock()
        state = _state(self.path)
        if state == self._state:
            return
        self._state = state
        try:
            self._keys = read_keys(self.path)
        except SettingsError as error:
            LOG.error("the keys stay as they were: %s", error)


def read_keys(path: Path) -> tuple[Key, ...]:
    """All keys of a file, in its order.

    Raises:
        SettingsError: names the key and what was expected, and never shows a value: it may be a key.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"Cannot read the keys in {path}: {error.strerror}. `shortlist keys add {path} --name NAME` makes the file; "
            "whoever runs the service must be its owner."
        ) from None
    except ValueError:  # not TOML, or not UTF-8
        raise SettingsError(f"{path} is not valid TOML. `shortlist keys add` writes such a file.") from None
    keys = tuple(_key(f"{path}: [{name}]", name, table) for name, table in document.items())
    if len({key.digest for key in keys}) < len(keys):
        raise SettingsError(f"{path}: two names have the same key. Give each its own: shortlist keys add.")
    return keys


def add_key(path: Path, name: str, scopes: Iterable[str]) -> str:
    """Make a key, keep its hash, and return it: it can never be shown again.

    Raises:
        SettingsError: the name is taken, a scope is unknown, or the file cannot be written.
    """
    token = secrets.token_urlsafe(32)
    key = _key("key", name, {"sha256": hashlib.sha256(token.encode()).hexdigest(), "scopes": list(scopes)})

    def added(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        if name in (one.name for one in keys):
            raise SettingsError(f"{path} has a key named {name!r}. Choose another name, or remove that one first.")
        return (*keys, Key(name, key.digest, key.scopes, date.today()))

    _change(path, added)
    return token


def remove_key(path: Path, name: str) -> None:
    """Forget a key; a running service does so within about a second.

    Raises:
        SettingsError: there is none of that name.
    """

    def removed(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        names = [one.name for one in keys]
        if name not in names:
            raise SettingsError(f"{path} has no key named {name!r}; {did_you_mean(name, names)}.")
        return tuple(one for one in keys if one.name != name)

    if not path.exists():
        read_keys(path)  # says what is wrong
    _change(path, removed)


def _key(where: str, name: str, table: Any) -> Key:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise SettingsError(f"{where}: a name has 1 to 64 letters, digits, _ and -, got {name[:80]!r}.")
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: expected a table with sha256 and scopes.")
    for field in table:
        if field not in ("sha256", "scopes", "created"):
            raise SettingsError(f"{where}: a key has sha256, scopes and created, and no {field!r}.")
    digest, scopes, created = table.get("sha256"), table.get("scopes"), table.get("created")
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise SettingsError(f"{where} sha256: expected the SHA-256 of the key, 64 hexadecimal digits.")
    if not isinstance(scopes, list) or not scopes:
        raise SettingsError(f"{where} scopes: expected a list of some of {', '.join(SCOPES)}.")
    for scope in scopes:
        if scope not in SCOPES:
            raise SettingsError(f"{where} scopes: there is no {scope!r}; {did_you_mean(str(scope), SCOPES)}.")
    if created is not None and not isinstance(created, date):
        raise SettingsError(f"{where} created: expected a date such as 2026-05-01.")
    return Key(name, bytes.fromhex(digest), tuple(scope for scope in SCOPES if scope in scopes), created)


def _change(path: Path, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
    """Write the file anew in one step. The new file's name is the lock: nobody else can make it meanwhile."""
    path = path.resolve()  # a link stays one
    part = path.with_name(path.name + ".part")
    try:
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SettingsError(f"{path} is being written by somebody else. If nobody does, delete {part}.") from None
    except OSError as error:
        raise SettingsError(f"Cannot write {path}: {error.strerror}. Check the folder and permissions.") from None
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(_HEAD + "".join(map(_toml, change(read_keys(path) if path.exists() else ()))))
            file.flush()
            os.fsync(file.fileno())
            if path.exists() and path.stat().st_uid != os.geteuid():
                os.fchown(file.fileno(), path.stat().st_uid, path.stat().st_gid)  # root changed it for a service
        os.replace(part, path)
    except OSError as error:
        raise SettingsError(f"Cannot write {path}: {error.strerror}. Check the disk and permissions.") from None
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _toml(key: Key) -> str:
    scopes = ", ".join(f'"{scope}"' for scope in key.scopes)
    created = "" if key.created is None else f"created = {key.created.isoformat()}\n"
    return f'\n[{key.name}]\nsha256 = "{key.digest.hex()}"\nscopes = [{scopes}]\n{created}'


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
