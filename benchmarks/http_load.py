"""How many requests a second the service answers, and how soon, beside its own empty endpoint; wrk asks.

    python -m benchmarks.http_load [--artifact artifacts/demo | --million [exact|ann]] [--workers 1 2] [--seconds 10] [--rounds 3]

``shortlist serve`` runs with an event store in SQLite; wrk (Debian: apt-get install wrk) is written in C and asks from the same
machine, so that both share its cores. Each endpoint is asked by one connection, then by 16 without a pause, which is the
rate at saturation, and then by 64 that pause between an answer and the next request, so that they come to half of that
rate (the rate they came to stands beside). ``CPU ms`` is what a request takes of the server's processors at saturation;
``of empty`` is the rate over that of ``/healthz`` in the same round; the round of the median rate is shown. Latencies are wrk's,
corrected for requests that had to wait for a slow one.

- again: ``GET /v1/recommendations/ID?k=10`` for a thousand users in random order, with reasons and titles, after eight seconds
  of the same: the answer is given again, since nothing has changed
- first time: the same with one excluded item, another each time, so that every answer is made anew
- filtered: likewise under a condition that keeps between a tenth and a half of the items, and 20 items excluded
- history: ``POST /v1/recommendations`` with 10 liked items, each request another ten
- event: ``POST /v1/events``, durable before it is answered

``--million`` makes (a minute or two) an mf of 64 dimensions with a million items as in ``benchmarks.precompute``, a year and a
category to filter by, and a NeuMF ranker for 200 candidates (of random weights: it costs what a trained one does). ``ann`` takes
the approximate index, tuned to recall@200 and recall@10 of .99 (a minute or three more).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._shared import machine
from benchmarks.event_durability import Server
from benchmarks.precompute import DIM, dataset_of, resampled
from benchmarks.soak import processes
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.mf import MatrixFactorization
from shortlist.models.ncf import NCF
from shortlist.recommender import Recommender, artifact
from shortlist.recommender.served_ranker import load_ranker, save_ncf
from shortlist.recommender.served_retriever import ServedRetriever, load_retriever, save_retriever
from shortlist.retrieval import Candidates, Index
from shortlist.retrieval.tuning import tune
from shortlist.settings import Settings

LUA = Path(__file__).with_suffix(".lua")
ONE, MANY, PEOPLE = 1, 16, 64  # connections
NUM_REQUESTS = (
    40_000  # different ones of each kind: far more than the service remembers, so that hardly any comes again
)
NUM_AGAIN = 1_000  # people who come again
CATEGORIES, CANDIDATES = 10, 200


@dataclass(frozen=True)
class Found:
    """What wrk saw: milliseconds, and requests a second; and milliseconds of the server's processors for each of them."""

    p50: float
    p95: float
    p99: float
    max: float
    rate: float
    failed: int
    cpu: float


def ask(server: Server, file: Path, connections: int, seconds: int, pause: float = 0.0) -> Found:
    """One run of wrk.

    Args:
        server: that is asked.
        file: what is asked, see ``http_load.lua``.
        connections: that ask at once.
        seconds: how long.
        pause: milliseconds in the mean between an answer and the next request of a connection.
    """
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--timeout", "20s", "--script", str(LUA), server.address, "--", str(file), str(pause)]
    before = cpu_seconds(server)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    told = json.loads(said)
    figures = {name: told[name] for name in ("p50", "p95", "p99", "max", "failed")}
    cpu = (cpu_seconds(server) - before) * 1000 / max(1, told["requests"])
    return Found(**figures, rate=told["requests"] / told["seconds"], cpu=cpu)


