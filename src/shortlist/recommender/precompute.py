"""The best items of every user, or beside every item, as one Parquet file; a killed run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

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
from shortlist.retrieval.devices import Device, index_on

_LISTS_A_PART, _ROWS_A_PART = 1024, 2_000_000
_OF_THE_CLOCK = ("hour", "weekday", "since_last")


Of = Literal["users", "items"]


@dataclass(frozen=True)
class Precomputed:
    """What was written.

    Args:
        file: where.
        of: ``users`` or ``items``.
        lists: one for each of the artifact's users or items; where nothing is allowed it has no row.
        rows: of the file.
        k: items a list has at most.
        time: the moment all lists are asked at, ISO 8601; None where answers do not depend on it.
        kept: lists that an earlier run had finished.
        device: that searched.
        seconds: of this run, with loading.
    """

    file: Path
    of: Of
    lists: int
    rows: int
    k: int
    time: str | None
    kept: int
    device: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.__dict__, "file": str(self.file)}


def precompute(
    folder: str | Path,
    file: str | Path,
    query: Query | None = None,
    console: Console | None = None,
    *,
    of: Of = "users",
    device: Device = "cpu",
) -> Precomputed:
    """Write what ``recommend`` answers to every known user: columns user_id, rank (from 1), item_id, score.

    Of items it is what ``similar`` answers to each: columns item_id, rank, similar_item_id, score. Users and items come in the
    artifact's order. Finished parts are kept in ``FILE.parts`` until the file is whole, so that the same call after a kill
    goes on, to the same bytes. An old file stays until then.

    Args:
        folder: of the artifact.
        file: where to write.
        query: what all ask: k (the whole corpus, if that is smaller), filters, features, time; None: 100 items. Where
            it has no time, it is now, or when an unfinished run began.
        console: for progress; None: nowhere.
        of: whose lists.
        device: where item vectors are searched, see ``retrieval.devices``; with ``cuda`` search is exact whatever the index is.

    Raises:
        SettingsError: the device cannot be had.
        ArtifactError: the artifact cannot be used, the file cannot be written, or parts of it were made otherwise.
        QueryError: the question cannot be answered, or brings a user or a history.
    """
    started = time.perf_counter()
    asked = Query(k=100) if query is None else query
    _refuse_what_is_given(asked, of)
    target, artifact = Path(file), _fingerprint(Path(folder))
    (recommender, searching), parts = _loaded(folder, of, device), Parts(target)
    dataset = recommender.dataset
    total, corpus = dataset.num_users if of == "users" else dataset.num_items, dataset.num_items
    with parts.opened() as begun:
        asked = replace(asked, k=min(asked.k, corpus), time=_moment(recommender, asked, of, begun))
        lists_a_part = max(1, min(_LISTS_A_PART, _ROWS_A_PART // max(1, asked.k)))
        made_from = {"of": of, **_description(asked), "lists_a_part": lists_a_part, "artifact": artifact}
        made_from["device"] = searching  # others round the last bits otherwise
        _search(recommender, asked, of, None)  # what cannot be asked is refused before anything is written
        parts.begin(made_from)
        spans = [range(start, min(start + lists_a_part, total)) for start in range(0, total, lists_a_part)]
        missing = [number for number in range(len(spans)) if not parts.has(number)]
        kept = total - sum(len(spans[number]) for number in missing)
        if kept and console is not None:
            console.print(f"going on after {kept:,} of {total:,} {of}, kept in {parts.folder}", soft_wrap=True)
        with _progress(console, of, total, kept, parts.folder) as advance:
            for number in missing:
                found = _search(recommender, asked, of, spans[number])
                parts.write(number, _table(dataset, of, spans[number], found))
                advance(len(spans[number]))
            metadata = {"shortlist": json.dumps(made_from, ensure_ascii=False)}
            rows = parts.join(len(spans), _schema(dataset, of).with_metadata(metadata))
    moment = made_from["time"]
    seconds = round(time.perf_counter() - started, 2)
    return Precomputed(target, of, total, rows, asked.k, moment, kept, searching, seconds)


def _loaded(folder: str | Path, of: Of, device: Device) -> tuple[Recommender, str]:
    """The artifact's recommender, and where it searches: sparse item vectors stay on the CPU."""
    index_of = index_on(device)  # says what is missing before anything is read
    recommender = load(folder)
    if index_of is not None:
        recommender = recommender.searched_in(index_of)
    index = recommender.index if of == "users" else recommender.similarity_index
    return recommender, getattr(index, "device", "cpu")


