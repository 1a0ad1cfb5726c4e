from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from shortlist.data.ragged import Ragged
from shortlist.errors import ArtifactError
from shortlist.retrieval import AnnIndex, Candidates, ExactIndex, clusters, measuring
from shortlist.retrieval.clusters import Clusters
from shortlist.retrieval.effort import Effort
from shortlist.retrieval.filters import pack
from shortlist.retrieval.measuring import Asked, masks
from shortlist.retrieval.selection import NO_KEY, from_keys
from shortlist.retrieval.tuning import Tuned, tune

Vectors = NDArray[np.float32]


def taste_vectors(num_items: int = 6000, num_queries: int = 400) -> tuple[Vectors, Vectors]:
    """Items of 60 tastes with a few long vectors among them, as training makes them; queries of a taste."""
    rng = np.random.default_rng(3)
    tastes = rng.normal(size=(60, 16))
    items = tastes[rng.integers(0, 60, num_items)] + 0.4 * rng.normal(size=(num_items, 16))
    items *= rng.lognormal(0, 0.5, (num_items, 1))
    queries = tastes[rng.integers(0, 60, num_queries)] + 0.4 * rng.normal(size=(num_queries, 16))
    return items.astype(np.float32), queries.astype(np.float32)


@cache
def tuned() -> Tuned:
    items, queries = taste_vectors()
    return tune(items, queries, seen_by(len(queries)), recall=0.95, k=20, only_if_faster=False)


def seen_by(num_queries: int, num_items: int = 6000) -> Candidates:
    rng = np.random.default_rng(4)
    return Candidates(Ragged.from_rows([rng.integers(0, num_items, rng.integers(0, 30)) for _ in range(num_queries)]))


def check_promise(found: list[Any], items: Vectors, queries: Vectors, k: int, candidates: Candidates) -> None:
    mask = candidates.mask(len(items))
    assert len(found) == len(queries)
    for row, one in enumerate(found):
        assert len(one) == min(k, mask[row].sum()), f"query {row}: {len(one)} of {mask[row].sum()}"
        assert len(set(one.item_idx.tolist())) == len(one), f"query {row}: twice the same"
        assert mask[row, one.item_idx].all(), f"query {row}: a forbidden item"
        np.testing.assert_allclose(one.score, items[one.item_idx] @ queries[row], rtol=1e-4, atol=1e-5)
        order = np.lexsort((one.item_idx, -one.score))
        assert (order == np.arange(len(one))).all(), f"query {row}: not in order"


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    num_items=st.integers(1, 60),
    num_queries=st.integers(1, 40),
    k=st.integers(1, 70),
    probes=st.integers(1, 6),
    reach=st.floats(-3, 6),
    depth=st.sampled_from([0, 12, 1e9]),
    kind=st.sampled_from(["seen", "allowed", "conditions", "all together"]),
    coarse=st.booleans(),
)
def test_the_promise_under_any_filter(
    seed: int,
    num_items: int,
    num_queries: int,
    k: int,
    probes: int,
    reach: float,
    depth: float,
    kind: str,
    coarse: bool,
) -> None:
    rng = np.random.default_rng(seed)
    items, queries = (rng.normal(size=(n, 3)).astype(np.float32) for n in (num_items, num_queries))
    if coarse:
        items, queries = items.round(), queries.round()
    some = [
        Ragged.from_rows([rng.integers(0, num_items, rng.integers(0, num_items + 1)) for _ in range(num_queries)])
        for _ in range(3)
    ]
    conditions = Candidates.shared(rng.random((3, num_items)) < rng.random(), rng.integers(0, 3, num_queries))
    candidates = {
        "seen": Candidates(some[0]),
        "allowed": Candidates.only(some[0]),
        "conditions": conditions,
        "all together": (conditions | Candidates.only(some[1])) & Candidates(some[2]),
    }[kind]
    effort = Effort(probes, depth, reach, by_cost=False)
    index = AnnIndex(items, Clusters.build(items, min(8, num_items)), effort)
    check_promise(index.search(queries, k, candidates), items, queries, k, candidates)


def test_recall_is_as_asked_and_clusters_answer() -> None:
    made = tuned()
    assert made.index is not None
    assert made.index.effort.probes < len(made.index.clusters) / 2
    assert made.facts["recall"] >= 0.95
    items, _ = taste_vectors()
    _, fresh = taste_vectors(num_queries=700)
    asked = Asked(fresh[400:], seen_by(300))
    found = made.index.search(asked.vectors, 20, asked.candidates)
    assert {one.source for one in found} == {"ann"}
    check_promise(found, items, asked.vectors, 20, asked.candidates)
    assert asked.known(made.index.exact, 20).recalls(made.index).mean() >= 0.95


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("kind", ["random", "side"])
def test_recall_under_filters(share: float, kind: str) -> None:
    index = tuned().index
    assert index is not None
    items, queries = taste_vectors()
    asked = Asked(queries, seen_by(len(queries))).under(masks(items, share, np.random.default_rng(9))[kind])
    found = index.search(asked.vectors, 20, asked.candidates)
    check_promise(found, items, asked.vectors, 20, asked.candidates)
    assert "ann" in {one.source for one in found}
    assert asked.known(index.exact, 20).recalls(index).mean() >= 0.945  # asked .95, on other filters of the kind


@pytest.mark.parametrize("k", [1, 200, 3000])
def test_longer_lists_and_long_exclusions_look_deeper(k: int) -> None:
    index = tuned().index
    assert index is not None
    items, queries = taste_vectors()
    best = [one.item_idx for one in index.exact.search(queries, 500, Candidates(Ragged.empty(len(queries))))]
    for candidates in (Candidates(Ragged.empty(len(queries))), Candidates(Ragged.from_rows(best))):
        check_promise(index.search(queries, k, candidates), items, queries, k, candidates)
        asked = Asked(queries, candidates)
        assert asked.known(index.exact, k).recalls(index).mean() >= 0.94


