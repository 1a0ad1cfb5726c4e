"""Training against a sample of the corpus: where a softmax over all of it is too wide, or another loss is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import SettingsError
from shortlist.losses import (
    binary_cross_entropy,
    bpr,
    bpr_max,
    calibrated_beta,
    cosine_contrastive,
    owned,
    sampled_softmax,
)
from shortlist.models.network import NetworkRetriever
from shortlist.negatives import HardCache, InBatch, Mixed, Negatives, Popularity, Uniform, hardest
from shortlist.settings import NetworkSettings
from shortlist.training.batches import Examples, TrainingBatch

_POOL = 8  # items scored for each that is kept, where hard negatives are wanted


class SampledObjective:
    """Every (query, target) record against negatives; a query's records share its weight, or have one each.

    ``sampled_softmax`` and ``in_batch`` take negatives that all queries of a batch share, corrected by log q; ``contrastive``
    shares them, too, uncorrected; ``bce``, ``bpr``, ``bpr_max``, and ``contrastive`` where they are to be hard, take some of
    each query's own. None is what the query has. In-batch negatives are
    the batch's own targets, mixed with uniform ones where ``num_negatives`` says so. The target itself is not
    corrected: it is there for certain, however rare, so that the loss is an estimate of the whole corpus's softmax
    (unlike Yi et al. 2019, who divide it by its own q, too, and so leave rare targets almost without gradient).

    The scores of ``bce`` are log-odds beyond those of any label, log(β/S): a network that knows nothing yet is right on
    average. Else the first it learns is that most labels are negative, by the only means a product of two vectors has: all
    of one side point away from all of the other, and what tells them apart drowns. Lin et al., *Focal Loss*, ICCV 2017, start
    the bias of a detector so.

    Args:
        model: gives query vectors and the weights and bias of the logits.
        examples: give the batches.
        settings: loss, negatives and their number.
        counts: [N] how often each item is a target.
        remove_seen: whether what a query has already is no negative of it, as it leaves its candidates.

    Raises:
        SettingsError: ``contrastive`` without cosine similarity: what is trained would not be what is searched.
    """

    in_pieces = False  # negatives are shared by a batch, and drawn from one generator

    def __init__(
        self,
        model: NetworkRetriever,
        examples: Examples,
        settings: NetworkSettings,
        counts: NDArray[Any],
        *,
        remove_seen: bool,
    ) -> None:
        if settings.loss == "contrastive" and getattr(settings, "similarity", "dot") != "cosine":
            raise SettingsError(
                '[retriever] loss = "contrastive" compares by the cosine: set model = "two_tower" and similarity = "cosine".'
            )
        self.model, self.examples, self.settings, self.remove_seen = model, examples, settings, remove_seen
        self.rng = np.random.default_rng(0)
        popular = settings.negatives == "popularity"
        self.sampler = Popularity(counts, settings.negatives_power) if popular else Uniform(len(counts))
        self.cache: HardCache | None = None
        self.in_batch = InBatch(counts) if settings.num_negatives == 0 else Mixed(counts, settings.num_negatives)

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[TrainingBatch]:
        """The batches of one epoch; the same generator draws their negatives.

        Hard ones are kept for an epoch, so that a run that was interrupted between two goes on as if it had not been.
        """
        self.rng = rng
        if self.settings.hard_negatives == "cache":
            number = self.settings.num_negatives
            self.cache = HardCache(self.sampler, self.examples.train.num_users, 2 * number, _POOL * number)
        return self.examples.epoch(batch_size, rng)

    def mass(self, batch: TrainingBatch) -> float:
        """What a batch weighs in a mean over several."""
        return batch.mass(self.settings.target_weight)

    def loss(self, batch: TrainingBatch) -> Tensor:
        """Mean loss of one batch, a scalar."""
        targets, model = batch.targets, self.model
        rows = self._tensor(targets.row_of_value)
        weights = self._tensor(batch.weights(self.settings.target_weight))
        query = model(model.inputs(batch.queries))
        own = targets.concat_rows(batch.seen) if self.remove_seen else targets
        if self.settings.loss in ("sampled_softmax", "in_batch"):
            return self._softmax(query, rows, weights, targets, own)
        (vectors, bias), items = model.softmax_layer(), self._tensor(targets.values.astype(np.int64))
        if self.settings.loss == "contrastive" and self.settings.hard_negatives == "none":
            negatives = self._tensor(self._shared(targets.values).item_idx)
            absent = owned(*self._pairs(own), negatives, len(query))
        else:
            negatives, absent = self._tensor(self._of_each_query(batch.user_idx, own, query, vectors, bias)), None
        if self.settings.loss == "contrastive":
            return cosine_contrastive(
                query,
                vectors[items],
                vectors[negatives],
                margin=self.settings.margin,
                negative_weight=self.settings.negative_weight,
                rows=rows,
                absent=absent,
                weights=weights,
            )
        positive = (query[rows] * vectors[items]).sum(dim=1) + bias[items]
        negative = (torch.einsum("bd,bsd->bs", query, vectors[negatives]) + bias[negatives])[rows]
        if self.settings.loss == "bce":
            number = self.settings.num_negatives
            beta = calibrated_beta(number, model.num_items, self.settings.calibration)
            prior = float(np.log(beta / number))
            return binary_cross_entropy(positive + prior, negative + prior, beta=beta, weights=weights)
        return (bpr if self.settings.loss == "bpr" else bpr_max)(positive, negative, weights=weights)

    def _of_each_query(
        self, user_idx: NDArray[Any], own: Ragged, query: Tensor, vectors: Tensor, bias: Tensor
    ) -> NDArray[np.int64]:
        """[B, S] items of the corpus that the queries do not have, scored by the model as it is where hard ones are wanted."""
        number = self.settings.num_negatives

        def score(item_idx: NDArray[np.int64]) -> NDArray[Any]:
            items = self._tensor(item_idx)
            with torch.no_grad():
                return (torch.einsum("bd,bsd->bs", query, vectors[items]) + bias[items]).cpu().numpy()

        if self.settings.hard_negatives == "pool":
            pool = self.sampler.per_query(own, _POOL * number, self.rng)
            return hardest(pool, score(pool.item_idx), number).item_idx
        if self.cache is not None:
            self.cache.refresh(user_idx, own, score, self.rng)
            return self.cache.per_query(user_idx, own, number, self.rng).item_idx
        return self.sampler.per_query(own, number, self.rng).item_idx

    def _softmax(self, query: Tensor, rows: Tensor, weights: Tensor, targets: Ragged, own: Ragged) -> Tensor:
        drawn = _merged(self._shared(targets.values), corrected=self.settings.log_q)
        items, negatives = self._tensor(targets.values.astype(np.int64)), self._tensor(drawn.item_idx)
        # looked up together: the gradient of each look-up is a table as large as the corpus
        vectors, bias = self.model.softmax_layer(torch.cat([items, negatives]))
        num = len(items)
        return sampled_softmax(
            query,
            vectors[:num],
            vectors[num:],
            rows=rows,
            positive_bias=bias[:num],
            negative_bias=bias[num:],
            negative_log_q=self._tensor(drawn.log_q),
            absent=owned(*self._pairs(own), negatives, len(query)),
            weights=weights,
        )

    def _shared(self, positives: NDArray[Any]) -> Negatives:
        if self.settings.loss != "in_batch":
            return self.sampler.shared(self.settings.num_negatives, self.rng)
        return (
            self.in_batch.shared(positives)
            if isinstance(self.in_batch, InBatch)
            else self.in_batch.shared(positives, self.rng)
        )

    def _pairs(self, own: Ragged) -> tuple[Tensor, Tensor]:
        return self._tensor(own.row_of_value), self._tensor(own.values.astype(np.int64))

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.model.device)


def _merged(drawn: Negatives, *, corrected: bool) -> Negatives:
    """Every drawn item once, with the log q that gives the sum of the sample: m draws of one item weigh m / (q · S).

    A batch holds the popular items many times: its logits are formed once an item, not once a draw.

    >>> twice = Negatives(np.array([7, 3, 7]), np.log([0.5, 0.25, 0.5]))
    >>> once = _merged(twice, corrected=True)
    >>> once.item_idx.tolist(), (1 / (2 * np.exp(once.log_q, dtype=float))).round(3).tolist()  # 1 / (0.25 · 3) and 2 / (0.5 · 3)
    ([3, 7], [1.333, 1.333])
    """
    item_idx, first, times = np.unique(drawn.item_idx, return_index=True, return_counts=True)
    expected = drawn.log_q[first] + np.log(max(len(drawn.item_idx), 1)) if corrected else 0.0
    return Negatives(item_idx, (expected - np.log(times) - np.log(max(len(item_idx), 1))).astype(np.float32))
