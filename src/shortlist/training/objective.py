"""Where model, targets and loss meet; nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.ragged import is_among
from shortlist.losses import full_softmax
from shortlist.models.network import NetworkRetriever
from shortlist.training.batches import Examples, TrainingBatch
from shortlist.training.target_smoothing import TargetSmoothing

_LARGE_TABLE = 2**22  # numbers: 65,536 items of 64


class SoftmaxObjective:
    """Cross-entropy of the softmax over the corpus against the normalised multi-hot of what came next.

    Args:
        model: gives the logits.
        examples: give the batches.
        remove_seen: whether items a query has already leave its softmax, as they leave its candidates.
        target_weight: what weighs the same in the mean: a ``query``, or an ``item`` of a target.
        targets_apart: whether each target is compared with what its query has not, its other targets left out.
        smoothing: lends part of the targets' weight to their neighbours; None: none.
    """

    def __init__(
        self,
        model: NetworkRetriever,
        examples: Examples,
        *,
        remove_seen: bool,
        target_weight: Literal["query", "item"] = "query",
        targets_apart: bool = False,
        smoothing: TargetSmoothing | None = None,
    ) -> None:
        self.model, self.examples, self.remove_seen = model, examples, remove_seen
        self.target_weight, self.targets_apart, self.smoothing = target_weight, targets_apart, smoothing
        # an accelerator is one; and of large tables, or over a graph, pieces repeat more than they share out
        table = model.num_items * model.query.settings.embedding_dim
        self.in_pieces = model.device.type == "cpu" and model.graph is None and table < _LARGE_TABLE

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[TrainingBatch]:
        """The batches of one epoch."""
        return self.examples.epoch(batch_size, rng)

    def mass(self, batch: TrainingBatch) -> float:
        """What a batch weighs in a mean over several."""
        return batch.mass(self.target_weight)

    def loss(self, batch: TrainingBatch) -> Tensor:
        """Mean loss of one batch, a scalar."""
        model, targets = self.model, batch.targets
        rows, items = targets.row_of_value, targets.values.astype(np.int64)
        weights, forbidden = batch.weights(self.target_weight), self._forbidden(batch)
        if self.smoothing is not None:
            # what stands apart is compared with what is allowed, also where it is not allowed itself
            cannot = None if self.targets_apart else forbidden
            rows, items, weights = self.smoothing.spread(targets, weights, cannot)
        vectors, bias = model.softmax_layer()
        return full_softmax(
            model(model.inputs(batch.queries)),
            vectors,
            bias,
            self._tensor(rows),
            self._tensor(items),
            self._tensor(weights),
            None if forbidden is None else self._tensor(forbidden),
            targets_apart=self.targets_apart,
        )

    def _forbidden(self, batch: TrainingBatch) -> NDArray[np.int64] | None:
        """Positions b·N + i that leave the softmax of query b."""
        if not self.remove_seen:
            return None
        num_items, targets = self.model.num_items, batch.targets
        seen: NDArray[np.int64] = batch.seen.row_of_value * num_items + batch.seen.values
        if self.targets_apart:
            return np.append(seen, targets.row_of_value * num_items + targets.values)
        if self.examples.has_repeats:  # what is seen and target at once keeps its probability
            return seen[~is_among(seen, targets.row_of_value * num_items + targets.values)]
        return seen

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.model.device)