def _refuse_what_is_given(asked: Query, of: Of) -> None:
    if asked.user_id is not None or asked.history or asked.disliked:
        raise QueryError(
            "precompute asks for every known user with their own history: give no user, history or dislikes."
        )
    if of == "items" and asked.features:
        raise QueryError(f"What items are similar does not depend on features: leave out {', '.join(asked.features)}.")


def _search(recommender: Recommender, asked: Query, of: Of, span: range | None) -> list[ScoredItems]:
    """The lists of some users or items; None: of nobody in particular."""
    if of == "items":
        return recommender.search_similar(np.arange(1) if span is None else np.arange(span.start, span.stop), asked)
    if span is None:
        return recommender.search([replace(asked, user_id=None)])
    ids = recommender.dataset.users.ids.slice(span.start, len(span)).to_pylist()
    return recommender.search([replace(asked, user_id=one) for one in ids])


def _table(dataset: Dataset, of: Of, span: range, found: list[ScoredItems]) -> pa.Table:
    """One row a listed item."""
    items = Ragged.from_rows([one.item_idx for one in found])
    scores = Ragged.from_rows([one.score for one in found], np.float32)
    asker = items.row_of_value
    rank = (np.arange(len(asker)) - items.offsets[asker] + 1).astype(np.int32)
    askers = dataset.users.ids if of == "users" else dataset.items.ids
    ids = askers.slice(span.start, len(span)).take(pa.array(asker))
    columns = [ids, pa.array(rank), dataset.items.ids.take(pa.array(items.values)), pa.array(scores.values)]
    return pa.table(columns, schema=_schema(dataset, of))


def _schema(dataset: Dataset, of: Of) -> pa.Schema:
    users, items = dataset.users.ids.type, dataset.items.ids.type
    names = (
        ("user_id", "rank", "item_id", "score") if of == "users" else ("item_id", "rank", "similar_item_id", "score")
    )
    types = (users if of == "users" else items, pa.int32(), items, pa.float32())
    return pa.schema(list(zip(names, types, strict=True)))


def _moment(recommender: Recommender, asked: Query, of: Of, begun: dict[str, Any] | None) -> str | None:
    """When all ask, to the millisecond; None where it makes no difference, so that files do not differ either."""
    given = None if asked.time is None else f"{np.datetime64(int(milliseconds(asked.time)), 'ms')}Z"
    dataset, steps = recommender.dataset, recommender.settings.rerank
    computed = any(spec.computed in _OF_THE_CLOCK for spec in dataset.schema.query)
    has_clock = of == "users" and (computed or any(step.step in ("freshness", "exploration") for step in steps))
    if dataset.availability is None and not has_clock:
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
def _progress(console: Console | None, of: Of, total: int, kept: int, folder: Path) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; after Ctrl-C, anywhere, how to go on."""
    columns = (TextColumn(of), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    is_shown = console is not None and console.is_terminal
    with RichProgress(*columns, console=console, transient=True, disable=not is_shown) as bar:
        task = bar.add_task("", total=total, completed=kept)
        try:
            yield lambda lists: bar.advance(task, lists)
        except KeyboardInterrupt:
            if console is not None:
                done = int(bar.tasks[0].completed)
                console.print(
                    f"stopped: {done:,} of {total:,} {of} are kept in {folder}; the same command goes on",
                    soft_wrap=True,
                )
            raise
