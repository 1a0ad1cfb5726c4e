"""Items are added to a live index of a million, one by one, while queries run: what that does to them, and when items are found.

    python -m benchmarks.live_index [--items 1000000] [--added 10000] [--base exact ann] [--threads 1]

A million items are drawn from an mf of Gowalla (``benchmarks.exact_search``), and so are those that are added; queries are its
test users, top-100, with 100 random items excluded. Threads ask one query after the other; meanwhile each new item is added in a
write of its own. Every hundredth is looked for at once with its own vector among the new ones; that search must find it. Of one
query in ten the answer is kept with the sizes of the corpus before and after it, and afterwards held against scoring everything:
over an exact base it must be the true list of some moment in between, over an approximate one it must have every new item that
belongs into it and no excluded one. Then all is compacted while queries go on, and one item in ten that was added is removed.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._shared import machine
from benchmarks.ann import corpus
from shortlist.data.ragged import Ragged
from shortlist.retrieval import AnnIndex, Candidates, ExactIndex, LiveIndex
from shortlist.retrieval.tuning import tune

K, SEEN, KEPT, LOOKED_FOR = 100, 100, 10, 100
PAUSE = 0.001  # between two writes, so that queries run meanwhile
Vectors = NDArray[np.float32]


@dataclass
class Record:
    """What the asking threads saw in one phase."""

    milliseconds: list[float] = field(default_factory=list)
    answers: list[tuple[int, int, int, NDArray[np.int32]]] = field(default_factory=list)  # query, size before, after
    failures: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--added", type=int, default=10_000)
    parser.add_argument("--base", nargs="+", default=["exact", "ann"], choices=["exact", "ann"])
    parser.add_argument("--threads", type=int, default=1, help="that ask queries")
    parser.add_argument("--seconds", type=float, default=10, help="of phases in which nothing is written")
    arguments = parser.parse_args()
    vectors, queries = corpus("resampled", arguments.items + arguments.added)
    items, new = vectors[: arguments.items], vectors[arguments.items :]
    rng = np.random.default_rng(1)
    seen = Ragged.from_lengths(rng.integers(0, len(items), SEEN * len(queries), np.int32), np.full(len(queries), SEEN))
    for kind in arguments.base:
        base: ExactIndex | AnnIndex | None = ExactIndex(items)
        if kind == "ann":
            asked = Candidates(seen).take(np.arange(len(queries) - 1024, len(queries)))
            base = tune(items, queries[-1024:], asked, recall=0.99, only_if_faster=False).index
        assert base is not None
        measure(kind, base, new, queries[:1024], seen, arguments)


def measure(
    kind: str, base: ExactIndex | AnnIndex, new: Vectors, queries: Vectors, seen: Ragged, arguments: argparse.Namespace
) -> None:
    """All phases, and a table."""
    live = LiveIndex(base, compact_at=1 << 40)
    live.search(queries[:32], K, Candidates(seen.take(np.arange(32))))  # lays the corpus out
    phases: dict[str, tuple[Record, float]] = {}
    waits: list[float] = []
    adds: list[float] = []

    def phase(name: str, work: Callable[[], object]) -> None:
        record, stop = Record(), threading.Event()
        threads = [
            threading.Thread(target=ask, args=(live, queries, seen, record, stop, first))
            for first in range(arguments.threads)
        ]
        began = time.perf_counter()
        for one in threads:
            one.start()
        work()
        stop.set()
        for one in threads:
            one.join()
        phases[name] = record, time.perf_counter() - began

    def add_all() -> None:
        nothing = Candidates(Ragged.empty(1))
        for number, vector in enumerate(new):
            began = time.perf_counter()
            item = int(live.add(vector[None])[0])
            adds.append(time.perf_counter() - began)
            time.sleep(PAUSE)
            if number % LOOKED_FOR == 0:
                only = Candidates.only(Ragged.from_rows([np.arange(len(base), len(live))]))
                found = live.search(vector[None] / (vector @ vector) * 100, len(live) - len(base), only)[0]
                assert item in found.item_idx, f"{item} was added and is not found"
                everywhere = live.search(vector[None], K, nothing)[0]
                assert item in everywhere.item_idx or everywhere.score[-1] >= vector @ vector * (1 - 1e-5)
                waits.append(time.perf_counter() - began)

    phase("alone", lambda: time.sleep(arguments.seconds))
    phase("while items are added", add_all)
    added = len(live)
    phase("10,000 beside the base", lambda: time.sleep(arguments.seconds))
    removed = np.arange(len(base), len(live), 10)
    phase("while some are removed", lambda: [remove(live, item) for item in removed.tolist()])
    phase("while all is compacted", lambda: live.compact().result())
    phase("after compaction", lambda: time.sleep(arguments.seconds))
    table = Table(title=f"{kind} base of {len(base):,}, {arguments.threads} asking thread(s), {machine()}")
    for column in ("queries", "seconds", "number", "p50 ms", "p99 ms", "largest", "failed", "wrong"):
        table.add_column(column, justify="right")
    for name, (record, seconds) in phases.items():
        p50, p99 = np.quantile(record.milliseconds, [0.5, 0.99])
        shown = (
            f"{seconds:.1f}",
            f"{len(record.milliseconds):,}",
            f"{p50:.2f}",
            f"{p99:.2f}",
            f"{max(record.milliseconds):.1f}",
        )
        is_checked = name in ("alone", "while items are added", "10,000 beside the base")
        wrong = f"{num_wrong(record, base, new, queries, seen)} of {len(record.answers)}" if is_checked else ""
        table.add_row(name, *shown, str(len(record.failures)), wrong)
        for failure in record.failures[:3]:
            print(name, failure)
    Console(width=130).print(table)
    rate = len(new) / phases["while items are added"][1]
    print(
        f"added {added - len(base):,} items, {rate:,.0f} a second; one write {1e3 * np.median(adds):.3f} ms (99 %: "
        f"{1e3 * np.quantile(adds, 0.99):.3f}, largest {1e3 * max(adds):.1f}); until found, two searches included: median "
        f"{1e3 * np.median(waits):.1f} ms, largest {1e3 * max(waits):.1f} ms",
        flush=True,
    )
    live.close()


def remove(live: LiveIndex, item: int) -> None:
    live.remove(np.array([item]))
    time.sleep(PAUSE)


def ask(live: LiveIndex, queries: Vectors, seen: Ragged, record: Record, stop: threading.Event, first: int) -> None:
    """One query after the other, until told to stop."""
    row = first
    while not stop.is_set():
        row = (row + 7) % len(queries)
        asked = Candidates(seen.take(np.array([row])))
        before = len(live)
        began = time.perf_counter()
        try:
            found = live.search(queries[[row]], K, asked)[0]
        except Exception as error:
            record.failures.append(repr(error))
            continue
        record.milliseconds.append(1e3 * (time.perf_counter() - began))
        if len(found) != K or np.isin(found.item_idx, seen.row(row)).any():
            record.failures.append(f"query {row}: {len(found)} items, or an excluded one")
        if len(record.milliseconds) % KEPT == 0:
            record.answers.append((row, before, len(live), found.item_idx))


def num_wrong(record: Record, base: ExactIndex | AnnIndex, new: Vectors, queries: Vectors, seen: Ragged) -> int:
    """Answers that are not those of any moment between the sizes before and after."""
    wrong = 0
    truth: dict[int, Any] = {}
    for row, before, after, found in record.answers:
        if row not in truth:
            exact = base if isinstance(base, ExactIndex) else base.exact
            truth[row] = exact.search(queries[[row]], K, Candidates(seen.take(np.array([row]))))[0]
        old = truth[row]
        scores = new @ queries[row]
        is_right = False
        for size in range(before, after + 1):
            fresh = np.arange(size - len(base))
            every = np.concatenate([old.score, scores[fresh]])
            names = np.concatenate([old.item_idx, len(base) + fresh])
            best = names[np.argsort(-every, kind="stable")[:K]]
            if isinstance(base, ExactIndex):
                is_right = len(set(best.tolist()) & set(found.tolist())) >= K - 1  # the last one may tie to a bit
            else:
                is_right = set(best[best >= len(base)].tolist()) <= set(found.tolist())
            if is_right:
                break
        wrong += not is_right
    return wrong


if __name__ == "__main__":
    main()
