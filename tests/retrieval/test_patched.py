"""Two roads, one answer: patched vectors against one array of them all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from shortlist.data.ragged import Ragged
from shortlist.retrieval import Candidates, ExactIndex, PatchedVectors, Vectors, patched_index, whole


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_patched_is_whole(kind: str) -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(50, 4)).astype(np.float32)
    rows, other = np.array([0, 7, 49, 50, 51, 52]), rng.normal(size=(6, 4)).astype(np.float32)
    all_of_them = np.concatenate([base, other[3:]])
    all_of_them[rows] = other
    made = (lambda one: one) if kind == "dense" else csr_array

    def plain(vectors: Vectors) -> np.ndarray:
        return vectors if isinstance(vectors, np.ndarray) else vectors.toarray()

    patched = PatchedVectors(made(base), rows, made(other))
    assert (patched.shape, len(patched)) == ((53, 4), 53)
    np.testing.assert_array_equal(plain(whole(patched)), all_of_them)
    asked = np.array([52, 7, 7, 3, 0])
    np.testing.assert_array_equal(plain(patched[asked]), all_of_them[asked])
    assert whole(base) is base
    queries, forbidden = (
        rng.normal(size=(6, 4)).astype(np.float32),
        Ragged.from_rows([rng.permutation(53)[:9] for _ in range(6)]),
    )
    index = patched_index(ExactIndex(made(base)), patched)
    assert len(index) == 53
    found = index.search(queries, 10, Candidates(forbidden))
    wanted = ExactIndex(all_of_them).search(queries, 10, Candidates(forbidden))
    assert [one.item_idx.tolist() for one in found] == [one.item_idx.tolist() for one in wanted]
