"""Where the feature ranker, its examples and its losses meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.ragged import Ragged
from shortlist.losses import listwise_softmax, masked_logistic
from shortlist.models.deep_cross import PairScale, ranker_inputs
from shortlist.models.deep_cross_network import DeepCrossNetwork
from shortlist.models.pair_features import PairFeatures
from shortlist.training.ranking_examples import RankingExamples


@dataclass(frozen=True, eq=False)
class RankingBatch:
    """B queries with C candidates at most.

    Args:
        inputs: the arrays of ``ranker_inputs``.
        labels: by target [B, C]; NaN where it is not known.
        targets: the taken ones, for who counts them.
    """

    inputs: Mapping[str, NDArray[Any]]
    labels: Mapping[str, NDArray[np.float32]]
    targets: Ragged

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, eq=False)
class Lesson:
    """One cut of the log.

    Args:
        examples: of its newer part.
        features: pair features with the statistics of its older part.
    """

    examples: RankingExamples
    features: PairFeatures


def thinned(examples: RankingExamples, num_negatives: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of the candidates a step looks at: all of which anything is known, and a few drawn from the rest of each query."""
    known = examples.labels["liked"] > 0
    for name, labels in examples.labels.items():
        known = known | (np.isfinite(labels) & (name != "liked"))
    row = examples.found.row_of_value
    key = np.where(known, -1.0, rng.random(len(row)))
    order = np.lexsort((key, row))
    place = np.arange(len(row)) - examples.found.offsets[row]  # of sorted ones: the rows stay where they are
    count = np.bincount(row, known, len(examples)).astype(np.int64)
    kept: NDArray[np.int64] = np.sort(order[place < (count + num_negatives)[row]])
    return kept


def part_of(examples: RankingExamples, rows: NDArray[np.int64]) -> RankingExamples:
    """Some of the queries."""
    pairs = Ragged(np.arange(len(examples.found.values)), examples.found.offsets).take(rows).values
    labels = {name: one[pairs] for name, one in examples.labels.items()}
    return RankingExamples(examples.queries.take(rows), examples.found.take(rows), examples.stood[pairs], labels)


class RankingObjective:
    """loss = that of ``liked`` + the logistic loss of every further target on the candidates of which it is known.

    Args:
        network: gives the logits.
        lessons: learned from.
        scale: of pair features.
        specs: the query's features.
        num_negatives: drawn anew each time from the candidates that a query did not take.
        loss: of ``liked``.
    """

    in_pieces = True

    def __init__(
        self,
        network: DeepCrossNetwork,
        lessons: Sequence[Lesson],
        scale: PairScale,
        specs: tuple[FeatureSpec, ...],
        num_negatives: int,
        loss: Literal["softmax", "logistic"],
    ) -> None:
        self.network, self.lessons, self.scale = network, tuple(lessons), scale
        self.specs, self.num_negatives, self.kind = specs, num_negatives, loss

    def __len__(self) -> int:
        """Targets of an epoch."""
        return int(sum(one.examples.labels["liked"].sum() for one in self.lessons))

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[RankingBatch]:
        """All queries once, in random order; those of a batch are of one lesson."""
        batches = []
        for lesson in self.lessons:
            order = rng.permutation(len(lesson.examples))
            batches += [(lesson, order[begin : begin + batch_size]) for begin in range(0, len(order), batch_size)]
        for number in rng.permutation(len(batches)):
            lesson, rows = batches[number]
            yield self.batch(lesson, rows, rng)

    def batch(self, lesson: Lesson, rows: NDArray[np.int64], rng: np.random.Generator) -> RankingBatch:
        """The network's inputs for some queries, with few of the candidates they did not take."""
        part = part_of(lesson.examples, rows)
        kept = thinned(part, self.num_negatives, rng)
        row = part.found.row_of_value[kept]
        some = Ragged.from_row_of_value(part.found.values[kept], row, len(part))
        inputs = ranker_inputs(part.queries, some, part.stood[kept], lesson.features, self.scale, self.specs)
        width, place = inputs["candidates"].shape[1], np.arange(len(kept)) - some.offsets[row]
        labels = {}
        for name, values in part.labels.items():
            labels[name] = np.full((len(part), width), np.nan, dtype=np.float32)
            labels[name][row, place] = values[kept]
        return RankingBatch(inputs, labels, some.where(part.labels["liked"][kept] > 0))

    def mass(self, batch: RankingBatch) -> float:
        """What a batch weighs in a mean over several."""
        return float(len(batch))

    def loss(self, batch: RankingBatch) -> Tensor:
        """Mean loss of one batch, a scalar."""
        device = self.network.retrieval.device
        logits = self.network({name: torch.from_numpy(one).to(device) for name, one in batch.inputs.items()})
        total = torch.zeros((), device=device)
        for column, values in enumerate(batch.labels.values()):
            labels = torch.from_numpy(values).to(device)
            known = torch.isfinite(labels)
            if column == 0 and self.kind == "softmax":
                total = total + listwise_softmax(logits[:, :, 0], labels > 0, known)
            else:
                total = total + masked_logistic(logits[:, :, column], labels, known)
        return total
