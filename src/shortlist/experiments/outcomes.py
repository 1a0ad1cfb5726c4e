"""What came of what was shown: an event counts for the last answer that showed its user the item, within a window."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, func, select

from shortlist.errors import DataError
from shortlist.events.store import EventStore
from shortlist.events.tables import events, exposures
from shortlist.recommender.meanings import Meanings

Codes = NDArray[np.int64]
_ROWS_AT_ONCE = 20_000
DAY_MS = 86_400_000


@dataclass(frozen=True, eq=False)
class Outcomes:
    """A answers of one experiment, in order of time, and their n places.

    Args:
        experiment: its name.
        arms: names; the control first.
        shares: of each arm, all that it ever had.
        users, items: ids as text.
        arm, user, time: [A] codes, and milliseconds since 1970.
        asked: [A] JSON of what the request said; None: it was not kept.
        answer, place, item: [n] codes, places from 0.
        propensity, given_above: [n] NaN where nobody knows.
        clicked, liked: [n] whether the user took or liked it from there.
    """

    experiment: str
    arms: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]
    users: pa.Array
    items: pa.Array
    arm: Codes
    user: Codes
    time: Codes
    asked: pa.Array
    answer: Codes
    place: Codes
    item: Codes
    propensity: NDArray[np.float64]
    given_above: NDArray[np.float64]
    clicked: NDArray[np.bool_]
    liked: NDArray[np.bool_]


def experiments(store: EventStore) -> list[str]:
    """Those with exposures, the one that showed something last first."""
    chosen = select(exposures.c.experiment).group_by(exposures.c.experiment)
    newest_first = chosen.order_by(func.max(exposures.c.sequence).desc())
    return [str(name) for name in store.engines.reading(lambda c: c.execute(newest_first).scalars().all())]


def outcomes(
    store: EventStore,
    meanings: Meanings,
    experiment: str | None = None,
    window_ms: int = DAY_MS,
    since: int | None = None,
    until: int | None = None,
) -> Outcomes:
    """Read what an experiment showed and what came of it.

    Args:
        store: of the service.
        meanings: of events: which are likes, which take an item.
        experiment: None: the only one.
        window_ms: an event counts so long after the answer.
        since, until: only answers from and before these times, milliseconds since 1970.

    Raises:
        DataError: there is no such experiment, or several; or it showed nothing at that time.
        StoreError: the store does not answer.
    """
    found = experiments(store)
    if not found:
        raise DataError(
            f"The store {store.engines.shown} holds no exposures. They are kept while `shortlist serve --experiment FILE` runs."
        )
    name = experiment or found[0]
    if name not in found or (experiment is None and len(found) > 1):
        raise DataError(
            f"The store holds exposures of the experiments {', '.join(found)}; expected the name of one of them, got "
            f"{experiment!r}."
        )
    with store.engines.explained(), store.engines.read.connect() as connection:
        shown = _shown(connection, name, since, until)
        rewarded = _rewarded(connection, shown, meanings, window_ms)
    return Outcomes(experiment=name, **shown, clicked=rewarded["taken"], liked=rewarded["liked"])


def _shown(connection: Connection, experiment: str, since: int | None, until: int | None) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {
        name: [] for name in ("arm", "user_id", "timestamp", "asked", "share", "is_control")
    }
    items, lengths = [], []
    chances: list[NDArray[np.float64]] = []
    above: list[NDArray[np.float64]] = []
    last, wanted = 0, [exposures.c.experiment == experiment]
    wanted += [] if since is None else [exposures.c.timestamp >= since]
    wanted += [] if until is None else [exposures.c.timestamp < until]
    while True:
        chosen = select(exposures).where(*wanted, exposures.c.sequence > last)
        rows = connection.execute(chosen.order_by(exposures.c.sequence).limit(_ROWS_AT_ONCE)).mappings().all()
        if not rows:
            break
        last = int(rows[-1]["sequence"])
        for name, column in columns.items():
            column.extend(row[name] for row in rows)
        pages = _decoded([row["items"] for row in rows])
        size = np.fromiter(map(len, pages), np.int64, len(pages))
        items.append(pa.array([one for page in pages for one in page], pa.string()))
        for name, into in (("propensity", chances), ("given_above", above)):
            known = _decoded([row[name] or "null" for row in rows])
            into.append(np.array([p for one, n in zip(known, size, strict=True) for p in one or [np.nan] * n]))
        lengths.append(size)
    if not lengths:
        raise DataError(f"The experiment {experiment} showed nothing at that time. Give another --since and --until.")
    length = np.concatenate(lengths)
    item = pa.chunked_array(items).combine_chunks().dictionary_encode()
    user = pa.array(columns["user_id"], pa.string()).dictionary_encode()
    order = np.argsort(np.array(columns["timestamp"], dtype=np.int64), kind="stable")
    arms, shares = _arms(columns)
    starts = np.cumsum(length) - length
    answer = np.repeat(np.arange(len(order)), length[order])
    place = np.arange(len(answer)) - np.repeat(np.cumsum(length[order]) - length[order], length[order])
    row = np.repeat(starts[order], length[order]) + place
    return {
        "arms": arms,
        "shares": shares,
        "users": user.dictionary,
        "items": item.dictionary,
        "arm": np.array([arms.index(one) for one in columns["arm"]], dtype=np.int64)[order],
        "user": user.indices.to_numpy().astype(np.int64)[order],
        "time": np.array(columns["timestamp"], dtype=np.int64)[order],
        "asked": pa.array(columns["asked"], pa.string()).take(pa.array(order)),
        "answer": answer,
        "place": place,
        "item": item.indices.to_numpy().astype(np.int64)[row],
        "propensity": np.concatenate(chances)[row],
        "given_above": np.concatenate(above)[row],
    }


def _decoded(texts: Sequence[str]) -> list[Any]:
    """Many JSON values in one go."""
    found: list[Any] = json.loads(f"[{','.join(texts)}]")
    return found


def _arms(columns: dict[str, list[Any]]) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]]:
    """Names, the control first, and the shares each had."""
    seen = set(zip(columns["arm"], columns["share"], columns["is_control"], strict=True))
    controls = {arm for arm, _, is_control in seen if is_control}
    names = sorted({arm for arm, _, _ in seen}, key=lambda arm: (arm not in controls, arm))
    return tuple(names), tuple(tuple(sorted({s for arm, s, _ in seen if arm == name})) for name in names)


def _rewarded(
    connection: Connection, shown: dict[str, Any], meanings: Meanings, window_ms: int
) -> dict[str, NDArray[np.bool_]]:
    """[n] of every place whether an event of each meaning counts for it."""
    found = {meaning: np.zeros(len(shown["item"]), dtype=bool) for meaning in ("taken", "liked")}
    words = [*meanings.events.taken, *meanings.events.liked, *meanings.events.rated]
    first, until = int(shown["time"].min()), int(shown["time"].max()) + window_ms
    size, last = len(shown["items"]), 0
    key = shown["user"][shown["answer"]] * size + shown["item"]
    time = shown["time"][shown["answer"]]
    order = np.lexsort((time, key))
    wanted = and_(events.c.event.in_(words), events.c.timestamp.between(first, until))
    while True:
        chosen = select(events).where(events.c.sequence > last, wanted).order_by(events.c.sequence).limit(_ROWS_AT_ONCE)
        rows = connection.execute(chosen).mappings().all()
        if not rows:
            return found
        last = int(rows[-1]["sequence"])
        table = pa.Table.from_pylist([dict(row) for row in rows])
        user = pc.fill_null(pc.index_in(table["user_id"].combine_chunks(), shown["users"]), -1).to_numpy()
        item = pc.fill_null(pc.index_in(table["item_id"].combine_chunks(), shown["items"]), -1).to_numpy()
        values = table["value"].combine_chunks().cast(pa.float64())
        meaning = meanings.of_columns(table["event"].combine_chunks(), values).to_numpy(zero_copy_only=False)
        at = table["timestamp"].to_numpy().astype(np.int64)
        known = (user >= 0) & (item >= 0)
        mine = (user.astype(np.int64) * size + item)[known]
        rows_of = _last_shown(key[order], time[order], mine, at[known])
        in_time = rows_of >= 0
        in_time[in_time] = at[known][in_time] - time[order][rows_of[in_time]] <= window_ms
        for name, is_met in found.items():
            is_met[order[rows_of[in_time & (meaning[known] == name)]]] = True


def _last_shown(key: Codes, time: Codes, wanted: Codes, at: Codes) -> Codes:
    """[m] the last of the rows, sorted by key and time, of the same key and not later; -1: there is none."""
    both_key, both_time = np.concatenate([key, wanted]), np.concatenate([time, at])
    is_asked = np.concatenate([np.zeros(len(key), dtype=np.int64), np.ones(len(wanted), dtype=np.int64)])
    order = np.lexsort((is_asked, both_time, both_key))
    row = np.maximum.accumulate(np.where(order < len(key), order, -1))  # the rows are sorted themselves
    found = np.full(len(wanted), -1, dtype=np.int64)
    asked = order >= len(key)
    found[order[asked] - len(key)] = row[asked]
    fits = found >= 0
    fits[fits] = key[found[fits]] == wanted[fits]
    return np.where(fits, found, -1)
