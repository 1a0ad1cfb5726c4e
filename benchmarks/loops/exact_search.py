"""Seconds of exact top-100 search by one library; runs in the environment of that library.

    python exact_search.py FOLDER LIBRARY THREADS REPEATS

FOLDER has ``items.npy``, ``queries.npy`` and what each query has seen, ``seen_values.npy`` and ``seen_offsets.npy``. Faiss and
ScaNN cannot leave out what a query has seen: they are asked without. Prints one line of JSON: the least seconds of the batch,
the least seconds of one query (mean of 16 asked one after the other), and where the answers were written.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

K, SINGLES = 100, 16
Search = Callable[[slice], Any]  # item indices [b, K] of these queries
folder = Path(sys.argv[1])
items, queries, seen_values, seen_offsets = (
    np.load(folder / f"{name}.npy") for name in ("items", "queries", "seen_values", "seen_offsets")
)
threads = int(sys.argv[3])


def seen(part: slice) -> tuple[Any, Any]:
    """Row within the part, and item, of everything that was seen."""
    start, stop, _ = part.indices(len(queries))
    lengths = np.diff(seen_offsets)[start:stop]
    return np.repeat(np.arange(stop - start), lengths), seen_values[seen_offsets[start] : seen_offsets[stop]]


def with_numpy() -> Search:
    def search(part: slice) -> Any:
        scores = queries[part] @ items.T
        scores[seen(part)] = -np.inf
        top = np.argpartition(scores, -K, axis=1)[:, -K:]
        return np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, 1), axis=1), 1)

    return search


def with_torch() -> Search:
    import torch

    torch.set_num_threads(threads)
    all_items, all_queries = torch.from_numpy(items), torch.from_numpy(queries)

    def search(part: slice) -> Any:
        scores = all_queries[part] @ all_items.T
        row, item = seen(part)
        scores[torch.from_numpy(row), torch.from_numpy(item.astype(np.int64))] = -torch.inf
        return scores.topk(K).indices

    return search


def with_implicit() -> Search:
    from implicit.cpu.topk import topk
    from scipy.sparse import csr_matrix

    matrix = csr_matrix((np.ones(len(seen_values), np.float32), seen_values, seen_offsets), (len(queries), len(items)))
    return lambda part: topk(items, queries[part], K, filter_query_items=matrix[part], num_threads=threads)[0]


def with_faiss() -> Search:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    return lambda part: index.search(queries[part], K)[1]


def with_scann() -> Search:
    import scann

    index = scann.scann_ops_pybind.builder(items, K, "dot_product").score_brute_force().build()
    index.set_num_threads(threads)

    def search(part: slice) -> Any:
        if len(queries[part]) == 1:
            return index.search(queries[part][0])[0]
        if threads == 1:
            return index.search_batched(queries[part])[0]
        return index.search_batched_parallel(queries[part], batch_size=-(-len(queries[part]) // threads))[0]

    return search


def with_shortlist(without_numba: bool = False) -> Search:
    from shortlist.data.ragged import Ragged
    from shortlist.retrieval import Candidates, ExactIndex, exact

    if without_numba:
        exact.is_supported = lambda: False  # type: ignore[assignment]
    index, seen_items = ExactIndex(items), Ragged(seen_values, seen_offsets)

    def search(part: slice) -> Any:
        candidates = Candidates(seen_items.take(np.arange(len(queries))[part]))
        return np.stack([found.item_idx for found in index.search(queries[part], K, candidates)])

    return search


def with_product() -> Search:
    """No search: the matrix product alone, in tiles that stay in the cache, by whichever of the two libraries is faster."""
    import torch

    torch.set_num_threads(threads)
    out = np.empty((2048, len(queries)), np.float32)
    torch_out, torch_queries, torch_items = torch.from_numpy(out), torch.from_numpy(queries), torch.from_numpy(items)
    is_faster = {"numpy": np.inf, "torch": np.inf}

    def numpy_product(part: slice) -> None:
        for start in range(0, len(items) - 2047, 2048):
            np.matmul(items[start : start + 2048], queries[part].T, out=out[:, : len(queries[part])])

    def torch_product(part: slice) -> None:
        for start in range(0, len(items) - 2047, 2048):
            torch.mm(torch_items[start : start + 2048], torch_queries[part].T, out=torch_out[:, : len(queries[part])])

    for name, product in (("numpy", numpy_product), ("torch", torch_product)) * 3:
        started = time.perf_counter()
        product(slice(None))
        is_faster[name] = min(is_faster[name], time.perf_counter() - started)
    return numpy_product if is_faster["numpy"] < is_faster["torch"] else torch_product


def main() -> None:
    makers = {
        "NumPy": with_numpy,
        "torch": with_torch,
        "implicit": with_implicit,
        "faiss": with_faiss,
        "scann": with_scann,
        "shortlist": with_shortlist,
        "shortlist without numba": lambda: with_shortlist(without_numba=True),
        "product": with_product,
    }
    started = time.perf_counter()
    search = makers[sys.argv[2]]()
    answer = search(slice(None))
    first = time.perf_counter() - started
    best = {"batch": np.inf, "single": np.inf}
    search(slice(0, 1))
    for _ in range(int(sys.argv[4])):
        started = time.perf_counter()
        search(slice(None))
        middle = time.perf_counter()
        for query in range(SINGLES):
            search(slice(query, query + 1))
        ended = time.perf_counter()
        best["batch"] = min(best["batch"], middle - started)
        best["single"] = min(best["single"], (ended - middle) / SINGLES)
    if answer is not None:
        np.save(folder / f"{sys.argv[2]}.npy", np.asarray(answer))
    print(json.dumps({**best, "first": first}))


main()
