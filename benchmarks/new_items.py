"""Items by ``PUT /v1/items``: when they are recommended, on each worker, and what they cost the questions of everybody.

    python -m benchmarks.new_items [--artifact artifacts/demo] [--puts 60] [--workers 2]

1. A server with several workers; items are put one by one. After each answer one question (with the item's title as a condition,
   on a new connection each time) is asked again and again; when does one answer have it, and from when on do sixteen in a row, on
   whichever workers they fall? Then it is deleted, likewise.
2. In one process, over the artifact, and (``--items``) over as many items drawn from its own with other ids: a recommendation
   for users in turn, by the artifact alone and with 1, 1,000 and 10,000 new items, alternating; and how long it takes to lay
   that many over the artifact.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
from rich.console import Console

from benchmarks._shared import machine
from shortlist.data.vocabulary import Vocabulary
from shortlist.events.items import ItemChange
from shortlist.recommender import Query, Recommender, artifact
from shortlist.recommender.live_items import LiveItems
from shortlist.recommender.served_retriever import ServedRetriever

FIRST, IN_A_ROW = 900_000_000, 16


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", default="artifacts/demo")
    parser.add_argument("--puts", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--items", type=int, default=1_000_000)
    given = parser.parse_args()
    console = Console()
    console.print(machine())
    recommender = artifact.load(given.artifact)
    _when(given, recommender, console)
    _cost(recommender, console)
    if given.items:
        console.print(f"{given.items:,} items drawn from these:")
        _cost(_grown(recommender, given.items), console, turns=2, users=50)


def _grown(recommender: Recommender, number: int) -> Recommender:
    """The same people and encoder over a corpus of so many items, of which those of the artifact are the first."""
    dataset, vectors = recommender.dataset, np.asarray(recommender.item_vectors)
    rng = np.random.default_rng(0)
    drawn = np.append(np.arange(len(vectors)), rng.integers(0, len(vectors), number - len(vectors)))
    noise = rng.standard_normal((number, vectors.shape[1]), dtype=np.float32) * 0.1 * vectors.std()
    further = np.arange(FIRST - number + len(vectors), FIRST)
    grown = replace(
        dataset,
        items=Vocabulary(pa.concat_arrays([dataset.items.ids, pa.array(further)])),
        display=dataset.display.take(drawn).combine_chunks(),
        item_features={name: column.take(drawn) for name, column in dataset.item_features.items()},
    )
    old = recommender.retriever
    retriever = ServedRetriever(
        old.folder, old.name, vectors[drawn] + noise, old.encoder, has_item_bias=old.has_item_bias
    )
    return Recommender(grown, retriever, recommender.settings)


def _when(given: argparse.Namespace, recommender: Recommender, console: Console) -> None:
    user = str(recommender.dataset.users.id(0))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(given.artifact, f"{folder}/artifact")
        with _served(f"{folder}/artifact", f"sqlite:///{folder}/events.db", given.workers) as address:
            puts, first, all_of, gone = [], [], [], []
            for n, columns in enumerate(_columns(recommender, given.puts)):
                item, title = FIRST + n, f"new {n}"
                began = time.perf_counter()
                answer = httpx.put(f"{address}/v1/items/{item}", json={**columns, "title": title})
                puts.append(time.perf_counter() - began)
                assert answer.status_code == 201, answer.text

                def is_listed(title: str = title, item: int = item) -> bool:
                    asked = {"k": 1, "where": f'title = "{title}"'}
                    answer = httpx.get(f"{address}/v1/recommendations/{user}", params=asked)
                    return answer.status_code == 200 and [one["item_id"] for one in answer.json()["items"]] == [item]

                began = time.perf_counter()
                first.append(_until(is_listed, 1) - began)
                all_of.append(_until(is_listed, IN_A_ROW) - began)
                assert httpx.delete(f"{address}/v1/items/{item}").status_code == 200
                began = time.perf_counter()
                gone.append(_until(lambda: not is_listed(), IN_A_ROW) - began)
    for name, times in (
        ("PUT", puts),
        ("then first listed", first),
        ("then listed by all", all_of),
        ("gone by all", gone),
    ):
        shown = ", ".join(
            f"{one} {np.quantile(times, q):.3f}" for one, q in (("median", 0.5), ("95 %", 0.95), ("max", 1))
        )
        console.print(f"{name}, {given.workers} workers: {shown} s")


def _until(is_so: Callable[[], bool], in_a_row: int) -> float:
    """When it became so, and stayed."""
    count, since = 0, 0.0
    while count < in_a_row:
        asked = time.perf_counter()
        count, since = (count + 1, since if count else asked) if is_so() else (0, 0.0)
    return since


def _cost(recommender: Recommender, console: Console, turns: int = 4, users: int = 200) -> None:
    live, states = LiveItems(recommender), {"no new item": recommender}
    for number in (1, 1_000, 10_000):
        said = [ItemChange(str(FIRST + n), one, 0, n + 1) for n, one in enumerate(_columns(recommender, number))]
        began = time.perf_counter()
        live.over(said[:-1])
        between = time.perf_counter()
        states[f"{number:,} new"] = live.over(said)
        last = time.perf_counter() - between
        console.print(f"{number:,} laid over the artifact: all at once {between - began:.3f} s, one more {last:.3f} s")
    states["one deleted"] = live.over([ItemChange(str(recommender.dataset.items.id(0)), None, 0, 1)])
    asking, times = recommender.dataset.users.ids_of(np.arange(users)), {name: list[float]() for name in states}
    for turn in range(turns):
        for user in asking:
            for name, one in states.items():
                began = time.perf_counter()
                one.recommend(Query(user_id=user, k=10))
                if turn:
                    times[name].append(time.perf_counter() - began)
    plain = np.median(times["no new item"])
    for name, one_time in times.items():
        console.print(
            f"{name}: {1000 * np.median(one_time):.2f} ms a list (median), {np.median(one_time) / plain:.2f} times"
        )


def _columns(recommender: Recommender, number: int) -> list[dict[str, Any]]:
    """Features of items drawn from the artifact."""
    rows = np.random.default_rng(0).integers(0, recommender.dataset.num_items, number)
    columns = [spec.name for spec in recommender.dataset.schema.side("item")]
    drawn = recommender.dataset.display.select(columns).take(rows).to_pylist()
    return [
        {name: value for name, value in one.items() if value not in (None, [])} for one in drawn if any(one.values())
    ]


@contextmanager
def _served(folder: str, events: str, workers: int) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from shortlist.cli import main; main()", "serve", folder, "--port", str(port)]
    process = subprocess.Popen([*command, "--events", events, "--workers", str(workers)])
    address = f"http://127.0.0.1:{port}"
    try:
        while not _is_ready(address):
            assert process.poll() is None
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
