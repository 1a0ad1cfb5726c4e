"""Data sets that are published as a split: the files of its parts, as tables with plain column names."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from shortlist.data.ragged import Ragged
from shortlist.data.sources.movielens import Tables

_OWN_ITEM_AMONG_NEGATIVES = 156  # users of the published file whose negatives hold their own test item


def ncf_ml_1m(folder: Path) -> Tables:
    """MovieLens 1M as split by He et al. 2017: each user's last film is the test, ranked among 99 given negatives.

    The published negatives of 156 users hold the user's own test film; that one is taken out.
    """
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        train = connection.sql(
            "select u as user_id, i as item_id, rating::double as rating, "
            "coalesce(timestamp, timestamp_lo, timestamp_hi)::bigint as timestamp from read_parquet(?) order by u, chron_pos",
            params=[str(folder / "ml-1m.train.parquet")],
        ).to_arrow_table()
        test = connection.sql(
            "select user_id, item_id, rating::double as rating, timestamp::bigint as timestamp "
            "from read_csv(?, delim='\t', header=false, names=['user_id', 'item_id', 'rating', 'timestamp'])",
            params=[str(folder / "ml-1m.test.rating.gz")],
        ).to_arrow_table()
    users, own, items = [], [], []
    with gzip.open(folder / "ml-1m.test.negative.gz", "rt") as file:
        for line in file:  # (user,test item) TAB negative TAB negative ...
            pair, *negatives = line.split()
            user, item = pair.strip("()").split(",")
            users.append(int(user))
            own.append(int(item))
            items.append([int(one) for one in negatives])
    given = Ragged.from_rows(items)
    kept = given.where(given.values != np.array(own)[given.row_of_value])
    removed = len(given.values) - len(kept.values)
    assert removed == _OWN_ITEM_AMONG_NEGATIVES, f"{removed} negatives are their user's own test item, 156 expected"
    negatives = pa.table({"user_id": np.array(users)[kept.row_of_value], "item_id": kept.values})
    return Tables({"train": train, "test": test}, None, None, negatives)


def gowalla_lightgcn(folder: Path) -> Tables:
    """Check-ins at Gowalla as split by Wang et al. 2019 and used by He et al. 2020 (LightGCN); no times, no features."""
    return Tables({part: _user_item_lines(folder / f"{part}.txt.gz") for part in ("train", "test")}, None, None)


def _user_item_lines(path: Path) -> pa.Table:
    """Lines of a user and their items."""
    with gzip.open(path, "rt") as file:
        rows = Ragged.from_rows([np.array(line.split(), dtype=np.int32) for line in file if line.strip()])
    users = rows.values[rows.offsets[:-1]]
    items = np.ones(len(rows.values), dtype=bool)
    items[rows.offsets[:-1]] = False
    return pa.table({"user_id": users[rows.row_of_value][items], "item_id": rows.values[items]})
