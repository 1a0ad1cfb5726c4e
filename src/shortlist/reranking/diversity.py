"""A page whose items differ: MMR and a greedy determinantal point process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.reranking.base import Slate, Values, indicators, page_first, unit

_RIDGE = 0.01  # share of the identity in a DPP's kernel: twins have a finite price, and the order never runs dry


@dataclass(frozen=True, eq=False)
class Diversity:
    """Chooses the page item by item, each for its relevance and for how it differs from those before.

    Args:
        strength: s; at 1 relevance counts only for the first item.
        method: ``mmr`` or ``dpp``.
        vectors: [N, D] item vectors: similarity (1 + cosine) / 2; or None.
        tags: N rows of codes: similarity is the cosine of their sets; taken where there are no vectors.
    """

    strength: float = 0.3
    method: Literal["mmr", "dpp"] = "mmr"
    vectors: NDArray[np.float32] | None = None
    tags: Ragged | None = None
    name: str = "diversity"

    def rerank(self, slate: Slate, k: int) -> Slate:
        """The page first, then the rest as it was."""
        if self.strength <= 0 or not len(slate):
            return slate
        choose = mmr if self.method == "mmr" else dpp
        chosen = choose(unit(slate.relevance), self.directions(slate.item_idx), self.strength, min(k, len(slate)))
        return slate.ordered(page_first(chosen, len(slate)))

    def directions(self, item_idx: NDArray[np.int32]) -> Values:
        """[n, D] of length 1 (0 for items without tags), whose dot products are the similarities, on [0, 1]."""
        if self.vectors is None:
            assert self.tags is not None, "vectors or tags"
            return _unit_length(indicators(self.tags, item_idx)[1])
        own = _unit_length(np.asarray(self.vectors[item_idx], dtype=np.float64))
        lifted: Values = np.concatenate([own, np.ones((len(own), 1))], axis=1) * np.sqrt(0.5)
        return lifted


def mmr(relevance: Values, directions: Values, strength: float, k: int) -> list[int]:
    """Maximal marginal relevance: each next item maximises (1 − s) r_i − s max_{j chosen} sim(i, j).

    Carbonell and Goldstein, SIGIR 1998 (there λ = 1 − s). Of equal values the earlier in the list.

    Args:
        relevance: [n] on [0, 1].
        directions: [n, D]; sim(i, j) = ⟨d_i, d_j⟩.
        strength: s.
        k: places, at most n.

    Returns:
        k places in the list, in the order chosen.

    >>> mmr(np.array([1.0, 0.9, 0.2]), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 0.5, 2)
    [0, 2]
    """
    weighted, nearest = (1 - strength) * relevance, np.zeros(len(relevance))
    left = np.zeros(len(relevance))  # −∞ for what is chosen
    chosen: list[int] = []
    for _ in range(k):
        best = int((weighted - strength * nearest + left).argmax())
        chosen.append(best)
        left[best] = -np.inf
        np.maximum(nearest, directions @ directions[best], out=nearest)
    return chosen


def dpp(relevance: Values, directions: Values, strength: float, k: int) -> list[int]:
    """Greedy most probable set of a determinantal point process: each next item maximises

        (1 − s) r_i + s log det(S_{Y + i}) / det(S_Y),    S = (1 − ε) ⟨d_i, d_j⟩ + ε [i = j], S_ii = 1.

    Chen, Zhang and Zhou, NeurIPS 2018: the ratio is the squared last row of the Cholesky factor, which grows by one
    product for each item chosen: O(k² n). (There L = Diag(e^{αr}) S Diag(e^{αr}) with α = θ / 2(1 − θ), θ = 1 − s: the same
    order.) ε = 0.01 keeps twins at a finite price.

    Args and result as of ``mmr``.

    >>> dpp(np.array([1.0, 0.9, 0.2]), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 0.5, 2)
    [0, 2]
    """  # noqa: D415 - the formula ends the line
    n = len(relevance)
    weighted, residual, left = (1 - strength) * relevance, np.ones(n), np.zeros(n)
    factor = np.zeros((k, n))  # column i: the row of the Cholesky factor item i would have
    chosen: list[int] = []
    for step in range(k):
        best = int((weighted + strength * np.log(residual) + left).argmax())
        chosen.append(best)
        left[best] = -np.inf
        kernel = (1 - _RIDGE) * (directions @ directions[best])
        kernel[best] = 1.0
        factor[step] = (kernel - factor[:step, best] @ factor[:step]) / np.sqrt(residual[best])
        residual = np.maximum(residual - factor[step] ** 2, _RIDGE / 2)
    return chosen


def _unit_length(rows: Values) -> Values:
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    scaled: Values = rows / np.maximum(lengths, 1e-12)
    return scaled
