"""Exact search with PyTorch, on a GPU where there is one: all items are scored, and a tile of the scores is held at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from shortlist.retrieval.base import ScoredItems, Vectors
from shortlist.retrieval.exact import ExactIndex
from shortlist.retrieval.filters import ALL, NONE, Candidates

_CELLS, _QUERIES = 1 << 24, 1024
_LOCK = threading.Lock()  # one search at a time: its memory is bounded, and PyTorch's precision is set for all of it


class TorchIndex:
    """All items of the corpus by dot product, as ``ExactIndex`` answers, on a device of PyTorch.

    Args:
        item_vectors: [N, D] float32; a copy goes to the device.
        device: as PyTorch names it, such as ``cuda`` or ``cpu``.
        cells: scores held at once (at least 8 a query).
        queries: how many are answered at once.

    Tiles of items are scored in ascending order, and forbidden ones put out on the device. What does not exceed a query's k-th
    best score so far is never looked at again; the rest joins the best by a stable sort, so that of equal scores the lower index
    comes first. Products are in full float32, whatever precision PyTorch is set to: scores differ from those of ``ExactIndex``
    by the last bits of the sums, and may differ so between a query alone and in a batch.

    Memory on the device: 4·N·D bytes, and in a search about 7 bytes a cell (113 MB as set), 14 where each of 1,024 queries has a
    bitmap of its own; where every item exceeds all before it, 80 (1.3 GB). Seen on the CPU; a GPU may sort in more room.

    Sparse item vectors are left to ``ExactIndex``, on the CPU, and so is what is not finite; ``device`` says who searches. Sparse
    queries are made dense, 4·D bytes each.

    >>> index = TorchIndex(np.eye(3, dtype=np.float32), "cpu")
    >>> query = np.array([[3, 2, 1]], dtype=np.float32)
    >>> index.search(query, 2, Candidates.shared(np.array([[False, True, True]]), np.array([0])))[0].item_idx.tolist()
    [1, 2]
    """

    def __init__(
        self, item_vectors: Vectors, device: str = "cuda", *, cells: int = _CELLS, queries: int = _QUERIES
    ) -> None:
        self.exact, self.cells, self.queries = ExactIndex(item_vectors), cells, queries
        is_held = isinstance(item_vectors, np.ndarray) and _is_finite(item_vectors)
        self.device = device if is_held else "cpu"
        self._vectors = _on(device, item_vectors) if is_held else None

    def __len__(self) -> int:
        return len(self.exact)

    def search(self, query_vectors: Vectors, k: int, candidates: Candidates) -> list[ScoredItems]:
        """The k best allowed items of each query: min(k, allowed) of them, ties by lower index.

        Args:
            query_vectors: [B, D].
            k: wanted items.
            candidates: which may come back.
        """
        k = min(k, len(self))
        if self._vectors is None or not _is_finite(query_vectors) or k < 1:
            return self.exact.search(query_vectors, k, candidates)
        found: list[ScoredItems] = []
        with _full_float32():
            for start in range(0, len(candidates), self.queries):
                rows = np.arange(start, min(start + self.queries, len(candidates)))
                filters = _Filters(candidates.take(rows), self.device)
                best = self._best(self._vectors, _on(self.device, query_vectors[rows]), k, filters)
                item_idx, score = (one.cpu().numpy() for one in best)
                counts = (score > -np.inf).sum(axis=1).tolist()
                lists = zip(item_idx.astype(np.int32), score, counts, strict=True)
                found += [ScoredItems(items[:n], scores[:n], "exact") for items, scores, n in lists]
        return found

    def _best(self, vectors: Tensor, queries: Tensor, k: int, filters: _Filters) -> tuple[Tensor, Tensor]:
        """Items and scores [B, k] of the best allowed items, best first; the score is −inf where there are fewer."""
        item = queries.new_zeros((len(queries), k), dtype=torch.int64)
        score = queries.new_full((len(queries), k), -torch.inf)
        most = max(8, self.cells // len(queries) // 8 * 8)  # whole bytes of bitmaps
        first, width = 0, min(most, 8 * (k // 2 + 1))  # all of the first tile passes, so it is small
        while first < len(vectors):
            scores = queries @ vectors[first : first + width].T
            filters.forbid(scores, first)
            row, column = (scores > score[:, -1:]).nonzero(
                as_tuple=True
            )  # an equal one stands behind: its index is higher
            if len(row):
                item, score = _joined(item, score, row, first + column, scores[row, column])
            del scores  # before the next are there
            first, width = first + width, min(2 * width, most)
        return item, score


class _Filters:
    """The candidates of some queries on a device, a tile of items at a time."""

    def __init__(self, candidates: Candidates, device: str) -> None:
        exceptions, order = candidates.exceptions, np.argsort(candidates.exceptions.values, kind="stable")
        self._items: NDArray[np.int64] = exceptions.values[order].astype(np.int64)
        self._row = torch.tensor(exceptions.row_of_value[order], device=device)
        self._item = torch.tensor(self._items, device=device)
        self._is_all = bool((candidates.base == ALL).all())
        self._bitmaps, self._base = candidates.bitmaps, torch.tensor(candidates.base, device=device)
        self._place = torch.arange(8, dtype=torch.uint8, device=device)

    def forbid(self, scores: Tensor, first: int) -> None:
        """``Candidates.forbid`` for a tile [B, T] that begins with an item, whose index is a multiple of 8."""
        begin, end = np.searchsorted(self._items, [first, first + scores.shape[1]]).tolist()
        row, column = self._row[begin:end], self._item[begin:end] - first
        if self._is_all:
            scores[row, column] = -torch.inf
            return
        allowed = self._masks(first, scores.shape[1])[self._base]
        allowed[row, column] = ~allowed[row, column]  # by assignment: a repeat changes nothing
        scores.masked_fill_(allowed.logical_not_(), -torch.inf)

    def _masks(self, first: int, width: int) -> Tensor:
        """[M + 2, T] of the tile: every bitmap, then NONE and ALL where their numbers, −2 and −1, look for them."""
        masks = torch.zeros((len(self._bitmaps) - NONE, width), dtype=torch.bool, device=self._place.device)
        masks[ALL] = True
        if len(self._bitmaps):
            bits = torch.tensor(self._bitmaps[:, first // 8 : -(-(first + width) // 8)], device=masks.device)
            masks[:NONE] = ((bits[:, :, None] >> self._place) & 1).flatten(1)[:, :width]
        return masks


def _joined(item: Tensor, score: Tensor, row: Tensor, new_item: Tensor, new_score: Tensor) -> tuple[Tensor, Tensor]:
    """The best k of lists [B, k], in order, and of new items [P], which ascend in every row and are above all old ones."""
    k, counts = score.shape[1], torch.bincount(row, minlength=len(score))
    place = k + torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    room = (0, int(counts.max()))
    items, scores = pad(item, room), pad(score, room, value=-torch.inf)
    items[row, place] = new_item
    scores[row, place] = new_score + 0.0  # makes -0 and 0 one number
    best = scores.sort(dim=1, descending=True, stable=True)
    return items.gather(1, best.indices[:, :k]), best.values[:, :k]


def _on(device: str, vectors: Vectors) -> Tensor:
    dense = vectors if isinstance(vectors, np.ndarray) else vectors.toarray()
    return torch.tensor(dense, dtype=torch.float32, device=device)


def _is_finite(vectors: Vectors) -> bool:
    return bool(np.isfinite(vectors if isinstance(vectors, np.ndarray) else vectors.data).all())


@contextmanager
def _full_float32() -> Iterator[None]:
    """No TensorFloat-32 nor bfloat16 in products, which PyTorch knows as a setting of the process alone."""
    with _LOCK:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def why_no_cuda() -> str | None:
    """What keeps PyTorch from a CUDA device, and what to do; None: nothing."""
    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} was built without CUDA: install a build with it (https://pytorch.org/get-started)"
    return f"PyTorch {torch.__version__} sees no CUDA device: see what nvidia-smi and $CUDA_VISIBLE_DEVICES say"
