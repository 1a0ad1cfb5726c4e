from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.preparation import prepare
from shortlist.errors import ConditionError, DataError
from shortlist.settings import DataSettings, Settings

LOG = pa.table(
    {
        "user_id": ["ann", "bob", "ann", "ann", "bob", "cy"],
        "item_id": [10, 10, 20, 30, 20, 10],
        "timestamp": [300, 100, 100, 200, 100, 50],
        "value": [5.0, 1.0, 4.0, 2.0, 3.0, 4.0],
    }
)
TIMED = {"columns": {"timestamp": "timestamp", "value": "value"}}


def settings(**data: Any) -> DataSettings:
    return Settings.from_dict({"data": {**TIMED, **data}}).data


def rows(dataset: Dataset) -> list[tuple[Any, Any, int]]:
    log = dataset.interactions
    users, items = dataset.users.ids_of(log.user_idx), dataset.items.ids_of(log.item_idx)
    return list(zip(users, items, log.timestamp.tolist(), strict=True))


EXPECTED = [
    ("ann", 20, 100_000), ("ann", 30, 200_000), ("ann", 10, 300_000),
    ("bob", 10, 100_000), ("bob", 20, 100_000), ("cy", 10, 50_000),
]  # fmt: skip


def test_sorted_by_user_then_time_then_source_order() -> None:
    data = prepare(LOG, settings=settings())
    assert data.users.ids.to_pylist() == ["ann", "bob", "cy"]  # most frequent first
    assert data.items.ids.to_pylist() == [10, 20, 30]
    assert rows(data) == EXPECTED
    assert data.interactions.strictly_before.tolist() == [0, 1, 2, 3, 3, 5]


def test_every_source_gives_the_same_data(tmp_path: Path) -> None:
    frame = LOG.to_pandas()
    frame.to_csv(tmp_path / "log.csv", index=False)
    frame.to_csv(tmp_path / "log.tsv", index=False, sep="\t")
    with gzip.open(tmp_path / "log.csv.gz", "wt") as file:
        frame.to_csv(file, index=False)
    pq.write_table(LOG, tmp_path / "log.parquet")
    pq.write_table(LOG, tmp_path / "gzipped.parquet", compression="gzip")
    sources: list[Any] = [LOG, frame, pl.from_arrow(LOG), pl.from_arrow(LOG).lazy()]  # type: ignore[union-attr]
    sources += [tmp_path / name for name in ("log.csv", "log.tsv", "log.csv.gz", "log.parquet", "gzipped.parquet")]
    prints = {prepare(source, settings=settings()).fingerprint for source in sources}
    assert len(prints) == 1


