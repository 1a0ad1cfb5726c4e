"""The candidates of a query together."""

from __future__ import annotations

import pytest
import torch

from shortlist.losses import listwise_softmax, masked_logistic

LOGITS = torch.tensor([[1.0, 2.0, 0.5, 9.0], [0.0, 0.3, -1.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
LABELS = torch.tensor([[True, False, True, True], [False, True, False, False], [False] * 4])
PRESENT = torch.tensor([[True, True, True, False], [True] * 4, [True] * 4])


def test_softmax_over_what_is_present() -> None:
    first = -(torch.log_softmax(LOGITS[0, :3], 0)[[0, 2]]).mean()  # the fourth pads, whatever its label says
    second = -torch.log_softmax(LOGITS[1], 0)[1]
    expected = (first + second) / 2  # of the third query nothing was taken
    assert listwise_softmax(LOGITS, LABELS, PRESENT).item() == pytest.approx(expected.item())


def test_a_constant_of_the_query_changes_nothing() -> None:
    moved = LOGITS + torch.tensor([[3.0], [-50.0], [0.0]])
    assert listwise_softmax(moved, LABELS, PRESENT).item() == pytest.approx(
        listwise_softmax(LOGITS, LABELS, PRESENT).item(), rel=1e-5
    )


def test_gradients_are_finite_and_stay_off_padding() -> None:
    logits = LOGITS.clone().requires_grad_()
    listwise_softmax(logits, LABELS, PRESENT).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 3] == 0
    assert (logits.grad[2] == 0).all()
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1]


def test_nothing_taken_costs_nothing() -> None:
    logits = LOGITS.clone().requires_grad_()
    loss = listwise_softmax(logits, torch.zeros_like(LABELS), PRESENT)
    assert loss.item() == 0
    loss.backward()


def test_logistic_of_what_is_known() -> None:
    labels = torch.tensor([[1.0, 0.25, float("nan"), 0.0]])
    known = torch.isfinite(labels)
    p = torch.sigmoid(LOGITS[:1])
    expected = (
        -(torch.log(p[0, 0]) + 0.25 * torch.log(p[0, 1]) + 0.75 * torch.log(1 - p[0, 1]) + torch.log(1 - p[0, 3])) / 3
    )
    assert masked_logistic(LOGITS[:1], labels, known).item() == pytest.approx(expected.item(), rel=1e-5)
    assert masked_logistic(LOGITS[:1], labels, torch.zeros_like(known)).item() == 0
