from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shortlist.retrieval.pruning import Bounds, promising_first


@given(st.integers(0, 100_000), st.integers(1, 40), st.integers(1, 6), st.integers(1, 9), st.floats(-20, 20))
def test_no_score_exceeds_its_bound(seed: int, num_items: int, dim: int, size: int, exponent: float) -> None:
    rng = np.random.default_rng(seed)
    items, queries = (
        (rng.integers(-3, 4, (n, dim)) * 2.0**exponent * rng.lognormal(0, 2, (n, 1))).astype(np.float32)
        for n in (num_items, 5)
    )
    items[0] = queries[0]  # parallel: the inequality is an equality
    order = rng.permutation(num_items)
    reach = Bounds.of(items, order, size).reach(queries)
    assert reach.shape == (5, -(-num_items // size))
    for place, item in enumerate(order):
        assert (queries @ items[item] <= reach[:, place // size]).all()


def test_a_bias_does_not_loosen_the_bound() -> None:
    """Short vectors, large biases: |q||v| would be 10 for every item, which no score comes near."""
    items = np.array([[0.1, 0, 10], [0.1, 0, -10], [0, 0.1, 9]], np.float32)
    query = np.array([[0.5, 0.5, 1]], np.float32)
    order = promising_first(items, query)
    assert order.tolist() == [0, 2, 1]
    reach = Bounds.of(items, order, 1).reach(query)[0]
    np.testing.assert_allclose(reach, np.array([10, 9, -10]) + 0.1 * np.sqrt(0.5), atol=1e-4)
