from __future__ import annotations

import math

import pytest
import torch

from shortlist.losses import bpr, bpr_max

POSITIVE = torch.tensor([0.5, -1.0, 2.0])
NEGATIVE = torch.tensor([[0.1, 2.0, -0.4], [0.3, -torch.inf, 5.0], [torch.inf, 1.0, 1.0]])
ABSENT = torch.tensor([[False, False, False], [False, True, False], [True, True, True]])
WEIGHTS = torch.tensor([1.0, 2.0, 1.0])


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def rows() -> list[tuple[float, list[float]]]:
    return [(0.5, [0.1, 2.0, -0.4]), (-1.0, [0.3, 5.0])]


def test_bpr_equals_loops() -> None:
    losses = [sum(-math.log(sigma(own - s)) for s in others) / len(others) for own, others in rows()]
    loss = bpr(POSITIVE, NEGATIVE, absent=ABSENT, weights=WEIGHTS)
    assert loss.item() == pytest.approx((losses[0] + 2 * losses[1]) / 4, rel=1e-6)


def test_bpr_max_equals_loops() -> None:
    losses = []
    for own, others in rows():
        total = sum(math.exp(s) for s in others)
        w = [math.exp(s) / total for s in others]
        best = -math.log(sum(a * sigma(own - s) for a, s in zip(w, others, strict=True)))
        losses.append(best + 0.2 * sum(a * s * s for a, s in zip(w, others, strict=True)))
    loss = bpr_max(POSITIVE, NEGATIVE, regularisation=0.2, absent=ABSENT, weights=WEIGHTS)
    assert loss.item() == pytest.approx((losses[0] + 2 * losses[1]) / 4, rel=1e-6)


@pytest.mark.parametrize("function", [bpr, bpr_max])
def test_gradient_has_the_right_sign_and_no_nan(function) -> None:  # type: ignore[no-untyped-def]
    positive, negative = POSITIVE.clone().requires_grad_(), NEGATIVE.clone().requires_grad_()
    function(positive, negative, absent=ABSENT).backward()
    assert positive.grad is not None
    assert negative.grad is not None
    assert (positive.grad[:2] < 0).all()
    assert positive.grad[2] == 0
    assert torch.isfinite(negative.grad).all()
    assert (negative.grad[ABSENT] == 0).all()
    if function is bpr:
        assert (negative.grad[~ABSENT] > 0).all()


@pytest.mark.parametrize("function", [bpr, bpr_max])
def test_gradients_by_finite_differences(function) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    leaves = [torch.randn(3, dtype=torch.float64, requires_grad=True)]
    leaves.append(torch.randn(3, 3, dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradcheck(lambda p, n: function(p, n, absent=ABSENT), leaves)
