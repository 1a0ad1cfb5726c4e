from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.data.ragged import Ragged
from shortlist.evaluation.metrics import METRICS

RANKS = st.lists(st.lists(st.integers(1, 30), unique=True, max_size=6), min_size=1, max_size=5)


def naive(metric: str, ranks: list[int], k: int) -> float:
    if not ranks:
        return float("nan")
    hits = [rank for rank in ranks if rank <= k]
    if metric in ("recall", "top_k_accuracy"):
        return len(hits) / len(ranks)
    if metric == "hit_rate":
        return float(bool(hits))
    if metric == "mrr":
        return 1 / min(hits) if hits else 0.0
    ideal = sum(1 / np.log2(1 + i) for i in range(1, min(k, len(ranks)) + 1))
    return float(sum(1 / np.log2(1 + rank) for rank in hits) / ideal)


@pytest.mark.parametrize("metric", METRICS)
@given(RANKS, st.integers(1, 12))
def test_equals_the_formula(metric: str, ranks: list[list[int]], k: int) -> None:
    got = METRICS[metric](Ragged.from_rows(ranks, np.int64), k)
    np.testing.assert_allclose(got, [naive(metric, row, k) for row in ranks])


@pytest.mark.parametrize("metric", METRICS)
@given(RANKS, st.integers(1, 12))
def test_between_0_and_1_and_1_only_for_the_best(metric: str, ranks: list[list[int]], k: int) -> None:
    got = METRICS[metric](Ragged.from_rows(ranks, np.int64), k)
    assert ((got >= 0) & (got <= 1 + 1e-12))[[bool(row) for row in ranks]].all()
