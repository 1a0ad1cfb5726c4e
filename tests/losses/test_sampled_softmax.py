"""Probabilities and orders: a wrong sign or mask would show here."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from shortlist.losses import full_softmax, in_batch_softmax, sampled_softmax
from shortlist.negatives import Popularity

B, S, D = 3, 4, 2


def world() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "query": torch.randn(B, D),
        "positive": torch.randn(B, D),
        "negative": torch.randn(B, S, D),
        "positive_bias": torch.randn(B),
        "negative_bias": torch.randn(B, S),
        "positive_log_q": torch.rand(B).log(),
        "negative_log_q": torch.rand(B, S).log(),
        "positive_idx": torch.tensor([1, 2, 3]),
        "negative_idx": torch.tensor([[4, 5, 1, 1], [2, 1, 1, 0], [1, 2, 4, 5]]),
        "absent": torch.tensor([[True, False, False, False], [False] * 4, [False] * 4]),
        "weights": torch.tensor([1.0, 2.0, 3.0]),
    }


def by_loops(w: dict[str, torch.Tensor], temperature: float, certain: bool) -> float:
    total = 0.0
    for b in range(B):
        own = (float(w["query"][b] @ w["positive"][b]) + float(w["positive_bias"][b])) / temperature
        if not certain:
            own -= float(w["positive_log_q"][b]) + math.log(S)
        z = math.exp(own)
        for j in range(S):
            if w["negative_idx"][b, j] != w["positive_idx"][b] and not w["absent"][b, j]:
                score = (float(w["query"][b] @ w["negative"][b, j]) + float(w["negative_bias"][b, j])) / temperature
                z += math.exp(score - float(w["negative_log_q"][b, j]) - math.log(S))
        total += float(w["weights"][b]) * (math.log(z) - own)
    return total / float(w["weights"].sum())


@pytest.mark.parametrize("certain", [False, True])
def test_equals_loops(certain: bool) -> None:
    given = world()
    expected = by_loops(given, 0.5, certain)
    if certain:
        del given["positive_log_q"]
    assert sampled_softmax(**given, temperature=0.5).item() == pytest.approx(expected, rel=1e-5)


def test_shared_negatives_are_those_of_every_row() -> None:
    given = world()
    names = ["negative", "negative_bias", "negative_log_q", "negative_idx"]
    shared = given | {name: given[name][0] for name in names}
    repeated = given | {name: given[name][:1].expand(B, *given[name].shape[1:]) for name in names}
    assert sampled_softmax(**shared).item() == pytest.approx(sampled_softmax(**repeated).item(), rel=1e-6)


def test_what_is_absent_has_no_gradient_and_makes_no_nan() -> None:
    given = world()
    given["absent"] = torch.tensor([[True] * 4, [False, False, True, False], [False] * 4])
    leaves = {name: tensor.requires_grad_() for name, tensor in given.items() if name in {"query", "negative"}}
    sampled_softmax(**(given | leaves)).backward()
    gradient = leaves["negative"].grad
    assert gradient is not None
    there = gradient.abs().sum(dim=2) > 0
    assert there.tolist() == [[False] * 4, [False, True, False, True], [True] * 4]  # row 1: column 0 is a hit
    assert torch.isfinite(leaves["query"].grad).all()
    assert leaves["query"].grad[0].abs().sum() == 0


def test_positives_of_one_query_share_its_negatives() -> None:
    given = world()
    rows = torch.tensor([0, 0, 1, 2, 2])
    shared = {name: given[name][0] for name in ("negative", "negative_bias", "negative_log_q")}
    own = {
        "positive": torch.randn(5, D),
        "positive_bias": torch.randn(5),
        "positive_log_q": torch.rand(5).log(),
        "weights": torch.tensor([0.5, 1.0, 2.0, 0.1, 0.3]),
    }
    absent = given["absent"]
    together = sampled_softmax(given["query"], rows=rows, absent=absent, **own, **shared)
    one_by_one = sampled_softmax(given["query"][rows], absent=absent[rows], **own, **shared)
    assert together.item() == pytest.approx(one_by_one.item(), rel=1e-6)


@pytest.mark.parametrize("given_log_q", [False, True])
def test_many_samples_give_the_full_softmax(given_log_q: bool) -> None:
    """Loss and gradient, with negatives popular items dominate."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    items, query, target = torch.randn(20, 3), torch.randn(8, 3), torch.arange(8)
    popularity = Popularity(np.arange(1, 21) ** 2, power=1)
    drawn = popularity.shared(100_000, rng)
    drawn_idx, log_q = torch.from_numpy(drawn.item_idx), torch.from_numpy(drawn.log_q)
    leaves = [query.clone().requires_grad_(), query.clone().requires_grad_()]
    full = full_softmax(leaves[0], items, torch.zeros(20), target, target, torch.ones(8))
    ids = {} if given_log_q else {"positive_idx": target, "negative_idx": drawn_idx}
    own = torch.from_numpy(popularity.log_q_of(target.numpy())) if given_log_q else None
    sampled = sampled_softmax(
        leaves[1], items[target], items[drawn_idx], positive_log_q=own, negative_log_q=log_q, **ids
    )
    expected_count = own + math.log(100_000) if own is not None else torch.zeros(8)
    assert sampled.item() == pytest.approx((full + expected_count.mean()).item(), rel=0.02)
    full.backward()
    sampled.backward()
    torch.testing.assert_close(leaves[1].grad, leaves[0].grad, rtol=0.1, atol=0.01)


