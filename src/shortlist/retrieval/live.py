"""A corpus that changes while it is searched: added, changed and removed items, without building the index anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, is_among
from shortlist.errors import DataError
from shortlist.retrieval.ann import AnnIndex
from shortlist.retrieval.base import Index, ScoredItems
from shortlist.retrieval.clusters import Clusters
from shortlist.retrieval.exact import ExactIndex
from shortlist.retrieval.filters import Candidates
from shortlist.retrieval.live_state import LiveState
from shortlist.retrieval.live_storage import load_state, save_state

_NONE = np.empty(0, dtype=np.int64)
Vectors = NDArray[np.float32]


class LiveIndex:
    """An index of item vectors, and the changes since: a small flat index of new vectors, and which old ones are hidden.

    Args:
        base: ``ExactIndex`` or ``AnnIndex`` of dense vectors.
        rebuild: makes the next base of all vectors; None: one of the same kind.
        compact_at: vectors beside the base from which on a background thread puts all into a new base.

    A search sees the corpus as of one moment: each write makes a new immutable state and puts it into the place of the old
    one in a single step. So searches wait for nobody and see no half of a write, and a write is seen by every search that
    begins after it returned. Writes may come from several threads; they wait for each other, but not for compaction.

    Indices are given once and for ever: new items get the next ones, those of removed items stay empty. A filter's bitmap
    that was made before an item came does not have it.

    >>> live = LiveIndex(ExactIndex(np.eye(3, dtype=np.float32)))
    >>> live.add(np.array([[5, 0, 0]], np.float32)).tolist()
    [3]
    >>> live.remove(np.array([1]))
    >>> everything = Candidates(Ragged.empty(1))
    >>> live.search(np.array([[2, 1, 0]], np.float32), 10, everything)[0].item_idx.tolist()
    [3, 0, 2]
    """

    def __init__(
        self, base: ExactIndex | AnnIndex, rebuild: Callable[[Vectors], Index] | None = None, compact_at: int = 20_000
    ) -> None:
        self.compact_at = compact_at
        self._rebuild = rebuild or _same_kind(base)
        empty = np.empty((0, base.item_vectors.shape[1]), np.float32)
        self._start(LiveState(base, _NONE, empty, _NONE, _NONE, _NONE, len(base)), base.item_vectors)

    def _start(self, state: LiveState, base_vectors: Vectors) -> None:
        self._state, self._base_vectors = state, base_vectors
        self._writing = threading.Lock()
        self._compactor = ThreadPoolExecutor(1, thread_name_prefix="shortlist-compaction")
        self._compaction: Future[None] | None = None
        self._asked: Vectors | None = None  # the last queries: a new base is laid out for such
        self._vectors, self._items = state.vectors.copy(), state.items.copy()  # buffers: a state shows their first rows
        rows = state.living_rows
        self._row_of: dict[int, int] = dict(zip(state.items[rows].tolist(), rows.tolist(), strict=True))

    def __len__(self) -> int:
        """One more than the largest index, removed items included."""
        return self._state.num_items

    @property
    def state(self) -> LiveState:
        """This moment."""
        return self._state

    def search(self, query_vectors: Any, k: int, candidates: Candidates) -> list[ScoredItems]:
        """The k best allowed items of each query, min(k, allowed) of them, best first; those of removed items never."""
        self._asked = query_vectors
        return self._state.search(query_vectors, k, candidates)

    def add(self, vectors: Vectors) -> NDArray[np.int64]:
        """Add items of vectors [n, D]; returns their indices [n], the next ones."""
        vectors = self._checked(vectors)
        with self._writing:
            state = self._state
            items = np.arange(state.num_items, state.num_items + len(vectors))
            self._put(replace(state, num_items=state.num_items + len(vectors)), items, vectors, _NONE, _NONE)
        return items

    def change(self, items: NDArray[Any], vectors: Vectors) -> None:
        """Give items [n] other vectors [n, D]; a removed one comes back.

        Raises:
            DataError: an index that was never given or stands twice, or vectors of another shape.
        """
        vectors = self._checked(vectors)
        with self._writing:
            items = self._known(items)
            if len(items) != len(vectors):
                raise DataError(f"change: expected a vector for each of {len(items)} items, got {len(vectors)}.")
            state = self._state
            state = replace(state, gone=state.gone[~is_among(state.gone, items)])
            self._put(state, items, vectors, self._bury(items), items)

    def remove(self, items: NDArray[Any]) -> None:
        """Take items [n] out; those that are removed already stay so.

        Raises:
            DataError: an index that was never given or stands twice.
        """
        with self._writing:
            items = self._known(items)
            state = self._state
            state = replace(state, gone=np.union1d(state.gone, items))
            self._put(state, _NONE, self._vectors[:0], self._bury(items), items)

    def compact(self) -> Future[None]:
        """Put everything into a new base, in the background; done when the result is there."""
        with self._writing:
            return self._begin_compaction()

    def save(self, folder: Path) -> None:
        """Write this moment into a folder; one that is there is replaced."""
        save_state(self._state, folder)

    @classmethod
    def load(
        cls, folder: Path, rebuild: Callable[[Vectors], Index] | None = None, compact_at: int = 20_000
    ) -> LiveIndex:
        """Map what ``save`` wrote into memory.

        Raises:
            ArtifactError: there is nothing, or it cannot be read.
        """
        state, base = load_state(folder)
        live = cls(base, rebuild, compact_at)
        live._start(state, base.item_vectors)
        return live

    def close(self) -> None:
        """Wait for what runs in the background."""
        self._compactor.shutdown()

    def _bury(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the delta that these items had; they have none now."""
        rows = [self._row_of.pop(item) for item in items.tolist() if item in self._row_of]
        return np.array(rows, dtype=np.int64)

    def _put(
        self,
        state: LiveState,
        items: NDArray[np.int64],
        vectors: Vectors,
        dead: NDArray[np.int64],
        hide: NDArray[np.int64],
    ) -> None:
        """Publish a state with these rows more, without those that are dead, and with items hidden. The lock is held."""
        start = len(state.items)
        stop = start + len(items)
        if stop > len(self._items):  # states that were seen keep the old buffers
            size = max(1024, 2 * stop)
            self._vectors, old = np.empty((size, vectors.shape[1]), np.float32), self._vectors
            self._vectors[:start] = old[:start]
            self._items, old_items = np.empty(size, np.int64), self._items
            self._items[:start] = old_items[:start]
        self._vectors[start:stop], self._items[start:stop] = vectors, items
        self._row_of.update(zip(items.tolist(), range(start, stop), strict=True))
        hide = hide[hide < len(state.base)]
        self._state = replace(
            state,
            hidden=np.union1d(state.hidden, hide) if len(hide) else state.hidden,
            vectors=self._vectors[:stop],
            items=self._items[:stop],
            dead=np.union1d(state.dead, dead) if len(dead) else state.dead,
        )
        if stop >= self.compact_at:
            self._begin_compaction()

    def _begin_compaction(self) -> Future[None]:
        if self._compaction is None or self._compaction.done():
            self._compaction = self._compactor.submit(self._compact)
        return self._compaction

    def _compact(self) -> None:
        before = self._state
        rows = before.living_rows
        vectors = np.zeros((before.num_items, before.vectors.shape[1]), np.float32)
        vectors[: len(self._base_vectors)] = self._base_vectors
        vectors[before.items[rows]] = before.vectors[rows]
        vectors[before.gone] = 0
        base = self._rebuild(vectors)
        asked = self._asked
        sample = vectors[:1] if asked is None else asked
        base.search(sample, 1, Candidates(Ragged.empty(len(sample))))  # lays it out, which no query shall wait for
        with self._writing:
            now, start = self._state, len(before.items)
            later = now.items[start:]
            out_of_base = np.concatenate([now.gone, later])
            self._vectors, self._items = now.vectors[start:].copy(), later.copy()
            self._row_of = {item: row - start for item, row in self._row_of.items() if row >= start}
            self._base_vectors = vectors
            self._state = LiveState(
                base=base,
                hidden=np.unique(out_of_base[out_of_base < len(vectors)]),
                vectors=self._vectors,
                items=self._items,
                dead=now.dead[now.dead >= start] - start,
                gone=now.gone,
                num_items=now.num_items,
            )

    def _checked(self, vectors: Vectors) -> Vectors:
        dim = self._vectors.shape[1]
        vectors = np.asarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != dim or not np.isfinite(vectors).all():
            raise DataError(f"vectors: expected finite numbers of shape [n, {dim}], got {list(vectors.shape)}.")
        return vectors

    def _known(self, items: NDArray[Any]) -> NDArray[np.int64]:
        items = np.asarray(items, dtype=np.int64)
        if len(np.unique(items)) < len(items) or (len(items) and not 0 <= items.min() <= items.max() < len(self)):
            raise DataError(
                f"items: expected different indices from 0 to {len(self) - 1:,}, got {items[:10].tolist()}; "
                "new items are added with `add`, which gives them their indices."
            )
        return items


def _same_kind(base: ExactIndex | AnnIndex) -> Callable[[Vectors], Index]:
    if not isinstance(base, AnnIndex):
        return ExactIndex
    num_clusters, effort = len(base.clusters), base.effort
    return lambda vectors: AnnIndex(vectors, Clusters.build(vectors, num_clusters), effort)
