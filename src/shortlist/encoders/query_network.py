"""The query side of the deep retrievers: history and features in, ψ out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from shortlist.data.feature_spec import FeatureSpec
from shortlist.encoders.feature_encoder import FeatureEncoder, module_key
from shortlist.encoders.history import AttentionHistory, MeanHistory, RecencyHistory, TransformerHistory
from shortlist.encoders.item_embedding import INIT_STD
from shortlist.encoders.mlp import mlp
from shortlist.settings import NetworkSettings


class QueryNetwork(nn.Module):
    """ψ(x) = the history's vector + a network over all that is known of the query.

        liked ── history encoder: one vector or several ──────┐
        disliked ── embeddings of their own, mean ────────────┼─ concat ── hidden layers, ReLU ── linear ─ + ─► ψ(x)
        features, log(1 + number liked) ── embeddings ────────┘                                            │
        the longest view of the liked history ─────────────────────────────────────────────────────────────┤
        the user's own vector, where a feature is their id ────────────────────────────────────────────────┘

    The network starts at zero: ψ begins as the history's vector and the user's own. With ``history_alone``, or where there is
    neither history nor another feature, it stays that: the id alone makes it a matrix factorization.

    Args:
        num_items: size of the corpus N.
        specs: the query's features.
        settings: widths, history encoder, dropout.
    """

    def __init__(self, num_items: int, specs: Sequence[FeatureSpec], settings: NetworkSettings) -> None:
        super().__init__()
        ids = [spec for spec in specs if spec.kind == "id"]
        self.specs = () if settings.history_alone else tuple(spec for spec in specs if spec not in ids)
        self.settings = settings
        dim = settings.embedding_dim
        self.features = FeatureEncoder(self.specs)
        width = self.features.output_dim
        self.uses_history = settings.history != "none"
        if self.uses_history:
            self.history = _history(settings)
        self.people = nn.ModuleDict({module_key(one.name): nn.Embedding(one.num_codes, dim) for one in ids})
        for table in self.people.values():
            nn.init.normal_(table.weight, std=INIT_STD)  # type: ignore[arg-type]
        self.ids = [one.name for one in ids]
        if settings.history_alone or (ids and not self.specs and not self.uses_history):
            return
        if self.uses_history:
            self.disliked_items = nn.Parameter(torch.randn(num_items + 1, dim) * INIT_STD)  # row 0 pads
            self.disliked_history = MeanHistory((self.max_history,), settings.history_dropout)
            width += dim * (self.history.num_vectors + 1) + 1
        self.hidden = mlp(max(width, 1), settings.hidden_dims, dim, settings.dropout)
        nn.init.zeros_(self.hidden[-1].weight)  # type: ignore[arg-type]

    @property
    def max_history(self) -> int:
        """Most recent items the network sees."""
        return max(self.settings.history_windows)

    def forward(self, inputs: Mapping[str, Tensor], history_table: Tensor | None) -> Tensor:
        """ψ [B, D].

        Args:
            inputs: the arrays of ``network_inputs``; or, with a transformer, of ``sequence_inputs``.
            history_table: [N + 1, D] embeddings of history items, row 0 pads; None where no history is used.
        """
        base = torch.zeros_like(inputs["liked_count"])
        for name in self.ids:
            base = base + self.people[module_key(name)](inputs[f"category.{name}"])
        if not self.uses_history or history_table is None:
            if self.ids and not self.specs:
                return base
            known = self.features(inputs) if self.specs else torch.zeros_like(inputs["liked_count"])
            return base + self.hidden(known)  # type: ignore[no-any-return]
        at_positions = isinstance(self.history, TransformerHistory) and "position" in inputs
        if at_positions:
            views = self.history.at(inputs["position"], inputs["liked"], history_table)[:, None]  # type: ignore[operator]
        else:
            views = self.history(inputs["liked"], history_table)  # [B, W, D]
        longest: Tensor = base + views[:, self.history.longest]
        if self.settings.history_alone:
            return longest
        if self.training and not inputs["disliked"].any():  # a table without gradient costs the optimizer nothing
            disliked = torch.zeros_like(longest)[:, None]
        elif at_positions:
            disliked = self.disliked_history.between(inputs["disliked_span"], inputs["disliked"], self.disliked_items)
        else:
            disliked = self.disliked_history(inputs["disliked"], self.disliked_items)
        parts = [self.features(inputs)] if self.specs else []
        parts += [views.flatten(1), disliked.flatten(1), inputs["liked_count"]]
        return longest + self.hidden(torch.cat(parts, dim=1))  # type: ignore[no-any-return]


def _history(settings: NetworkSettings) -> MeanHistory | RecencyHistory | AttentionHistory | TransformerHistory:
    if settings.history in ("mean", "recency"):
        kind = MeanHistory if settings.history == "mean" else RecencyHistory
        return kind(settings.history_windows, settings.history_dropout, settings.history_exponent)
    if settings.history == "transformer":
        shape = (settings.history_blocks, settings.history_heads, settings.dropout, max(settings.history_windows))
        return TransformerHistory(settings.embedding_dim, *shape, settings.history_positions)
    return AttentionHistory(settings.embedding_dim, settings.history_windows, settings.history_dropout)
