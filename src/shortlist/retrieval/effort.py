"""How far approximate search looks, and when exact search answers instead: what was measured when the index was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.retrieval.clusters import STANDING_OUT


@dataclass(frozen=True)
class Effort:
    """Chosen by ``tuning.tune``.

    Args:
        probes: clusters that are looked at first; without a filter that is all.
        depth: k and what a query excludes, up to which ``probes`` is enough without a filter.
        reach: how many times its members' mean distance a cluster's best are taken to stand out of it: under a filter
            every cluster is looked at whose middle, and this, come up to the k-th best score so far.
        deep_ms: milliseconds of a query under a filter, besides those of looking at items.
        scan_ms: milliseconds of looking at a thousand items.
        ann_ms: milliseconds of a query by share of the items that a filter keeps, all in all.
        exact_ms: likewise of exact search.
        by_cost: whether exact search answers where it is faster; else only where clusters hold too few items.

    >>> effort = Effort(8, 200, deep_ms=0.1, scan_ms=0.05, ann_ms={1.0: 0.3, 0.1: 0.6}, exact_ms={1.0: 2.0, 0.1: 0.2})
    >>> effort.begins(0.5), effort.begins(0.1)
    (True, False)
    >>> effort.is_worth(np.array([1_000, 60_000]), share=1).tolist()
    [True, False]
    >>> effort.is_worth(np.array([1_000, 3_000]), share=0.1).tolist()
    [True, False]
    >>> Effort.from_dict(effort.to_dict()) == effort
    True
    """

    probes: int
    depth: float = np.inf
    reach: float = STANDING_OUT
    deep_ms: float = 0.0
    scan_ms: float = 0.0
    ann_ms: Mapping[float, float] = field(default_factory=lambda: {1.0: 0.0})
    exact_ms: Mapping[float, float] = field(default_factory=lambda: {1.0: 0.0})
    by_cost: bool = True

    def begins(self, share: float) -> bool:
        """Whether a query under a filter that keeps this share of the items looks at clusters at all."""
        if not self.by_cost or not share:
            return share > 0
        return _at(share, self.ann_ms) < _at(share, self.exact_ms) and share >= min(self.ann_ms)

    def is_worth(self, scanned: NDArray[Any], share: float) -> NDArray[np.bool_]:
        """[B] whether looking at so many items [B] under it is faster than exact search."""
        exact = _at(share, self.exact_ms) if self.by_cost else np.inf
        worth: NDArray[np.bool_] = self.deep_ms + self.scan_ms * scanned / 1000 < exact
        return worth

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        times = {name: [list(one) for one in getattr(self, name).items()] for name in ("ann_ms", "exact_ms")}
        return {**asdict(self), **times}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Effort:
        """Read ``to_dict``'s values back."""
        times = {name: {float(share): float(ms) for share, ms in values[name]} for name in ("ann_ms", "exact_ms")}
        return cls(**{**values, **times})


def _at(share: float, measured: Mapping[float, float]) -> float:
    """Between what was measured; below the smallest share in proportion."""
    shares = sorted(measured)
    return float(np.interp(share, shares, [measured[one] for one in shares])) * min(1, share / shares[0])