def test_short_lists_are_as_good() -> None:
    """A cluster holds less than the 100 wanted, so that exact search answers; but it would fill a list of 10, and not well."""
    rng = np.random.default_rng(5)
    middles = rng.normal(size=(60, 48))
    items, queries = (middles[rng.integers(0, 60, n)] + 0.6 * rng.normal(size=(n, 48)) for n in (6000, 150))
    items, queries = (
        (items / np.linalg.norm(items, axis=1, keepdims=True)).astype(np.float32),
        queries.astype(np.float32),
    )
    made = tune(items, queries, Candidates(Ragged.empty(150)), recall=0.9, num_clusters=128, only_if_faster=False)
    assert made.index is not None
    assert made.facts["recall@10"] >= 0.9


def test_alone_as_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    index = tuned().index
    assert index is not None
    items, queries = taste_vectors()
    candidates = seen_by(len(queries)) & Candidates.shared(
        np.stack([items[:, 0] > 0, np.ones(len(items), bool)]), np.arange(len(queries)) % 2
    )
    together = index.search(queries, 20, candidates)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    for row in range(40):
        alone = index.search(queries[[row]], 20, candidates.take(np.array([row])))[0]
        assert alone.item_idx.tolist() == together[row].item_idx.tolist()


def test_compiled_as_with_faiss_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    items, queries = taste_vectors()
    candidates = seen_by(len(queries))
    bitmap = pack(np.random.default_rng(8).random((1, len(items))) < 0.3)[0]
    lists = np.tile(np.array([3, 40, 7, -1, -1]), (len(queries), 1))
    lists[::2, 2:4] = 11, 12
    found = []
    for has_numba in (True, False):
        monkeypatch.setattr(clusters, "has_numba", lambda has_numba=has_numba: has_numba)
        made = Clusters.build(items, 64)
        found.append(
            [made.best(queries, k, 9, candidates.exceptions, bits) for k in (5, 700) for bits in (None, bitmap)]
            + [made.best_in(queries, 40, lists, candidates.exceptions, bits) for bits in (None, bitmap)]
        )
    for one, other in zip(*found, strict=True):
        assert (one != NO_KEY).sum() > len(one)
        (mine, my_scores), (theirs, their_scores) = from_keys(one), from_keys(other)
        np.testing.assert_array_equal(
            np.sort(mine), np.sort(theirs)
        )  # of scores that differ in the last bit either comes first
        np.testing.assert_allclose(my_scores, their_scores, rtol=1e-5, atol=1e-5)


def test_saved_is_loaded(tmp_path: Path) -> None:
    index = tuned().index
    assert index is not None
    index.save(tmp_path)
    again = AnnIndex.load(tmp_path, index.item_vectors, Effort.from_dict(index.effort.to_dict()))
    again.save(tmp_path / "..")  # what was mapped can be written again
    _, queries = taste_vectors()
    for one, other in zip(*(i.search(queries, 20, seen_by(len(queries))) for i in (index, again)), strict=True):
        assert one.item_idx.tolist() == other.item_idx.tolist()
        assert one.score.tolist() == other.score.tolist()
    (tmp_path / "clusters.faiss").write_bytes(b"IwFl")
    with pytest.raises(ArtifactError, match=r"clusters\.faiss cannot be read"):
        AnnIndex.load(tmp_path, index.item_vectors, index.effort)


def test_a_long_vector_does_not_hide_the_others() -> None:
    """Among neighbours by distance, no query would ever find the long one first."""
    items, queries = taste_vectors()
    items[77] *= 50
    index = AnnIndex(items, Clusters.build(items, 64), Effort(6, by_cost=False))
    exact = ExactIndex(items)
    asked = Asked(queries, Candidates(Ragged.empty(len(queries))))
    assert asked.known(exact, 1).recalls(index).mean() > 0.9


def test_where_exact_search_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    items, queries = taste_vectors(300, 100)
    nothing = Candidates(Ragged.empty(100))
    slow = {"ann": np.array([0.5]), "exact": np.array([0.25])}
    monkeypatch.setattr(measuring, "single_times", lambda searches, asked, k: slow)
    stays = tune(items, queries, nothing, recall=0.95, k=10)
    assert stays.index is None
    assert "exact search stays, for it is faster: recall@10 0.95 takes 0.50 ms a query, exact search 0.25" in stays.note
    assert stays.facts["latency_ms"]["exact"]["median"] == 0.25
    assert "sparse" in tune(csr_array(items), csr_array(queries), nothing, recall=0.9).note
    few = tune(items, queries[:5], Candidates(Ragged.empty(5)), recall=0.9)
    assert few.index is None
    assert "5 queries" in few.note
    items[3, 1] = np.nan
    assert "not finite" in tune(items, queries, nothing, recall=0.9).note


def test_queries_that_clusters_cannot_read_are_answered_exactly() -> None:
    index = tuned().index
    assert index is not None
    _, queries = taste_vectors()
    sparse = index.search(csr_array(queries[:2]), 5, Candidates(Ragged.empty(2)))
    assert [(len(one), one.source) for one in sparse] == [(5, "exact")] * 2
    assert index.search(queries[:0], 5, Candidates(Ragged.empty(0))) == []


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "find_spec", lambda name: None)
    clusters.require_faiss.cache_clear()
    with pytest.raises(ArtifactError, match=r"needs the package faiss-cpu.*pip install 'shortlist\[ann\]'"):
        clusters.require_faiss()
