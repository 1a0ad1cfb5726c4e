from __future__ import annotations

import pytest
import torch

from shortlist.losses import full_softmax


def plain(query, items, bias, rows, columns, weights, forbidden):  # type: ignore[no-untyped-def]
    logits = query @ items.T + bias
    if forbidden is not None:
        mask = torch.zeros(logits.numel(), dtype=torch.bool)
        mask[forbidden] = True
        logits = logits.masked_fill(mask.view_as(logits), -torch.inf)
    target = torch.zeros_like(logits)
    target[rows, columns] = weights
    log_p = torch.log_softmax(logits, dim=1)
    return -(torch.where(target > 0, target * log_p, 0.0)).sum(dim=1).mean()


@pytest.mark.parametrize("with_forbidden", [False, True])
def test_loss_and_gradients_equal_the_plain_ones(with_forbidden: bool) -> None:
    torch.manual_seed(0)
    made = [torch.randn(3, 4), torch.randn(7, 4), torch.randn(7)]
    rows, columns = torch.tensor([0, 0, 1, 2]), torch.tensor([1, 5, 2, 6])
    weights = torch.tensor([0.25, 0.75, 1.0, 1.0])
    forbidden = torch.tensor([0, 2, 7 + 3, 14 + 0, 14 + 1]) if with_forbidden else None
    results = []
    for function in (full_softmax, plain):
        leaves = [tensor.clone().requires_grad_() for tensor in made]
        loss = function(*leaves, rows, columns, weights, forbidden)
        (3 * loss).backward()
        results.append((loss, [leaf.grad for leaf in leaves]))
    (loss, gradients), (expected, expected_gradients) = results
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-5, atol=1e-6)


def test_a_second_backward_is_refused_not_wrong() -> None:
    query = torch.zeros(1, 2, requires_grad=True)
    target = torch.tensor([0]), torch.tensor([1]), torch.tensor([1.0])
    loss = full_softmax(query, torch.eye(2), torch.zeros(2), *target)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_extreme_logits_stay_finite() -> None:
    query = torch.tensor([[1e4, 0.0]], requires_grad=True)
    loss = full_softmax(query, torch.eye(2), torch.zeros(2), torch.tensor([0]), torch.tensor([1]), torch.tensor([1.0]))
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()