@pytest.mark.parametrize(
    "times",
    [
        [300.0, 100.0, 100.0, 200.0, 100.0, 50.0],
        [1_300_000_000_300, 1_300_000_000_100, 1_300_000_000_100, 1_300_000_000_200, 1_300_000_000_100, 1_300_000_000_050],
        ["1970-01-01T00:05:00", "1970-01-01T00:01:40", "1970-01-01T00:01:40", "1970-01-01T00:03:20",
         "1970-01-01T00:01:40", "1970-01-01T00:00:50"],
        pd.to_datetime([300, 100, 100, 200, 100, 50], unit="s"),
    ],
)  # fmt: skip
def test_units_of_time(times: Any) -> None:
    table = LOG.to_pandas().assign(timestamp=times)
    log = prepare(table, settings=settings()).interactions
    unit = 1 if log.timestamp[0] > 1e9 else 1000
    assert ((log.timestamp - log.timestamp.min()) // unit).tolist() == [50, 150, 250, 50, 50, 0]


def test_liked_and_disliked() -> None:
    log = prepare(LOG, settings=settings(feedback={"liked": "value >= 3", "disliked": "value <= 2"})).interactions
    assert log.liked.tolist() == [True, False, True, False, True, True]
    assert log.disliked.tolist() == [False, True, False, True, False, False]
    both = prepare(LOG, settings=settings(feedback={"disliked": "value <= 2"})).interactions
    assert both.liked.all()  # every interaction is a positive by default
    assert both.in_history.tolist() == (~both.disliked).tolist()  # but a dislike enters the history as one


@pytest.mark.parametrize(("repeats", "kept", "value"), [("first", 5, 1.0), ("last", 5, 2.0), ("all", 7, None)])
def test_repeats(repeats: str, kept: int, value: float | None) -> None:
    table = pa.table(
        {
            "user_id": [1, 1, 1, 1, 2, 2, 2, 2],
            "item_id": [5, 5, 6, 7, 5, 6, 6, 6],
            "timestamp": [10, 20, 30, 40, 10, 20, 20, 30],
            "value": [1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0],
        }
    )
    data = prepare(table, settings=settings(repeats=repeats))
    assert len(data.interactions) == kept
    assert data.summary.dropped["exact duplicate"] == 1
    assert data.summary.num_rows_read == 8
    if value is not None:
        log = data.interactions
        repeated = (log.user_idx == data.users.row(1)) & (log.item_idx == data.items.row(5))
        assert log.value is not None
        assert log.value[repeated].tolist() == [value]


def test_missing_values_stop_or_drop() -> None:
    table = pa.table(
        {
            "user_id": [1, None, 3],
            "item_id": [1, 2, 3],
            "timestamp": [1, 2, 3],
            "value": [1.0, 2.0, float("nan")],
        }
    )
    with pytest.raises(DataError, match=r"'user_id' in 1 rows, 'value' in 1 rows.*missing = \"drop\""):
        prepare(table, settings=settings(feedback={"liked": "value >= 1"}))
    data = prepare(table, settings=settings(feedback={"liked": "value >= 1"}, missing="drop"))
    assert len(data.interactions) == 1
    assert data.summary.dropped == {"missing value": 2}
    with pytest.raises(DataError, match="No interaction is left of 1 rows"):
        prepare(table.slice(1, 1), settings=settings(missing="drop"))


def test_leading_zeros_in_a_text_file_stay(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id\n007,1\n7,1\n")
    data = prepare(tmp_path / "log.csv")
    assert sorted(data.users.ids.to_pylist()) == ["007", "7"]  # text, because one of them is no number
    assert data.items.ids.to_pylist() == [1]  # a number, because all are


def test_items_of_a_text_log_find_their_features(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id\n1,10\n2,20\n")
    (tmp_path / "items.csv").write_text("item_id,year\n10,1990\n20,2000\n020,3000\n")
    features = Settings.from_dict({"features": {"item": {"year": {"kind": "number"}}}}).features
    as_frame = pa.table({"item_id": [10, 20], "year": [1990, 2000]})
    for items in (tmp_path / "items.csv", as_frame):
        assert prepare(tmp_path / "log.csv", None, items, features=features).display["year"].to_pylist() == [1990, 2000]


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\xff\x00\x01 not a table")
    with pytest.raises(DataError, match=name):
        prepare(tmp_path / name)


def test_bad_input_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*nowhere.csv"):
        prepare(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"no column 'usr'; did you mean 'user_id'"):
        prepare(LOG, settings=settings(columns={"user_id": "usr"}))
    with pytest.raises(ConditionError, match="no column 'valeu'"):
        prepare(LOG, settings=settings(feedback={"liked": "valeu >= 4"}))
    with pytest.raises(DataError, match="are a list"):
        prepare([1, 2, 3])
    with pytest.raises(DataError, match=r"\(value\) holds String"):
        prepare(
            pa.table({"user_id": [1], "item_id": [1], "timestamp": [1], "value": ["good"]}),
            settings=settings(),
        )


def test_features_have_rows_for_missing_and_unseen() -> None:
    items = pa.table({"item_id": [10, 20], "genres": ["a|b", ""], "year": [1990.0, None], "kind": ["x", None]})
    chosen = Settings.from_dict(
        {
            "features": {
                "item": {
                    "genres": {"kind": "tags"},
                    "year": {"kind": "number"},
                    "kind": {"kind": "category", "max_values": 1},
                }
            }
        }
    )
    data = prepare(LOG, None, items, settings(), chosen.features)
    genres, year, kind = (data.item_features[name] for name in ("genres", "year", "kind"))
    assert [genres.codes.row(i).tolist() for i in range(3)] == [[2, 3], [0], [0]]  # type: ignore[union-attr]
    assert np.isnan(year.values).tolist() == [False, True, True]  # type: ignore[union-attr]
    assert kind.codes.tolist() == [2, 0, 0]  # type: ignore[union-attr]
    spec = next(spec for spec in data.schema if spec.name == "kind")
    assert spec.encode(pa.array(["x", "never seen", None])).codes.tolist() == [2, 1, 0]  # type: ignore[union-attr]


def test_a_number_that_is_none_is_named() -> None:
    items = pa.table({"item_id": [10], "year": ["old"]})
    chosen = Settings.from_dict({"features": {"item": {"year": {"kind": "number"}}}})
    with pytest.raises(DataError, match=r"Column 'year' of the items: expected numbers"):
        prepare(LOG, None, items, settings(), chosen.features)


def test_context_features_follow_their_interaction() -> None:
    table = LOG.append_column("hour", pa.array(["h300", "h100b", "h100", "h200", "h100c", "h50"]))
    chosen = Settings.from_dict({"features": {"context": {"hour": {"kind": "category"}}}})
    data = prepare(table, settings=settings(), features=chosen.features)
    spec = data.schema.side("context")[0]
    codes = data.interactions.context["hour"].codes  # type: ignore[union-attr]
    assert [spec.values[code - 2] for code in codes] == ["h100", "h200", "h300", "h100b", "h100c", "h50"]


def test_summary_tells_what_is_in_it() -> None:
    text = str(prepare(LOG, settings=settings()).summary)
    assert "6 interactions of 3 users with 3 items (density 66.667%)" in text
    assert "from 1970-01-01 to 1970-01-01" in text


def test_a_time_that_is_none_is_named() -> None:
    table = pa.table({"user_id": [1], "item_id": [1], "timestamp": ["yesterday"], "value": [1.0]})
    with pytest.raises(DataError, match="yesterday"):
        prepare(table, settings=settings())
