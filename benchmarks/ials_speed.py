"""Seconds per iteration of our implicit ALS beside the library ``implicit`` 0.7.3 (conjugate gradients on the CPU).

    python -m benchmarks.ials_speed [--factors 64 128 256] [--rounds 2] [--peer-python .peers/implicit/bin/python]

The peer lives in an environment of its own, which is made where it is missing, and is run there in a process of its
own; ours runs in a process of its own too, in turn with the peer's. One iteration is all users, then all items; of each
fit the first iteration is left out and the median of the others taken, and of all rounds the best.

Both get 2 threads: NUMBA_NUM_THREADS and OMP_NUM_THREADS for ours, ``num_threads`` for the peer; OPENBLAS_NUM_THREADS
is 1 for both, as ``implicit`` asks for. Both fit on the same pairs and answer the same queries over all items with
seen ones removed: ours folds the history in, the peer's user vectors are its own. Settings are in ``PEER`` and ``OURS``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from shortlist.data.loading import load_dataset
from shortlist.data.ragged import Ragged, distinct
from shortlist.data.splitting import split
from shortlist.models.mf import MatrixFactorization
from shortlist.settings import MFSettings, Settings

ROOT = Path(__file__).parents[1]
THREADS, ITERATIONS = 2, {"ml-1m": 15, "power law": 4}
OURS = {"unobserved_weight": 1.0, "regularization": 0.001}
PEER = {"alpha": 2.0, "regularization": 5.0}
# of this process alone: getrusage would also count the process that started it (Linux)
MEMORY = "memory = int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1e3"
PEER_SCRIPT = (
    """
import json, sys
import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
folder, given = sys.argv[1], json.loads(sys.argv[2])
data = np.load(folder + "/train.npz")
shape = (len(data["offsets"]) - 1, int(data["num_items"]))
matrix = csr_matrix((np.ones(len(data["values"]), np.float32), data["values"], data["offsets"]), shape=shape)
seconds = []
model = AlternatingLeastSquares(**given, use_gpu=False, random_state=0)
model.fit(matrix, show_progress=False, callback=lambda iteration, elapsed, loss: seconds.append(elapsed))
np.savez(folder + "/peer.npz", users=model.user_factors, items=model.item_factors)
"""
    + MEMORY
    + """
print(json.dumps({"seconds": seconds, "mb": memory}))
"""
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--factors", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--data", nargs="+", default=list(ITERATIONS), choices=list(ITERATIONS))
    parser.add_argument("--peer-python", type=Path, default=ROOT / ".peers/implicit/bin/python")
    parser.add_argument("--fit", nargs=2, metavar=("FOLDER", "FACTORS"), help=argparse.SUPPRESS)  # our own process
    arguments = parser.parse_args()
    if arguments.fit:
        fit_ours(Path(arguments.fit[0]), int(arguments.fit[1]))
        return
    started = time.perf_counter()
    table = Table(
        "data", "pairs", "factors", "ours s/it", "implicit s/it", "ratio", "ndcg@10", "hit_rate@10", "peak MB"
    )
    table.title = (
        f"ours / implicit 0.7.3, {THREADS} threads; ours {OURS}, implicit {PEER}; of two figures the first is ours"
    )
    given = {name: movielens() if name == "ml-1m" else power_law() for name in arguments.data}
    make_peer(arguments.peer_python)
    for name, (train, num_items, asked, targets) in given.items():
        for factors in arguments.factors:
            table.add_row(name, f"{len(train.values):,}", str(factors), *one_row(
                arguments, name, train, num_items, asked, targets, factors
            ))  # fmt: skip
            print(f"{name}, {factors} factors: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    Console(width=130).print(table)
    print(f"{time.perf_counter() - started:.0f} s in all")


def one_row(
    arguments: argparse.Namespace,
    name: str,
    train: Ragged,
    num_items: int,
    asked: NDArray[np.int64],
    targets: NDArray[np.int64],
    factors: int,
) -> list[str]:
    """Fit both in turn; seconds, quality and memory as the table's cells."""
    iterations, runs = ITERATIONS[name], {"ours": [], "peer": []}  # type: dict[str, list[dict[str, Any]]]
    with tempfile.TemporaryDirectory() as folder:
        np.savez(
            Path(folder) / "train.npz", values=train.values, offsets=train.offsets, num_items=num_items, asked=asked
        )
        keywords = json.dumps({"factors": factors, "iterations": iterations, "num_threads": THREADS, **PEER})
        commands = {
            "ours": [sys.executable, "-m", "benchmarks.ials_speed", "--data", name, "--fit", folder, str(factors)],
            "peer": [str(arguments.peer_python), "-c", PEER_SCRIPT, folder, keywords],
        }
        for _ in range(arguments.rounds):
            for who, command in commands.items():
                runs[who].append(json.loads(run(command).splitlines()[-1]))
        quality = {}
        for who in commands:
            found = np.load(Path(folder) / f"{who}.npz")
            quality[who] = figures(found["users"][asked], found["items"], train.take(asked), targets)
    best = {who: min(float(np.median(one["seconds"][1:])) for one in several) for who, several in runs.items()}
    memory = {who: max(one["mb"] for one in several) for who, several in runs.items()}
    return [
        f"{best['ours']:.3f}",
        f"{best['peer']:.3f}",
        f"{best['ours'] / best['peer']:.2f}",
        *(f"{ours:.4f} / {peer:.4f}" for ours, peer in zip(quality["ours"], quality["peer"], strict=True)),
        f"{memory['ours']:,.0f} / {memory['peer']:,.0f}",
    ]


