from __future__ import annotations

import math

import pytest
import torch

from shortlist.losses import in_batch_softmax, owned

B = 4


def world() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "query": torch.randn(B, 2),
        "positive": torch.randn(B, 2),
        "bias": torch.randn(B),
        "log_q": torch.rand(B).log(),
        "positive_idx": torch.tensor([5, 6, 5, 7]),
        "absent": owned(torch.tensor([1, 3, 0]), torch.tensor([7, 7, 9]), torch.tensor([5, 6, 5, 7]), B),
        "weights": torch.tensor([1.0, 2.0, 0.0, 4.0]),
    }


def by_loops(w: dict[str, torch.Tensor], temperature: float, correct_positive: bool) -> float:
    total = 0.0
    for b in range(B):
        logits = []
        for j in range(B):
            logit = (float(w["query"][b] @ w["positive"][j]) + float(w["bias"][j])) / temperature
            if correct_positive:
                logit -= float(w["log_q"][j])
            elif j != b:
                logit -= float(w["log_q"][j]) + math.log(B - 1)
            hit = j != b and w["positive_idx"][j] == w["positive_idx"][b]
            has = (b, j) == (1, 3)  # row 3 has item 7 too, but that is its positive
            logits.append(-math.inf if hit or has else logit)
        total += float(w["weights"][b]) * (math.log(sum(math.exp(logit) for logit in logits)) - logits[b])
    return total / float(w["weights"].sum())


@pytest.mark.parametrize("correct_positive", [True, False])
def test_equals_loops(correct_positive: bool) -> None:
    given = world()
    loss = in_batch_softmax(**given, temperature=0.7, correct_positive=correct_positive)
    assert loss.item() == pytest.approx(by_loops(given, 0.7, correct_positive), rel=1e-5)


def test_a_batch_of_one_item_teaches_nothing_and_is_no_nan() -> None:
    query = torch.randn(B, 2, requires_grad=True)
    loss = in_batch_softmax(query, torch.ones(B, 2), positive_idx=torch.full((B,), 3), log_q=torch.zeros(B))
    loss.backward()
    assert loss.item() == 0
    assert query.grad is not None
    assert query.grad.abs().sum() == 0


def test_gradients_by_finite_differences() -> None:
    given = {name: w.double() if w.is_floating_point() else w for name, w in world().items()}
    leaves = [given.pop(name).requires_grad_() for name in ("query", "positive")]
    assert torch.autograd.gradcheck(lambda q, p: in_batch_softmax(q, p, **given), leaves)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"query is \[4, 2\] and positive \[3, 2\]"):
        in_batch_softmax(torch.ones(4, 2), torch.ones(3, 2))
