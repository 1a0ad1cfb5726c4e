"""Data sets Shortlist knows by name: where their files are, what the columns mean, and their licence.

One set ships inside the package; the others are looked for in the folders of ``$SHORTLIST_DATA``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shortlist.data.sources import globo, movielens, published_splits
from shortlist.errors import DataError, did_you_mean


@dataclass(frozen=True)
class KnownDataset:
    """One data set.

    Args:
        name: as in ``[data] dataset``.
        title: for people.
        licence: what its owners allow.
        files: names within its folder.
        settings: settings a run on it starts from; the user's own win.
        tables: folder → interactions, users, items.
        folder: where a set that ships with the package lies; None: ``$SHORTLIST_DATA/<name>``.
    """

    name: str
    title: str
    licence: str
    files: tuple[str, ...]
    settings: Mapping[str, Any]
    tables: Callable[[Path], movielens.Tables]
    folder: Path | None = None

    def path(self) -> Path | None:
        """The folder that holds all its files, or None."""
        root = os.environ.get("SHORTLIST_DATA")
        candidates = (
            [self.folder] if self.folder else [Path(one) / self.name for one in (root or "").split(os.pathsep) if one]
        )
        return next((c for c in candidates if all((c / file).is_file() for file in self.files)), None)


_MOVIES = {"genres": {"kind": "tags"}, "year": {"kind": "number"}}
_COLUMNS = {
    "user_id": "user_id",
    "item_id": "item_id",
    "timestamp": "timestamp",
    "value": "rating",
    "title": "title",
}
_PEOPLE = {name: {"kind": "category"} for name in ("age_group", "gender", "occupation")}
_MOMENT = {name: {"kind": "category"} for name in ("environment", "device", "os", "country", "region", "referrer")}
_ID_RANGES = {name: {"kind": "category"} for name in ("id_range", "id_subrange")}
_MOVIELENS = "non-commercial; no redistribution without separate permission (GroupLens)"

KNOWN: Mapping[str, KnownDataset] = {
    known.name: known
    for known in (
        KnownDataset(
            name="ml-latest-small",
            title="MovieLens latest-small of 2016-10: 100,004 ratings of 9,066 films by 671 people",
            licence="non-commercial; redistribution under the same conditions (GroupLens; README.txt beside the files)",
            files=("ratings.csv.gz", "movies.csv.gz"),
            settings={"data": {"columns": _COLUMNS}, "features": {"item": _MOVIES}},
            tables=movielens.latest_small,
            folder=Path(__file__).parent / "ml_latest_small",
        ),
        KnownDataset(
            name="ml-100k",
            title="MovieLens 100K: 100,000 ratings of 1,682 films by 943 people, with age, gender and occupation",
            licence=_MOVIELENS,
            files=("u.data.gz", "u.item.gz", "u.user.gz", "u.genre.gz"),
            settings={"data": {"columns": _COLUMNS}, "features": {"item": _MOVIES, "user": _PEOPLE}},
            tables=movielens.ml_100k,
        ),
        KnownDataset(
            name="ml-1m",
            title="MovieLens 1M: 1,000,209 ratings of 3,706 films by 6,040 people, with age, gender and occupation",
            licence=_MOVIELENS,
            files=("ratings.parquet", "movies.dat.gz", "users.dat.gz"),
            settings={"data": {"columns": _COLUMNS}, "features": {"item": _MOVIES, "user": _PEOPLE}},
            tables=movielens.ml_1m,
        ),
        KnownDataset(
            name="ncf-ml-1m",
            title="MovieLens 1M as split by He et al. 2017: last film out, 99 given negatives a user",
            licence=_MOVIELENS,
            files=("ml-1m.train.parquet", "ml-1m.test.rating.gz", "ml-1m.test.negative.gz"),
            settings={
                "data": {"columns": {**_COLUMNS, "title": None}},
                "split": {"method": "files", "validation": "last_out"},
            },
            tables=published_splits.ncf_ml_1m,
        ),
        KnownDataset(
            name="gowalla-lightgcn",
            title="Gowalla as split for LightGCN: 1,027,370 check-ins of 29,858 users at 40,981 places",
            licence="none stated by its publishers; local use only",
            files=("train.txt.gz", "test.txt.gz"),
            settings={"split": {"method": "files", "stratify": "user"}},
            tables=published_splits.gowalla_lightgcn,
        ),
        KnownDataset(
            name="globo-clicks",
            title="Globo.com: 2,988,181 news clicks of 322,897 people on 46,033 articles, with device, place and referrer",
            licence="academic use only, not commercial; no redistribution (Globo.com)",
            files=("clicks.parquet",),
            settings={
                "data": {"columns": {"timestamp": "timestamp"}},
                "features": {"context": _MOMENT, "item": _ID_RANGES},
                # news die within a day: a twentieth of the sixteen days each is about the last day and the one before
                "split": {"method": "by_time", "valid_fraction": 0.05, "test_fraction": 0.05},
            },
            tables=globo.globo_clicks,
        ),
    )
}


def known_dataset(name: str) -> KnownDataset:
    """The data set of this name.

    Raises:
        DataError: there is none.
    """
    if name not in KNOWN:
        raise DataError(f"There is no known data set {name!r}; {did_you_mean(name, KNOWN)}.")
    return KNOWN[name]


def folder_of(name: str) -> Path:
    """The folder of a known data set.

    Raises:
        DataError: its files are not there.
    """
    known = known_dataset(name)
    path = known.path()
    if path is None:
        root = os.environ.get("SHORTLIST_DATA", "(not set)")
        raise DataError(
            f"The files of {name} ({', '.join(known.files)}) are not there. Put them into a folder named {name} and "
            f"let SHORTLIST_DATA name the folder above it; it is now {root}."
        )
    return path
