"""Folders written whole or not at all, and what stands in their manifest."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any


def sha256(file: Path) -> str:
    """Of a file, as the manifest has it."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write_json(path: Path, values: Any) -> None:
    """As all JSON files of an artifact are written."""
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8")


def exchange(part: Path, target: Path) -> None:
    """Put ``part`` in ``target``'s place; what stood there is then in ``part``."""
    if not target.exists():
        part.rename(target)
    elif not _swap(part, target):
        old = target.with_name(f".{target.name}.old-{os.getpid()}")
        target.rename(old)
        part.rename(target)
        shutil.rmtree(old)


def _swap(one: Path, other: Path) -> bool:
    """Swap two folders in one step, where the system can (Linux renameat2, macOS renamex_np)."""
    library, exchange = ctypes.CDLL(None), 2
    a, b, here = os.fsencode(one), os.fsencode(other), -100
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        return library.renameat2(here, a, here, b, exchange) == 0  # type: ignore[no-any-return]
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return library.renamex_np(a, b, exchange) == 0  # type: ignore[no-any-return]
    return False