FREQUENCY = np.array([30, 20, 15, 12, 9, 7, 4, 3])


def trained_scores(correction: float | None, in_batch: bool) -> np.ndarray:
    """Eight items, one score each, learned from positives and negatives that both come by popularity."""
    rng = np.random.default_rng(0)
    popularity = Popularity(FREQUENCY, power=1)
    scores = torch.zeros(8, requires_grad=True)
    optimiser = torch.optim.Adam([scores], lr=0.05)
    for _ in range(300):
        positive = torch.from_numpy(popularity.shared(512, rng).item_idx)
        drawn = popularity.shared(256, rng)
        negative, log_q = torch.from_numpy(drawn.item_idx), torch.from_numpy(drawn.log_q)
        query = torch.ones(512, 1)
        if in_batch:
            own = torch.from_numpy(popularity.log_q_of(positive.numpy()))
            corrected = None if correction is None else correction * own
            loss = in_batch_softmax(query, scores[positive, None], log_q=corrected)
        else:
            corrected = None if correction is None else correction * log_q
            ids = {"positive_idx": positive, "negative_idx": negative}
            loss = sampled_softmax(
                query, scores[positive, None], scores[negative, None], negative_log_q=corrected, **ids
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    learned: np.ndarray = scores.detach().numpy()
    return learned


@pytest.mark.parametrize("in_batch", [False, True])
def test_log_q_is_subtracted(in_batch: bool) -> None:
    """The full softmax learns log p. So does the sampled one with log q; without, popularity is gone from the order."""
    p = FREQUENCY / FREQUENCY.sum()
    learned = trained_scores(1.0, in_batch)
    assert np.argsort(-learned).tolist() == list(range(8))
    np.testing.assert_allclose(learned - learned.mean(), np.log(p) - np.log(p).mean(), atol=0.15)
    assert np.ptp(trained_scores(None, in_batch)) < 0.6 * np.ptp(learned)
    if in_batch:
        assert np.argsort(trained_scores(-1.0, in_batch)).tolist() == list(range(8))  # the wrong sign turns it round


def test_errors_teach() -> None:
    given = world()
    with pytest.raises(ValueError, match="correct the negatives too"):
        sampled_softmax(**{name: given[name] for name in ("query", "positive", "negative", "positive_log_q")})
    with pytest.raises(ValueError, match="rows and positive_idx"):
        sampled_softmax(**given, rows=torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="come together"):
        sampled_softmax(**{name: given[name] for name in ("query", "positive", "negative", "positive_idx")})
    with pytest.raises(ValueError, match=r"query is \[3, 2\] and positive \[1, 2\]"):
        sampled_softmax(given["query"], given["positive"][:1], given["negative"])
