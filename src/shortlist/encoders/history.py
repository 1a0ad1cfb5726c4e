"""The watch history as vectors: means over windows, weighted by recency or by attention, and a transformer's state.

All take the items oldest first, as index + 1 with 0 after the last, and give [B, W, D], one vector a window; zero for
an empty history. The sum of an item's vectors is divided by the root of their number (of their squared weights): so a
long history speaks a little louder than a short one, as a sum of independent vectors grows with the root of their
number. Means and recency can have another exponent than that half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from shortlist.encoders.dropout import random_bytes
from shortlist.encoders.transformer import CausalTransformer

_GATHERED = 16  # items of a table whose product costs as much as to gather one of them, and to scatter its gradient


class MeanHistory(nn.Module):
    """Means of the most recent items' embeddings, one for each window, after Covington et al. 2016.

    Args:
        windows: numbers of most recent items, such as (100, 10, 1): what the person is like, and what they are up to.
        item_dropout: share of the items left out while training, drawn anew for each query; not from a window of 1.
        exponent: of the number of items (of the sum of their squared weights) that a sum is divided by.

    >>> table = torch.tensor([[0.0], [1.0], [3.0]])
    >>> MeanHistory((4, 1))(torch.tensor([[2, 1, 1, 1], [2, 0, 0, 0]]), table)[:, :, 0].tolist()
    [[3.0, 1.0], [3.0, 3.0]]
    """

    def __init__(self, windows: Sequence[int], item_dropout: float = 0.0, exponent: float = 0.5) -> None:
        super().__init__()
        self.windows, self.item_dropout, self.exponent = tuple(windows), item_dropout, exponent
        self.num_vectors, self.longest = len(self.windows), self.windows.index(max(self.windows))

    def forward(self, items: Tensor, table: Tensor) -> Tensor:
        """Encode.

        Args:
            items: [B, L] item index + 1, oldest first; 0 after the last.
            table: [N + 1, D] embeddings; row 0 is never read.

        Returns:
            [B, W, D], one vector a window; zero for an empty history.
        """
        age, kept = _ages(items, self.item_dropout if self.training else 0.0)
        taken = torch.stack([(kept if window > 1 else age >= 0) & (age < window) for window in self.windows], dim=1)
        return _weighted(taken.to(table.dtype), items, table, self.exponent)

    def between(self, span: Tensor, items: Tensor, table: Tensor) -> Tensor:
        """Means over many stretches of some histories, [T, 1, D], by differences of running sums.

        Args:
            span: [T, 2] first place and the one after the last, s·(L + 1) + t of [S, L].
            items: [S, L], as of ``forward``; no window is applied.
            table: [N + 1, D].
        """
        _, kept = _ages(items, self.item_dropout if self.training else 0.0)
        weight = kept.to(table.dtype)[:, :, None]
        values = torch.cat([nn.functional.embedding(items, table) * weight, weight], dim=2)
        running = nn.functional.pad(values.cumsum(dim=1), (0, 0, 1, 0)).flatten(0, 1)
        total = running.index_select(0, span[:, 1]) - running.index_select(0, span[:, 0])
        return (total[:, :-1] * total[:, -1:].clamp(min=1).rsqrt())[:, None]


class RecencyHistory(MeanHistory):
    """Like ``MeanHistory``, but an item's weight within each window falls with its age, at a rate the network learns.

    weight = exp(−r · age / window), r = softplus(ρ) of each window; starts at r = 1: the oldest weigh a third.

    >>> encoder = RecencyHistory((2,)).eval()
    >>> table = torch.tensor([[0.0], [0.0], [1.0]])
    >>> old_first, new_first = encoder(torch.tensor([[2, 1], [1, 2]]), table)[:, 0, 0].tolist()
    >>> new_first > old_first
    True
    """

    def __init__(self, windows: Sequence[int], item_dropout: float = 0.0, exponent: float = 0.5) -> None:
        super().__init__(windows, item_dropout, exponent)
        self.rate = nn.Parameter(torch.full((len(self.windows),), 0.5413))  # softplus(0.5413) = 1

    def forward(self, items: Tensor, table: Tensor) -> Tensor:
        """See ``MeanHistory.forward``."""
        age, kept = _ages(items, self.item_dropout if self.training else 0.0)
        rates = nn.functional.softplus(self.rate)
        weights = [
            ((kept if window > 1 else age >= 0) & (age < window)).to(table.dtype)
            * torch.exp(-rate * age.clamp(min=0) / window)
            for window, rate in zip(self.windows, rates.unbind(), strict=True)
        ]
        return _weighted(torch.stack(weights, dim=1), items, table, self.exponent)


class AttentionHistory(nn.Module):
    """Pooling by attention: what the person is up to now asks what of the history matters to it.

    The question is a projection of the mean over each window, with a learned part that is the same for everybody; the
    answers are weighted means over the longest window: softmax_i(q_w · k(e_i) / √D + slope · age_i). (Bahdanau et al.
    2015; as a pooling of watch histories, Zhou et al., *Deep Interest Network*, KDD 2018, where the candidate asks:
    here it must not, for items have to be indexable.) The plain mean over the longest window comes first, so that ψ
    starts from it.

    Args:
        dim: D.
        windows: of the questions.
        item_dropout: share of the items left out while training.
    """

    def __init__(self, dim: int, windows: Sequence[int], item_dropout: float = 0.0) -> None:
        super().__init__()
        self.means = MeanHistory(windows, item_dropout)
        self.item_dropout, self.window = item_dropout, max(windows)
        self.ask, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.slope = nn.Parameter(torch.zeros(len(self.means.windows)))
        self.num_vectors, self.longest = 2 * len(self.means.windows), self.means.longest

    def forward(self, items: Tensor, table: Tensor) -> Tensor:
        """See ``MeanHistory.forward``; W is twice the number of windows."""
        means = self.means(items, table)
        age, kept = _ages(items, self.item_dropout if self.training else 0.0)
        vectors = nn.functional.embedding(items, table)
        scores = self.ask(means) @ self.key(vectors).transpose(1, 2) / vectors.shape[2] ** 0.5  # [B, W, L]
        scores = scores - nn.functional.softplus(self.slope)[:, None] * (age.clamp(min=0) / self.window)[:, None]
        taken = (kept & (age < self.window))[:, None]
        weights = torch.softmax(scores.masked_fill(~taken, -1e9), dim=2) * taken.to(scores.dtype)
        return torch.cat([means, _weighted(weights, items, table)], dim=1)


class TransformerHistory(nn.Module):
    """The state of a causal transformer after the last item: the one encoder that sees in which order they came.

    Args:
        dim: D.
        blocks, heads, dropout, max_length, positions: see ``CausalTransformer``.
    """

    num_vectors, longest = 1, 0

    def __init__(
        self,
        dim: int,
        blocks: int = 2,
        heads: int = 1,
        dropout: float = 0.2,
        max_length: int = 200,
        positions: Literal["learned", "rotary"] = "rotary",
    ) -> None:
        super().__init__()
        self.transformer = CausalTransformer(dim, blocks, heads, dropout, max_length, positions)

    def forward(self, items: Tensor, table: Tensor) -> Tensor:
        """See ``MeanHistory.forward``; W is 1."""
        state = self.transformer.last(nn.functional.embedding(items, table), (items > 0).sum(dim=1))
        return state[:, None]

    def at(self, position: Tensor, items: Tensor, table: Tensor) -> Tensor:
        """The states at some places of some sequences, [T, D]: one pass serves them all.

        Args:
            position: [T] place s·L + t in [S, L], whose state knows the sequence's items 0 to t; S·L: the empty history.
            items: [S, L] sequences, as of ``forward``.
            table: [N + 1, D].
        """
        states = self.transformer(nn.functional.embedding(items, table)).flatten(0, 1)
        return nn.functional.pad(states, (0, 0, 0, 1)).index_select(0, position)


def _ages(items: Tensor, item_dropout: float) -> tuple[Tensor, Tensor]:
    """Age of every place (0 the most recent, negative after it) and whether it holds an item that was not dropped."""
    length = (items > 0).sum(dim=1, keepdim=True)
    age = length - 1 - torch.arange(items.shape[1], device=items.device)
    kept = age >= 0
    if item_dropout > 0:
        kept = kept & (random_bytes(items.shape, items.device) >= round(256 * item_dropout))
    return age, kept


def _weighted(weight: Tensor, items: Tensor, table: Tensor, exponent: float = 0.5) -> Tensor:
    """Sums over the places by [B, W, L] weights, over a power of the sum of their squares."""
    norm = weight.square().sum(dim=2, keepdim=True).clamp(min=1e-12).pow(-exponent)
    # gathering many vectors of few items takes longer than one product with them all; both are exact
    if torch.compiler.is_compiling() or items.shape[1] * _GATHERED < len(table):
        return torch.bmm(weight * norm, nn.functional.embedding(items, table))
    places = items[:, None].expand_as(weight)
    by_item = weight.new_zeros(*weight.shape[:2], len(table)).scatter_add_(2, places, weight * norm)
    return by_item @ table
