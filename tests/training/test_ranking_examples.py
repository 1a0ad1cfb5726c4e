"""What feature rankers learn from: lists of a retriever that has not seen what they are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged, is_among
from shortlist.errors import DataError
from shortlist.models.popularity import Popularity
from shortlist.settings import DeepCrossSettings, Settings, SplitSettings
from shortlist.testing import two_moods
from shortlist.training.batches import TrainingExamples
from shortlist.training.feature_rankers import lessons_of
from shortlist.training.ranking_examples import RankingExamples, older_rows, ranking_examples
from shortlist.training.ranking_objective import part_of, thinned

METHODS = ["last_out", "by_time"]


@pytest.fixture(scope="module")
def moods() -> Dataset:
    return two_moods()


def examples_of(
    dataset: Dataset, split: SplitSettings, share: float = 0.3, **given: object
) -> tuple[RankingExamples, np.ndarray]:  # type: ignore[type-arg]
    chosen = DeepCrossSettings(**{"candidates": 20, "share": share, "target_window": 2, "newcomers": 0.0, **given})  # type: ignore[arg-type]
    older = older_rows(dataset.interactions, share, split)
    retriever = Popularity.fit(dataset.interactions.take(older), dataset.num_items)
    found = ranking_examples(
        dataset, dataset.interactions, older, retriever, chosen, split, targets=("liked", "disliked", "value")
    )
    return found, older


@pytest.mark.parametrize("method", METHODS)
def test_a_target_is_never_known_before_it_is_asked_for(method: str, moods: Dataset) -> None:
    """Not in its own history, not in what its retriever was fitted on, and no candidate was seen."""
    found, older = examples_of(moods, SplitSettings(method=method))  # type: ignore[arg-type]
    log, queries = moods.interactions, found.queries
    assert queries.user_idx is not None
    is_target = found.labels["liked"] > 0
    assert is_target.any()
    row = found.found.row_of_value
    for target in np.flatnonzero(is_target):
        query, item = row[target], found.found.values[target]
        assert item not in queries.liked.row(query)
        assert item not in queries.disliked.row(query)
        taken = np.flatnonzero((log.user_idx == queries.user_idx[query]) & (log.item_idx == item))
        assert not older[taken].any()
        assert queries.time is not None
        assert log.timestamp[taken[0]] >= queries.time[query]
        before = (log.user_idx == queries.user_idx[query]) & (log.timestamp < queries.time[query])
        known = np.concatenate([queries.liked.row(query), queries.disliked.row(query)])
        assert set(known.tolist()) == set(log.item_idx[before].tolist())
        assert not is_among(found.found.row(query), log.item_idx[before]).any()


def test_the_clock_is_cut_for_everybody_at_once(moods: Dataset) -> None:
    log = moods.interactions
    older = older_rows(log, 0.3, SplitSettings(method="by_time"))
    assert log.timestamp[older].max() < log.timestamp[~older].min()
    assert 0.25 < (~older).mean() < 0.4
    each = older_rows(log, 0.25, SplitSettings())
    assert (np.bincount(log.user_idx[~each], minlength=80) == 3).all()  # of twelve


def test_what_shares_the_first_target_s_moment_is_newer(moods: Dataset) -> None:
    from dataclasses import replace

    log = replace(moods.interactions, timestamp=moods.interactions.timestamp // (2 * 3_600_000) * (2 * 3_600_000))
    older = older_rows(log, 0.25, SplitSettings())  # the ninth shares its moment with the tenth, which is newer
    assert (np.bincount(log.user_idx[older], minlength=80) == 8).all()
    in_order = older_rows(log, 0.25, SplitSettings(history="in_order"))
    assert (np.bincount(log.user_idx[in_order], minlength=80) == 9).all()


def test_labels_say_what_happened(moods: Dataset) -> None:
    found, _ = examples_of(moods, SplitSettings())
    liked, disliked, value = (found.labels[name] for name in ("liked", "disliked", "value"))
    assert set(liked.tolist()) == {0.0, 1.0}
    known = np.isfinite(disliked)
    assert (known == (liked > 0)).all(), "in this world all that is taken is a positive"
    item = np.array([int(one) - 100 for one in moods.items.ids_of(found.found.values)])
    assert (disliked[known] == (item[known] % 6 >= 4)).all()
    assert (value[known] == (item[known] % 6 < 4)).all()
    has_target = np.bincount(found.found.row_of_value, liked, len(found)) > 0
    assert has_target.all(), "a query without a target among its candidates teaches no order"


def test_windows_cover_every_newer_positive_once(moods: Dataset) -> None:
    """With all items as candidates every target is found."""
    found, older = examples_of(moods, SplitSettings(), target_window=2, candidates=40)
    assert found.labels["liked"].sum() == (~older).sum()
    single, _ = examples_of(moods, SplitSettings(), target_window=1, candidates=40)
    assert len(single) == (~older).sum() > len(found)
    few, _ = examples_of(moods, SplitSettings(), target_window=1, candidates=40, max_queries=7)
    assert len(few) == 7


def test_history_may_hold_newer_items(moods: Dataset) -> None:
    """As while serving: the retriever learned from the older part, but knows what was taken since."""
    found, older = examples_of(moods, SplitSettings(), target_window=1, candidates=40)
    per_user = np.bincount(moods.interactions.user_idx[older], minlength=80)
    assert found.queries.user_idx is not None
    assert (found.queries.num_known > per_user[found.queries.user_idx]).any()


def test_some_are_asked_as_newcomers(moods: Dataset) -> None:
    full, _ = examples_of(moods, SplitSettings(), candidates=40)
    short, _ = examples_of(moods, SplitSettings(), candidates=40, newcomers=0.5, max_history=4)
    is_cut = short.queries.num_known < full.queries.num_known
    assert 0.3 < is_cut.mean() < 0.7
    assert (short.queries.liked.lengths[is_cut] <= 4).all()
    assert (short.queries.liked.lengths[is_cut] == 0).any()
    for row in np.flatnonzero(is_cut)[:20]:
        length = short.queries.liked.lengths[row]
        assert short.queries.liked.row(row).tolist() == full.queries.liked.row(row).tolist()[-length:][:length]
    assert short.queries.last_time is not None
    assert np.isnan(short.queries.last_time[short.queries.num_known == 0]).all()
    assert len(short) == len(full), "targets and what was seen stay"


def test_thinning_keeps_what_is_known(moods: Dataset) -> None:
    found, _ = examples_of(moods, SplitSettings())
    kept = thinned(found, 4, np.random.default_rng(0))
    assert (found.labels["liked"][kept] > 0).sum() == (found.labels["liked"] > 0).sum()
    others = np.bincount(found.found.row_of_value[kept], found.labels["liked"][kept] == 0, len(found))
    assert (others == 4).all()
    assert (np.diff(kept) > 0).all()
    again = thinned(found, 4, np.random.default_rng(1))
    assert len(again) == len(kept)
    assert not np.array_equal(again, kept), "drawn anew"
    part = part_of(found, np.array([3, 1]))
    assert part.found.row(0).tolist() == found.found.row(3).tolist()
    assert part.labels["liked"].tolist() == [
        *found.labels["liked"][found.found.offsets[3] : found.found.offsets[4]],
        *found.labels["liked"][found.found.offsets[1] : found.found.offsets[2]],
    ]


def test_nothing_to_learn_is_said(moods: Dataset, world: Dataset) -> None:
    log = moods.interactions
    with pytest.raises(DataError, match=r"\[ranker\] share = 0.99 leaves the older part"):
        older_rows(log.take(TrainingExamples(moods, log).place == 0), 0.99, SplitSettings(method="by_time"))
    chosen, older = DeepCrossSettings(candidates=1), older_rows(log, 0.2, SplitSettings())
    nobodys = np.zeros(moods.num_items, np.float32)
    nobodys[log.item_idx[:12].max()] = 1
    unasked = Popularity(nobodys)
    taken_all = log.take(~is_among(log.item_idx, np.array([np.argmax(nobodys)])))
    with pytest.raises(DataError, match="none has a target among its 1 candidates"):
        ranking_examples(
            moods, taken_all, older_rows(taken_all, 0.2, SplitSettings()), unasked, chosen, SplitSettings()
        )
    from dataclasses import replace

    plain = replace(log, disliked=np.zeros(len(log), bool), value=None)
    retriever = Popularity.fit(log, moods.num_items)
    for target in ("disliked", "value"):
        with pytest.raises(DataError, match=rf"\[ranker.targets\] {target}"):
            ranking_examples(
                moods,
                plain,
                older,
                retriever,
                DeepCrossSettings(candidates=40),
                SplitSettings(),
                targets=("liked", target),
            )


def test_rows_without_candidates_are_fine() -> None:
    empty = RankingExamples(
        examples_of(two_moods(10), SplitSettings())[0].queries.take(np.array([0, 1])),
        Ragged.from_rows([[], [3]]),
        np.zeros((1, 2), np.float32),
        {"liked": np.ones(1, np.float32)},
    )
    assert thinned(empty, 3, np.random.default_rng(0)).tolist() == [0]


@pytest.mark.parametrize("method", METHODS)
def test_folds_lie_one_behind_the_other(method: str, moods: Dataset) -> None:
    """No lesson's statistics or histories reach into its own newer part, and no target is asked for twice."""
    ranker = {"model": "deep_cross", "share": 0.25, "folds": 2, "candidates": 40, "target_window": 1, "newcomers": 0.0}
    settings = Settings.from_dict({"retriever": {"model": "popularity"}, "split": {"method": method}, "ranker": ranker})
    log = moods.interactions
    first, second = lessons_of(moods, log, settings, None)
    asked = []
    for lesson in (first, second):
        targets = lesson.examples.labels["liked"] > 0
        queries = lesson.examples.queries
        assert queries.user_idx is not None
        row = lesson.examples.found.row_of_value[targets]
        asked.append(
            set(zip(queries.user_idx[row].tolist(), lesson.examples.found.values[targets].tolist(), strict=True))
        )
        assert 0.15 * len(log) < len(asked[-1]) < 0.35 * len(log)
    assert not asked[0] & asked[1]
    later, earlier = (lesson.features.statistics for lesson in (first, second))
    assert earlier.until[0] <= later.until[0]
    if method == "by_time":
        assert second.examples.queries.time is not None
        assert second.examples.queries.time.min() > earlier.until[0]
        assert second.examples.queries.time.max() <= later.until[0]
