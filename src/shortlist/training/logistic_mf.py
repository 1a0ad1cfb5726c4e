"""Matrix factorization by logistic loss, with plain SGD, one sample at a time.

Rendle, Krichene, Zhang, Anderson: *Neural Collaborative Filtering vs. Matrix Factorization Revisited*, RecSys 2020: trained with
care, a product of two vectors ranks better than a learned similarity. For a user u and an item i

    x = b + b_u + b_i + ⟨w_u, h_i⟩,    loss = softplus(−x) for a positive, softplus(x) for a negative,

plus λ / 2 times the squared length of each parameter that took part. Every sample takes its step at once, so that no two
gradients of an item meet in a batch, at a small rate over many epochs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping

import numba
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged
from shortlist.errors import TrainingError
from shortlist.models.ncf import NCF
from shortlist.negatives import Unobserved
from shortlist.settings import LogisticMFSettings
from shortlist.training.progress import Progress
from shortlist.training.trainer import EpochRecord, TrainingRun

_POSITIVES_AT_ONCE = 65_536  # negatives are drawn for so many: 4 MB for eight each

Floats = NDArray[np.float32]


class LogisticMF:
    """Vectors and biases, and how they learn.

    Args:
        num_users: U.
        num_items: N.
        dim: D, length of the vectors.
        init_scale: σ of their starting numbers.
        rng: draws these.
    """

    def __init__(self, num_users: int, num_items: int, dim: int, init_scale: float, rng: np.random.Generator) -> None:
        self.users = rng.normal(0, init_scale, (num_users, dim)).astype(np.float32)
        self.items = rng.normal(0, init_scale, (num_items, dim)).astype(np.float32)
        self.user_bias, self.item_bias = np.zeros(num_users, np.float32), np.zeros(num_items, np.float32)
        self.bias = np.zeros(1, np.float32)

    def learn(
        self, users: NDArray[np.int64], items: NDArray[np.int64], learning_rate: float, regularization: float
    ) -> float:
        """One step a sample, in their order; the sum of their losses before their steps.

        Args:
            users: [P] of the positives.
            items: [P, 1 + S], the positive first.
        """
        tables = self.users, self.items, self.user_bias, self.item_bias, self.bias
        return float(_steps(users, items, *tables, np.float32(learning_rate), np.float32(regularization)))

    def ranker(self, known: NDArray[np.bool_]) -> NCF:
        """As it is served: GMF whose vectors have two numbers more, for the biases of its users and items."""
        ones = np.ones_like
        arrays = {
            "users.gmf": np.column_stack([self.users, self.user_bias, ones(self.user_bias)]),
            "items.gmf": np.column_stack([self.items, ones(self.item_bias), self.item_bias]),
            "head.weight": np.empty(0, np.float32),
            "head.bias": self.bias.copy(),
        }
        return NCF("logistic_mf", arrays, known)


def fit_logistic_mf(
    train: Interactions,
    num_items: int,
    chosen: LogisticMFSettings,
    judge: Callable[[NCF], float] | None,
    *,
    seed: int,
    figure: str = "",
    console: Console | None = None,
    epochs: Mapping[str, int] | None = None,
) -> tuple[NCF, dict[str, TrainingRun]]:
    """Train until the validation figure stops getting better; the same seed gives the same bits, on one thread.

    Args:
        train: its likes are the positives.
        num_items: N.
        chosen: widths, negatives, rate.
        judge: validation figure of a ranker, higher is better; None: keep the last epoch.
        seed: of everything random.
        figure: name of what ``judge`` gives.
        console: where a person follows the epochs.
        epochs: ``{"logistic_mf": E}`` in place of ``chosen.epochs``; the rate falls as if all of these were still to come.

    Returns:
        The ranker, and the course under ``logistic_mf``. It keeps no checkpoint: a killed run begins anew.

    Raises:
        TrainingError: the loss is not finite.
    """
    rng, run = np.random.default_rng(seed), TrainingRun()
    model = LogisticMF(train.num_users, num_items, chosen.embedding_dim, chosen.init_scale, rng)
    known = np.bincount(train.user_idx[train.liked], minlength=train.num_users) > 0
    samples = _Samples(train, num_items, chosen)
    last, best = chosen.epochs if epochs is None else epochs["logistic_mf"], model.ranker(known)
    with Progress(len(samples), figure, console) as progress:
        try:
            for epoch in range(1, last + 1):
                started, total = time.perf_counter(), 0.0
                rate = _learning_rate(chosen, epoch)
                for number, (users, items) in enumerate(samples.epoch(rng), start=1):
                    total += model.learn(users, items, rate, chosen.regularization)
                    progress.batch_ended(epoch, total / min(number * _POSITIVES_AT_ONCE, len(samples)), len(users))
                if not math.isfinite(total):
                    raise TrainingError(
                        f"The loss of epoch {epoch} is {total}. Lower [ranker] learning_rate (now {chosen.learning_rate})."
                    )
                ranker = model.ranker(known)
                value = None if judge is None else judge(ranker)
                record = EpochRecord(epoch, total / len(samples), value, time.perf_counter() - started)
                run.epochs.append(record)
                if value is None or run.best_validation is None or value > run.best_validation:
                    run.best_epoch, run.best_validation, best = epoch, value, ranker
                progress.epoch_ended(record, is_best=run.best_epoch == epoch)
                if epoch - run.best_epoch >= chosen.patience:
                    run.ended_by = "patience"
                    break
        except KeyboardInterrupt:
            if run.best_epoch == 0:  # nothing worth keeping yet
                raise
            run.ended_by = "interrupt"
            progress.note(f"interrupted: going on with the best weights so far (epoch {run.best_epoch})")
    return best, {"logistic_mf": run}


class _Samples:
    """Every positive once an epoch, in random order, with negatives drawn anew."""

    def __init__(self, train: Interactions, num_items: int, chosen: LogisticMFSettings) -> None:
        self.num_items, self.chosen = num_items, chosen
        self.unobserved = Unobserved(
            Ragged.from_row_of_value(train.item_idx, train.user_idx, train.num_users), num_items
        )
        positives = np.flatnonzero(train.liked & self.unobserved.has_some[train.user_idx])
        self.users, self.items = train.user_idx[positives].astype(np.int64), train.item_idx[positives].astype(np.int64)

    def __len__(self) -> int:
        return len(self.users)

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Users [P] and items [P, 1 + S], the positive first."""
        order = rng.permutation(len(self))
        for begin in range(0, len(order), _POSITIVES_AT_ONCE):
            rows = order[begin : begin + _POSITIVES_AT_ONCE]
            shape = len(rows), self.chosen.num_negatives
            if self.chosen.negatives == "uniform":
                negatives = rng.integers(self.num_items, size=shape)
            else:
                negatives = self.unobserved.of_rows(self.users[rows], shape[1], rng).item_idx
            yield self.users[rows], np.concatenate([self.items[rows, None], negatives], axis=1)


