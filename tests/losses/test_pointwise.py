from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from shortlist.losses import binary_cross_entropy, calibrated_beta


def test_is_the_mean_over_all_labels() -> None:
    torch.manual_seed(0)
    positive, negative = torch.randn(3), torch.randn(3, 5)
    logits = torch.cat([positive, negative.view(-1)])
    labels = torch.cat([torch.ones(3), torch.zeros(15)])
    wanted = F.binary_cross_entropy_with_logits(logits, labels)
    torch.testing.assert_close(binary_cross_entropy(positive, negative), wanted)


def test_absent_beta_and_weights_equal_loops() -> None:
    torch.manual_seed(0)
    positive, negative = torch.randn(2), torch.randn(2, 3)
    absent = torch.tensor([[True, False, False], [True, True, True]])
    negative[absent] = torch.inf
    p = torch.sigmoid(positive).tolist()
    first = -0.3 * math.log(p[0]) - sum(math.log(1 - torch.sigmoid(s).item()) for s in negative[0, 1:])
    wanted = (1 * first / 3 + 3 * -0.3 * math.log(p[1])) / 4
    loss = binary_cross_entropy(positive, negative, beta=0.3, absent=absent, weights=torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_extreme_logits_stay_finite() -> None:
    positive = torch.tensor([-1e4], requires_grad=True)
    loss = binary_cross_entropy(positive, torch.tensor([[1e4]]))
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert positive.grad is not None
    assert positive.grad.item() == pytest.approx(-0.5)


def test_calibrated_beta_undoes_the_overconfidence_of_few_negatives() -> None:
    """One query, items by frequency p, uniform negatives: with t = 1, σ(s) is p, without it it is larger."""
    p = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05], dtype=torch.float64)
    alpha = 2 / 4
    for t, expected in ((1.0, p), (0.0, p / (p + alpha * (1 - p)))):
        beta = calibrated_beta(2, 5, t)
        s = torch.zeros(5, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.LBFGS([s], max_iter=200, line_search_fn="strong_wolfe")

        def closure(beta: float = beta, s: torch.Tensor = s, optimiser: torch.optim.LBFGS = optimiser) -> torch.Tensor:
            optimiser.zero_grad()
            # an item is positive with p, and otherwise among the 2 negatives of the 4 other items with α
            loss = (p * beta * F.softplus(-s) + (1 - p) * alpha * F.softplus(s)).sum()
            loss.backward()
            return loss

        optimiser.step(closure)
        torch.testing.assert_close(torch.sigmoid(s.detach()), expected, rtol=1e-3, atol=1e-3)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \[B\] and the negatives \[B, S\]"):
        binary_cross_entropy(torch.zeros(3), torch.zeros(3))
