"""How the workers of one server tell each other that there is a new artifact: by files in a folder of theirs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

_POLL_SECONDS, _PATIENCE_SECONDS = 0.25, 120.0


class Peers:
    """The workers of one server, which share a folder: each writes down which reload it has followed.

    Args:
        folder: empty at the start of the server.
        count: workers.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self._server = os.getppid()
        self._mine = folder / f"worker-{os.getpid()}"
        self._done = self._asked()
        self._say(self._done)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def answer_with(self, follow: Callable[[], bool]) -> None:
        """Call ``follow`` whenever another worker announces; and end this one when the server is no more."""

        def watch() -> None:
            while not self._ended.wait(_POLL_SECONDS):
                if os.getppid() != self._server:  # killed: who starts it again needs the port
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                asked = self._asked()
                if asked > self._done:
                    succeeded = follow()
                    self._done = max(self._done, asked)
                    self._say(asked if succeeded else -asked)

        self._thread = threading.Thread(target=watch, name="shortlist-peers", daemon=True)
        self._thread.start()

    def announce(self) -> dict[str, int]:
        """Tell the others that this one switched, and wait until they have, too."""
        asked = self._done = self._asked() + 1
        self._say(asked)
        _write(self.folder / "asked", asked)
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            said = [_read(file) for file in self.folder.glob("worker-*") if file != self._mine]
            if sum(abs(one) >= asked for one in said) >= self.count - 1:
                break
            time.sleep(_POLL_SECONDS / 4)
        switched = sum(one >= asked for one in said)
        return {"switched": switched, "failed": max(0, self.count - 1 - switched)}

    def close(self) -> None:
        """No longer one of them."""
        self._ended.set()
        self._mine.unlink(missing_ok=True)

    def _asked(self) -> int:
        return _read(self.folder / "asked")

    def _say(self, number: int) -> None:
        _write(self._mine, number)


def _read(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _write(file: Path, number: int) -> None:
    part = file.with_name(f".{file.name}-{os.getpid()}")
    part.write_text(str(number))
    part.replace(file)
