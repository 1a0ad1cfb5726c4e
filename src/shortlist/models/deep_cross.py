"""The feature ranker, answering with NumPy and a network that is given: PyTorch's while training, ONNX Runtime's while serving.

``shortlist.models.deep_cross_network`` is the network. It foretells, of each candidate of a query,

    liked      that it is among what the query takes next
    disliked   that, if it is taken, it is disliked
    value      what value it then gets, from 0 to 1

and the score is  p(liked)^a · (1 − p(disliked))^b · value^c  with the exponents of ``[ranker.targets]``: a product, so that no
target's scale matters, and with b = c = 0 and a = 1 the score is the calibrated probability itself. p(liked) is calibrated by
``Platt`` on validation candidates, because its network has learned from a part of the others only; the rest are trained on
all that is known of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.queries import QueryBatch, network_inputs
from shortlist.data.ragged import Ragged
from shortlist.models.calibration import Platt, log_sigmoid
from shortlist.models.pair_features import PairFeatures, standing

_PAIRS_AT_ONCE = 8192
_LARGEST = 5.0  # standard deviations beyond which a pair feature says no more
Network = Callable[[dict[str, NDArray[Any]]], NDArray[np.float32]]


@dataclass(frozen=True)
class Combination:
    """How targets make a score.

    Args:
        exponents: by target, in the network's order; ``liked`` first.
        platt: of the logit of ``liked``.
    """

    exponents: Mapping[str, float] = field(default_factory=lambda: {"liked": 1.0})
    platt: Platt = field(default_factory=Platt)

    def score(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """[T] from logits [T, targets].

        >>> Combination({"liked": 1, "disliked": 1}).score(np.float32([[0, 0], [0, -100]])).tolist()
        [0.25, 0.5]
        """
        total = np.zeros(len(logits))
        for column, (target, exponent) in enumerate(self.exponents.items()):
            logit = logits[:, column].astype(np.float64)
            if target == "liked":
                total += exponent * self.platt.log_probability(logit)
            else:
                total += exponent * log_sigmoid(-logit if target == "disliked" else logit)
        return np.exp(total).astype(np.float32)


@dataclass(frozen=True, eq=False)
class PairScale:
    """Mean and deviation [F] of every pair feature, on what the network learned from."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def of(cls, features: NDArray[np.float32]) -> PairScale:
        """Of [T, F]; what is unknown everywhere, or always the same, is left at 0."""
        known = np.isfinite(features)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, features, 0).sum(axis=0, dtype=np.float64) / count
        std = np.sqrt((np.where(known, features - mean, 0) ** 2).sum(axis=0) / count)
        return cls(mean.astype(np.float32), np.where(std > 1e-6, std, 1e6).astype(np.float32))

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardised and clipped; 0 where unknown."""
        scaled: NDArray[np.float32] = np.nan_to_num((features - self.mean) / self.std, nan=0.0)
        return np.clip(scaled, -_LARGEST, _LARGEST)


def ranker_inputs(
    queries: QueryBatch,
    candidates: Ragged,
    stood: NDArray[np.float32],
    features: PairFeatures,
    scale: PairScale,
    specs: Sequence[FeatureSpec],
) -> dict[str, NDArray[Any]]:
    """The arrays the network takes; the same while training and while serving.

    Returns:
        Those of ``network_inputs``; ``candidates`` [B, C] int64, item index + 1, 0 where there is none; ``pair`` [B, C, F]
        float32, standardised pair features, 0 where there is none.
    """
    inputs = network_inputs(queries, specs, features.max_history)
    width = max(1, int(candidates.lengths.max(initial=1)))
    inputs["candidates"] = Ragged(candidates.values + 1, candidates.offsets).padded(width, fill=0).astype(np.int64)
    pair = np.zeros((len(queries), width, len(features.names)), dtype=np.float32)
    place = np.arange(len(candidates.values)) - candidates.offsets[candidates.row_of_value]
    pair[candidates.row_of_value, place] = scale(features.of(queries, candidates, stood))
    return inputs | {"pair": pair}


class DeepCross:
    """A trained feature ranker.

    Args:
        network: ``ranker_inputs`` → logits [B, C, targets].
        features: of pairs.
        scale: of those.
        specs: the query's features.
        combination: of the targets.
    """

    name = "deep_cross"

    def __init__(
        self,
        network: Network,
        features: PairFeatures,
        scale: PairScale,
        specs: Sequence[FeatureSpec],
        combination: Combination,
    ) -> None:
        self.network, self.features, self.scale = network, features, scale
        self.specs, self.combination = tuple(specs), combination

    def score(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """See ``Ranker``; a number from 0 to 1."""
        return self.score_as(queries, candidates, standing(candidates, retrieved))

    def score_as(self, queries: QueryBatch, candidates: Ragged, stood: NDArray[np.float32]) -> NDArray[np.float32]:
        """``score`` of candidates that came out of retrieval as ``stood`` [T, 2] says (see ``standing``)."""
        return self.combination.score(self.logits_as(queries, candidates, stood))

    def logits(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """[T, targets], before calibration."""
        return self.logits_as(queries, candidates, standing(candidates, retrieved))

    def logits_as(self, queries: QueryBatch, candidates: Ragged, stood: NDArray[np.float32]) -> NDArray[np.float32]:
        """``logits`` of candidates that came out of retrieval as ``stood`` [T, 2] says (see ``standing``)."""
        out = np.zeros((len(candidates.values), len(self.combination.exponents)), dtype=np.float32)
        for rows in blocks(candidates, _PAIRS_AT_ONCE):
            pairs = slice(candidates.offsets[rows[0]], candidates.offsets[rows[-1] + 1])
            if pairs.start == pairs.stop:
                continue
            part = candidates.take(rows)
            inputs = ranker_inputs(queries.take(rows), part, stood[pairs], self.features, self.scale, self.specs)
            out[pairs] = self.network(inputs)[inputs["candidates"] > 0]
        return out


def blocks(candidates: Ragged, pairs: int) -> Iterator[NDArray[np.int64]]:
    """Consecutive rows, as many at once as have so many cells when they are padded; at least one."""
    size = max(1, pairs // max(1, int(candidates.lengths.max(initial=1))))
    for start in range(0, len(candidates), size):
        yield np.arange(start, min(start + size, len(candidates)))
