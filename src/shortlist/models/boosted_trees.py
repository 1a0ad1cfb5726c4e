"""The feature ranker the field uses most: gradient-boosted trees over features made by hand, answering with LightGBM.

Ke et al., *LightGBM*, NIPS 2017; with the gradients of ndcg, Burges, *From RankNet to LambdaRank to LambdaMART*, 2010. It has no
vectors of its own: what it knows of an item is what ``PairFeatures`` says of it, and its features. Saved as LightGBM's text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.features import (
    FIRST_VALUE,
    CategoryColumn,
    Column,
    NumberColumn,
    TagsColumn,
    VectorColumn,
)
from shortlist.data.queries import QueryBatch, column
from shortlist.data.ragged import Ragged
from shortlist.errors import SettingsError
from shortlist.models.calibration import Platt
from shortlist.models.deep_cross import blocks
from shortlist.models.pair_features import PairFeatures, standing

_PAIRS_AT_ONCE = 50_000
_MOST_TAGS = 32  # most frequent tags that are told apart


def lightgbm() -> Any:
    """The library, loaded on demand.

    Raises:
        SettingsError: it is not there.
    """
    try:
        import lightgbm as library
    except (ImportError, OSError) as error:
        raise SettingsError(
            f'[ranker] model = "boosted_trees" needs LightGBM, which cannot be loaded ({error}). Install shortlist[trees]; where '
            "libgomp or libomp is missing, that library of the system, too (Debian: libgomp1, macOS: brew install libomp)."
        ) from None
    return library


class TreeFeatures:
    """The columns trees split on: ``PairFeatures``, then the query's and the item's own features.

    Numbers and vectors as they are, a category as its code, of tags one column each for the 32 most frequent.

    Args:
        pair: of pairs.
    """

    def __init__(self, pair: PairFeatures) -> None:
        self.pair = pair
        names, categories = list(pair.names), []
        for spec in pair.schema:
            side = "item" if spec.side == "item" else "query"
            if spec.kind == "category":
                categories.append(len(names))
                names.append(f"{side}.{spec.name}")
            elif spec.kind in ("tags", "text"):
                values = spec.values or tuple(str(code) for code in range(spec.buckets))
                names += [f"{side}.{spec.name}.{value}" for value in values[:_MOST_TAGS]]
            elif spec.kind == "vector":
                names += [f"{side}.{spec.name}.{place}" for place in range(spec.width)]
            elif spec.kind == "number" and side == "query":  # an item's is a pair feature already
                names.append(f"{side}.{spec.name}")
        self.names, self.categories = names, categories

    def matrix(self, queries: QueryBatch, candidates: Ragged, stood: NDArray[np.float32]) -> NDArray[np.float32]:
        """[T, columns]; NaN where something is not known."""
        row, out = candidates.row_of_value, [self.pair.of(queries, candidates, stood)]
        for spec in self.pair.schema:
            if spec.side == "item":
                if spec.kind != "number":
                    out.append(
                        _columns(self.pair.item_features[spec.name], len(spec.values) or spec.buckets)[
                            candidates.values
                        ]
                    )
            elif spec.kind != "id":
                out.append(_columns(column(queries, spec), len(spec.values) or spec.buckets)[row])
        return np.concatenate(out, axis=1)


def _columns(values: Column, num_values: int) -> NDArray[np.float32]:
    """[R, columns] of one feature."""
    if isinstance(values, NumberColumn):
        return values.values[:, None]
    if isinstance(values, VectorColumn):
        return values.values
    if isinstance(values, CategoryColumn):
        return values.codes[:, None].astype(np.float32)
    assert isinstance(values, TagsColumn)
    width, codes = min(num_values, _MOST_TAGS), values.codes.values - FIRST_VALUE
    out = np.zeros((len(values.codes), width), dtype=np.float32)
    known = (codes >= 0) & (codes < width)
    out[values.codes.row_of_value[known], codes[known]] = 1
    return out


class BoostedTrees:
    """A trained ranker; its score is the calibrated probability that the candidate is among what the query takes next.

    Args:
        booster: LightGBM's.
        features: what its columns are.
        platt: of its raw score.
    """

    name = "boosted_trees"

    def __init__(self, booster: Any, features: PairFeatures, platt: Platt = Platt()) -> None:  # noqa: B008
        self.booster, self.features, self.platt = booster, features, platt
        self.columns = TreeFeatures(features)

    def score(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """See ``Ranker``; a number from 0 to 1."""
        return self.score_as(queries, candidates, standing(candidates, retrieved))

    def score_as(self, queries: QueryBatch, candidates: Ragged, stood: NDArray[np.float32]) -> NDArray[np.float32]:
        """``score`` of candidates that came out of retrieval as ``stood`` [T, 2] says (see ``standing``)."""
        raw = self.logits_as(queries, candidates, stood)[:, 0].astype(np.float64)
        return np.exp(self.platt.log_probability(raw)).astype(np.float32)

    def logits(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """[T, 1] sums over the trees, before calibration."""
        return self.logits_as(queries, candidates, standing(candidates, retrieved))

    def logits_as(self, queries: QueryBatch, candidates: Ragged, stood: NDArray[np.float32]) -> NDArray[np.float32]:
        """``logits`` of candidates that came out of retrieval as ``stood`` [T, 2] says (see ``standing``)."""
        out = np.zeros((len(candidates.values), 1), dtype=np.float32)
        for rows in blocks(candidates, _PAIRS_AT_ONCE):
            pairs = slice(candidates.offsets[rows[0]], candidates.offsets[rows[-1] + 1])
            if pairs.start == pairs.stop:
                continue
            matrix = self.columns.matrix(queries.take(rows), candidates.take(rows), stood[pairs])
            out[pairs, 0] = self.booster.predict(matrix, raw_score=True, num_threads=1)
        return out
