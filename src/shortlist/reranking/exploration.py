"""A draw instead of a fixed order: what is shown less often gets its chance, and its feedback."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from shortlist.reranking.base import Slate, Values, unit


@dataclass(frozen=True)
class Exploration:
    """Draws the list without replacement with P(next = i) = softmax(r / τ) over what is left (Plackett 1975, Luce 1959).

    One pass: sort by r / τ + Gumbel noise (Yellott 1977; Gumbel top-k of Kool et al., ICML 2019). r is the relevance on
    [0, 1], τ = strength · temperature.

    Args:
        strength: s.
        temperature: τ at strength 1.
        seed: the same seed, asker and period: the same draw.
        period_ms: for how long one asker's draw stays the same, by the time of the question.
    """

    strength: float = 0.5
    temperature: float = 0.1
    seed: int = 0
    period_ms: float = 3_600_000.0
    name: str = "exploration"

    def rerank(self, slate: Slate, k: int) -> Slate:  # noqa: ARG002 - it draws the whole list
        """In the order drawn."""
        if self.strength <= 0:
            return slate
        return slate.resorted(
            perturbed(unit(slate.relevance), self.strength * self.temperature, self._generator(slate))
        )

    def logits(self, slate: Slate) -> Values | None:
        """[n] r / τ: what the list is drawn by (``reranking.plackett_luce``); None: nothing is drawn."""
        return None if self.strength <= 0 else unit(slate.relevance) / (self.strength * self.temperature)

    def _generator(self, slate: Slate) -> np.random.Generator:
        who = zlib.crc32(slate.disliked.tobytes(), zlib.crc32(slate.liked.tobytes()))
        period = int(slate.time // self.period_ms) if np.isfinite(slate.time) else 0
        return np.random.default_rng([self.seed, who, abs(period)])


def perturbed(relevance: Values, temperature: float, generator: np.random.Generator) -> Values:
    """Noisy relevance r + τ G [n] with standard Gumbel noise G: its order is a draw from softmax(r / τ) without replacement."""
    return relevance + temperature * generator.gumbel(size=len(relevance))
