"""Fitting models to data. The only room that knows models, losses and data at once."""

import ctypes
import os
import sys

# PyTorch's OpenMP threads spin while they wait for each other. Where another process wants a core too, every one of the
# thousands of small parallel regions of a step then waits for a time slice: a step of 35 ms took 130 to 700 ms on two
# shared cores, and 35 ms with waiting threads asleep. It must be set before PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _keep_freed_memory() -> None:
    """Let the C library keep what large tensors give back, in place of handing it to the system and asking for it anew.

    Every fresh page costs a fault: three passes over 84 MB took 237 ms, of which 66 are left where memory is used again.
    The C library of Linux knows how; elsewhere, or where the environment sets it otherwise, nothing changes.
    """
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # their numbers in malloc.h
        mallopt(mmap_threshold, 2**30)
        mallopt(trim_threshold, 2**31 - 1)


_keep_freed_memory()
