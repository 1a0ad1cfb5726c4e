"""Softmax deep neural network: watch history and features in, a probability for every item out.

Covington, Adams, Sargin: *Deep Neural Networks for YouTube Recommendations*, RecSys 2016. Matrix factorization with the
row of U replaced by a network:  p̂ = softmax(ψ(x) Vᵀ).  ψ(x), the last hidden layer's output, is the query embedding;
the rows of V, the softmax layer's weights, are the item embeddings; trained by cross-entropy against the normalised multi-hot
vector of what the user took next.

    liked: last 100, last 10, last 1 ── embeddings, means ──┐
    disliked ── embeddings of their own, mean ──────────────┼─ concat ── hidden layers, ReLU ── linear ─ + ─► ψ(x)
    features, log(1 + number liked) ── embeddings ──────────┘                                            │
    mean over the longest window of likes ───────────────────────────────────────────────────────────────┘

A query is only its history and features: nobody needs to have been in the training data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import FeatureTable
from shortlist.data.queries import QueryBatch, network_inputs
from shortlist.encoders.feature_encoder import FeatureEncoder
from shortlist.encoders.history import MeanHistory
from shortlist.encoders.item_embedding import INIT_STD, ItemEmbedding
from shortlist.encoders.mlp import mlp
from shortlist.settings import SoftmaxDNNSettings

_QUERIES_AT_ONCE = 1024


class SoftmaxDNN(nn.Module):
    """The network.

    Args:
        num_items: size of the corpus N.
        query_specs: the query's features.
        settings: see ``SoftmaxDNNSettings``.
        item_counts: [N] positives an item has in training: the item bias starts at the log of its share.
        item_specs, item_features: the items' features.

    An item that was never in the training data has no vector here: that takes a two-tower.
    """

    name = "softmax_dnn"
    has_item_bias = True

    def __init__(
        self,
        num_items: int,
        query_specs: Sequence[FeatureSpec],
        settings: SoftmaxDNNSettings,
        item_counts: NDArray[Any],
        item_specs: Sequence[FeatureSpec] = (),
        item_features: FeatureTable | None = None,
    ) -> None:
        super().__init__()
        self.query_specs, self.settings = tuple(query_specs), settings
        dim = settings.embedding_dim
        specs, features = (item_specs, item_features or {}) if settings.item_features else ((), {})
        self.items = ItemEmbedding(num_items, dim, specs, features)  # V
        share = (item_counts + 1.0) / (item_counts.sum() + num_items)
        self.item_bias = nn.Parameter(torch.tensor(np.log(share) - np.log(share).mean(), dtype=torch.float32))
        self.features = FeatureEncoder(self.query_specs)
        width = self.features.output_dim
        self.uses_history = settings.history != "none"
        if self.uses_history:
            self.history_items = ItemEmbedding(num_items, dim, specs, features)
            self.disliked_items = nn.Parameter(torch.randn(num_items + 1, dim) * INIT_STD)  # row 0 pads
            self.history = MeanHistory(settings.history_windows, settings.history_dropout)
            self.disliked_history = MeanHistory((self.max_history,), settings.history_dropout)
            width += dim * (len(settings.history_windows) + 1) + 1
        self.hidden = mlp(max(width, 1), settings.hidden_dims, dim, settings.dropout)
        nn.init.zeros_(self.hidden[-1].weight)  # type: ignore[arg-type]  # ψ starts as the mean of the history

    @property
    def max_history(self) -> int:
        """Most recent items the network sees."""
        return max(self.settings.history_windows)

    def history_table(self) -> Tensor:
        """[N + 1, D] embeddings of history items; row 0 pads."""
        return nn.functional.pad(self.history_items(), (0, 0, 1, 0))

    def forward(self, inputs: Mapping[str, Tensor], history_table: Tensor | None = None) -> Tensor:
        """ψ [B, D].

        Args:
            inputs: the arrays of ``network_inputs``.
            history_table: ``history_table()`` where it is at hand; it does not depend on the query.
        """
        parts = [self.features(inputs)] if self.query_specs else []
        if not self.uses_history:
            return self.hidden(parts[0] if parts else torch.zeros_like(inputs["liked_count"]))  # type: ignore[no-any-return]
        table = self.history_table() if history_table is None else history_table
        means = self.history(inputs["liked"], table)  # [B, W, D]
        disliked = self.disliked_history(inputs["disliked"], self.disliked_items)
        parts += [means.flatten(1), disliked.flatten(1), inputs["liked_count"]]
        longest = self.settings.history_windows.index(self.max_history)
        return means[:, longest] + self.hidden(torch.cat(parts, dim=1))  # type: ignore[no-any-return]

    def inputs(self, queries: QueryBatch) -> dict[str, Tensor]:
        """The arrays of ``network_inputs`` as tensors where the weights are."""
        arrays = network_inputs(queries, self.query_specs, self.max_history)
        return {name: torch.from_numpy(array).to(self.item_bias.device) for name, array in arrays.items()}

    def encode_queries(self, queries: QueryBatch) -> NDArray[np.float32]:
        """[B, D + 1]: ψ, and 1 for the item's bias."""
        was_training = self.training
        self.eval()
        out = np.ones((len(queries), self.settings.embedding_dim + 1), dtype=np.float32)
        with torch.inference_mode():
            table = self.history_table() if self.uses_history else None
            for start in range(0, len(queries), _QUERIES_AT_ONCE):
                rows = np.arange(start, min(start + _QUERIES_AT_ONCE, len(queries)))
                out[rows, :-1] = self(self.inputs(queries.take(rows)), table).cpu().numpy()
        self.train(was_training)
        return out

    def encode_items(self) -> NDArray[np.float32]:
        """[N, D + 1]: V, and the bias.

        The popular tend to be recommended to everyone. ``popularity_debiasing`` takes a share of the bias out of what was
        trained (logit adjustment; Menon et al., ICLR 2021): lists follow the history more, at some cost in accuracy.
        """
        with torch.inference_mode():
            bias = self.item_bias[:, None] * (1 - self.settings.popularity_debiasing)
            return torch.cat([self.items(), bias], dim=1).cpu().numpy()
