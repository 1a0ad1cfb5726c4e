"""Several roads, one answer: tiles with NumPy, the scan of bytes, and scoring everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.retrieval import Candidates, ExactIndex, exact, quantized, scan
from shortlist.retrieval.pruning import promising_first
from shortlist.retrieval.quantized import QuantizedScan
from shortlist.retrieval.scan import Scan, TiledScan
from shortlist.retrieval.selection import from_keys, to_keys
from shortlist.testing import check_index

Floats = NDArray[np.float32]
needs_bytes = pytest.mark.skipif(not quantized.is_supported(), reason="needs numba and a processor with AVX-512 VNNI")
ROADS = [TiledScan, pytest.param(QuantizedScan, marks=needs_bytes)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles, groups and blocks of a few items and queries, so that toy worlds have many."""
    for name, value in {"_GROUP": 4, "_CELLS": 24, "_MOST_GROUPS": 2, "_QUERIES": 5}.items():
        monkeypatch.setattr(scan, name, value)
    monkeypatch.setattr(quantized, "_FIRST_PANELS", 3)
    monkeypatch.setattr(quantized, "_PANELS_AT_ONCE", 5)
    monkeypatch.setattr(exact, "_SCANNED", 0)


def filters(rng: np.random.Generator, num_queries: int, num_items: int) -> Candidates:
    """Own exceptions in any order with repeats, under everything, or nothing, or shared bitmaps."""
    rows = [rng.integers(0, num_items, rng.integers(0, num_items + 1)) for _ in range(num_queries)]
    masks = rng.random((2, num_items)) < rng.random()
    shared = Candidates.shared(masks, np.zeros(num_queries))
    return Candidates(Ragged.from_rows(rows), bitmaps=shared.bitmaps, bitmap=rng.integers(-2, len(masks), num_queries))


def naive(queries: Floats, items: Floats, k: int, candidates: Candidates) -> NDArray[np.int64]:
    scores = queries @ items.T
    keys = to_keys(scores, np.arange(len(items)))
    keys[~candidates.mask(len(items))] = np.iinfo(np.int64).max
    return np.sort(keys, axis=1)[:, :k]


def vectors(rng: np.random.Generator, shape: tuple[int, int], kind: str) -> Floats:
    made = rng.normal(size=shape)
    if kind == "whole":  # sums of small integers are exact: ties, and bounds that are just met
        made = rng.integers(-2, 3, shape).astype(float)
    if kind == "skewed":
        made *= rng.lognormal(0, 1, (shape[0], 1))
    if kind == "biased":
        made[:, -1] = 1 if shape[0] < 40 else 5 * rng.normal(size=shape[0])
    if kind == "sparse":
        made[rng.random(shape) < 0.7] = 0
    return made.astype(np.float32)


