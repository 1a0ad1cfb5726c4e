"""The full softmax over a corpus too large to hold its logits: memory, time and error beside plain autograd.

    OMP_NUM_THREADS=1 python -m benchmarks.large_softmax [--times 7] [--items 1000000]

Up to 1,024 queries, 64 dimensions, one target each, nothing forbidden. "naive" is PyTorch's ``cross_entropy`` on all
logits with autograd; ours is ``losses.full_softmax``. Seconds are medians of forward and backward, the two in turns. Extra
memory is the peak (VmHWM) of a fresh process above what it holds just before (VmRSS: the inputs, a small warm-up); the
gradients are part of it. The floor is what the matrix products alone take, tile by tile as we form them: three of B·N·D
multiply-adds where all logits are kept, four where they are formed again for the gradient.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait
from benchmarks._shared import machine, peak_mb
from shortlist.losses import full_softmax
from shortlist.losses.tiles import TILE_ON_CPU

DIM = 64
FITS = 200_000  # items up to which the naive logits, three times over, are formed here
SHAPES = ((256, 9_066), (1024, 9_066), (1024, 100_000))
World = tuple[list[Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--items", type=int, default=1_000_000, help="of the largest corpus, where naive does not fit")
    parser.add_argument("--memory-of", nargs=3, metavar=("B", "N", "WHICH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        queries, items, which = arguments.memory_of
        print(json.dumps(extra_memory(int(queries), int(items), which)))
        return
    table = Table(
        title=f"full softmax, forward and backward; {torch.get_num_threads()} threads of PyTorch, {machine()}"
    )
    for name in ("B × N", "logits MB", "gradients MB", "", "extra MB", "seconds", "× naive", "3 / 4 products", "error"):
        table.add_column(name, justify="right")
    for queries, items in (*SHAPES, (1024, arguments.items)):
        measure(table, queries, items, arguments.times)
    Console(width=130).print(table)


def measure(table: Table, queries: int, items: int, times: int) -> None:
    """Rows of one shape."""
    world = make(queries, items)
    roads = {"naive": naive, "ours": ours} if items <= FITS else {"ours": ours}
    seconds: dict[str, list[float]] = {name: [] for name in roads}
    gradients: dict[str, list[Tensor]] = {}
    for _ in range(times if items <= FITS else 3):
        for name, road in roads.items():
            taken, gradients[name] = step(road, world)
            seconds[name].append(taken)
    product = one_product(world)
    for name in roads:
        taken = statistics.median(seconds[name])
        against = f"{taken / statistics.median(seconds['naive']):.2f}" if "naive" in roads else "-"
        table.add_row(
            f"{queries:,} × {items:,}",
            f"{queries * items * 4 / 1e6:,.0f}",
            f"{sum(leaf.numel() for leaf in world[0]) * 4 / 1e6:,.0f}",
            name,
            f"{in_fresh_process(queries, items, name):,.0f}",
            f"{taken:.4f}",
            against,
            f"{3 * product:.4f} / {4 * product:.4f}",
            f"{error(gradients[name], gradients['naive']):.0e}" if "naive" in roads else "-",
        )


def make(queries: int, items: int) -> World:
    """Vectors and biases, and the target of each query."""
    generator = torch.Generator().manual_seed(0)
    shapes: tuple[tuple[int, ...], ...] = ((queries, DIM), (items, DIM), (items,))
    leaves = [torch.empty(shape).normal_(std=0.3, generator=generator).requires_grad_() for shape in shapes]
    return leaves, torch.randint(items, (queries,), generator=generator)


def naive(leaves: list[Tensor], target: Tensor) -> Tensor:
    query, items, bias = leaves
    return F.cross_entropy(torch.addmm(bias, query, items.T), target)


def ours(leaves: list[Tensor], target: Tensor) -> Tensor:
    return full_softmax(*leaves, torch.arange(len(target)), target, torch.ones(len(target)))


def step(road: Callable[..., Tensor], world: World) -> tuple[float, list[Tensor]]:
    """Seconds of forward and backward, and the gradients."""
    for leaf in world[0]:
        leaf.grad = None
    started = time.perf_counter()
    road(*world).backward()
    return time.perf_counter() - started, [leaf.grad for leaf in world[0] if leaf.grad is not None]


def one_product(world: World) -> float:
    """Seconds of one matrix product of B·N·D multiply-adds, a tile at a time into the same buffer; best of five."""
    query, items = world[0][0].detach(), world[0][1].detach()
    width = min(TILE_ON_CPU // len(query), len(items))
    buffer, piece, tiles = torch.empty(len(query), width), items[:width].T, min(20, -(-len(items) // width))
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(tiles):
            torch.mm(query, piece, out=buffer)
        best = min(best, (time.perf_counter() - started) / tiles)
    return best * len(items) / width


def error(gradients: list[Tensor], wanted: list[Tensor]) -> float:
    """Largest relative error of a gradient, by norm."""
    return max(((one - other).norm() / other.norm()).item() for one, other in zip(gradients, wanted, strict=True))


def extra_memory(queries: int, items: int, which: str) -> float:
    """MB of the peak above what is held before, in this process."""
    road = {"naive": naive, "ours": ours}[which]
    step(road, make(32, 1000))
    world = make(queries, items)
    held = float(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) * 1024 / 1e6
    step(road, world)
    return peak_mb() - held


def in_fresh_process(queries: int, items: int, which: str) -> float:
    command = [sys.executable, "-m", "benchmarks.large_softmax", "--memory-of", str(queries), str(items), which]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1])
    return float(json.loads(done.stdout))


if __name__ == "__main__":
    main()
