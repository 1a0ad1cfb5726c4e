"""When items may be shown: each has a moment from which, and one until which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shortlist.data.moments import Times
from shortlist.data.ragged import distinct
from shortlist.errors import DataError

WINDOW = ("available_from", "available_until")


@dataclass(frozen=True, eq=False)
class Availability:
    """Item i is available at the times t with ``start[i]`` ≤ t < ``end[i]``.

    Args:
        start, end: [N] milliseconds since 1970, UTC; −∞ and ∞ where there is no such moment.

    >>> news = Availability(np.array([0.0, -np.inf]), np.array([np.inf, 60_000.0]))
    >>> news.at(1_000.0).tolist(), news.at(60_000.0).tolist()
    ([True, True], [True, False])
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]

    @cached_property
    def _moments(self) -> NDArray[np.float64]:
        moments = np.concatenate([self.start, self.end])
        return distinct(moments[np.isfinite(moments)])

    def period(self, time: Times) -> NDArray[np.int64]:
        """[Q] number of the period each time lies in; within a period the same items are available throughout.

        >>> Availability(np.array([10.0, 20.0]), np.array([20.0, np.inf])).period(np.array([9.0, 10.0, 25.0])).tolist()
        [0, 1, 2]
        """
        return np.searchsorted(self._moments, time, side="right")

    def at(self, time: float) -> NDArray[np.bool_]:
        """[N] whether each item is available."""
        return self.has(np.arange(len(self.start)), np.array(time))

    def has(self, item_idx: NDArray[Any], time: NDArray[Any]) -> NDArray[np.bool_]:
        """[T] whether each item is available at its time."""
        available: NDArray[np.bool_] = (self.start[item_idx] <= time) & (time < self.end[item_idx])
        return available

    def to_arrow(self) -> pa.Table:
        """Columns ``available_from`` and ``available_until``, empty where there is no such moment."""

        def column(moments: NDArray[np.float64]) -> pa.Array:
            open_ended = ~np.isfinite(moments)
            whole = np.where(open_ended, 0, moments).astype(np.int64)
            return pa.array(whole, mask=open_ended).cast(pa.timestamp("ms", "UTC"))

        return pa.table(dict(zip(WINDOW, (column(self.start), column(self.end)), strict=True)))

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Availability:
        """From such columns, of times or of milliseconds; either may be absent.

        Raises:
            DataError: an item that ends before it begins.
        """

        def moments(name: str, otherwise: float) -> NDArray[Any]:
            if name not in table.column_names:
                return np.full(table.num_rows, otherwise)
            whole = table.column(name).cast(pa.int64()).combine_chunks()
            present = whole.is_valid().to_numpy(zero_copy_only=False)
            return np.where(present, whole.fill_null(0).to_numpy().astype(np.float64), otherwise)

        found = cls(*(moments(name, otherwise) for name, otherwise in zip(WINDOW, (-np.inf, np.inf), strict=True)))
        wrong = np.flatnonzero(found.start > found.end)
        if len(wrong):
            first, last = (np.datetime64(int(one[wrong[0]]), "ms") for one in (found.start, found.end))
            raise DataError(
                f"{len(wrong):,} items are available until a time before they are available from, such as one from {first} "
                f"until {last}. Correct the table, or check which columns [data.columns] available_from and available_until name."
            )
        return found
