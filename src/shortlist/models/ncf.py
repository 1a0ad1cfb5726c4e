"""Neural collaborative filtering, answering with NumPy alone: GMF, MLP and NeuMF (He et al., WWW 2017).

A learned function of a user and an item in place of a product: so it cannot be indexed, and ranks what a retriever found. What
is kept is folded (``NCFNetwork.folded``): W_1 [m_u ; n_i] + b_1 = a_u + c_i with a part a_u of each user and c_i of each item,
and GMF's weights in its items. A pair then costs one sum and the small layers after it, so that even the whole corpus can be
scored: for U users and N items U · N of these, without the first and widest layer.

It knows users by their id only. For somebody it was not trained with it has no opinion, and the candidates keep their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged

_PAIRS_AT_ONCE = 4096  # 2 MB where the first layer is 128 wide: a core's cache


class NCF:
    """A trained ranker.

    Args:
        name: ``gmf``, ``mlp`` or ``neumf``.
        arrays: ``users.gmf`` [U, F], ``items.gmf`` [N, F] (0 wide without GMF); with an MLP ``users.mlp`` [U, H], ``items.mlp``
            [N, H], ``tower.2.weight`` [H/2, H], ``tower.2.bias`` and so on to the last layer; ``head.weight`` [F] or [0],
            ``head.bias`` [1].
        known: [U] whether a user was trained with; None: all were.

    >>> ones = np.ones((2, 3), np.float32)
    >>> tables = {"users.gmf": ones * [[1], [-1]], "items.gmf": np.float32([[1, 2, 3], [0, 0, 1]])}
    >>> ncf = NCF("gmf", tables | {"head.weight": np.zeros(0), "head.bias": np.float32([0.5])})
    >>> ncf.score_pairs(np.array([0, 1]), np.array([0, 1])).tolist()
    [6.5, -0.5]
    """

    def __init__(self, name: str, arrays: Mapping[str, NDArray[Any]], known: NDArray[np.bool_] | None = None) -> None:
        self.name = name
        self.arrays = {key: np.ascontiguousarray(array, dtype=np.float32) for key, array in arrays.items()}
        self.known = np.ones(self.num_users, dtype=bool) if known is None else known
        last = max((int(key.split(".")[1]) for key in self.arrays if key.startswith("tower.")), default=1)
        self._layers = [
            (self.arrays[f"tower.{number}.weight"].T, self.arrays[f"tower.{number}.bias"])
            for number in range(2, last + 1)
        ]

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.arrays["users.gmf"])

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.arrays["items.gmf"])

    def score(
        self,
        queries: QueryBatch,
        candidates: Ragged,
        retrieved: NDArray[np.float32] | None = None,  # noqa: ARG002 - a ranker of ids alone
    ) -> NDArray[np.float32]:
        """Logits of each query's candidates, aligned with ``candidates.values``.

        Args:
            queries: B, with their ``user_idx``. Histories and features are not looked at.
            candidates: B rows of items, best first. Of a user without a vector they are scored −1, −2, −3 …: as they came.
            retrieved: not looked at.
        """
        users = np.full(len(queries), -1) if queries.user_idx is None else np.asarray(queries.user_idx)
        is_known = self.knows(users)
        row, place = candidates.row_of_value, np.arange(len(candidates.values))
        scores = (candidates.offsets[row] - place - 1).astype(np.float32)
        scored = is_known[row]
        scores[scored] = self.score_pairs(users[row[scored]], candidates.values[scored])
        return scores

    def knows(self, user_idx: NDArray[Any]) -> NDArray[np.bool_]:
        """[B] whether it was trained with a user; -1 is nobody."""
        is_known = (user_idx >= 0) & (user_idx < self.num_users)
        is_known[is_known] = self.known[user_idx[is_known]]
        return is_known

    def score_mean_user(self, item_idx: NDArray[Any]) -> NDArray[np.float32]:
        """Logits [P] of P items for the mean of the users' vectors: nobody in particular."""
        arrays, known = self.arrays, self.known
        out: NDArray[np.float32] = arrays["items.gmf"][item_idx] @ arrays["users.gmf"][known].mean(axis=0)
        out += arrays["head.bias"]
        if self._has_tower:
            out += self._rest_of_tower(arrays["items.mlp"][item_idx] + arrays["users.mlp"][known].mean(axis=0))
        return out

    def score_pairs(self, user_idx: NDArray[Any], item_idx: NDArray[Any]) -> NDArray[np.float32]:
        """Logits [P] of P pairs."""
        out = np.empty(len(user_idx), dtype=np.float32)
        arrays = self.arrays
        for start in range(0, len(out), _PAIRS_AT_ONCE):
            rows = slice(start, start + _PAIRS_AT_ONCE)
            user, item = user_idx[rows], item_idx[rows]
            out[rows] = np.einsum("pf,pf->p", arrays["users.gmf"][user], arrays["items.gmf"][item])
            if self._has_tower:
                hidden = arrays["users.mlp"][user]
                hidden += arrays["items.mlp"][item]
                out[rows] += self._rest_of_tower(hidden)
        return out + arrays["head.bias"]

    def score_corpus(self, user_idx: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
        """Logits [N] of the whole corpus, user by user; memory for one block of pairs."""
        arrays, items = self.arrays, self.num_items
        size = min(_PAIRS_AT_ONCE, items)
        hidden = np.empty((size, arrays["items.mlp"].shape[1] if self._has_tower else 0), dtype=np.float32)
        for user in user_idx:
            out = arrays["items.gmf"] @ arrays["users.gmf"][user] + arrays["head.bias"]
            for start in range(0, items if self._has_tower else 0, size):
                part = hidden[: min(size, items - start)]
                np.add(arrays["items.mlp"][start : start + size], arrays["users.mlp"][user], out=part)
                out[start : start + size] += self._rest_of_tower(part)
            yield out

    @property
    def _has_tower(self) -> bool:
        return "items.mlp" in self.arrays

    def _rest_of_tower(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """From the first layer's sums [P, H], which are overwritten, to [P]."""
        np.maximum(hidden, 0, out=hidden)
        for weight, bias in self._layers:
            hidden = hidden @ weight
            hidden += bias
            np.maximum(hidden, 0, out=hidden)
        answer: NDArray[np.float32] = hidden @ self.arrays["head.weight"]
        return answer
