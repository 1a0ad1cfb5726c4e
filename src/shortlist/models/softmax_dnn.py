"""Softmax deep neural network: watch history and features in, a probability for every item out.

Covington, Adams, Sargin: *Deep Neural Networks for YouTube Recommendations*, RecSys 2016. Matrix factorization with the
row of U replaced by a network:  p̂ = softmax(ψ(x) Vᵀ).  ψ(x), the last hidden layer's output, is the query embedding
(``encoders.query_network``); the rows of V, the softmax layer's weights, are the item embeddings; trained by
cross-entropy against the normalised multi-hot vector of what the user took.

A query is only its history and features: nobody needs to have been in the training data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import FeatureTable
from shortlist.data.ragged import Ragged
from shortlist.encoders.item_embedding import ItemEmbedding
from shortlist.models.network import NetworkRetriever
from shortlist.settings import SoftmaxDNNSettings


class SoftmaxDNN(NetworkRetriever):
    """The network.

    Args:
        num_items: size of the corpus N.
        query_specs: the query's features.
        settings: see ``SoftmaxDNNSettings``.
        item_counts: [N] positives an item has in training: the item bias starts at the log of its share.
        item_specs, item_features: the items' features.
        taken: items of every user in training, for ``item_graph``.

    An item that was never in the training data has no vector of its own here, at most its features': see ``TwoTower``.
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
        taken: Ragged | None = None,
    ) -> None:
        dim = settings.embedding_dim
        specs, features = (item_specs, item_features or {}) if settings.item_features else ((), {})
        items = ItemEmbedding(num_items, dim, specs, features)  # V
        history = None if settings.history == "none" else items if settings.tied else None
        if settings.history != "none" and history is None:
            history = ItemEmbedding(num_items, dim, specs, features)
        super().__init__(num_items, query_specs, settings, history, item_counts, taken)
        self.settings, self.items = settings, items
        share = (item_counts + 1.0) / (item_counts.sum() + num_items)
        self.item_bias = nn.Parameter(torch.tensor(np.log(share) - np.log(share).mean(), dtype=torch.float32))

    def softmax_layer(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """V [N, D] and the item bias [N], or those rows of them."""
        items = self.smoothed(self.items())
        return (items, self.item_bias) if rows is None else (nn.functional.embedding(rows, items), self.item_bias[rows])

    def encode_items(self) -> NDArray[np.float32]:
        """[N, D + 1]: V, and the bias.

        The popular tend to be recommended to everyone. ``popularity_debiasing`` takes a share of the bias out of what
        was trained (logit adjustment; Menon et al., ICLR 2021): lists follow the history more, at some cost in
        accuracy.
        """
        with torch.inference_mode():
            bias = self.item_bias[:, None] * (1 - self.settings.popularity_debiasing)
            return torch.cat([self.smoothed(self.items()), bias], dim=1).cpu().numpy()
