"""Training needs packages that serving does not."""

from __future__ import annotations

from importlib.util import find_spec

from shortlist.errors import TrainingError


def require_training_packages() -> None:
    """Say what is missing before anything heavy is tried.

    Raises:
        TrainingError: names the packages and the command that installs them.
    """
    missing = [name for name in ("torch", "numba", "onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise TrainingError(
            f"Training needs packages that are not installed: {', '.join(missing)}. Install them with "
            "`pip install 'shortlist[train]'`. A trained artifact is served without them."
        )
