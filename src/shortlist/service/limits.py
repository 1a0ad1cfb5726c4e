"""How many requests a second one caller may ask: token buckets in memory, one worker's own."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_BUCKETS = 10_000


class Limits:
    """A bucket for each caller: it fills by ``rate`` tokens a second up to ``burst``, and a request takes one.

    Callers are kept in the order they last asked, and the first of them is forgotten when there are too many: who has
    not asked for long has a full bucket anyway, which is what an unknown caller gets.

    Args:
        rate: requests a second in the long run.
        burst: requests at once after a pause; default: twice the rate, at least one.
        most: buckets kept, about 200 bytes each.
        clock: seconds.

    >>> now = 0.0
    >>> limits = Limits(2, clock=lambda: now)
    >>> [limits.wait("shop") for _ in range(5)], limits.wait("other")
    ([0.0, 0.0, 0.0, 0.0, 0.5], 0.0)
    >>> now = 0.5
    >>> limits.wait("shop"), limits.wait("shop")
    (0.0, 0.5)
    """

    def __init__(
        self,
        rate: float,
        burst: float | None = None,
        most: int = MOST_BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate, self.burst, self.most = rate, max(1.0, 2 * rate if burst is None else burst), most
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, caller: str) -> float:
        """Take a token: 0.0, or the seconds until there is one. A refused request costs none."""
        now = self._clock()
        tokens, counted = self._buckets.get(caller, (self.burst, now))
        tokens = min(self.burst, tokens + (now - counted) * self.rate)
        taken = 1.0 if tokens >= 1.0 else 0.0
        self._buckets[caller] = tokens - taken, now
        self._buckets.move_to_end(caller)
        if len(self._buckets) > self.most:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1.0 - tokens) / self.rate
