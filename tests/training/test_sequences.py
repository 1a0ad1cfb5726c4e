from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.loading import load_dataset
from shortlist.data.queries import QueryBatch, SequenceQueries
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import split
from shortlist.models.softmax_dnn import SoftmaxDNN
from shortlist.settings import Settings, SoftmaxDNNSettings, SplitSettings
from shortlist.training.batches import TrainingBatch
from shortlist.training.sequences import TrainingSequences


@pytest.fixture(scope="module")
def films() -> Dataset:
    given = {"data": {"dataset": "ml-latest-small", "feedback": {"disliked": "value <= 2"}}}
    return load_dataset(Settings.from_dict(given))


def known_items(queries: SequenceQueries) -> list[list[int]]:
    """What each state has read."""
    longest = int(queries.sequences.lengths.max())
    known = []
    for position in queries.position.tolist():
        row, place = divmod(position, longest)
        known.append([] if row == len(queries.sequences) else queries.sequences.row(row)[: place + 1].tolist())
    return known


def disliked_items(queries: SequenceQueries) -> list[list[int]]:
    """What each query knows as disliked."""
    longest = int(queries.disliked.lengths.max())
    rows = queries.disliked.padded(longest + 1, fill=-1).ravel()
    return [rows[start:stop].tolist() for start, stop in queries.disliked_span.tolist()]


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("length", [7, 10_000])
def test_states_know_what_came_before_their_targets(films: Dataset, in_order: bool, length: int) -> None:
    """Found by brute force; a cut sequence knows the most recent part of it."""
    train = split(films, SplitSettings()).train
    sequences = TrainingSequences(films, train, length, in_order=in_order)
    batch = next(iter(sequences.epoch(512, np.random.default_rng(0))))
    assert isinstance(batch.queries, SequenceQueries)
    known, known_disliked = known_items(batch.queries), disliked_items(batch.queries)
    row = np.arange(len(train))
    for n in np.random.default_rng(1).choice(len(batch), 200, replace=False):
        if not len(batch.seen.row(n)):  # whose first it is cannot be told
            assert not known[n]
            continue
        first = batch.targets.row(n)[0]
        target = mine_only(train, batch, n, first)
        mine = train.user_idx == train.user_idx[target]
        before = mine & ((row < target) if in_order else (train.timestamp < train.timestamp[target]))
        liked = train.item_idx[before & train.in_history].tolist()
        assert known[n] == liked[len(liked) - len(known[n]) :]
        assert len(known[n]) > 0 or not liked
        assert length < 10_000 or known[n] == liked
        assert batch.queries.num_liked[n] == len(liked)
        disliked = train.item_idx[before & train.disliked].tolist()
        assert known_disliked[n] == disliked[-length:]
        assert batch.queries.num_known[n] == len(liked) + len(disliked)
        assert batch.queries.time is not None
        assert batch.queries.last_time is not None
        assert batch.queries.time[n] == train.timestamp[target]
        earlier = train.timestamp[before & (train.in_history | train.disliked)]
        assert np.array_equal(
            batch.queries.last_time[n], earlier.max(initial=-1) if len(earlier) else np.nan, equal_nan=True
        )
        assert batch.seen.row(n).tolist() == train.item_idx[mine & (row < target)].tolist()


def mine_only(train, batch: TrainingBatch, n: int, item: int) -> int:  # type: ignore[no-untyped-def]
    """The row of the target: of the user whose seen items the query has, and the item (films are rated once)."""
    rows = np.flatnonzero(train.item_idx == item)
    seen = set(batch.seen.row(n).tolist())
    fits = [r for r in rows if set(train.item_idx[train.offsets[train.user_idx[r]] : r].tolist()) == seen]
    assert len(fits) == 1
    return int(fits[0])


@pytest.mark.parametrize("in_order", [True, False])
def test_every_positive_is_a_target_once_and_batches_keep_their_size(films: Dataset, in_order: bool) -> None:
    train = split(films, SplitSettings()).train
    sequences = TrainingSequences(films, train, 50, in_order=in_order)
    cuts = []
    for seed in range(2):
        targets, users = [], 0
        for batch in sequences.epoch(400, np.random.default_rng(seed)):
            queries = batch.queries
            assert isinstance(queries, SequenceQueries)
            longest = queries.sequences.lengths.max()
            assert longest <= 50
            assert len(queries.sequences) * longest <= 400
            targets.append(batch.targets.values)
            users += int((queries.position == len(queries.sequences) * longest).sum())
        assert sorted(np.concatenate(targets)) == sorted(train.item_idx[train.liked])
        assert users == len(np.unique(train.user_idx[train.liked]))  # each is once asked without a history
        cuts.append([len(part) for part in targets])
    assert cuts[0] != cuts[1]


def test_two_roads_one_answer(films: Dataset) -> None:
    """All positions of a sequence at once, and each query by itself."""
    torch.manual_seed(0)
    chosen = SoftmaxDNNSettings(embedding_dim=8, history="transformer", tied=True, history_windows=(60,))
    counts = np.bincount(films.interactions.item_idx, minlength=films.num_items)
    model = SoftmaxDNN(films.num_items, films.schema.query, chosen, counts).eval()
    torch.nn.init.normal_(model.query.hidden[-1].weight)  # type: ignore[arg-type]
    sequences = TrainingSequences(films, films.interactions, 60)
    compared = 0
    for batch in islice(sequences.epoch(256, np.random.default_rng(0)), 8):
        queries = batch.queries
        assert isinstance(queries, SequenceQueries)
        histories = (Ragged.from_rows(rows) for rows in (known_items(queries), disliked_items(queries)))
        one_by_one = QueryBatch(*histories, queries.features)
        inputs = model.inputs(one_by_one)
        inputs["liked_count"] = torch.from_numpy(np.log1p(queries.num_liked).astype(np.float32)[:, None])  # also before
        with torch.no_grad():
            together, apart = model(model.inputs(queries)), model(inputs)
        torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
        compared += len(batch)
    assert compared > 100
