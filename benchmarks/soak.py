"""Does the service stay as small as it was? A steady mixed load for an hour, and the memory of every worker.

    python -m benchmarks.soak [--minutes 60] [--artifact artifacts/demo] [--workers 2] [--rate 100] [--plot soak.png]

Eight clients ask together ``--rate`` times a second: of ten requests six are recommendations to users, known and new ones, two
send an event, one asks with a history and a condition, one looks at an item, its neighbours or the map. Every half minute
the artifact is reloaded. Each worker's resident memory (of its own: shared pages counted by their share where Linux says so)
is read every five seconds. What is printed is the slope of a line through the second half, with its 95 % interval from blocks of
a tenth; a leak of 1 KB a request at 100 a second would be 360 MB an hour.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._shared import machine
from benchmarks.event_durability import Server
from shortlist.recommender import artifact

CLIENTS, SAMPLE_SECONDS, RELOAD_SECONDS = 8, 5.0, 30.0


@dataclass
class Seen:
    """What came of it."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    megabytes: dict[int, list[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Load:
    """Asks until it is told to stop."""

    def __init__(self, address: str, users: list[object], items: list[object], rate: float) -> None:
        self.address, self.users, self.items, self.pause = address, users, items, CLIENTS / rate
        self.seen, self.over = Seen(), threading.Event()

    def client(self, number: int) -> None:
        """One of several, with a pace of its own."""
        draw, due = random.Random(number), time.monotonic()
        with httpx.Client(base_url=self.address, timeout=30) as http:
            while not self.over.is_set():
                due = max(due + draw.expovariate(1 / self.pause), time.monotonic() - 1)
                self.over.wait(max(0.0, due - time.monotonic()))
                began = time.perf_counter()
                try:
                    status = str(self._ask(http, draw).status_code)
                except httpx.TransportError as error:
                    status = type(error).__name__
                with self.seen.lock:
                    self.seen.statuses[status] += 1
                    self.seen.seconds.append(time.perf_counter() - began)

    def reload(self) -> None:
        """Now and then."""
        while not self.over.wait(RELOAD_SECONDS):
            answer = httpx.post(f"{self.address}/v1/reload", timeout=150)
            with self.seen.lock:
                self.seen.statuses[f"reload {answer.status_code}"] += 1

    def _ask(self, http: httpx.Client, draw: random.Random) -> httpx.Response:
        user, item, kind = draw.choice(self.users), draw.choice(self.items), draw.randrange(10)
        if kind < 6:
            return http.get(f"/v1/recommendations/{user}", params={"k": draw.choice((10, 20, 50))})
        if kind < 8:
            # two in three are new people, each with a few events
            who = user if draw.random() < 1 / 3 else f"new-{draw.randrange(10**6)}"
            return http.post("/v1/events", json={"user_id": who, "item_id": item, "event": draw.choice(WORDS)})
        if kind < 9:
            history = [draw.choice(self.items) for _ in range(draw.randrange(1, 20))]
            return http.post("/v1/recommendations", json={"history": history, "exclude": [item]})
        path = draw.choice(
            (f"/v1/items/{item}", f"/v1/items/{item}/similar", "/v1/map", "/metrics", "/v1/items?search=a")
        )
        return http.get(path)


WORDS = ("view", "like", "dislike", "purchase", "clear")


def processes(parent: int) -> list[int]:
    """A server's own number and those of its workers, without Python's helpers."""
    found = [parent]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if f"PPid:\t{parent}\n" in text and "resource_tracker" not in (status.parent / "cmdline").read_text():
            found.append(int(status.parent.name))
    return found


def megabytes(process: int) -> float:
    """Of memory that is its own, with its share of what is shared."""
    for line in (Path("/proc") / str(process) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this Linux does not tell")


def slope(hours: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """MB an hour over the second half, and half the width of its 95 % interval; neighbouring samples count as one."""
    half = hours >= hours[-1] / 2
    blocks = np.array_split(np.flatnonzero(half), 10)
    x, y = (np.array([one[block].mean() for block in blocks]) for one in (hours, values))
    line, offset = np.polyfit(x, y, 1)
    spread = np.sqrt(((y - line * x - offset) ** 2).sum() / 8 / ((x - x.mean()) ** 2).sum())
    return float(line), float(2.306 * spread)  # Student's t of 8 degrees


def sample(load: Load, server: Server, minutes: float) -> None:
    """Memory now and then, until time is up."""
    workers, began = processes(server.process.pid), time.monotonic()
    while time.monotonic() - began < minutes * 60:
        load.seen.at.append((time.monotonic() - began) / 3600)
        for one in workers:
            load.seen.megabytes.setdefault(one, []).append(megabytes(one))
        time.sleep(SAMPLE_SECONDS)


def show(console: Console, seen: Seen, minutes: float) -> None:
    hours = np.array(seen.at)
    p50, p99 = np.percentile(seen.seconds, (50, 99)) * 1000
    said = ", ".join(f"{count:,} × {status}" for status, count in sorted(seen.statuses.items()))
    table = Table("process", "MB after 1/10", "1/2", "at the end", "largest", "MB an hour, second half")
    table.title = (
        f"{minutes:g} min, {len(seen.seconds):,} requests ({said}), p50 {p50:.1f} ms, p99 {p99:.1f}; {machine()}"
    )
    for process, values in seen.megabytes.items():
        at = [f"{np.mean(values[int(len(values) * share) :][:5]):.0f}" for share in (0.1, 0.5)]
        line, width = slope(hours, np.array(values))
        table.add_row(
            str(process), *at, f"{np.mean(values[-5:]):.0f}", f"{max(values):.0f}", f"{line:+.1f} ± {width:.1f}"
        )
    console.print(table)


def plot(seen: Seen, file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3.5))
    for process, values in seen.megabytes.items():
        axes.plot(np.array(seen.at) * 60, values, label=str(process), linewidth=1)
    axes.set(xlabel="minutes", ylabel="MB", ylim=(0, None))
    axes.legend(title="process")
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--artifact", type=Path, default=Path("artifacts/demo"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    dataset = artifact.load(args.artifact).dataset
    with tempfile.TemporaryDirectory() as store:
        server = Server(args.artifact, f"sqlite:///{store}/events.db", args.workers)
        load = Load(server.address, dataset.users.ids.to_pylist(), dataset.items.ids.to_pylist(), args.rate)
        threads = [threading.Thread(target=load.client, args=(number,)) for number in range(CLIENTS)]
        threads.append(threading.Thread(target=load.reload))
        try:
            for thread in threads:
                thread.start()
            sample(load, server, args.minutes)
        finally:
            load.over.set()
            for thread in threads:
                thread.join()
            server.close()
    show(Console(width=150), load.seen, args.minutes)
    if args.plot is not None:
        plot(load.seen, args.plot)


if __name__ == "__main__":
    main()
