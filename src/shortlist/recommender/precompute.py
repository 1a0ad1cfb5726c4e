"""The best items of every user as one Parquet file, in bounded memory; a killed run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from shortlist.data.dataset import Dataset
from shortlist.data.moments import milliseconds
from shortlist.data.ragged import Ragged
from shortlist.errors import QueryError
from shortlist.recommender.artifact import load
from shortlist.recommender.parts import Parts
from shortlist.recommender.query import Query
from shortlist.recommender.recommender import Recommender
from shortlist.retrieval import ScoredItems

_USERS_A_PART, _ROWS_A_PART = 1024, 2_000_000
_OF_THE_CLOCK = ("hour", "weekday", "since_last")


@dataclass(frozen=True)
class Precomputed:
    """What was written.

    Args:
        file: where.
        users: users of the artifact; those for whom nothing is allowed have no row.
        rows: of the file.
        k: items a user has at most.
        time: the moment all lists are asked at, ISO 8601; None where answers do not depend on it.
        kept_users: users that an earlier run had finished.
        seconds: of this run, with loading.
    """

    file: Path
    users: int
    rows: int
    k: int
    time: str | None
    kept_users: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.__dict__, "file": str(self.file)}


def precompute(
    folder: str | Path, file: str | Path, query: Query | None = None, console: Console | None = None
) -> Precomputed:
    """Write what ``recommend`` answers to every known user: columns user_id, rank (from 1), item_id, score.

    Users come in the artifact's order. Finished parts are kept in ``FILE.parts`` until the file is whole, so that the same
    call after a kill goes on, to the same bytes. An old file stays until then.

    Args:
        folder: of the artifact.
        file: where to write.
        query: what everybody asks: k (the whole corpus, if that is smaller), filters, features, time; None: 100 items. Where
            it has no time, it is now, or when an unfinished run began.
        console: for progress; None: nowhere.

    Raises:
        ArtifactError: the artifact cannot be used, the file cannot be written, or parts of it were made otherwise.
        QueryError: the question cannot be answered, or brings a user or a history.
    """
    started = time.perf_counter()
    asked = Query(k=100) if query is None else query
    if asked.user_id is not None or asked.history or asked.disliked:
        raise QueryError(
            "precompute asks for every known user with their own history: give no user, history or dislikes."
        )
    target, artifact = Path(file), _fingerprint(Path(folder))
    recommender, parts = load(folder), Parts(target)
    num_users, corpus = recommender.dataset.num_users, recommender.dataset.num_items
    with parts.opened() as begun:
        asked = replace(asked, k=min(asked.k, corpus), time=_moment(recommender.dataset, asked, begun))
        users_a_part = max(1, min(_USERS_A_PART, _ROWS_A_PART // max(1, asked.k)))
        made_from = {**_description(asked), "users_a_part": users_a_part, "artifact": artifact}
        recommender.search([replace(asked, user_id=None)])  # what cannot be asked is refused before anything is written
        parts.begin(made_from)
        spans = [range(start, min(start + users_a_part, num_users)) for start in range(0, num_users, users_a_part)]
        missing = [number for number in range(len(spans)) if not parts.has(number)]
        kept = num_users - sum(len(spans[number]) for number in missing)
        if kept and console is not None:
            console.print(f"going on after {kept:,} of {num_users:,} users, kept in {parts.folder}", soft_wrap=True)
        with _progress(console, num_users, kept, parts.folder) as advance:
            for number in missing:
                parts.write(number, _answers(recommender, asked, spans[number]))
                advance(len(spans[number]))
            schema = _schema(recommender.dataset).with_metadata(
                {"shortlist": json.dumps(made_from, ensure_ascii=False)}
            )
            rows = parts.join(len(spans), schema)
    moment = made_from["time"]
    return Precomputed(target, num_users, rows, asked.k, moment, kept, round(time.perf_counter() - started, 2))


def _answers(recommender: Recommender, asked: Query, users: range) -> pa.Table:
    """Rows of some users."""
    ids = recommender.dataset.users.ids.slice(users.start, len(users))
    return _table(
        recommender.dataset, ids, recommender.search([replace(asked, user_id=one) for one in ids.to_pylist()])
    )


def _table(dataset: Dataset, user_ids: pa.Array, found: list[ScoredItems]) -> pa.Table:
    items = Ragged.from_rows([one.item_idx for one in found])
    scores = Ragged.from_rows([one.score for one in found], np.float32)
    user = items.row_of_value
    rank = (np.arange(len(user)) - items.offsets[user] + 1).astype(np.int32)
    columns = [user_ids.take(pa.array(user)), pa.array(rank), dataset.items.ids.take(pa.array(items.values))]
    return pa.table([*columns, pa.array(scores.values)], schema=_schema(dataset))


def _schema(dataset: Dataset) -> pa.Schema:
    types = (dataset.users.ids.type, pa.int32(), dataset.items.ids.type, pa.float32())
    return pa.schema(list(zip(("user_id", "rank", "item_id", "score"), types, strict=True)))


def _moment(dataset: Dataset, asked: Query, begun: dict[str, Any] | None) -> str | None:
    """When everybody asks, to the millisecond; None where it makes no difference, so that files do not differ either."""
    given = None if asked.time is None else f"{np.datetime64(int(milliseconds(asked.time)), 'ms')}Z"
    if dataset.availability is None and not any(spec.computed in _OF_THE_CLOCK for spec in dataset.schema.query):
        return None
    before = None if begun is None else begun.get("time")
    return given or before or f"{np.datetime64('now', 'ms')}Z"


def _description(asked: Query) -> dict[str, Any]:
    """A query in plain JSON values, with the program that answers it."""
    return {
        "shortlist": version("shortlist"),
        "k": asked.k,
        "exclude": list(asked.exclude),
        "allow": None if asked.allow is None else list(asked.allow),
        "where": asked.where if asked.where is None or isinstance(asked.where, str) else repr(asked.where),
        "features": {
            name: value if isinstance(value, (str, int, float)) else repr(value)
            for name, value in asked.features.items()
        },
        "seen": asked.seen,
        "time": asked.time,
    }


def _fingerprint(folder: Path) -> str:
    """sha256 of the manifest, which has that of every file; empty where there is none, which ``load`` explains."""
    manifest = folder / "manifest.json"
    return hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else ""


@contextmanager
def _progress(console: Console | None, total: int, kept: int, folder: Path) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; after Ctrl-C, anywhere, how to go on."""
    columns = (TextColumn("users"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    is_shown = console is not None and console.is_terminal
    with RichProgress(*columns, console=console, transient=True, disable=not is_shown) as bar:
        task = bar.add_task("", total=total, completed=kept)
        try:
            yield lambda users: bar.advance(task, users)
        except KeyboardInterrupt:
            if console is not None:
                done = int(bar.tasks[0].completed)
                console.print(
                    f"stopped: {done:,} of {total:,} users are kept in {folder}; the same command goes on",
                    soft_wrap=True,
                )
            raise
