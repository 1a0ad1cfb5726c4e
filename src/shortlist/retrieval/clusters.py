"""The largest inner products by clusters: of the corpus only the clusters that promise most are looked at. With Faiss.

Inverted lists as they come find neighbours; on the inner products of trained vectors they break, for long vectors belong to
all clusters and to none. Two changes:

- what is clustered is (v, √(M² − |v|²)), M the largest norm: there all items lie on one sphere, and the nearest to a query is
  that of the largest product (Bachrach et al., RecSys 2014);
- clusters are visited not by their middle c, but by how far their best members may stand out of it: q·c + s |q| r / √D, where
  r is the members' root mean square distance from c. As one more dimension this is a plain inner product, of (q, s |q|) with
  (c, r / √D); items have 0 there, and so their scores stay q·v.

For recall@100 .99 on an mf of Gowalla 1,316 items are looked at; 2,157 where the clusters of the sphere are visited by distance,
6,617 where the vectors are clustered as they are (512 clusters of 41 thousand items).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged, is_among
from shortlist.errors import ArtifactError
from shortlist.retrieval.filters import Bitmap
from shortlist.retrieval.pruning import norms
from shortlist.retrieval.selection import NO_KEY, Keys, has_numba, to_keys

if TYPE_CHECKING:
    from shortlist.retrieval.compiled_clusters import Lists

STANDING_OUT = 2.0  # s: 1 to 3 are within a seventh of it, 0 looks at nearly twice the items (docs/search.md)
_POINTS_PER_CLUSTER, _ROUNDS = 64, 8  # of k-means
_TOGETHER = 16  # queries of one call: from 20 on Faiss asks BLAS, whose last bits depend on who else asks
_ITEMS_AT_ONCE = 1 << 16


class Clusters:
    """Items in inverted lists (``IndexIVFFlat``); see ``build`` and ``read``.

    May be asked by several threads at a time. A query's answer does not depend on who else asks.
    """

    def __init__(self, index: Any) -> None:
        faiss = require_faiss()
        self._index = index
        promises = faiss.downcast_index(index.quantizer).reconstruct_n(0, index.nlist)
        self._middles = np.ascontiguousarray(promises[:, :-1])
        self._radii = np.ascontiguousarray(promises[:, -1])
        self.sizes = np.array([index.invlists.list_size(number) for number in range(index.nlist)], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._index.nlist)

    @classmethod
    def build(cls, item_vectors: NDArray[np.float32], num_clusters: int, seed: int = 0) -> Clusters:
        """Cluster finite vectors [N, D]; clusters that stay empty are left out. Holds a copy of the vectors."""
        faiss = require_faiss()
        faiss.omp_set_num_threads(num_threads())
        num_items, dim = item_vectors.shape
        num_clusters = min(num_clusters, num_items)
        length = norms(item_vectors)
        missing = np.sqrt(np.maximum(length.max() ** 2 - length**2, 0)).astype(np.float32)
        sample = np.sort(np.random.default_rng(seed).permutation(num_items)[: _POINTS_PER_CLUSTER * num_clusters])
        middle = faiss.IndexFlatL2(dim + 1)
        kmeans = faiss.Kmeans(dim + 1, num_clusters, niter=_ROUNDS, seed=seed + 1, min_points_per_centroid=1)
        kmeans.train(_beside(item_vectors[sample], missing[sample]))
        middle.add(kmeans.centroids)
        parts = [slice(start, start + _ITEMS_AT_ONCE) for start in range(0, num_items, _ITEMS_AT_ONCE)]
        nearest = [middle.search(_beside(item_vectors[part], missing[part]), 1)[1][:, 0] for part in parts]
        cluster = np.unique(np.concatenate(nearest), return_inverse=True)[1].astype(np.int64)
        quantizer = faiss.IndexFlatIP(dim + 1)
        quantizer.add(_promises(item_vectors, cluster))
        index = faiss.IndexIVFFlat(quantizer, dim + 1, quantizer.ntotal, faiss.METRIC_INNER_PRODUCT)
        index.is_trained = True
        for part in parts:
            vectors = _beside(item_vectors[part], np.zeros(len(item_vectors[part]), np.float32))
            ids, own = np.arange(num_items)[part], np.ascontiguousarray(cluster[part])
            index.add_core(len(ids), faiss.swig_ptr(vectors), faiss.swig_ptr(ids), faiss.swig_ptr(own))
        return cls(index)

    def best(
        self,
        query_vectors: NDArray[np.float32],
        k: int,
        probes: int,
        exceptions: Ragged,
        bitmap: Bitmap | None = None,
    ) -> Keys:
        """Keys [B, k] of the best within the ``probes`` most promising clusters; ``NO_KEY`` behind the last.

        Args:
            query_vectors: [B, D] finite.
            k: items wanted.
            probes: clusters looked at.
            exceptions: B rows of items that may not come back.
            bitmap: [⌈N / 8⌉] the items that may come back (``filters.pack``); None: all.
        """
        probes = min(probes, len(self))
        if self._lists is not None:
            return self._lists.best(query_vectors, k, exceptions, probes, bitmap)

        def ask(_: slice, queries: Any, asked: Any, scores: Any, items: Any) -> None:
            self._index.search(queries, scores.shape[1], params=asked, D=scores, I=items)

        return self._ask(ask, query_vectors, k, probes, exceptions, bitmap)

    def best_in(
        self,
        query_vectors: NDArray[np.float32],
        k: int,
        lists: NDArray[np.int64],
        exceptions: Ragged,
        bitmap: Bitmap | None = None,
    ) -> Keys:
        """``best`` in given clusters [B, P], −1 behind the last."""
        if self._lists is not None:
            return self._lists.best_in(query_vectors, k, exceptions, lists, bitmap)
        swig_ptr, lists = require_faiss().swig_ptr, np.ascontiguousarray(lists)
        middle_scores = np.zeros(lists.shape, dtype=np.float32)  # not used: scores are those of the vectors

        def ask(part: slice, queries: Any, asked: Any, scores: Any, items: Any) -> None:
            arrays = (lists[part], middle_scores[part], scores, items)
            pointers = (swig_ptr(one) for one in arrays)
            self._index.search_preassigned_c(len(queries), swig_ptr(queries), scores.shape[1], *pointers, False, asked)

        return self._ask(ask, query_vectors, k, lists.shape[1], exceptions, bitmap)

    def promises(self, query_vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores [B, C] of the clusters' middles, and |q| r / √D, of which members stand out by a few at most."""
        middle = np.stack([self._middles @ query for query in query_vectors])  # one by one: see ``_TOGETHER``
        return middle, norms(query_vectors).astype(np.float32)[:, None] * self._radii

    def _ask(
        self,
        ask: Callable[..., None],
        query_vectors: Any,
        k: int,
        probes: int,
        exceptions: Ragged,
        bitmap: Bitmap | None,
    ) -> Keys:
        """Faiss, a few queries at a time, in threads; what is excluded is asked for besides and dropped."""
        queries = _beside(query_vectors, (STANDING_OUT * norms(query_vectors)).astype(np.float32))
        faiss, num_items = require_faiss(), int(self._index.ntotal)
        fetch = min(k + int(exceptions.lengths.max(initial=0)), num_items)
        scores = np.empty((len(queries), fetch), dtype=np.float32)
        items = np.empty((len(queries), fetch), dtype=np.int64)
        bits = None if bitmap is None else np.ascontiguousarray(bitmap)
        selector = None if bits is None else faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        asked = faiss.SearchParametersIVF(nprobe=probes, sel=selector)

        def work(start: int) -> None:
            part = slice(start, start + _TOGETHER)
            faiss.omp_set_num_threads(1)  # of this thread's calls: Faiss's own threads would fight with those of others
            ask(part, queries[part], asked, scores[part], items[part])

        in_turn(work, range(0, len(queries), _TOGETHER))
        keys = np.where(items >= 0, to_keys(scores, items), NO_KEY)
        row, own = np.arange(len(queries))[:, None], exceptions.row_of_value * num_items + exceptions.values
        keys[is_among((row * num_items + items).ravel(), own).reshape(items.shape)] = NO_KEY
        keys.sort(axis=1)
        return np.concatenate([keys, np.full((len(keys), max(0, k - fetch)), NO_KEY)], axis=1)[:, :k]

    @cached_property
    def _lists(self) -> Lists | None:
        """The compiled loops over the lists that Faiss keeps; None without numba."""
        if not has_numba():
            return None
        from shortlist.retrieval.compiled_clusters import Lists

        faiss, lists = require_faiss(), self._index.invlists
        vectors, items = (
            np.array([faiss.rev_swig_ptr(get(number), 1).ctypes.data for number in range(len(self))], dtype=np.int64)
            for get in (lists.get_codes, lists.get_ids)
        )
        return Lists(vectors, items, self.sizes, self._middles, np.float32(STANDING_OUT) * self._radii)

    def write(self, file: Path) -> None:
        """Save in Faiss's own format."""
        faiss = require_faiss()
        faiss.write_index(self._index, str(file))

    @classmethod
    def read(cls, file: Path) -> Clusters:
        """Map a saved file into memory: processes on one machine share it."""
        faiss = require_faiss()
        try:
            return cls(faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC))
        except RuntimeError as error:
            raise ArtifactError(f"The index {file} cannot be read ({error}). Train anew.") from None


