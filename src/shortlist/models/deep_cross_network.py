"""The feature ranker as a PyTorch module: what is trained.

DCN-V2 (Wang, Shivanna, Cheng, Jain, Lin, Hong, Chi: *DCN V2*, WWW 2021): x_0 holds all that is known of a query and a
candidate, and beside ReLU layers it goes through cross layers, each of which multiplies it by itself once more,

    x_{l+1} = x_0 ∘ (U_l V_lᵀ x_l + b_l) + x_l          W_l of the paper in its low-rank form, U and V of ``cross_rank`` columns

The candidate asks the history (Zhou et al., *Deep Interest Network*, KDD 2018; with a product in place of their small network):

    w_i ∝ exp(⟨A e_c, e_i⟩ / √D + r_age(i)),  i = last L liked items and a nothing of score 0;   attended = Σ_i w_i e_i

The nothing takes the weight where the history does not concern the candidate, and log Σ exp, how much it concerns it, is an
input of its own, which the softmax alone would hide. Retrieval cannot do this: its query vector is made before the candidate.

The heads begin at 0, and ``liked`` at the retriever's standardised score: untrained, it keeps the retriever's order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from shortlist.data.feature_spec import FeatureSpec, Schema
from shortlist.data.features import FeatureTable
from shortlist.encoders.feature_encoder import FeatureEncoder
from shortlist.encoders.item_embedding import ItemEmbedding
from shortlist.encoders.mlp import mlp
from shortlist.settings import DeepCrossSettings


class CrossLayer(nn.Module):
    """x_0 ∘ (U Vᵀ x + b) + x; U begins at 0, so that it begins by leaving x as it is."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, width)
        nn.init.normal_(self.up.weight, std=0.01)
        nn.init.zeros_(self.up.bias)

    def forward(self, first: Tensor, x: Tensor) -> Tensor:
        """[..., width]."""
        product: Tensor = first * self.up(self.down(x)) + x
        return product


class DeepCrossNetwork(nn.Module):
    """Logits of every target for the candidates of queries.

    Args:
        num_items: N.
        schema: the features.
        item_features: of the corpus.
        num_pair_features: F, of ``PairFeatures``; the first is the retriever's standardised score.
        num_targets: heads; ``liked`` is the first.
        settings: widths and dropout.
    """

    def __init__(
        self,
        num_items: int,
        schema: Schema,
        item_features: FeatureTable,
        num_pair_features: int,
        num_targets: int,
        settings: DeepCrossSettings,
    ) -> None:
        super().__init__()
        self.settings, self.num_items = settings, num_items
        self.specs: Sequence[FeatureSpec] = tuple(one for one in schema.query if one.kind != "id")
        dim = settings.embedding_dim
        self.items = ItemEmbedding(num_items, dim, schema.side("item"), item_features, ids=settings.item_ids)
        self.features = FeatureEncoder(self.specs, settings.feature_dim)
        self.ask = nn.Linear(dim, dim, bias=False)
        self.recency = nn.Parameter(torch.zeros(settings.max_history))  # the newest first
        width = self.features.output_dim + 5 * dim + num_pair_features + 2
        self.cross = nn.ModuleList(CrossLayer(width, settings.cross_rank) for _ in range(settings.cross_layers))
        self.deep = mlp(width, settings.hidden_dims[:-1], settings.hidden_dims[-1], settings.dropout)
        self.heads = nn.Linear(width + settings.hidden_dims[-1], num_targets)
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)
        self.retrieval = nn.Parameter(torch.ones(1))

    def item_table(self) -> Tensor:
        """[N + 1, D] item vectors; row 0 pads."""
        return nn.functional.pad(self.items(), (0, 0, 1, 0))

    def forward(self, inputs: Mapping[str, Tensor], table: Tensor | None = None) -> Tensor:
        """Logits [B, C, targets].

        Args:
            inputs: the arrays of ``ranker_inputs``.
            table: ``item_table()`` where it is at hand.
        """
        table = self.item_table() if table is None else table
        pair, liked = inputs["pair"], inputs["liked"]
        candidate = nn.functional.embedding(inputs["candidates"], table)  # [B, C, D]
        history = nn.functional.embedding(liked, table)  # [B, L, D]
        attended, concern = self._attended(candidate, history, liked > 0)
        mean, against = (
            _mean(history, liked > 0),
            _mean(nn.functional.embedding(inputs["disliked"], table), inputs["disliked"] > 0),
        )
        of_query = [mean, against, inputs["liked_count"]]
        of_query += [self.features(inputs)] if self.specs else []
        query = torch.cat(of_query, dim=1)[:, None].expand(-1, pair.shape[1], -1)
        x0 = torch.cat([query, candidate, attended, candidate * attended, concern, pair], dim=2)
        x = x0
        for layer in self.cross:
            x = layer(x0, x)
        logits: Tensor = self.heads(torch.cat([x, torch.relu(self.deep(x0))], dim=2))
        return torch.cat([logits[:, :, :1] + self.retrieval * pair[:, :, :1], logits[:, :, 1:]], dim=2)

    def _attended(self, candidate: Tensor, history: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """What each candidate finds in the history [B, C, D], and how much it concerns it [B, C, 1]."""
        column = torch.arange(present.shape[1], device=present.device)
        age = (present.sum(dim=1, keepdim=True) - 1 - column).clamp(0, self.settings.max_history - 1)
        scores = self.ask(candidate) @ history.transpose(1, 2) / history.shape[2] ** 0.5 + self.recency[age][:, None]
        scores = scores.masked_fill(~present[:, None], -1e9)
        scores = nn.functional.pad(scores, (1, 0))  # the nothing
        weights = torch.softmax(scores, dim=2)[:, :, 1:]
        return weights @ history, torch.logsumexp(scores, dim=2, keepdim=True)


def _mean(vectors: Tensor, present: Tensor) -> Tensor:
    """[B, D] over the rows [B, L, D] that are present; 0 where none is."""
    weight = present.to(vectors.dtype)[:, :, None]
    mean: Tensor = (vectors * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
    return mean
