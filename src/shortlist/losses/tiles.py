"""The logits of all queries and all items, a tile at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

TILE_ON_CPU = 2**22
QUERY_TILE_ON_CPU = 2**20
TILE_ON_ACCELERATOR = 2**25
"""Logits held at once. On a CPU 16 MB: less stays nearer in its caches, but threads meet more often, which costs more
where cores are shared; with all items of some queries there is one pass, and 4 MB are best. Elsewhere 128 MB, enough to
keep it busy."""
NARROWEST = 64
"""Items, or queries, of a tile at least, however many share it: a narrower matrix product is slow."""


def item_by_item(forbidden: Tensor, num_queries: int, num_items: int) -> Tensor:
    """Positions b·N + i, in any order, as i·B + b, ascending: those of one tile stand together.

    >>> item_by_item(torch.tensor([0, 3, 2]), num_queries=2, num_items=3).tolist()
    [0, 1, 4]
    """
    row = forbidden // num_items
    return ((forbidden - row * num_items) * num_queries + row).sort().values


class QueryTiles:
    """Logits s = query · itemsᵀ + bias of some queries and all items at a time, in one buffer that is written over.

    Args:
        query: [B, D].
        items: [N, D].
        bias: [N].
        forbidden: [M] positions b·N + i where the logit is −inf, in any order.

    >>> tiles = QueryTiles(torch.ones(1, 2), torch.eye(2), torch.tensor([1.0, 2.0]), torch.tensor([0]))
    >>> [(piece.stop, logits.tolist()) for piece, logits, *_ in tiles.with_pairs(torch.tensor([0]), torch.tensor([0]))]
    [(1, [[-inf, 3.0]])]
    """

    def __init__(self, query: Tensor, items: Tensor, bias: Tensor, forbidden: Tensor | None = None) -> None:
        tile = QUERY_TILE_ON_CPU if query.device.type == "cpu" else TILE_ON_ACCELERATOR
        height = min(max(tile // len(items), NARROWEST), len(query))
        self.query, self.bias, self.num_items = query, bias, len(items)
        self.by_dimension = items.T.contiguous()
        self.starts = torch.arange(0, len(query) + height, height, device=query.device).clamp_(max=len(query))
        self.buffer = query.new_empty(height, len(items))
        self.forbidden = forbidden
        if forbidden is not None:
            row = forbidden // len(items)
            if not bool((row[1:] >= row[:-1]).all()):  # they mostly come query by query
                self.forbidden, order = forbidden.sort()
                row = row[order]
            self.cuts = torch.searchsorted(row, self.starts).tolist()

    def with_pairs(
        self, rows: Tensor, columns: Tensor, *, apart: bool = False
    ) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
        """Each piece of the queries with its logits [C, N], which the next tile overwrites; which pairs are of them, and theirs.

        Args:
            rows, columns: [T] query and item of each pair.
            apart: whether a forbidden pair has the logit it would have if it were allowed.
        """
        order = rows.argsort()
        starts, cuts = self.starts.tolist(), torch.searchsorted(rows[order], self.starts).tolist()
        for number, start in enumerate(starts[:-1]):
            piece = slice(start, starts[number + 1])
            logits = self.buffer[: piece.stop - start]
            torch.addmm(self.bias, self.query[piece], self.by_dimension, out=logits)
            asked = order[cuts[number] : cuts[number + 1]]
            of_pair = logits[rows[asked] - start, columns[asked]]
            if self.forbidden is not None:
                here = self.forbidden[self.cuts[number] : self.cuts[number + 1]] - start * self.num_items
                logits.view(-1).index_fill_(0, here, -torch.inf)
                if not apart:
                    of_pair = logits[rows[asked] - start, columns[asked]]
            yield piece, logits, asked, of_pair


class ItemTiles:
    """Logits s = query · itemsᵀ + bias, [B, C] at a time in one buffer that is written over.

    The bias, and what is subtracted from a row, are two more dimensions of the vectors, so that the matrix product
    brings them along: ⟨(q, 1, −z), (v, b, 1)⟩ = q·v + b − z. A pass over the tile costs more than they do.

    Args:
        query: [B, D].
        items: [N, D].
        bias: [N].
        by_item: [M] where the logit is −inf, as :func:`item_by_item` orders it.
        width: C; by default as many as the device's tile has room for.

    >>> tiles = ItemTiles(torch.ones(1, 2), torch.eye(2), torch.tensor([1.0, 2.0]), width=1)
    >>> [(piece.start, logits.item()) for piece, logits in tiles.minus(torch.tensor([0.5]))]
    [(0, 1.5), (1, 2.5)]
    """

    def __init__(
        self, query: Tensor, items: Tensor, bias: Tensor, by_item: Tensor | None = None, width: int | None = None
    ) -> None:
        num_items = len(items)
        tile = TILE_ON_CPU if query.device.type == "cpu" else TILE_ON_ACCELERATOR
        width = min(width or max(tile // max(len(query), 1), NARROWEST), num_items)
        self.query, self.items, self.bias = query, items, bias
        self.pieces = [slice(start, min(start + width, num_items)) for start in range(0, num_items, width)]
        self._buffer = query.new_empty(len(query) * width)
        self._vectors = query.new_empty(width, query.shape[1] + 2)
        self._vectors[:, -1] = 1
        self._keys = by_item if by_item is not None and len(by_item) else None
        if self._keys is not None:
            edges = [0, *(piece.stop * len(query) for piece in self.pieces)]
            self._edges = torch.searchsorted(self._keys, torch.tensor(edges, device=query.device)).tolist()

    def forbids(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Whether the logit of each pair is forbidden, [T]."""
        if self._keys is None:
            return torch.zeros_like(rows, dtype=torch.bool)
        wanted = columns * len(self.query) + rows
        place = torch.searchsorted(self._keys, wanted).clamp_(max=len(self._keys) - 1)
        return self._keys[place] == wanted

    def minus(self, shift: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
        """Each piece of the items with its logits less ``shift`` [B], [B, C]; the next tile overwrites them."""
        query = torch.cat([self.query, self.query.new_ones(len(self.query), 2)], dim=1)
        query[:, -1] = 0 if shift is None else -shift
        for number, piece in enumerate(self.pieces):
            width = piece.stop - piece.start
            vectors = self._vectors[:width]
            vectors[:, :-2] = self.items[piece]
            vectors[:, -2] = self.bias[piece]
            flat = self._buffer[: len(query) * width]
            logits = flat.view(len(query), width)
            torch.mm(query, vectors.T, out=logits)
            if self._keys is not None:
                keys = self._keys[self._edges[number] : self._edges[number + 1]]
                columns = keys // len(query)
                flat.index_fill_(0, (keys - columns * len(query)) * width + (columns - piece.start), -torch.inf)
            yield piece, logits

    def log_sum_exp(self) -> Tensor:
        """Log Σ_i exp s_bi, [B]; the lowest finite number where every item is forbidden.

        Each tile is exponentiated under its own maximum, and the tiles' sums are joined at the end.
        """
        lowest = torch.finfo(self.query.dtype).min
        of_tile = self.query.new_empty(len(self.pieces), len(self.query))
        for number, (_, logits) in enumerate(self.minus(None)):
            largest = logits.amax(dim=1).clamp_(min=lowest)  # a whole tile may be forbidden: −inf − −inf is no number
            total = logits.sub_(largest[:, None]).exp_().sum(dim=1)
            of_tile[number] = largest + total.log_()
        return of_tile.logsumexp(dim=0).clamp_(min=lowest)
