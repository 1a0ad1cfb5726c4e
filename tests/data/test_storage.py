from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.data.storage import load_saved_dataset, save_dataset
from shortlist.settings import Settings


def test_saved_equals_loaded(world: Dataset, tmp_path: Path) -> None:
    save_dataset(world, tmp_path)
    loaded = load_saved_dataset(tmp_path)
    assert loaded.fingerprint == world.fingerprint
    assert loaded.schema == world.schema
    assert loaded.summary == world.summary
    assert loaded.display.equals(world.display)
    assert (loaded.user_features["town"].codes == world.user_features["town"].codes).all()  # type: ignore[union-attr]


def test_context_of_every_kind_comes_back(tmp_path: Path) -> None:
    log = pa.table({"user_id": [1, 1], "item_id": [1, 2], "h": ["a", None], "n": [1.0, None], "t": ["x|y", ""]})
    kinds = {"h": {"kind": "category"}, "n": {"kind": "number"}, "t": {"kind": "tags"}}
    data = prepare(log, features=Settings.from_dict({"features": {"context": kinds}}).features)
    save_dataset(data, tmp_path)
    mine, loaded = data.interactions.context, load_saved_dataset(tmp_path).interactions.context
    assert np.array_equal(mine["h"].codes, loaded["h"].codes)  # type: ignore[union-attr]
    assert np.array_equal(mine["n"].values, loaded["n"].values, equal_nan=True)  # type: ignore[union-attr]
    assert mine["t"].codes.padded(2, -1).tolist() == loaded["t"].codes.padded(2, -1).tolist()  # type: ignore[union-attr]
