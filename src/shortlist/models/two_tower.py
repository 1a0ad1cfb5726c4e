"""Two-tower network: one network for the query, one for the item, compared by a product.

Yi, Yang, Hong et al.: *Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations*, RecSys 2019.
Where the softmax DNN has a free row of V for every item, φ is computed from what is known of the item: without ids, an
item nobody has taken yet is scored like any other.

    score(query, item) = ⟨ψ(x_query), φ(x_item)⟩        φ = e + hidden layers over e,  e = features (+ a free vector,
    ``item_ids``)

``similarity`` is folded into vectors, so that every index works: cosine is the product of normalised vectors; of the
Euclidean distance, −‖ψ − φ‖² = 2⟨ψ, φ⟩ − ‖φ‖² − ‖ψ‖², the last term orders nothing, and the one before it is one more
dimension of the item.
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
from shortlist.data.ragged import Ragged
from shortlist.encoders.item_embedding import ItemEmbedding
from shortlist.encoders.mlp import mlp
from shortlist.errors import SettingsError
from shortlist.models.network import NetworkRetriever
from shortlist.settings import TwoTowerSettings

_TEMPERATURE = {"dot": 1.0, "cosine": 0.1, "euclidean": 1.0}


class TwoTower(NetworkRetriever):
    """The network.

    Args:
        num_items: size of the corpus N.
        query_specs: the query's features.
        settings: see ``TwoTowerSettings``.
        item_counts: [N] positives an item has in training. Items without one are no negatives of the training: the
            corpus it learns from is the one that was there.
        item_specs, item_features: the items' features; needed where ``item_ids`` is off.
        taken: items of every user in training, for ``item_graph``.
    """

    name = "two_tower"
    item_counts: Tensor

    def __init__(
        self,
        num_items: int,
        query_specs: Sequence[FeatureSpec],
        settings: TwoTowerSettings,
        item_counts: NDArray[Any],
        item_specs: Sequence[FeatureSpec] = (),
        item_features: FeatureTable | None = None,
        taken: Ragged | None = None,
    ) -> None:
        if not settings.item_ids and not item_specs:
            raise SettingsError(
                "[retriever] item_ids = false leaves the item tower without input: set features of items ([features.item.NAME]), "
                "or item_ids = true."
            )
        dim, given = settings.embedding_dim, (item_specs, item_features or {})
        history = None if settings.history == "none" else ItemEmbedding(num_items, dim, *given, ids=settings.item_ids)
        super().__init__(num_items, query_specs, settings, history, item_counts, taken)
        self.settings, self.has_item_bias = settings, settings.similarity == "euclidean"
        shared = history if settings.tied else None
        self.item_base = shared or ItemEmbedding(num_items, dim, *given, ids=settings.item_ids)
        self.item_hidden: nn.Sequential | None = None
        if settings.item_hidden_dims:
            self.item_hidden = mlp(dim, settings.item_hidden_dims, dim, settings.dropout)
            nn.init.zeros_(self.item_hidden[-1].weight)  # type: ignore[arg-type]  # φ starts as e
        self.register_buffer("item_counts", torch.from_numpy(np.asarray(item_counts, dtype=np.float32)))

    def items(self, rows: Tensor | None = None) -> Tensor:
        """φ [N, D], or of some items: the hidden layers see no others."""
        base = self.smoothed(self.item_base())
        base = base if rows is None else nn.functional.embedding(rows, base)
        return self._tower(base)

    def _tower(self, base: Tensor) -> Tensor:
        vectors = base if self.item_hidden is None else base + self.item_hidden(base)
        return nn.functional.normalize(vectors, dim=1) if self.settings.similarity == "cosine" else vectors

    def item_vectors(self, base: Tensor) -> Tensor:
        """What is searched [L, D], with the folded −‖φ‖² where the distance is Euclidean, of e [L, D]."""
        return self._folded(self._tower(base))

    def _folded(self, vectors: Tensor) -> Tensor:
        if not self.has_item_bias:
            return vectors
        return torch.cat([2 * vectors, -vectors.square().sum(dim=1, keepdim=True)], dim=1)

    def forward(self, inputs: Mapping[str, Tensor], history_table: Tensor | None = None) -> Tensor:
        """ψ [B, D]; of length 1 where similarity is cosine."""
        vectors = super().forward(inputs, history_table)
        return nn.functional.normalize(vectors, dim=1) if self.settings.similarity == "cosine" else vectors

    def softmax_layer(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Weights [N, D] and bias [N] of the training softmax: logits = ψ · weightsᵀ + bias; or those rows of them.

        ``popularity_debiasing`` adds that share of log popularity here and not when serving (logit adjustment, Menon et
        al., ICLR 2021): what popularity explains, the towers need not.
        """
        settings, vectors = self.settings, self.items(rows)
        counts = self.item_counts if rows is None else self.item_counts[rows]
        temperature = settings.temperature or _TEMPERATURE[settings.similarity]
        bias = settings.popularity_debiasing * torch.log(counts.clamp(min=1))
        weights = vectors / temperature
        if settings.similarity == "euclidean":
            weights, bias = 2 * weights, bias - vectors.square().sum(dim=1) / temperature
        return weights, bias.masked_fill(counts == 0, -torch.inf)

    def encode_items(self) -> NDArray[np.float32]:
        """[N, D]; with the folded −‖φ‖² where the distance is Euclidean."""
        was_training = self.training
        self.eval()
        with torch.inference_mode():
            found = self._folded(self.items()).cpu().numpy()
        self.train(was_training)
        return found
