"""MovieLens in the forms it is published in (Harper and Konstan 2015), as tables with plain column names."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa


class Tables(NamedTuple):
    """Interactions (or several by the part they play), users, items, negatives: files or frames, as ``prepare`` takes them."""

    interactions: Any
    users: Any
    items: Any
    negatives: Any = None


# The year stands in brackets at the end of a title: "Toy Story (1995)".
_YEAR = r"try_cast(nullif(regexp_extract(title, '\((\d{4})\)\s*$', 1), '') as double) as year"
_AGE_GROUPS = ((18, "under 18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (50, "45-49"), (56, "50-55"))
_OCCUPATIONS_1M = [
    "other or not specified",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
]


def latest_small(folder: Path) -> Tables:
    """The form of 2014 and later: ``ratings.csv`` and ``movies.csv``."""
    ratings = _query(
        "select userId as user_id, movieId as item_id, rating, timestamp from read_csv(?)",
        folder / "ratings.csv.gz",
    )
    columns = f"movieId as item_id, title, nullif(genres, '(no genres listed)') as genres, {_YEAR}"
    # what is put in is a constant
    movies = _query(f"select {columns} from read_csv(?)", folder / "movies.csv.gz")  # nosec B608
    return Tables(ratings, None, movies)


def ml_100k(folder: Path) -> Tables:
    """MovieLens 100K: ``u.data``, ``u.user``, ``u.item`` with one column a genre."""
    ratings = _query(
        "select * from read_csv(?, delim='\t', header=false, names=['user_id', 'item_id', 'rating', 'timestamp'])",
        folder / "u.data.gz",
    )
    genres = [line.split("|")[0] for line in _lines(folder / "u.genre.gz") if line]
    items: list[dict[str, Any]] = []
    for line in _lines(folder / "u.item.gz"):
        fields = line.split("|")
        tags = [genre for genre, flag in zip(genres, fields[5:], strict=True) if flag == "1" and genre != "unknown"]
        items.append({"item_id": int(fields[0]), "title": fields[1], "genres": "|".join(tags)})
    users = []
    for line in _lines(folder / "u.user.gz"):
        user_id, age, gender, occupation, _ = line.split("|")
        users.append(
            {
                "user_id": int(user_id),
                "age_group": _age_group(int(age)),
                "gender": gender,
                "occupation": occupation,
            }
        )
    return Tables(ratings, pa.Table.from_pylist(users), _with_year(items))


def ml_1m(folder: Path) -> Tables:
    """MovieLens 1M, each user's rows in order of time.

    198,417 timestamps of this copy are unknown; the nearest known one before stands in for them, so that a clock
    over all users is approximate (94 % within an hour) while each user's own order is exact.
    """
    ratings = _query(
        "select user_id, movie_id as item_id, rating, coalesce(timestamp, timestamp_lo, timestamp_hi) as timestamp, "
        "chron_pos from read_parquet(?) order by user_id, chron_pos",
        folder / "ratings.parquet",
    )
    items: list[dict[str, Any]] = []
    for line in _lines(folder / "movies.dat.gz"):
        item_id, title, genres = line.split("::")
        items.append({"item_id": int(item_id), "title": title, "genres": genres})
    users = []
    for line in _lines(folder / "users.dat.gz"):
        user_id, gender, age, occupation, _ = line.split("::")
        users.append(
            {
                "user_id": int(user_id),
                "age_group": _age_group(int(age)),
                "gender": gender,
                "occupation": _OCCUPATIONS_1M[int(occupation)],
            }
        )
    return Tables(ratings, pa.Table.from_pylist(users), _with_year(items))


def _query(sql: str, path: Path) -> pa.Table:
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        return connection.sql(sql, params=[str(path)]).to_arrow_table()


def _lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="latin-1") as file:
        return file.read().splitlines()


def _with_year(items: list[dict[str, Any]]) -> pa.Table:
    table = pa.Table.from_pylist(items)
    with duckdb.connect() as connection:
        return connection.from_arrow(table).project(f"*, {_YEAR}").to_arrow_table()


def _age_group(age: int) -> str:
    return next((name for limit, name in _AGE_GROUPS if age < limit), "56+")
