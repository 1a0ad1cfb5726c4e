"""What is in the data, in a few lines a person reads before trusting a figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from shortlist.data.interactions import Interactions


@dataclass(frozen=True)
class DataSummary:
    """Counts, density, time span, and the share dropped with the reason."""

    num_rows_read: int
    num_interactions: int
    num_users: int
    num_items: int
    num_liked: int
    num_disliked: int
    density: float
    first: str | None = None
    last: str | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        interactions: Interactions,
        num_items: int,
        has_time: bool,
        rows_read: int,
        dropped: Mapping[str, int],
    ) -> DataSummary:
        """Count."""
        n = len(interactions)
        return cls(
            num_rows_read=rows_read,
            num_interactions=n,
            num_users=interactions.num_users,
            num_items=num_items,
            num_liked=int(interactions.liked.sum()),
            num_disliked=int(interactions.disliked.sum()),
            density=n / (interactions.num_users * num_items),
            first=_date(interactions.timestamp.min()) if has_time else None,
            last=_date(interactions.timestamp.max()) if has_time else None,
            dropped={reason: count for reason, count in dropped.items() if count},
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for reports."""
        return {**asdict(self), "dropped": dict(self.dropped)}

    def __str__(self) -> str:
        lines = [
            f"{self.num_interactions:,} interactions of {self.num_users:,} users with {self.num_items:,} items "
            f"(density {self.density:.3%})",
            f"{self.num_liked:,} positives, {self.num_disliked:,} dislikes",
        ]
        if self.first:
            lines.append(f"from {self.first} to {self.last}")
        for reason, count in self.dropped.items():
            lines.append(f"dropped {count:,} rows ({count / self.num_rows_read:.2%}): {reason}")
        return "\n".join(lines)


def _date(milliseconds: Any) -> str:
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, tz=UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return f"{int(milliseconds)} ms"