@pytest.mark.parametrize("road", ROADS)
@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 1_000_000),
    st.integers(40, 900),
    st.integers(1, 30),
    st.integers(1, 9),
    st.integers(1, 60),
    st.sampled_from(["whole", "plain", "skewed", "biased", "sparse"]),
)
def test_equals_scoring_everything(
    road: type[Scan], seed: int, num_items: int, num_queries: int, dim: int, k: int, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    items, queries = vectors(rng, (num_items, dim), kind), vectors(rng, (num_queries, dim), kind)
    k, candidates = min(k, num_items), filters(rng, num_queries, num_items)
    found = road(items, promising_first(items, queries)).best(queries, k, candidates)  # type: ignore[call-arg]
    expected = naive(queries, items, k, candidates)
    if kind == "whole":
        assert found.tolist() == expected.tolist()
        return
    (item, score), (best, best_score) = from_keys(found), from_keys(expected)
    assert ((item >= 0) == (best >= 0)).all(), "min(k, allowed) items"
    np.testing.assert_allclose(score, best_score, rtol=1e-5, atol=1e-5)
    mask = candidates.mask(num_items)
    assert all(mask[row, one[one >= 0]].all() for row, one in enumerate(item)), "a forbidden item came back"


@pytest.mark.parametrize("road", ROADS)
def test_order_and_company_change_nothing(road: type[Scan]) -> None:
    rng = np.random.default_rng(0)
    items, queries = vectors(rng, (20_000, 5), "whole"), vectors(rng, (40, 5), "whole")
    candidates = Candidates(Ragged.from_rows([rng.integers(0, 20_000, 50) for _ in range(40)]))
    expected = naive(queries, items, 30, candidates)
    for order in (promising_first(items, queries), rng.permutation(20_000)):
        layout = road(items, order)  # type: ignore[call-arg]
        assert layout.best(queries, 30, candidates).tolist() == expected.tolist()
        for row in (np.array([3]), np.arange(39, 10, -2)):
            assert layout.best(queries[row], 30, candidates.take(row)).tolist() == expected[row].tolist()


@needs_bytes
def test_a_pair_has_one_score() -> None:
    """Alone, in a batch, among few items or many: bit for bit."""
    rng = np.random.default_rng(1)
    items, queries = vectors(rng, (3000, 37), "plain"), vectors(rng, (30, 37), "plain")
    layout, nothing = QuantizedScan(items, np.arange(3000)), Candidates(Ragged.empty(30))
    together = layout.best(queries, 20, nothing)
    alone = [layout.best(queries[[row]], 20, Candidates(Ragged.empty(1)))[0] for row in range(30)]
    assert together.tolist() == np.stack(alone).tolist()
    half = layout.best(queries, 20, Candidates.shared(np.arange(3000)[None] % 2 == 0, np.zeros(30)))
    both = [set(one) & set(other) for one, other in zip(together.tolist(), half.tolist(), strict=True)]
    assert sum(map(len, both)) > 100


@pytest.mark.parametrize("kind", ["skewed", "biased"])
def test_items_without_a_chance_are_not_scored(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    items, queries = vectors(rng, (4000, 8), kind), vectors(rng, (4, 8), kind)
    layout = TiledScan(items, promising_first(items, queries))
    scored = 0

    class Counting(np.ndarray):  # type: ignore[type-arg]
        def __matmul__(self, other: Floats) -> Floats:
            nonlocal scored
            scored += self.shape[0] * other.shape[1]
            return np.asarray(self) @ other

    layout._vectors = layout._vectors.view(Counting)
    nothing = Candidates(Ragged.empty(4))
    assert layout.best(queries, 5, nothing).tolist() == naive(queries, items, 5, nothing).tolist()
    assert scored < 0.5 * 4 * 4000, f"{scored} of {4 * 4000} scores"


def test_codes_miss_little() -> None:
    """What is missing is what it says, and little, so that its margin is small."""
    vectors_of = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    coded = quantized.Coded.of(vectors_of, 32)
    missing = vectors_of - coded.codes * coded.unit[:, None]
    np.testing.assert_allclose(np.linalg.norm(missing, axis=1), coded.error, rtol=1e-5)
    assert len(set(coded.unit.tolist())) == 2
    assert (coded.error < 0.02 * coded.norm).all()


@pytest.mark.parametrize("value", [0.0, 1e-42, 1e30, -1e-30])
@pytest.mark.parametrize("road", ROADS)
def test_lengths_at_the_ends_of_float32(road: type[Scan], value: float) -> None:
    items = np.full((70, 3), value, dtype=np.float32)
    items[41] = 1
    queries = np.array([[0, 0, 0], [1, 1, 1], [-1, -1, -1], [1e-40, 0, 0]], dtype=np.float32)
    nothing = Candidates(Ragged.empty(4))
    found = road(items, promising_first(items, queries)).best(queries, 60, nothing)  # type: ignore[call-arg]
    assert found[:3].tolist() == naive(queries, items, 60, nothing)[:3].tolist()
    assert (from_keys(found)[0] >= 0).all()


def test_the_index_chooses_its_road(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    items, queries = vectors(rng, (300, 6), "whole"), vectors(rng, (7, 6), "whole")
    candidates = Candidates(Ragged.from_rows([rng.integers(0, 300, 9) for _ in range(7)]))

    def asked() -> tuple[object, list[list[int]]]:
        index = ExactIndex(items)
        check_index(index, items, queries, 11, candidates)
        return type(index._layout), [one.item_idx.tolist() for one in index.search(queries, 11, candidates)]

    road, answers = asked()
    assert road is (QuantizedScan if quantized.is_supported() else TiledScan)
    monkeypatch.setattr(exact, "is_supported", lambda: False)
    assert asked() == (TiledScan, answers)
    monkeypatch.undo()
    assert asked() == (type(None), answers), "a small corpus is scored whole"


@pytest.mark.parametrize("place", ["item", "query"])
def test_what_is_not_finite_is_scored_the_plain_way(place: str) -> None:
    items, queries = np.ones((50, 2), np.float32), np.ones((2, 2), np.float32)
    (items if place == "item" else queries)[1, 0] = -np.inf
    with np.errstate(invalid="ignore"):
        found = ExactIndex(items).search(queries, 50, Candidates(Ragged.empty(2)))
    assert [len(one) for one in found] == ([49, 49] if place == "item" else [50, 0])
