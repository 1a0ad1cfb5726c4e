from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from shortlist.losses import cosine_contrastive


def test_equals_loops_shared_or_per_query() -> None:
    torch.manual_seed(0)
    query, positive, negative = torch.randn(3, 4), torch.randn(3, 4), torch.randn(6, 4)
    absent = torch.zeros(3, 6, dtype=torch.bool)
    absent[0, 1:] = absent[2] = True
    expected = 0.0
    for b, weight in enumerate([1.0, 2.0, 3.0]):
        far = [
            max(0.0, F.cosine_similarity(query[b], negative[j], dim=0).item() - 0.1)
            for j in range(6)
            if not absent[b, j]
        ]
        near = F.cosine_similarity(query[b], positive[b], dim=0).item()
        expected += weight / 6 * (1 - near + 5 * (sum(far) / len(far) if far else 0))
    options = {"margin": 0.1, "negative_weight": 5.0, "absent": absent, "weights": torch.tensor([1.0, 2.0, 3.0])}
    loss = cosine_contrastive(query, positive, negative, **options)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    per_query = cosine_contrastive(query, positive, negative.expand(3, 6, 4), **options)
    assert per_query.item() == pytest.approx(expected, rel=1e-5)


def test_several_positives_share_their_querys_negatives() -> None:
    torch.manual_seed(1)
    query, positive, negative = torch.randn(2, 4), torch.randn(5, 4), torch.randn(2, 6, 4)
    rows, absent = torch.tensor([0, 1, 1, 0, 1]), torch.rand(2, 6) < 0.3
    options = {"margin": 0.1, "negative_weight": 5.0, "weights": torch.arange(1.0, 6.0)}
    shared = cosine_contrastive(query, positive, negative, rows=rows, absent=absent, **options)
    apart = cosine_contrastive(query[rows], positive, negative[rows], absent=absent[rows], **options)
    assert shared.item() == pytest.approx(apart.item(), rel=1e-6)


def test_a_zero_vector_makes_no_nan() -> None:
    query = torch.zeros(1, 2, requires_grad=True)
    cosine_contrastive(query, torch.ones(1, 2), torch.ones(1, 2), margin=0.0, negative_weight=1.0).backward()
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()