def fit_ours(folder: Path, factors: int) -> None:
    """In a process of its own: what ``PEER_SCRIPT`` does, with ours."""
    data, ends = np.load(folder / "train.npz"), []  # type: Any, list[float]
    train, num_items = Ragged(data["values"], data["offsets"]), int(data["num_items"])
    settings = MFSettings(embedding_dim=factors, iterations=ITERATIONS[sys.argv[sys.argv.index("--data") + 1]], **OURS)
    model = MatrixFactorization.fit(
        train, num_items, settings, after_iteration=lambda: ends.append(time.perf_counter())
    )
    seconds = np.diff(ends, prepend=ends[0]).tolist()
    memory = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1e3
    asked = data["asked"] if "asked" in data else np.arange(len(train))
    users = np.zeros((len(train), factors), dtype=np.float32)
    users[asked] = model.fold_in(train.take(asked))
    np.savez(folder / "ours.npz", users=users, items=model.item_vectors)
    print(json.dumps({"seconds": seconds, "mb": memory}))


def figures(
    users: NDArray[np.float32], items: NDArray[np.float32], seen: Ragged, targets: NDArray[np.int64]
) -> tuple[float, float]:
    """ndcg@10 and hit_rate@10 of one target a user among all items it has not seen."""
    ranks = np.empty(len(users), dtype=np.int64)
    for start in range(0, len(users), 512):
        scores, block = users[start : start + 512] @ items.T, seen.take(np.arange(start, min(start + 512, len(users))))
        scores[block.row_of_value, block.values] = -np.inf
        of_target = scores[np.arange(len(scores)), targets[start : start + 512]]
        ranks[start : start + 512] = (scores > of_target[:, None]).sum(axis=1)
    return float(np.where(ranks < 10, 1 / np.log2(ranks + 2), 0).mean()), float((ranks < 10).mean())


Data = tuple[Ragged, int, NDArray[np.int64], NDArray[np.int64]]  # train, number of items, users asked, their targets


def movielens() -> Data:
    """MovieLens 1M, leave-last-out: the queries of the validation part, as far as their target is not in training."""
    settings = Settings.from_dict({"data": {"dataset": "ml-1m", "feedback": {"disliked": "value <= 2"}}})
    dataset = load_dataset(settings)
    parts = split(dataset, settings.split)
    return parts.train.positives(), dataset.num_items, parts.valid.user_idx.astype(np.int64), parts.valid.targets.values


def power_law(users: int = 200_000, items: int = 50_000, draws: int = 10_050_000, asked: int = 4_000) -> Data:
    """Ten million different pairs: who and what are drawn by power laws, and the what leans on one of 50 tastes."""
    rng = np.random.default_rng(0)

    def drawn(n: int, exponent: float, size: int) -> NDArray[np.int64]:
        weights = np.cumsum((np.arange(n) + 50.0) ** -exponent)
        return np.searchsorted(weights, rng.random(size) * weights[-1])

    draws = round(draws * 1.25)
    user, item = drawn(users, 0.6, draws), drawn(items, 0.8, draws)
    # items of a taste are those with the same rest: without tastes there is nothing to factorize
    leaning = rng.random(draws) < 0.7
    item[leaning] = np.minimum(item[leaning] // 50 * 50 + user[leaning] % 50, items - 1)
    pairs = rng.permutation(distinct(user * items + item))
    held_of, first = np.unique(pairs // items, return_index=True)
    held = first[rng.permutation(len(held_of))[:asked]]
    held = held[np.argsort(pairs[held] // items)]
    train = np.sort(np.delete(pairs, held))
    by_user = Ragged.from_row_of_value((train % items).astype(np.int32), train // items, users)
    return by_user, items, pairs[held] // items, pairs[held] % items


def make_peer(python: Path) -> None:
    """An environment for the peer, where there is none."""
    if not python.exists():
        folder = python.parents[1]
        run([sys.executable, "-m", "venv", str(folder)])
        run([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "implicit==0.7.3"])


def run(command: list[str]) -> str:
    """Its output; both sides get the same environment."""
    threads = {"NUMBA_NUM_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": "1"}
    environment = {**os.environ, **threads, "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT).stdout


if __name__ == "__main__":
    main()
