"""Going on from an artifact: its weights for what it knows, fresh ones for what is new.

The data named by the settings is the whole data of the new artifact, such as a log that has grown: what is no longer in
it is no longer recommended. A network's weights are carried over row by row, by item id and by feature value; the
optimizer starts anew. There are two sets of them: those selected on validation, which never saw the validation part,
are where selection goes on from; those fitted anew on both parts are where the last fit goes on from. Matrix
factorization alternates from the known items' vectors. Other models are computed from the data in one go: they are fitted
anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.feature_bags import num_values
from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import FIRST_VALUE
from shortlist.encoders.feature_encoder import module_key
from shortlist.errors import ArtifactError, SettingsError
from shortlist.models.network import NetworkRetriever
from shortlist.recommender import artifact
from shortlist.settings import Settings
from shortlist.training.export import SELECTED, WEIGHTS

# what decides the shape or the meaning of weights
_STRUCTURE = (
    "model",
    "embedding_dim",
    "hidden_dims",
    "history",
    "history_blocks",
    "history_heads",
    "history_windows",
    "history_exponent",
    "history_alone",
    "history_damping",
    "item_graph",
    "item_features",
    "item_ids",
    "item_hidden_dims",
    "tied",
    "similarity",
)
_FEATURE_STRUCTURE = ("kind", "transform", "buckets")
_ITEM_ROWS = ("items.free", "history_items.free", "item_base.free", "item_bias")
_ITEM_VALUES = ("items.values", "history_items.values", "item_base.values")


def continued_settings(folder: Path, config: Path | None, overrides: Sequence[str] = ()) -> Settings:
    """The artifact's settings, with those of ``config`` and then the overrides over them.

    Raises:
        ArtifactError: there is no artifact.
        SettingsError: a setting is wrong, or means another network than the artifact's; names the field.
    """
    base = Settings.from_dict(artifact.read_manifest(folder)["settings"])
    settings = base.overlaid(config, overrides)
    for field in _STRUCTURE:
        expected, got = (getattr(one.retriever, field, None) for one in (base, settings))
        if expected != got:
            _refuse(folder, f"[retriever] {field}", _shown(expected), _shown(got))
    for side in ("user", "item", "context"):
        known, given = getattr(base.features, side), getattr(settings.features, side)
        for name in [*known, *(name for name in given if name not in known)]:
            one, other = known.get(name), given.get(name)
            where = f"[features.{side}.{name}]"
            if one is None or other is None:
                _refuse(folder, where, "none" if one is None else "one", "none" if other is None else "one")
            for field in (*_FEATURE_STRUCTURE, *(("max_values",) if one.kind == "text" else ())):
                if getattr(one, field) != getattr(other, field):
                    _refuse(folder, f"{where} {field}", _shown(getattr(one, field)), _shown(getattr(other, field)))
    return settings


def _shown(value: object) -> str:
    return "none" if value is None else json.dumps(value)


def _refuse(folder: Path, field: str, expected: str, got: str) -> None:
    raise SettingsError(
        f"--from {folder}: {field}: expected {expected}, as in the artifact, got {got}. Weights fit the network they were "
        "learned by: leave the setting as it was, or train anew without --from."
    )


@dataclass(frozen=True, eq=False)
class Start:
    """An artifact to go on from, beside the data set to go on with.

    Args:
        folder: of the artifact.
        settings: of the artifact.
        known: its data set.
        dataset: the new one, whose features keep the codes and scales of the known ones.
    """

    folder: Path
    settings: Settings
    known: Dataset
    dataset: Dataset

    @cached_property
    def item_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the items that both know: in the new data set, in the known one."""
        rows = self.known.items.rows(self.dataset.items.ids.to_pylist()).astype(np.int64)
        mine = np.flatnonzero(rows >= 0)
        return mine, rows[mine]

    @cached_property
    def fingerprint(self) -> str:
        """Of the artifact: its files' hashes."""
        return json.dumps(artifact.read_manifest(self.folder)["files"], sort_keys=True)

    def about(self) -> str:
        """One sentence for the report."""
        kept, old, new = len(self.item_rows[0]), self.known.num_items, self.dataset.num_items
        said = f"Training went on from {self.folder.name}: it knew {kept:,} of the {new:,} items"
        return f"{said}; {old - kept:,} of its {old:,} are no longer in the data." if old > kept else f"{said}."

    def item_vectors(self) -> NDArray[np.float32]:
        """[N, D] the artifact's item vectors in the order of the new data set; NaN for new items."""
        saved = np.load(self.folder / "retriever" / "item_vectors.npy")
        vectors = np.full((self.dataset.num_items, saved.shape[1]), np.nan, dtype=np.float32)
        mine, theirs = self.item_rows
        vectors[mine] = saved[theirs]
        return vectors

    def carry_over(self, model: NetworkRetriever, *, selected: bool) -> None:
        """Give a fresh network the artifact's weights; rows of new items and values stay as they are.

        Args:
            model: made for the new data set with the artifact's structure.
            selected: those selected on validation, not those fitted anew after it.

        Raises:
            ArtifactError: a weight is missing or of another shape.
        """
        file = self.folder / "retriever" / (SELECTED if selected else WEIGHTS)
        # without a fit after selection the two are the same
        weights = load_file(file if file.is_file() else file.with_name(WEIGHTS))
        with torch.no_grad():
            for name, mine in model.state_dict().items():
                if name == "item_counts":  # of the data, not learned
                    continue
                if name not in weights:
                    raise ArtifactError(f"{file} lacks the weight {name}. Train anew without --from.")
                self._copy(name, mine, weights[name])

    def _copy(self, name: str, mine: Tensor, theirs: Tensor) -> None:
        rows = self._rows(name)
        if rows is None and mine.shape == theirs.shape:
            mine.copy_(theirs)
        elif rows is not None and mine.shape[1:] == theirs.shape[1:]:
            new, old = (torch.from_numpy(one).to(mine.device) for one in rows)
            mine.index_copy_(0, new, theirs.to(mine.device)[old])
        else:
            raise ArtifactError(
                f"--from {self.folder}: the weight {name}: expected the shape {list(mine.shape)}, got {list(theirs.shape)}. "
                "Train anew without --from."
            )

    def _rows(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Rows of a weight to be written and to be read; None: it has no rows by id or value."""
        mine, theirs = self.item_rows
        if name in _ITEM_ROWS:
            return mine, theirs
        if name == "query.disliked_items":  # row 0 pads
            return np.append(0, mine + 1), np.append(0, theirs + 1)
        new, old = self.dataset.schema, self.known.schema
        if name in _ITEM_VALUES:
            return _code_rows(new.side("item"), old.side("item"))
        for fitted, known in zip(new.query, old.query, strict=True):
            key = module_key(fitted.name)
            if name in (f"query.features.tables.{key}.weight", f"query.people.{key}.weight"):
                return _code_rows([fitted], [known])
        return None


def _code_rows(new: Sequence[FeatureSpec], old: Sequence[FeatureSpec]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the codes that both know, in tables with the codes of all features one after the other."""
    mine, theirs, first, known_first = [], [], 0, 0
    for fitted, known in zip(new, old, strict=True):
        if fitted.values:
            codes = np.arange(FIRST_VALUE + len(known.values))  # ``grown`` keeps them
        else:
            codes = np.arange(num_values(known))
        mine.append(first + codes)
        theirs.append(known_first + codes)
        first, known_first = first + num_values(fitted), known_first + num_values(known)
    return np.concatenate(mine), np.concatenate(theirs)
