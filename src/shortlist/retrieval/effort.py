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
        exact_ms: milliseconds of exact search, by share of the items that a filter keeps.
        by_cost: whether exact search answers where it is faster; else only where clusters hold too few items.

    >>> effort = Effort(8, 200, deep_ms=0.1, scan_ms=0.05, exact_ms={1.0: 2.0, 0.1: 0.2})
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
    exact_ms: Mapping[float, float] = field(default_factory=lambda: {1.0: 0.0})
    by_cost: bool = True

    def is_worth(self, scanned: NDArray[Any], share: float) -> NDArray[np.bool_]:
        """[B] whether looking at so many items [B] under a filter that keeps this share is faster than exact search."""
        shares = sorted(self.exact_ms)
        exact = float(np.interp(share, shares, [self.exact_ms[one] for one in shares])) * min(1, share / shares[0])
        worth: NDArray[np.bool_] = self.deep_ms + self.scan_ms * scanned / 1000 < (exact if self.by_cost else np.inf)
        return worth

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "exact_ms": [list(one) for one in self.exact_ms.items()]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Effort:
        """Read ``to_dict``'s values back."""
        return cls(**{**values, "exact_ms": {float(share): float(ms) for share, ms in values["exact_ms"]}})
