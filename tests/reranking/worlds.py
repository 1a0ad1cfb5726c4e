"""Random corpora and lists for property tests: few items, so that ties, twins and empty groups are common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from shortlist.data.ragged import Ragged
from shortlist.reranking import (
    AmortisedExposure,
    Boost,
    Calibration,
    Diversity,
    Exploration,
    ExposureState,
    Freshness,
    MinimumShare,
    PopularityDamping,
    Reranker,
    Rules,
    Slate,
)
from shortlist.reranking.popularity import novelty_of

NUM_ITEMS, NUM_TAGS = 30, 4


@dataclass(frozen=True, eq=False)
class World:
    """A corpus, one list of it, and how many are wanted."""

    vectors: NDArray[np.float32]
    tags: Ragged
    group: NDArray[np.int64]
    flag: NDArray[np.bool_]
    times: NDArray[np.float64]
    counts: NDArray[np.int64]
    slate: Slate
    k: int


@st.composite
def worlds(draw: st.DrawFn) -> World:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, k = draw(st.integers(0, NUM_ITEMS)), draw(st.integers(1, NUM_ITEMS))
    tags = [rng.choice(NUM_TAGS, rng.integers(0, NUM_TAGS), replace=False) for _ in range(NUM_ITEMS)]
    score = np.sort(rng.integers(-3, 4, n) if draw(st.booleans()) else rng.normal(size=n))[::-1].astype(np.float32)
    chosen = rng.permutation(NUM_ITEMS).astype(np.int32)
    slate = Slate.of(
        chosen[:n],
        score,
        liked=rng.choice(NUM_ITEMS, draw(st.integers(0, 6))).astype(np.int32),
        disliked=rng.choice(NUM_ITEMS, draw(st.integers(0, 3))).astype(np.int32),
        time=draw(st.sampled_from([float("nan"), 0.0, 40 * 86_400_000.0])),
    )
    times = np.where(rng.random(NUM_ITEMS) < 0.2, np.nan, rng.integers(0, 60, NUM_ITEMS) * 86_400_000.0)
    return World(
        vectors=rng.integers(-1, 2, (NUM_ITEMS, 3)).astype(np.float32),
        tags=Ragged.from_rows(tags),
        group=rng.integers(-1, 3, NUM_ITEMS),
        flag=rng.random(NUM_ITEMS) < 0.3,
        times=times,
        counts=rng.integers(0, 20, NUM_ITEMS),
        slate=slate,
        k=k,
    )


MAKERS: dict[str, Callable[[World, float], Reranker]] = {
    "rules": lambda w, s: Rules(s, np.array([3, 4]), np.array([7, 5]), w.tags, 2),
    "boost": lambda w, s: Boost(w.flag, s),
    "freshness": lambda w, s: Freshness(w.times, 10.0, s),
    "mmr": lambda w, s: Diversity(s, "mmr", vectors=w.vectors),
    "mmr of tags": lambda w, s: Diversity(s, "mmr", tags=w.tags),
    "dpp": lambda w, s: Diversity(s, "dpp", vectors=w.vectors),
    "dpp of tags": lambda w, s: Diversity(s, "dpp", tags=w.tags),
    "calibration": lambda w, s: Calibration(w.tags, s),
    "minimum share": lambda w, s: MinimumShare(w.flag, 0.6, 0.1, s),
    "amortised": lambda w, s: AmortisedExposure(w.group, ExposureState.none(3), s),
    "popularity": lambda w, s: PopularityDamping(novelty_of(w.counts, 20), s),
    "exploration": lambda w, s: Exploration(s, 0.5),
}