def cpu_seconds(server: Server) -> float:
    """Of all its processes so far."""
    ticks = 0
    for process in processes(server.process.pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def requests_of(recommender: Recommender, rng: np.random.Generator) -> dict[str, list[str]]:
    """What is asked, by its name."""
    dataset = recommender.dataset
    users = dataset.users.ids_of(rng.permutation(dataset.num_users)[:NUM_REQUESTS])
    paths = [f"/v1/recommendations/{quote(str(one), safe='')}?k=10" for one in users]
    popular = np.argsort(-np.bincount(dataset.interactions.item_idx, minlength=dataset.num_items))[:2_000]
    items = dataset.items.ids_of(popular)
    conditions = [quote(one, safe="") for one in conditions_of(recommender)]
    asked: dict[str, list[str]] = {
        "empty": ["GET\t/healthz\t"],
        "again": [f"GET\t{path}\t" for path in paths[:NUM_AGAIN]],
    }
    asked |= {name: [] for name in ("first time", "filtered", "history", "event")}
    for number in range(NUM_REQUESTS):
        path, some = paths[number % len(paths)], rng.choice(items, 20, replace=False).tolist()
        asked["first time"].append(f"GET\t{path}&exclude={some[0]}\t")
        where, excluded = conditions[number % len(conditions)], ",".join(map(str, some))
        asked["filtered"].append(f"GET\t{path}&exclude={excluded}&where={where}\t")
        asked["history"].append(f"POST\t/v1/recommendations\t{json.dumps({'history': some[:10], 'k': 10})}")
        event = {"user_id": users[number % len(users)], "item_id": some[0], "event": "view"}
        asked["event"].append(f"POST\t/v1/events\t{json.dumps(event)}")
    return asked


def conditions_of(recommender: Recommender) -> list[str]:
    """Conditions on the columns at hand."""
    if "category" in recommender.dataset.display.column_names:
        names = [f"c{number}" for number in range(CATEGORIES)]
        return [*(f'category = "{name}"' for name in names), "year >= 1990", 'category in ("c1", "c2", "c3")']
    return ['genres has "Drama"', "year >= 1995", 'genres has "Comedy" and year < 2000', 'not genres has "Drama"']


@contextmanager
def serving(folder: Path, workers: int) -> Iterator[Server]:
    """A server with an empty event store."""
    with tempfile.TemporaryDirectory() as store:
        server = Server(folder, f"sqlite:///{store}/events.db", workers)
        try:
            yield server
        finally:
            server.close()


def measured(server: Server, file: Path, seconds: int) -> tuple[Found, Found, Found]:
    """Alone, at saturation, and at half of it."""
    alone, most = (ask(server, file, number, seconds) for number in (ONE, MANY))
    pause = PEOPLE / (most.rate / 2) * 1000
    half = ask(server, file, PEOPLE, seconds, max(1.0, pause - most.p50 / MANY))
    return alone, most, half


def compare(folder: Path, workers: int, seconds: int, rounds: int, names: list[str] | None) -> Table:
    """One table: all endpoints of a server with so many workers."""
    asked = requests_of(artifact.load(folder), np.random.default_rng(0))
    found: dict[str, list[tuple[float, tuple[Found, Found, Found]]]] = {}
    with tempfile.TemporaryDirectory() as temporary, serving(folder, workers) as server:
        files = {
            name: Path(temporary) / name for name in asked if names is None or name.split()[0] in (*names, "empty")
        }
        for name, file in files.items():
            file.write_text("\n".join(asked[name]) + "\n")
            ask(server, file, MANY, 2)  # warm
        for _ in range(rounds):
            empty = 0.0
            for name, file in files.items():
                if name == "again":  # events of other rows make answers new
                    ask(server, file, MANY, 8)
                three = measured(server, file, seconds)
                empty = three[1].rate if name == "empty" else empty
                found.setdefault(name, []).append((three[1].rate / empty, three))
    table = Table(title=f"{folder.name}, {workers} workers; {machine()}; median of {rounds} × {seconds} s")
    heads = ("alone: p50 ms", "p99", "saturated: per s", "of empty", "CPU ms", "p50", "p95", "p99")
    for head in ("", *heads, "half: per s", "p50", "p95", "p99", "failed"):
        table.add_column(head, justify="right" if head else "left")
    for name, rows in found.items():
        share, (alone, most, half) = sorted(rows, key=lambda one: one[1][1].rate)[len(rows) // 2]
        failed = sum(one.failed for _, three in rows for one in three)
        one = [f"{alone.p50:.2f}", f"{alone.p99:.2f}", f"{most.rate:,.0f}", f"{share:.0%}", f"{most.cpu:.2f}"]
        for each in (most, half):
            one += [f"{each.rate:,.0f}"] if each is half else []
            one += [f"{value:.1f}" for value in (each.p50, each.p95, each.p99)]
        table.add_row(name, *one, str(failed))
    return table


def million(place: Path, kind: str, items: int = 1_000_000, users: int = 20_000) -> Path:
    """An artifact of a million items; ``kind`` as of ``[index]``."""
    rng = np.random.default_rng(0)
    vectors, settings, histories = resampled(users, items, rng)
    columns = {
        "title": [f"Item {number}" for number in range(items)],
        "year": rng.integers(1970, 2010, items),
        "category": np.array([f"c{number}" for number in range(CATEGORIES)])[rng.integers(0, CATEGORIES, items)],
    }
    dataset = replace(dataset_of(histories, items), display=pa.table(columns))
    served, ranking = place / "served", place / "ranking"
    served.mkdir()
    retriever = MatrixFactorization(vectors, settings)
    save_retriever(retriever, served, retriever.config())
    save_ncf(neumf(users, items, rng), ranking, {})
    given = {"retriever": {"model": "mf", "embedding_dim": DIM}, "ranker": {"model": "neumf", "candidates": CANDIDATES}}
    whole = Settings.from_dict({**given, "index": {"kind": kind, "k": CANDIDATES}})
    loaded, ranker = load_retriever(served, dataset.schema), load_ranker(ranking, dataset)
    index = tuned_on(loaded, histories, rng) if kind == "ann" else None
    found = Recommender(dataset, loaded, whole, ranker=ranker, candidates=CANDIDATES, index=index)
    artifact.save(found, place / "million")
    shutil.rmtree(served)
    shutil.rmtree(ranking)
    return place / "million"


def tuned_on(retriever: ServedRetriever, histories: Ragged, rng: np.random.Generator) -> Index | None:
    """The approximate index as training makes it, but of these people; None: it is not faster."""
    rows = rng.permutation(len(histories))[:1_024]
    seen = histories.take(rows)
    queries = retriever.encode_queries(QueryBatch(seen, Ragged.empty(len(rows)), user_idx=rows))
    tuned = tune(retriever.encode_items(), queries, Candidates(seen), recall=0.99, k=CANDIDATES)
    print(tuned.note)
    return tuned.index


def neumf(users: int, items: int, rng: np.random.Generator) -> NCF:
    """GMF of 16 dimensions beside a tower 64 → 32 → 16."""
    draw: Callable[..., NDArray[np.float32]] = lambda *shape: rng.normal(0, 0.1, shape).astype(np.float32)  # noqa: E731
    tables = {"users.gmf": draw(users, 16), "items.gmf": draw(items, 16)}
    tables |= {"users.mlp": draw(users, 64), "items.mlp": draw(items, 64)}
    tower = {"tower.2.weight": draw(32, 64), "tower.2.bias": draw(32), "tower.3.weight": draw(16, 32)}
    return NCF("neumf", tables | tower | {"tower.3.bias": draw(16), "head.weight": draw(16), "head.bias": draw(1)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, default=Path("artifacts/demo"))
    parser.add_argument("--million", nargs="?", const="exact", choices=("exact", "ann"))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="of again, first, filtered, history, event")
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing (Debian: apt-get install wrk).")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # the workers are the threads
    console = Console(width=160)
    with tempfile.TemporaryDirectory() as temporary:
        folder = million(Path(temporary), args.million) if args.million else args.artifact
        for workers in args.workers:
            console.print(compare(folder, workers, args.seconds, args.rounds, args.only))


if __name__ == "__main__":
    main()
