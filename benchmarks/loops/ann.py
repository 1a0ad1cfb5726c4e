"""Recall@100, seconds and megabytes of approximate search by one library; runs in the environment of that library.

    python ann.py FOLDER LIBRARY THREADS

FOLDER has ``items.npy``, ``queries.npy``, ``choosing.npy`` (other queries, with which shortlist chooses its settings) and
``truth.npy`` [B, 100]. Prints a line of JSON for each setting: recall@100, seconds of the batch and of one query, of building,
and megabytes by which the process grew. Peers try all settings of a grid and are judged on the very queries; shortlist is asked
for a recall and has chosen on others.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

K, SINGLES, REPEATS, SEED = 100, 100, 10, 1
BREADTHS = (100, 150, 200, 300, 400, 600, 800, 1200, 1600)  # of graphs
Search = Callable[[Any], Any]  # queries [b, D] → item indices [b, K]
folder = Path(sys.argv[1])
items, queries, choosing, truth = (
    np.load(folder / f"{name}.npy") for name in ("items", "queries", "choosing", "truth")
)
threads = int(sys.argv[3])


def augmented(vectors: Any, last: Any) -> Any:
    """On a sphere: the nearest is what has the largest product."""
    return np.concatenate([vectors, np.broadcast_to(last, len(vectors))[:, None]], axis=1).astype(np.float32)


def on_sphere() -> Any:
    length = np.einsum("nd,nd->n", items, items, dtype=np.float64)
    return augmented(items, np.sqrt(length.max() - length))


def with_faiss(kind: str) -> Iterator[tuple[str, Search]]:
    """Inverted lists over the sphere, by distance; graphs by product and over the sphere; fast-scan codes and refinement."""
    import faiss

    faiss.omp_set_num_threads(threads)
    if kind == "ivf":
        vectors = on_sphere()
        for lists in sorted({1 << round(np.log2(factor * np.sqrt(len(items)))) for factor in (1, 4)}):
            index = faiss.index_factory(vectors.shape[1], f"IVF{lists},Flat")
            index.cp.seed, index.cp.max_points_per_centroid = SEED, 64
            index.train(vectors)
            index.add(vectors)
            for probes in (one for one in (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384) if one < lists):
                index.nprobe = probes
                search = index.search
                yield f"{lists} lists, {probes} probes", lambda part, search=search: search(augmented(part, 0), K)[1]
    elif kind == "hnsw":
        vectors = on_sphere()
        index = faiss.IndexHNSWFlat(vectors.shape[1], 32)
        index.hnsw.efConstruction = 100
        index.add(vectors)
        for breadth in BREADTHS:
            index.hnsw.efSearch = breadth
            yield f"breadth {breadth}", lambda part: index.search(augmented(part, 0), K)[1]
    else:
        index = faiss.index_factory(items.shape[1], f"PQ{items.shape[1] // 2}x4fs,RFlat", faiss.METRIC_INNER_PRODUCT)
        index.train(items[np.random.default_rng(SEED).permutation(len(items))[:100_000]])
        index.add(items)
        for factor in (2, 4, 8, 16, 32, 64):
            index.k_factor = factor
            yield f"refine {factor} k", lambda part: index.search(part, K)[1]


def with_hnswlib() -> Iterator[tuple[str, Search]]:
    """Graphs over the sphere, by distance."""
    import hnswlib

    vectors = on_sphere()
    index = hnswlib.Index(space="l2", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=32, ef_construction=100, random_seed=SEED)
    index.add_items(vectors, num_threads=threads)
    for breadth in BREADTHS:
        index.set_ef(breadth)
        yield f"breadth {breadth}", lambda part: index.knn_query(augmented(part, 0), K, num_threads=threads)[0]


def with_usearch() -> Iterator[tuple[str, Search]]:
    """Graphs over the sphere, by distance, float32."""
    from usearch.index import Index

    vectors = on_sphere()
    index = Index(ndim=vectors.shape[1], metric="l2sq", dtype="f32", connectivity=32, expansion_add=100)
    index.add(np.arange(len(vectors)), vectors, threads=threads)
    for breadth in BREADTHS:
        index.expansion_search = breadth

        def search(part: Any) -> Any:
            return np.atleast_2d(index.search(augmented(part, 0), K, threads=threads).keys)

        yield f"breadth {breadth}", search


def with_scann() -> Iterator[tuple[str, Search]]:
    import scann

    leaves = 1 << round(np.log2(np.sqrt(len(items))))
    index = (
        scann.scann_ops_pybind.builder(items, K, "dot_product")
        .tree(leaves, leaves // 4, training_sample_size=min(len(items), 250_000))
        .score_ah(2, anisotropic_quantization_threshold=0.2)
        .reorder(300)
        .build()
    )
    index.set_num_threads(threads)
    for probes in (one for one in (4, 8, 16, 32, 64, 96, 128, 192, 256, 384) if one <= leaves):
        for reorder in (150, 300, 600, 1200):
            asked = {"leaves_to_search": probes, "pre_reorder_num_neighbors": reorder}

            def search(part: Any, asked: dict[str, int] = asked) -> Any:
                if len(part) == 1:
                    return index.search(part[0], **asked)[0][None]
                if threads == 1:
                    return index.search_batched(part, **asked)[0]
                return index.search_batched_parallel(part, batch_size=-(-len(part) // threads), **asked)[0]

            yield f"{probes} of {leaves} leaves, reorder {reorder}", search


def with_shortlist(kind: str) -> Iterator[tuple[str, Search]]:
    from shortlist.data.ragged import Ragged
    from shortlist.retrieval import Candidates, ExactIndex
    from shortlist.retrieval.tuning import tune

    def of(index: Any) -> Search:
        return lambda part: np.stack(
            [found.item_idx for found in index.search(part, K, Candidates(Ragged.empty(len(part))))]
        )

    if kind == "exact":
        yield "exact", of(ExactIndex(items))
        return
    for recall in (0.95, 0.99):
        nothing = Candidates(Ragged.empty(len(choosing)))
        tuned = tune(items, choosing, nothing, recall=recall, k=K, only_if_faster=False)
        assert tuned.index is not None, tuned.note
        print(json.dumps({"asked": recall, "facts": tuned.facts}), flush=True)
        yield f"asked {recall}: {tuned.index.effort.probes} of {len(tuned.index.clusters)}", of(tuned.index)


def megabytes() -> float:
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024


def main() -> None:
    name, _, kind = sys.argv[2].partition("-")
    makers = {
        "faiss": lambda: with_faiss(kind),
        "hnswlib": with_hnswlib,
        "usearch": with_usearch,
        "scann": with_scann,
        "shortlist": lambda: with_shortlist(kind),
    }
    before, started = megabytes(), time.perf_counter()
    for setting, search in makers[name]():
        build = time.perf_counter() - started
        found = np.asarray(search(queries))
        recall = float(np.mean([len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist(), strict=True)]) / K)
        batch, singles = np.inf, []
        for _ in range(REPEATS):
            began = time.perf_counter()
            search(queries)
            batch = min(batch, time.perf_counter() - began)
        for row in range(SINGLES):
            began = time.perf_counter()
            search(queries[row : row + 1])
            singles.append(time.perf_counter() - began)
        answer = {"setting": setting, "recall": recall, "batch": batch / len(queries), "build": build}
        p50, p99 = np.quantile(singles, [0.5, 0.99])
        print(json.dumps({**answer, "p50": p50, "p99": p99, "megabytes": megabytes() - before}), flush=True)
        started = time.perf_counter()
        if recall > 0.9985 and name != "shortlist":
            break  # more of the same would not be cheaper
    sys.stdout.flush()
    os._exit(0)


main()
