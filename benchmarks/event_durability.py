"""Events under fire: is everything that was acknowledged there, once, whatever happens to the server or its disk?

    python -m benchmarks.event_durability [--events 10000] [--clients 8] [--url postgresql://...]

Clients send events one by one, each with an ``event_id``, and send again what was not acknowledged, until all are. Meanwhile

- calm: nothing happens;
- kill: the server is killed (SIGKILL) at a quarter, at a half and at three quarters, and started again each time;
- disk: the disk of the SQLite file is full for a while in the middle (a small tmpfs, which takes root on Linux);
- away: PostgreSQL is stopped for ten seconds in the middle.

Then every event is looked for in the store. SQLite always; PostgreSQL where Debian's package is installed, or at --url (without
``away``). Times are from sending to the acknowledgement of what was not interrupted.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks._shared import machine
from shortlist.events import EventStore
from tests.live_world import ITEMS, small_artifact
from tests.postgres import FOUND, Postgres

SERVE = "from shortlist.cli import main; main()"
AWAY_SECONDS = 10.0


class Server:
    """``shortlist serve`` that can be killed and started again on the same port."""

    def __init__(self, folder: Path, store: str, workers: int = 1) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.command = [sys.executable, "-c", SERVE, "serve", str(folder), "--port", str(port)]
        self.command += ["--events", store, "--workers", str(workers)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200:
                    return
            if self.process.poll() is not None:
                raise RuntimeError("the server did not start")
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.start()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


@dataclass
class Sent:
    """What the clients saw."""

    acknowledged: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    wall: float = 0.0


def send_all(address: str, num_events: int, clients: int, disturb: Callable[[Sent], None]) -> Sent:
    """All clients, each with its share, while ``disturb`` does what it does."""
    sent = Sent()

    def client(number: int) -> None:
        with httpx.Client(base_url=address, timeout=30) as http:
            for one in range(number, num_events, clients):
                event = {"user_id": f"u{number}", "item_id": ITEMS[one % len(ITEMS)], "event": "view"}
                while not _acknowledged(http, {**event, "event_id": f"e{one}"}, sent):
                    time.sleep(0.05)
                sent.acknowledged.add(f"e{one}")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    disturb(sent)
    for thread in threads:
        thread.join()
    sent.wall = time.perf_counter() - began
    return sent


def _acknowledged(http: httpx.Client, event: dict[str, object], sent: Sent) -> bool:
    began = time.perf_counter()
    try:
        status = http.post("/v1/events", json=event).status_code
    except httpx.TransportError:
        sent.failures["cut off"] += 1
        return False
    if status == 201:
        sent.seconds.append(time.perf_counter() - began)
        return True
    sent.failures[str(status)] += 1
    return False


def missing_and_double(url: str, sent: Sent) -> tuple[int, int]:
    """Acknowledged events that are not in the store, and rows too many."""
    with EventStore(url, create=False) as store, store.engines.read.connect() as connection:
        kept = Counter(row[0] for row in connection.exec_driver_sql("select event_id from events"))
    return len(sent.acknowledged - set(kept)), sum(kept.values()) - len(kept)


def run(
    name: str, folder: Path, url: str, args: argparse.Namespace, disturb: Callable[[Server, Sent], None]
) -> list[str]:
    """One row of the table."""
    server = Server(folder, url)
    try:
        sent = send_all(server.address, args.events, args.clients, lambda sent: disturb(server, sent))
    finally:
        server.close()
    lost, double = missing_and_double(url, sent)
    p50, p99 = np.percentile(sent.seconds, (50, 99)) * 1000
    failures = ", ".join(f"{count} {what}" for what, count in sorted(sent.failures.items())) or "none"
    return [
        name,
        f"{len(sent.acknowledged):,}",
        failures,
        str(lost),
        str(double),
        f"{p50:.1f}",
        f"{p99:.1f}",
        f"{sent.wall:.1f}",
    ]


def wait_for(sent: Sent, count: float) -> None:
    while len(sent.acknowledged) < count:
        time.sleep(0.005)


def kill(args: argparse.Namespace) -> Callable[[Server, Sent], None]:
    def disturb(server: Server, sent: Sent) -> None:
        for share in (0.25, 0.5, 0.75):
            wait_for(sent, share * args.events)
            server.kill()

    return disturb


def fill(folder: Path, args: argparse.Namespace) -> Callable[[Server, Sent], None]:
    def disturb(_: Server, sent: Sent) -> None:
        wait_for(sent, args.events / 2)
        filler = folder / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        until = time.monotonic() + 30
        while not sent.failures and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(2)
        filler.unlink()

    return disturb


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path | None]:
    """A file system of its own; None where it cannot be had."""
    with tempfile.TemporaryDirectory() as name:
        options = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", name]
        if os.geteuid() or subprocess.run(options, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--url", help="an empty PostgreSQL database")
    args = parser.parse_args()
    console = Console(width=120)
    table = Table(title=f"{args.events:,} events from {args.clients} clients, {machine()}")
    for column in ("store", "acknowledged", "failed meanwhile", "lost", "double", "p50 ms", "p99 ms", "seconds"):
        table.add_column(column, justify="left" if column in ("store", "failed meanwhile") else "right")
    with tempfile.TemporaryDirectory() as name, small_disk(64) as disk:
        folder = small_artifact(Path(name) / "artifact")
        table.add_row(*run("sqlite, calm", folder, f"sqlite:///{name}/calm.db", args, lambda *_: None))
        table.add_row(*run("sqlite, kill", folder, f"sqlite:///{name}/kill.db", args, kill(args)))
        if disk is not None:
            table.add_row(*run("sqlite, disk", folder, f"sqlite:///{disk}/disk.db", args, fill(disk, args)))
        if args.url:
            table.add_row(*run("postgresql, kill", folder, args.url, args, kill(args)))
        elif FOUND:
            _postgres_rows(table, folder, args)
    console.print(table)


def _postgres_rows(table: Table, folder: Path, args: argparse.Namespace) -> None:
    server = Postgres(durable=True)

    def away(_: Server, sent: Sent) -> None:
        wait_for(sent, args.events / 2)
        server.stop()
        time.sleep(AWAY_SECONDS)
        server.start()

    try:
        table.add_row(*run("postgresql, calm", folder, server.new_database("calm"), args, lambda *_: None))
        table.add_row(*run("postgresql, kill", folder, server.new_database("killed"), args, kill(args)))
        table.add_row(*run("postgresql, away", folder, server.new_database("away"), args, away))
    finally:
        server.close()


if __name__ == "__main__":
    main()
