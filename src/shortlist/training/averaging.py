"""Exponential moving average of the weights while training (Polyak and Juditsky 1992).

The average walks through the middle of the valley in which the weights jump from side to side; it is what is validated
and kept. It costs one pass over the weights a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Average of a model's parameters: a ← d a + (1 − d) w after each step.

    Args:
        model: whose parameters are followed.
        decay: d; grows from 0 to this over the first steps, so that the start is soon forgotten. 0: no average.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> average = WeightAverage(model, decay=0.9)
    >>> _ = nn.init.constant_(model.weight, 5.0)
    >>> average.update()
    >>> with average.applied():
    ...     print(model.weight.item() < 5.0)
    True
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.decay, self.steps = decay, 0
        self.values = [parameter.detach().clone() for parameter in self.parameters]

    def update(self) -> None:
        """Follow the weights after a step."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        torch._foreach_lerp_(self.values, [p.detach() for p in self.parameters], 1 - decay if self.decay else 1.0)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model have the average for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for parameter, value in zip(self.parameters, self.values, strict=True):
            parameter.data, value.data = value.data, parameter.data

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"steps": torch.tensor(self.steps), **{str(i): value for i, value in enumerate(self.values)}}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """From a checkpoint."""
        self.steps = int(state["steps"])
        for i, value in enumerate(self.values):
            value.copy_(state[str(i)])
