from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.losses import accidental_hits, owned


def test_hits_shared_and_per_query() -> None:
    positive = torch.tensor([1, 2])
    assert accidental_hits(positive, torch.tensor([2, 1, 2])).tolist() == [[False, True, False], [True, False, True]]
    assert accidental_hits(positive, torch.tensor([[1, 2], [1, 2]])).tolist() == [[True, False], [False, True]]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=20), st.lists(st.integers(0, 9), max_size=12))
def test_owned_equals_loops(pairs: list[tuple[int, int]], negatives: list[int]) -> None:
    rows = torch.tensor([row for row, _ in pairs], dtype=torch.long)
    items = torch.tensor([item for _, item in pairs], dtype=torch.long)
    mask = owned(rows, items, torch.tensor(negatives, dtype=torch.long), 4)
    assert mask.tolist() == [[(row, item) in pairs for item in negatives] for row in range(4)]
