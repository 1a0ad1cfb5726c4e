"""Accuracy against an independent library, on lists with ties, short lists and empty truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchmetrics.functional import retrieval as oracle
from torchmetrics.functional.classification import multiclass_accuracy

from shortlist.data.ragged import Ragged
from shortlist.evaluation.metrics import METRICS, auc
from shortlist.retrieval.selection import ranks as rank

Lists = tuple[Ragged, list[torch.Tensor], list[torch.Tensor], NDArray[np.int64]]


def lists(seed: int) -> Lists:
    """Random scores with ties; ranks of the targets, and for the oracle the allowed items' scores and which are targets.

    The oracle gets scores without ties in the order the lots give: which of equal items comes first is our rule to make.
    """
    rng = np.random.default_rng(seed)
    num_queries, num_items = int(rng.integers(1, 6)), int(rng.integers(1, 15))
    scores = rng.integers(0, 4, (num_queries, num_items)).astype(np.float32)
    scores[rng.random(scores.shape) < rng.choice([0, 0.7])] = -np.inf  # short lists
    allowed = [np.flatnonzero(row > -np.inf) for row in scores]
    targets = Ragged.from_rows([rng.permutation(one)[: rng.integers(0, 5)] for one in allowed])
    places = Ragged(rank(scores, targets), targets.offsets)
    whole = Ragged.from_rows(allowed)
    order = Ragged(rank(scores, whole), whole.offsets)
    preds = [torch.tensor(1 / order.row(q)) for q in range(num_queries)]  # they leave out what is not positive
    truth = [torch.tensor(np.isin(allowed[q], targets.row(q))) for q in range(num_queries)]
    return places, preds, truth, whole.lengths


def capped(preds: torch.Tensor, truth: torch.Tensor, k: int) -> torch.Tensor:
    return oracle.retrieval_recall(preds, truth, top_k=k) * truth.sum() / truth.sum().clamp(max=k)


def average_precision(preds: torch.Tensor, truth: torch.Tensor, k: int) -> torch.Tensor:
    """Theirs is over the targets found, ours over those that could be."""
    found = oracle.retrieval_precision(preds, truth, top_k=k) * k
    return oracle.retrieval_average_precision(preds, truth, top_k=k) * found / truth.sum().clamp(max=k)


ORACLES: dict[str, Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]] = {
    "hit_rate": lambda p, t, k: oracle.retrieval_hit_rate(p, t, top_k=k),
    "recall": lambda p, t, k: oracle.retrieval_recall(p, t, top_k=k),
    "top_k_accuracy": lambda p, t, k: oracle.retrieval_recall(p, t, top_k=k),
    "recall_capped": capped,
    "precision": lambda p, t, k: oracle.retrieval_precision(p, t, top_k=k),
    "ndcg": lambda p, t, k: oracle.retrieval_normalized_dcg(p, t, top_k=k),
    "mrr": lambda p, t, k: oracle.retrieval_reciprocal_rank(p, t, top_k=k),
    "map": average_precision,
}


@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1_000_000), st.integers(1, 18))
def test_equals_the_library(metric: str, seed: int, k: int) -> None:
    ranks, preds, truth, _ = lists(seed)
    for query, value in enumerate(METRICS[metric](ranks, k)):
        if truth[query].any():
            assert value == pytest.approx(ORACLES[metric](preds[query], truth[query], k).item(), abs=1e-6)
        else:
            assert np.isnan(value), "without a target there is nothing to find"


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 1_000_000))
def test_auc_equals_the_library(seed: int) -> None:
    ranks, preds, truth, num_candidates = lists(seed)
    for query, value in enumerate(auc(ranks, num_candidates)):
        if truth[query].any() and not truth[query].all():
            assert value == pytest.approx(oracle.retrieval_auroc(preds[query], truth[query]).item(), abs=1e-6)
        else:
            assert np.isnan(value)


def test_top_k_accuracy_is_the_categorical_one() -> None:
    """One target a query: top-k categorical accuracy of a classifier over the corpus."""
    rng = np.random.default_rng(0)
    scores, target = rng.normal(size=(200, 30)).astype(np.float32), rng.integers(0, 30, 200)
    ranks = Ragged(rank(scores, Ragged.from_rows(target[:, None])), np.arange(201))
    for k in (1, 5, 10):
        expected = multiclass_accuracy(torch.tensor(scores), torch.tensor(target), 30, average="micro", top_k=k)
        assert METRICS["top_k_accuracy"](ranks, k).mean() == pytest.approx(expected.item())


def test_the_two_recalls_part_where_there_are_more_targets_than_places() -> None:
    ranks = Ragged.from_rows([[1, 2, 3, 4]])
    assert (METRICS["recall"](ranks, 2)[0], METRICS["recall_capped"](ranks, 2)[0]) == (0.5, 1.0)
