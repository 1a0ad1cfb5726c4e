"""The gradient of a step from pieces of its batch, each on a thread of its own.

PyTorch shares out each operation among its threads. A step of these networks is a thousand operations of some ten
microseconds, and two threads that meet after each of them are no faster than one. So every piece of a batch goes through
loss and gradient by itself, on its share of the threads, and they meet once a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Barrier
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from shortlist.encoders.dropout import drawing_from

_PIECES = 2


class Objective(Protocol):
    """Batches and their loss."""

    in_pieces: bool
    """Whether the mean of a step over several batches of ``epoch`` is as good as one large batch."""

    def epoch(self, batch_size: int, rng: np.random.Generator) -> Iterator[Any]:
        """The batches of one epoch."""
        ...

    def mass(self, batch: Any) -> float:
        """What a batch weighs in a mean over several."""
        ...

    def loss(self, batch: Any) -> Tensor:
        """Mean loss of a batch."""
        ...


class Pieces:
    """Works through the pieces of each step.

    The pieces have random numbers of their own, and their gradients are summed in their order: the same seed gives the
    same bits, however the threads happen to run and on any number of them.

    Args:
        model: whose parameters get gradients.
        objective: gives batches and losses; asked for the losses of several pieces at once, it must not change anything
            that they share.
        batch_size: queries of a step.
        pool: a thread for each piece; None: one piece after the other, here.
    """

    def __init__(
        self, model: nn.Module, objective: Objective, batch_size: int, pool: ThreadPoolExecutor | None = None
    ) -> None:
        self.parameters = [one for one in model.parameters() if one.requires_grad]
        self.objective, self.batch_size, self.pool = objective, batch_size, pool
        self.number = _number(objective)
        self.generators: list[torch.Generator | None] = [None] * self.number

    @classmethod
    @contextmanager
    def at_work(cls, model: nn.Module, objective: Objective, batch_size: int) -> Iterator[Pieces]:
        """Pieces on threads of their own, for a while; PyTorch's threads are shared out among them."""
        number, total = _number(objective), torch.get_num_threads()
        each = max(1, total // number)
        try:
            if number == 1 or total == 1:
                yield cls(model, objective, batch_size)
                return
            met = Barrier(number)

            def begin(_: int) -> None:
                torch.set_num_threads(each)  # of this thread's operations
                met.wait()  # so that every thread comes here once

            with ThreadPoolExecutor(number, "shortlist-piece") as pool:
                list(pool.map(begin, range(number)))
                torch.set_num_threads(each)  # what was set last holds for some operations of all threads
                yield cls(model, objective, batch_size, pool)
        finally:
            torch.set_num_threads(total)

    def seed(self, *numbers: int) -> None:
        """Begin the random numbers anew."""
        if self.number > 1:
            states = np.random.SeedSequence(numbers).generate_state(self.number, np.uint64) >> np.uint64(1)
            self.generators = [torch.Generator().manual_seed(int(state)) for state in states]

    def steps(self, rng: np.random.Generator, most: int | None = None) -> Iterator[list[Any]]:
        """The batches of one epoch, each in its pieces; with several, the next is made while the last is worked on.

        Args:
            rng: draws the order.
            most: end after this many steps; None: with the last batch.
        """
        batches = self.objective.epoch(max(1, self.batch_size // self.number), rng)
        batches = islice(batches, None if most is None else most * self.number)

        def make() -> list[Any]:
            return list(islice(batches, self.number))

        if self.pool is None:
            while step := make():
                yield step
            return
        with ThreadPoolExecutor(1, "shortlist-batches") as maker:
            coming = maker.submit(make)
            while step := coming.result():
                coming = maker.submit(make)
                yield step

    def loss_and_gradient(self, step: Sequence[Any]) -> float:
        """Mean loss of a step; its gradient is left in the parameters."""
        masses = [self.objective.mass(piece) for piece in step]
        shares = [mass / sum(masses) for mass in masses]
        work = map if self.pool is None else self.pool.map
        found = list(work(self._of_piece, step, shares, self.generators))
        for number, parameter in enumerate(self.parameters):
            parts = [part for _, gradients in found if (part := gradients[number]) is not None]
            parameter.grad = parts[0] if parts else None
            for part in parts[1:]:
                parts[0].add_(part)
        return sum(loss for loss, _ in found)

    def _of_piece(
        self, piece: Any, share: float, generator: torch.Generator | None
    ) -> tuple[float, tuple[Tensor | None, ...]]:
        with drawing_from(generator):
            loss = self.objective.loss(piece) * share
            return loss.item(), torch.autograd.grad(loss, self.parameters, allow_unused=True)


def _number(objective: Objective) -> int:
    return _PIECES if objective.in_pieces else 1
