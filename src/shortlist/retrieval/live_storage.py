"""A live corpus as a folder: arrays that are mapped into memory, and the clusters where there are some."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from shortlist.errors import ArtifactError
from shortlist.retrieval.ann import AnnIndex
from shortlist.retrieval.effort import Effort
from shortlist.retrieval.exact import ExactIndex
from shortlist.retrieval.live_state import LiveState

_ARRAYS = ("hidden", "vectors", "items", "dead", "gone")


def save_state(state: LiveState, folder: Path) -> None:
    """Write a folder whole, and only then put it into the place of the one that is there."""
    base = state.base
    if not isinstance(base, ExactIndex | AnnIndex):
        raise ArtifactError(
            f"A live index is saved with an exact or approximate base; this one has {type(base).__name__}."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.part-", dir=folder.parent))
    old = part.with_name(f"{part.name}-old")
    try:
        np.save(part / "base.npy", base.item_vectors)
        for name in _ARRAYS:
            np.save(part / f"{name}.npy", getattr(state, name))
        effort = None
        if isinstance(base, AnnIndex):
            base.save(part)
            effort = base.effort.to_dict()
        config = {"num_items": state.num_items, "effort": effort}
        (part / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def load_state(folder: Path) -> tuple[LiveState, ExactIndex | AnnIndex]:
    """Read it back; vectors stay on disk until they are looked at.

    Raises:
        ArtifactError: there is nothing, or it cannot be read.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("base", *_ARRAYS)}
    except (OSError, ValueError) as error:
        raise ArtifactError(f"The live index {folder} cannot be read ({error}). Build it anew.") from None
    vectors = np.asarray(arrays.pop("base"))
    base: ExactIndex | AnnIndex = ExactIndex(vectors)
    if config["effort"] is not None:
        base = AnnIndex.load(folder, vectors, Effort.from_dict(config["effort"]))
    rest = {name: np.asarray(one) for name, one in arrays.items()}
    return LiveState(base=base, num_items=config["num_items"], **rest), base
