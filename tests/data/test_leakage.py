"""Every refusal says what leaks, names the rows, and says what to do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.data.splitting import Split, split
from shortlist.errors import DataError
from shortlist.settings import Settings, SplitSettings

DAY = 86_400
FILES = SplitSettings(method="files", train="t", test="s", valid_fraction=0.25)
SETTINGS = Settings.from_dict({"data": {"columns": {"timestamp": "time"}}})


def table(rows: list[tuple[int, int, int]]) -> pa.Table:
    users, items, days = zip(*rows, strict=True)
    return pa.table({"user_id": users, "item_id": items, "time": [day * DAY for day in days]})


TRAIN = [(1, 10, 1), (1, 20, 2), (2, 10, 1), (2, 30, 2)]


def parts(**files: list[tuple[int, int, int]]) -> Dataset:
    return prepare({name: table(rows) for name, rows in files.items()}, settings=SETTINGS.data)


def test_overlap_of_train_and_test_is_refused() -> None:
    data = parts(train=TRAIN, test=[(1, 40, 3), (2, 10, 5)])
    with pytest.raises(
        DataError,
        match=r"1 of 2 rows of test stand in train too, such as user 2 item 10 at 1970-01-06T00:00:00\. "
        r"What a model has learned from train is no question for test\. Take the shared rows out",
    ):
        split(data, FILES)


def test_overlap_of_valid_with_either_is_refused() -> None:
    settings = SplitSettings(method="files", train="t", valid="v", test="s")
    with pytest.raises(DataError, match=r"1 of 1 rows of valid stand in train too, such as user 1 item 20"):
        split(parts(train=TRAIN, valid=[(1, 20, 3)], test=[(1, 40, 4)]), settings)
    with pytest.raises(DataError, match=r"1 of 2 rows of test stand in valid too, such as user 1 item 40"):
        split(parts(train=TRAIN, valid=[(1, 40, 3)], test=[(1, 40, 4), (2, 50, 4)]), settings)


def test_validation_equal_to_test_is_refused() -> None:
    held_out = [(1, 40, 3), (2, 50, 4)]
    with pytest.raises(
        DataError,
        match=r"the validation set is the test set: all 2 rows of test stand in valid too, such as user 1 item 40 at "
        r"1970-01-04T00:00:00; user 2 item 50.*selected on the test",
    ):
        split(
            parts(train=TRAIN, valid=held_out, test=held_out),
            SplitSettings(method="files", train="t", valid="v", test="s"),
        )


def test_a_pair_may_return_later_where_seen_items_are_kept() -> None:
    keep = FILES.model_copy(update={"seen": "keep"})
    assert isinstance(split(parts(train=TRAIN, test=[(1, 10, 9)]), keep), Split)
    with pytest.raises(DataError, match=r"1 of 1 rows of test stand in train too"):
        split(parts(train=TRAIN, test=[(1, 10, 1)]), keep)


def test_histories_that_look_past_the_split_are_refused() -> None:
    data = parts(train=[*TRAIN, (2, 60, 9)], test=[(1, 40, 3), (2, 50, 4)])
    with pytest.raises(
        DataError,
        match=r"1 rows of the histories look past the split: they happened after the first test interaction of the same user, "
        r'such as user 2 item 60 at 1970-01-10T00:00:00.*later_history = "allow"',
    ):
        split(data, FILES)
    allowed = split(data, FILES.model_copy(update={"later_history": "allow"}))
    assert allowed.description["later_history"] == "allow"


@pytest.mark.parametrize("figure", ["number of interactions", "mean value of the interactions"])
def test_features_computed_from_the_whole_log_are_refused(figure: str) -> None:
    """Last out: item features that count, or average, the test rows too."""
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.permutation(8)[:5] for _ in range(20)])
    users, value = np.repeat(np.arange(20), 5), rng.integers(1, 6, 100).astype(float)
    log = pa.table({"user_id": users, "item_id": items, "time": np.tile(np.arange(5), 20), "value": value})
    counts = np.bincount(items, minlength=8)
    told = counts if figure.startswith("number") else np.bincount(items, value, 8) / counts
    given = {
        "data": {"columns": {"timestamp": "time", "value": "value"}},
        "features": {"item": {"told": {"kind": "number"}}},
    }
    settings = Settings.from_dict(given)

    def parts(feature: np.ndarray) -> Split:
        catalogue = pa.table({"item_id": np.arange(8), "told": feature.astype(float)})
        return split(prepare(log, None, catalogue, settings.data, settings.features), SplitSettings())

    with pytest.raises(
        DataError,
        match=rf"item feature 'told' looks past the split: for \d of \d items it is the {figure}, test part included",
    ):
        parts(told)
    known = np.tile(np.arange(5), 20) < 4  # without each user's last
    before = np.bincount(items[known], minlength=8)
    honest = before if figure.startswith("number") else np.bincount(items[known], value[known], 8) / before
    assert isinstance(parts(honest), Split)
    assert isinstance(parts(rng.random(8)), Split)


def test_negatives_that_cannot_be_used_are_refused() -> None:
    files = {"train": table(TRAIN), "test": table([(1, 40, 3), (2, 50, 4)])}
    unknown = pa.table({"user_id": [1, 2], "item_id": [50, 99]})
    with pytest.raises(
        DataError, match=r"negatives: 1 rows name items that stand in no interaction, such as 99 \(row 1\)"
    ):
        prepare(files, settings=SETTINGS.data, negatives=unknown)
    missing = prepare(files, settings=SETTINGS.data, negatives=pa.table({"user_id": [1], "item_id": [50]}))
    with pytest.raises(DataError, match=r"negatives: 1 of 2 test users have none, such as user 2"):
        split(missing, FILES)


def test_given_negatives_leave_out_targets_and_seen() -> None:
    files = {"train": table(TRAIN), "test": table([(1, 40, 3), (2, 50, 4)])}
    pairs = pa.table({"user_id": [1, 1, 1, 2, 2], "item_id": [40, 10, 30, 40, 40]})
    data = prepare(files, settings=SETTINGS.data, negatives=pairs)
    test = split(data, FILES).test
    assert test.negatives is not None
    named = {data.users.id(u): data.items.ids_of(test.negatives.row(q)) for q, u in enumerate(test.user_idx)}
    assert named == {1: [30], 2: [40]}  # 40 is the target of 1, 10 was seen
