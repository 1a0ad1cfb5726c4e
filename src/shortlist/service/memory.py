"""Memory of a server: what stays is not looked through again and again, what an old artifact leaves goes back."""

from __future__ import annotations

import ctypes
import gc
import sys


def settle() -> None:
    """All that is held now will stay: Python's collector need not look at it again.

    A full collection of the demo's 180,000 objects stops every answer for a tenth of a second; without them it takes less than a
    millisecond (docs/LOG.md). For a process that serves and does nothing else.
    """
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """After an artifact was exchanged: hand its memory to the system.

    The C library of Linux keeps what was freed, for each of a server's threads apart. After 36 reloads of the demo a process held
    393 MB, and 306 MB where this followed each of them (docs/LOG.md). Elsewhere the system sees to that itself.
    """
    if gc.get_freeze_count():
        gc.unfreeze()
        settle()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # other C libraries have none
        trim(0)
