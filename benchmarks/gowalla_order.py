"""Is LightGCN's Gowalla split a random one? Lines of its files stand in the order of time; the test goes on where train ends.

    python -m benchmarks.gowalla_order

The split is said to be random (Wang et al., SIGIR 2019: 80 % of each user's history), and nothing in the files has a time.
Looked at is how alike places are (cosine of iALS vectors, learned from all of train, which know no order) by where they stand in
a user's line. If lines were in no order, every row of the table would be one number. Users with 20 places in train and 5 in test.

The last lines ask of places, not of users: in a random split the share of a place's check-ins that falls into the test varies
as coins do (variance of the standardised counts 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._shared import fit
from shortlist.data.loading import load_dataset
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.settings import Settings

PARTS = 8
OFTEN = 200  # check-ins of an item from which on its share in the test says something


def main() -> None:
    settings = Settings.from_dict(
        {"data": {"dataset": "gowalla-lightgcn"}, "split": {"valid_fraction": 0.2, "stratify": "user"}}
    )
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split)
    chosen = {"embedding_dim": 64, "iterations": 8, "regularization": 0.003, "unobserved_weight": 0.015}
    vectors = fit("mf", chosen, parts.train_and_valid, dataset, settings).encode_items()
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    train, test = (
        parts.train_and_valid.positives(),
        of_all_users(parts.test.targets, parts.test.user_idx, dataset.num_users),
    )
    users = np.flatnonzero((train.lengths >= 20) & (test.lengths >= 5))
    lines = [(vectors[train.row(user)], vectors[test.row(user)]) for user in users]
    rng = np.random.default_rng(0)

    table = Table("places", "cosine", title=f"gowalla-lightgcn, {len(lines):,} users")
    table.add_row("neighbours in a line of train", say([neighbours(line) for line, _ in lines]))
    table.add_row("the same lines, shuffled", say([neighbours(rng.permutation(line)) for line, _ in lines]))
    table.add_row("neighbours in a line of test", say([neighbours(line) for _, line in lines]))
    table.add_row("the same lines, shuffled", say([neighbours(rng.permutation(line)) for _, line in lines]))
    by_part = np.array(
        [[(test @ part.T).mean() for part in np.array_split(line, PARTS)] for line, test in lines], dtype=np.float64
    ).mean(axis=0)
    table.add_row(
        f"test, and each {PARTS}th of its line in train", " ".join(f"{value:.3f}" for value in by_part.tolist())
    )
    for label, end in (("last of train, and the 1st to 5th of test", -1), ("first of train, and the same", 0)):
        table.add_row(
            label, " ".join(f"{np.mean([line[end] @ test[k] for line, test in lines]):.3f}" for k in range(5))
        )
    Console(width=110).print(table)
    for label, known, asked in (
        ("published test", train, parts.test.targets),
        ("a random fifth of train", parts.train.positives(), parts.valid.targets),
    ):
        print(
            f"{label}: variance of the standardised counts of places with {OFTEN} check-ins {spread(known, asked):.2f}"
        )


def of_all_users(targets: Ragged, users: NDArray[np.int32], num_users: int) -> Ragged:
    """One row a user, empty for who is not asked."""
    return Ragged.from_row_of_value(targets.values, users[targets.row_of_value].astype(np.int64), num_users)


def neighbours(line: NDArray[np.float32]) -> float:
    """Mean cosine of each two that stand side by side."""
    return float((line[1:] * line[:-1]).sum(axis=1).mean())


def say(values: list[float]) -> str:
    return f"{np.mean(values):.3f}"


def spread(known: Ragged, asked: Ragged) -> float:
    """Variance of the items' standardised counts in the second part; 1 where chance alone made the parts."""
    first, second = (np.bincount(one.values).astype(np.float64) for one in (known, asked))
    first, second = (np.pad(one, (0, max(len(first), len(second)) - len(one))) for one in (first, second))
    both = first + second
    share = second.sum() / both.sum()
    often = both >= OFTEN
    return float(((second - share * both) / np.sqrt(share * (1 - share) * np.maximum(both, 1)))[often].var())


if __name__ == "__main__":
    main()