@cache
def require_faiss() -> Any:
    """The package.

    Raises:
        ArtifactError: it is not installed.
    """
    if find_spec("faiss") is None:
        raise ArtifactError(
            '[index] kind = "ann" needs the package faiss-cpu, which is not installed. Install it with '
            "`pip install 'shortlist[ann]'`, or set kind = \"exact\"."
        )
    if sys.platform == "darwin":  # PyTorch brings the same OpenMP, and whichever is loaded second would end the process
        os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")
    import faiss

    return faiss


def num_threads() -> int:
    """As NUMBA_NUM_THREADS says, which the exact search heeds too; else the processors of this machine."""
    return int(os.environ.get("NUMBA_NUM_THREADS", 0)) or os.cpu_count() or 1


def in_turn(work: Callable[[int], None], numbers: range) -> None:
    """Do all of it, in as many threads as there are; alone where there is little."""
    if len(numbers) == 1 or num_threads() == 1:
        for number in numbers:
            work(number)
    else:
        list(_threads().map(work, numbers))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads(), thread_name_prefix="shortlist-ann")


def _beside(vectors: NDArray[np.float32], last: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n, D + 1]."""
    return np.concatenate([np.asarray(vectors, dtype=np.float32), last[:, None]], axis=1)


def _promises(item_vectors: NDArray[np.float32], cluster: NDArray[np.int64]) -> NDArray[np.float32]:
    """[C, D + 1] middles and what the best members may stand out by; of items' clusters [N], none of them empty."""
    dim, order = item_vectors.shape[1], np.argsort(cluster, kind="stable")
    starts = np.searchsorted(cluster[order], np.arange(int(cluster.max()) + 1))
    made = np.empty((len(starts), dim + 1), dtype=np.float32)
    for number, members in enumerate(np.split(order, starts[1:])):
        vectors = np.asarray(item_vectors[members], dtype=np.float64)
        made[number, :dim] = vectors.mean(axis=0)
        made[number, dim] = np.sqrt(vectors.var(axis=0).mean())
    return made
