"""Exact search with PyTorch, on every device there is, against the naive answer and ``ExactIndex``."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from shortlist.data.ragged import Ragged
from shortlist.errors import SettingsError
from shortlist.retrieval import Candidates, ExactIndex, torch_exact
from shortlist.retrieval.devices import index_on
from shortlist.retrieval.filters import pack
from shortlist.retrieval.torch_exact import TorchIndex
from shortlist.testing import check_index
from tests.retrieval.test_filters import QUERIES, tree
from tests.retrieval.test_scan import filters, vectors

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
pytestmark = pytest.mark.parametrize("device", DEVICES)
TILES = {"cells": 1, "queries": 3}  # of 8 items, for three queries at a time


def lists(index: TorchIndex | ExactIndex, queries: np.ndarray, k: int, candidates: Candidates) -> list[list[int]]:  # type: ignore[type-arg]
    return [one.item_idx.tolist() for one in index.search(queries, k, candidates)]


@settings(deadline=None)
@given(st.integers(0, 1_000_000), st.integers(1, 40), st.integers(1, 45), st.integers(0, 3), st.booleans())
def test_equals_the_naive_answer_under_any_filter(
    device: str, seed: int, num_items: int, k: int, depth: int, small: bool
) -> None:
    """Small integers, so that sums are exact: ties by lowest index, min(k, allowed) items, a batch as each alone."""
    rng = np.random.default_rng(seed)
    items = rng.integers(-1, 2, (num_items, 3)).astype(np.float32)
    queries = rng.integers(-1, 2, (QUERIES, 3)).astype(np.float32)
    candidates, expected = tree(rng, num_items, depth)
    index = TorchIndex(items, device, **(TILES if small else {}))
    for row, (found, allowed) in enumerate(zip(index.search(queries, k, candidates), expected, strict=True)):
        scores = queries[row] @ items.T
        assert found.item_idx.tolist() == sorted(allowed, key=lambda i: (-scores[i], i))[:k]
        assert found.score.tolist() == [scores[i] for i in found.item_idx]
        assert (found.item_idx.dtype, found.score.dtype, found.source) == (np.int32, np.float32, "exact")
        alone = index.search(queries[[row]], k, candidates.take(np.array([row])))[0]
        assert alone.item_idx.tolist() == found.item_idx.tolist()


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 1_000_000),
    st.integers(1, 900),
    st.integers(1, 30),
    st.integers(1, 9),
    st.integers(1, 60),
    st.sampled_from(["whole", "plain", "skewed", "biased", "sparse"]),
)
def test_equals_the_exact_index(
    device: str, seed: int, num_items: int, num_queries: int, dim: int, k: int, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    items, queries = vectors(rng, (num_items, dim), kind), vectors(rng, (num_queries, dim), kind)
    candidates = filters(rng, num_queries, num_items)
    index = TorchIndex(items, device, cells=int(rng.integers(1, 2000)), queries=int(rng.integers(1, 12)))
    check_index(index, items, queries, k, candidates)
    if kind == "whole":
        assert lists(index, queries, k, candidates) == lists(ExactIndex(items), queries, k, candidates)


@pytest.mark.parametrize("order", [1, -1])
def test_ties_and_better_ones_across_tiles(device: str, order: int) -> None:
    """Worst items first, so that all of every tile passes; best first, so that none of the later ones does."""
    items = np.repeat(np.arange(20), 5)[::order, None].astype(np.float32)
    index = TorchIndex(items, device, **TILES)
    found = index.search(np.ones((4, 1), np.float32), 12, Candidates(Ragged.from_rows([[], [0], [99], [0, 99]])))
    first = {1: [*range(95, 100), *range(90, 95), 85, 86], -1: list(range(12))}[order]
    assert found[0].item_idx.tolist() == first
    assert found[3].item_idx.tolist() == (
        [*range(95, 99), *range(90, 95), 85, 86, 87] if order > 0 else [*range(1, 13)]
    )
    nothing = torch.zeros((1, 2), dtype=torch.int64), torch.full((1, 2), -torch.inf)
    item, score = torch_exact._joined(*nothing, torch.tensor([0, 0]), torch.tensor([3, 4]), torch.tensor([-0.0, 0.0]))
    assert (item.tolist(), score.signbit().any().item()) == ([[3, 4]], False), "-0 and 0 are one number"


def test_corners(device: str) -> None:
    one, query = TorchIndex(np.ones((1, 2), np.float32), device), np.ones((1, 2), np.float32)
    assert len(one) == 1
    assert lists(one, query, 7, Candidates(Ragged.empty(1))) == [[0]]
    assert lists(one, query, 7, Candidates(Ragged.from_rows([[0, 0]]))) == [[]], "all is forbidden"
    assert lists(one, query, 0, Candidates(Ragged.empty(1))) == [[]]
    assert lists(one, query[:0], 7, Candidates(Ragged.empty(0))) == []
    none = TorchIndex(np.empty((0, 2), np.float32), device)
    assert lists(none, query, 7, Candidates(Ragged.empty(1))) == [[]]


def test_arrays_that_cannot_be_written(device: str) -> None:
    """Vectors are mapped from files, and bitmaps come from a cache."""
    items, queries, bitmaps = np.eye(16, dtype=np.float32), np.ones((2, 16), np.float32), pack(np.arange(16)[None] > 12)
    for one in (items, queries, bitmaps):
        one.setflags(write=False)
    allowed = Candidates(Ragged.from_rows([[13], [0]]), bitmaps=bitmaps, bitmap=np.zeros(2, int))
    found = TorchIndex(items, device, **TILES).search(queries, 9, allowed)
    assert [one.item_idx.tolist() for one in found] == [[14, 15], [0, 13, 14, 15]]
    with pytest.raises(ValueError, match="read-only"):
        found[0].score[0] = 9


def test_scores_are_never_held_all_at_once(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    forbid = torch_exact._Filters.forbid
    monkeypatch.setattr(
        torch_exact._Filters,
        "forbid",
        lambda self, scores, first: (shapes.append(tuple(scores.shape)), forbid(self, scores, first))[1],
    )
    rng = np.random.default_rng(0)
    items, queries = vectors(rng, (3000, 4), "plain"), vectors(rng, (50, 4), "plain")
    index, nothing = TorchIndex(items, device, cells=4096, queries=16), Candidates(Ragged.empty(50))
    check_index(index, items, queries, 10, nothing)
    assert max(rows * columns for rows, columns in shapes) == 4096
    assert sum(rows * columns for rows, columns in shapes) == 50 * 3000, "each once"
    assert shapes[0] == (16, 48), "of the first tile all passes"


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_products_are_full_float32_and_the_setting_comes_back(
    device: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    joined = torch_exact._joined
    monkeypatch.setattr(
        torch_exact,
        "_joined",
        lambda *given: (seen.append(torch.get_float32_matmul_precision()), joined(*given))[1],
    )
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        items = np.array([[1 + 2**-20], [1]], np.float32)  # one number to whoever keeps fewer than 20 bits
        found = TorchIndex(items[::-1].copy(), device).search(
            np.ones((1, 1), np.float32), 1, Candidates(Ragged.empty(1))
        )
        assert found[0].item_idx.tolist() == [1]
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == ["highest"]


def test_sparse_vectors_and_what_is_not_finite(device: str) -> None:
    rng = np.random.default_rng(2)
    items, queries = vectors(rng, (20, 8), "whole"), vectors(rng, (5, 8), "whole")
    nothing = Candidates(Ragged.empty(5))
    expected = lists(ExactIndex(items), queries, 7, nothing)
    sparse = TorchIndex(csr_array(items), device)
    assert (lists(sparse, csr_array(queries), 7, nothing), sparse.device) == (expected, "cpu")
    dense = TorchIndex(items, device)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "exact", dense.exact.item_vectors)  # which has no search, and a length
        assert (lists(dense, csr_array(queries), 7, nothing), dense.device) == (expected, device)
    queries[1] = np.inf
    with np.errstate(invalid="ignore"):
        found, same = lists(dense, queries, 7, nothing), lists(ExactIndex(items), queries, 7, nothing)
    assert found == same
    items[3] = -np.inf
    assert TorchIndex(items, device).device == "cpu"


def test_many_threads_may_ask(device: str) -> None:
    rng = np.random.default_rng(3)
    items, queries = vectors(rng, (500, 4), "whole"), vectors(rng, (8, 4), "whole")
    index, nothing, found = TorchIndex(items, device, cells=512), Candidates(Ragged.empty(8)), {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: lists(index, queries, 9, nothing)})) for n in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert list(found.values()) == [lists(ExactIndex(items), queries, 9, nothing)] * 4


def test_devices_by_name(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index_on("cpu") is None
    with pytest.raises(SettingsError, match="expected auto, cpu, cuda, got 'tpu'"):
        index_on("tpu")  # type: ignore[arg-type]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert index_on("auto") is None
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(SettingsError, match=r"device = cuda: PyTorch .* was built without CUDA: install a build"):
        index_on("cuda")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(SettingsError, match="sees no CUDA device: see what nvidia-smi"):
        index_on("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("auto", "cuda"):
        assert index_on(name).func is TorchIndex  # type: ignore[arg-type, union-attr]
