"""The watch history in its order: self-attention that looks back."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from shortlist.encoders.dropout import ByteDropout

_BASE = 10_000.0  # slowest turn of the rotary positions, as in the paper


class CausalTransformer(nn.Module):
    """One vector for every moment of a history, from the items up to it.

    Each of the blocks adds to every vector what its attention finds in the vectors up to there, and then what a hidden layer
    makes of it (norms come first; Xiong et al. 2020):

        a_t = Σ_{s ≤ t} softmax_s(q_t · k_s / √d) v_s        x ← x + W a(norm(x))        x ← x + W₂ relu(W₁ norm(x))

    State t never sees an item after t. So one pass over a history trains as many predictions as it has items: state t is
    asked for item t + 1. It also needs no mask for padding, which comes after the last item.

    After Kang, McAuley: *Self-Attentive Sequential Recommendation*, ICDM 2018, with what made it strong: cross-entropy over
    the whole corpus (Klenitskiy, Vasilev: *Turning Dross Into Gold Loss*, RecSys 2023), norms first, a hidden layer four times
    as wide, and rotary positions (Su et al.: *RoFormer*, 2021).

    Args:
        dim: D, size of the vectors; a multiple of ``heads``, with ``positions`` rotary of twice that.
        blocks: attention and hidden layer, this many times.
        heads: attentions side by side, each on its share of the D numbers.
        dropout: share of the numbers set to zero while training, in the input and in what a block adds.
        max_length: longest history with learned positions; rotary ones have no limit.
        positions: ``rotary`` turns q_t and k_t by angles in proportion to t, so that attention knows how far apart two
            items are and not where they stand; ``learned`` adds a vector for each place, counted from the oldest item.

    >>> encoder = CausalTransformer(dim=4, blocks=1).eval()
    >>> history = torch.randn(1, 3, 4)
    >>> changed = history.clone()
    >>> changed[0, 2] = 0.0  # the newest of three items
    >>> (encoder(history) == encoder(changed)).all(dim=2).tolist()
    [[True, True, False]]
    """

    frequency: Tensor

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
        if dim % heads or (positions == "rotary" and dim // heads % 2):
            raise ValueError(f"dim {dim} cannot be shared by {heads} heads (with rotary positions, in even parts).")
        self.positions, self.max_length = positions, max_length
        if positions == "learned":
            self.places = nn.Parameter(torch.randn(max_length, dim) * 0.05)
        self.dropout = ByteDropout(dropout)
        self.blocks = nn.ModuleList(_Block(dim, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)
        frequency = _BASE ** (-torch.arange(0, dim // heads, 2) / (dim // heads))
        self.register_buffer("frequency", frequency, persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """The state at every moment.

        Args:
            vectors: [B, L, D] of the items, oldest first; anything finite after the last.

        Returns:
            [B, L, D]; state t knows the items 0 to t.
        """
        place = torch.arange(vectors.shape[1], device=vectors.device)
        turn = None
        if self.positions == "learned":
            vectors = vectors + nn.functional.embedding(place, self.places)
        else:
            angle = place[:, None] * self.frequency
            turn = angle.cos(), angle.sin()
        states = self.dropout(vectors)
        for block in self.blocks:
            states = block(states, turn)
        return self.norm(states)  # type: ignore[no-any-return]

    def last(self, vectors: Tensor, length: Tensor) -> Tensor:
        """The state after the last item, [B, D]; zero for an empty history.

        Args:
            vectors: [B, L, D] as for ``forward``.
            length: [B] items in each history.
        """
        states = self(vectors)
        newest = (length - 1).clamp(min=0)[:, None, None].expand(-1, 1, states.shape[2])
        return states.gather(1, newest)[:, 0] * (length > 0).to(states.dtype)[:, None]  # type: ignore[no-any-return]


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_hidden = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.project = _linear(dim, 3 * dim)
        self.merge = _linear(dim, dim, gain=0.5)
        self.widen, self.narrow = _linear(dim, 4 * dim), _linear(4 * dim, dim, gain=0.5)
        self.dropout = ByteDropout(dropout)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor] | None) -> Tensor:
        batch, length, dim = x.shape
        parts = self.project(self.norm_attention(x)).view(batch, length, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each [B, heads, L, D / heads]
        if turn is not None:
            query, key = _turned(query, *turn), _turned(key, *turn)
        found = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.dropout(self.merge(found.transpose(1, 2).reshape(batch, length, dim)))
        hidden = nn.functional.relu(self.widen(self.norm_hidden(x)))
        return x + self.dropout(self.narrow(hidden))  # type: ignore[no-any-return]


def _linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def _turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Number i of the first half and number i of the second are a point in the plane; it is turned by its place's angle."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