def _learning_rate(chosen: LogisticMFSettings, epoch: int) -> float:
    """Of an epoch counted from 1, on the way to ``chosen.epochs``."""
    fall = 0.5 * (1 + math.cos(math.pi * (epoch - 1) / chosen.epochs)) if chosen.schedule == "cosine" else 1.0
    return chosen.learning_rate * fall


@numba.njit(nogil=True, fastmath=True, error_model="numpy", cache=True)
def _steps(
    user: NDArray[np.int64],
    item: NDArray[np.int64],
    users: Floats,
    items: Floats,
    user_bias: Floats,
    item_bias: Floats,
    bias: Floats,
    rate: np.float32,
    regularization: np.float32,
) -> float:
    total, dim = 0.0, users.shape[1]
    one = np.float32(1)
    for p in range(len(user)):
        u = user[p]
        mine = users[u]
        for c in range(item.shape[1]):
            i = item[p, c]
            theirs = items[i]
            x = bias[0] + user_bias[u] + item_bias[i]
            for j in range(dim):
                x += mine[j] * theirs[j]
            small = np.exp(-abs(x))  # softplus(x) = max(x, 0) + log(1 + e^−|x|)
            share = one / (one + small)
            probability = share if x > 0 else one - share
            total += max(-x if c == 0 else x, np.float32(0)) + np.log1p(small)
            slope = (one if c == 0 else np.float32(0)) - probability
            for j in range(dim):
                w, h = mine[j], theirs[j]
                mine[j] = w + rate * (slope * h - regularization * w)
                theirs[j] = h + rate * (slope * w - regularization * h)
            user_bias[u] += rate * (slope - regularization * user_bias[u])
            item_bias[i] += rate * (slope - regularization * item_bias[i])
            bias[0] += rate * (slope - regularization * bias[0])
    return total
