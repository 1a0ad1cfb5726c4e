"""What every retriever, ranker, index and re-ranker promises, as checks that raise ``AssertionError``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import take_rows
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.base import Ranker, Retriever
from shortlist.recommender.explanation import Explained, explain_retriever
from shortlist.reranking import Reranker, Slate
from shortlist.retrieval import Candidates, ScoredItems, Vectors, dot


class Index(Protocol):
    """What ``check_index`` checks."""

    def search(self, query_vectors: NDArray[np.float32], k: int, candidates: Candidates) -> list[ScoredItems]:
        """The k best allowed items of each query."""
        ...


def check_retriever(retriever: Retriever, queries: QueryBatch, num_items: int, tolerance: float = 1e-5) -> None:
    """Shapes, finiteness, empty histories, and that a batch answers as each query alone does.

    Args:
        retriever: a fitted retriever.
        queries: at least three, with different histories.
        num_items: size of the corpus.
        tolerance: of scores, relative to the largest.
    """
    items, vectors = retriever.encode_items(), retriever.encode_queries(queries)
    assert items.dtype == vectors.dtype == np.float32, "vectors are float32"
    assert items.shape[0] == num_items, f"{num_items} items, {items.shape[0]} vectors"
    assert vectors.shape == (len(queries), items.shape[1]), f"queries {vectors.shape} do not fit items {items.shape}"
    assert _is_finite(items), "item vectors are finite"
    assert _is_finite(vectors), "query vectors are finite"
    scores = dot(vectors, items)
    scale = max(float(np.abs(scores).max()), 1.0)
    for row in range(len(queries)):
        alone = dot(retriever.encode_queries(queries.take(np.array([row]))), items)
        assert np.abs(alone[0] - scores[row]).max() <= tolerance * scale, (
            f"query {row} alone scores otherwise than in the batch"
        )
    order = np.arange(len(queries))[::-1].copy()
    turned = dot(retriever.encode_queries(queries.take(order)), items)
    assert np.abs(turned[order] - scores).max() <= tolerance * scale, "the order of queries changes their scores"
    nothing = replace(queries.take(np.array([0])), liked=Ragged.empty(1), disliked=Ragged.empty(1))
    assert _is_finite(retriever.encode_queries(nothing)), "an empty history is a query too"
    assert (dot(retriever.encode_queries(queries), items) == scores).all(), "the same question, the same answer"


def check_explanation(
    retriever: Retriever, query: QueryBatch, item_idx: NDArray[np.int32], specs: Sequence[FeatureSpec]
) -> Explained:
    """The parts of each score add up to its difference from the score of somebody unknown; return them.

    Args:
        retriever: a fitted retriever.
        query: one query.
        item_idx: [k] items.
        specs: the query's features.
    """
    explained = explain_retriever(retriever, query, item_idx, specs)
    nobody = QueryBatch(Ragged.empty(1), Ragged.empty(1), take_rows(query.features, np.array([-1])))
    items = retriever.encode_items()[item_idx]
    score, baseline = (dot(retriever.encode_queries(one), items)[0] for one in (query, nobody))
    scale = 1e-5 * max(float(np.abs(score).max()), float(np.abs(baseline).max()), 1.0)
    added = explained.contributions.sum(axis=0)
    assert np.abs(explained.score - score).max() <= scale, "the score explained is not the score"
    assert np.abs(explained.baseline - baseline).max() <= scale, "the baseline is not the score of somebody unknown"
    assert np.abs(baseline + added - score).max() <= scale, "the parts do not add up"
    assert len(set(explained.parts)) == len(explained.parts), "a part comes twice"
    known = set(query.liked.row(0).tolist())
    assert {part.item for part in explained.parts} <= known | {-1}, "an item counts that is not in the history"
    return explained


def check_reranker(reranker: Reranker, slate: Slate, k: int, forbidden: NDArray[np.int32] | None = None) -> None:
    """A list in, a list out: the same items but for forbidden ones, none twice, values that do not rise, scores kept.

    Args:
        reranker: any re-ranker; where it is a dataclass, its strength 0 is checked to leave the list alone.
        slate: a list.
        k: places of the page.
        forbidden: items that must not come back, and that it may leave out.
    """
    shaped = reranker.rerank(slate, k)
    given, got = slate.item_idx.tolist(), shaped.item_idx.tolist()
    missing = set(given) - set(got)
    assert len(set(got)) == len(got), "an item came back twice"
    assert set(got) <= set(given), "an item came back that was not in the list"
    assert missing <= set(() if forbidden is None else forbidden.tolist()), f"{len(missing)} items were left out"
    assert forbidden is None or not set(got) & set(forbidden.tolist()), "a forbidden item came back"
    scores = dict(zip(given, slate.score.tolist(), strict=True))
    assert [scores[item] for item in got] == shaped.score.tolist(), "scores do not travel with their items"
    assert (np.diff(shaped.relevance) <= 0).all(), "relevance rises along the list"
    assert np.isfinite(shaped.relevance).all(), "relevance is finite"
    again = reranker.rerank(slate, k)
    assert again.item_idx.tolist() == got, "the same list, the same page"
    assert slate.item_idx.tolist() == given, "the list that came in was changed"
    if is_dataclass(reranker) and not isinstance(reranker, type):
        same = replace(reranker, strength=0.0).rerank(slate, k)
        assert same.item_idx.tolist() == given, "strength 0 changes the order"
        assert same.relevance.tolist() == slate.relevance.tolist(), "strength 0 changes the values"


def _is_finite(vectors: Vectors) -> bool:
    return bool(np.isfinite(vectors if isinstance(vectors, np.ndarray) else vectors.data).all())


def check_ranker(ranker: Ranker, queries: QueryBatch, num_items: int, tolerance: float = 1e-5) -> None:
    """One finite score a candidate, the same alone as in company, for nobody known and for no candidates, too.

    Args:
        ranker: a fitted ranker.
        queries: at least three, with different histories.
        num_items: size of the corpus.
        tolerance: of scores, relative to the largest.
    """
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, min(num_items, 20), len(queries))
    lengths[-1] = 0  # no candidates are an answer, too
    candidates = Ragged.from_rows([rng.permutation(num_items)[:length] for length in lengths])
    scores = ranker.score(queries, candidates)
    assert scores.dtype == np.float32, "scores are float32"
    assert scores.shape == candidates.values.shape, f"{len(candidates.values)} candidates, scores {scores.shape}"
    assert np.isfinite(scores).all(), "scores are finite"
    scale = tolerance * max(float(np.abs(scores).max()), 1.0)
    for row in range(len(queries)):
        one, own = np.array([row]), slice(candidates.offsets[row], candidates.offsets[row + 1])
        alone = ranker.score(queries.take(one), candidates.take(one))
        assert np.abs(alone - scores[own]).max(initial=0) <= scale, f"query {row} alone scores otherwise"
    order = np.arange(len(queries))[::-1].copy()
    turned = Ragged(ranker.score(queries.take(order), candidates.take(order)), candidates.take(order).offsets)
    assert np.abs(turned.take(order).values - scores).max() <= scale, "the order of queries changes their scores"
    nobody = replace(queries, liked=Ragged.empty(len(queries)), disliked=Ragged.empty(len(queries)), user_idx=None)
    assert np.isfinite(ranker.score(nobody, candidates)).all(), "nobody known, without a history, is a query too"
    assert (ranker.score(queries, candidates) == scores).all(), "the same question, the same answer"


def check_index(
    index: Index,
    item_vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    candidates: Candidates,
) -> None:
    """Exact search equals the naive answer: ties by lower index, min(k, allowed) items, never a forbidden one."""
    mask = candidates.mask(len(item_vectors))
    for row, found in enumerate(index.search(queries, k, candidates)):
        scores = queries[row].astype(np.float64) @ item_vectors.T.astype(np.float64)
        allowed = np.flatnonzero(mask[row])
        expected = allowed[np.lexsort((allowed, -scores[allowed]))][:k]
        assert len(found) == min(k, len(allowed)), f"query {row}: {len(found)} items, {min(k, len(allowed))} expected"
        assert mask[row, found.item_idx].all(), f"query {row}: a forbidden item came back"
        # Large terms that cancel leave a small sum with their rounding: what is forgiven goes by the terms.
        terms = np.abs(item_vectors[expected]) @ np.abs(queries[row])
        assert (np.abs(found.score - scores[expected]) <= 1e-6 + 2e-6 * terms).all(), (
            f"query {row}: other scores than the naive ones"
        )
        assert (np.diff(found.score) <= 0).all(), f"query {row}: not in order"
