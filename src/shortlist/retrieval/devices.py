"""Where to search: on the CPU, or on a GPU, which needs PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

from shortlist.errors import SettingsError
from shortlist.retrieval.base import Index, Vectors

Device = Literal["auto", "cpu", "cuda"]


def index_on(device: Device) -> Callable[[Vectors], Index] | None:
    """What makes an exact index of vectors there; None: the CPU is to search as it always does.

    Args:
        device: ``auto`` is ``cuda`` where PyTorch is installed and sees a CUDA device.

    Raises:
        SettingsError: ``cuda`` is asked for and cannot be had; it says what is missing.
    """
    if device not in get_args(Device):
        raise SettingsError(f"device: expected {', '.join(get_args(Device))}, got {device!r}.")
    if device == "cpu":
        return None
    try:
        from shortlist.retrieval.torch_exact import TorchIndex, why_no_cuda

        missing = why_no_cuda()
        if missing is None:
            return partial(TorchIndex, device="cuda")
    except ImportError as error:
        missing = f"it needs PyTorch, which cannot be imported ({error}): `pip install 'shortlist[train]'`"
    if device == "cuda":
        raise SettingsError(f"device = cuda: {missing}. Or search on the CPU: device = cpu.")
    return None
