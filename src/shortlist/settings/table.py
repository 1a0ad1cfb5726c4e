"""What every table of settings is made of: strict, frozen fields, and the ranges that ``shortlist tune`` searches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Range:
    """Where ``shortlist tune`` looks for a setting: from ``low`` to ``high``, evenly or (``log``) by ratio."""

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{' by ratio' if self.log else ''}"


@dataclass(frozen=True)
class OneOf:
    """Likewise, among a few values."""

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return " or ".join(json.dumps(value) for value in self.values)


class Table(BaseModel):
    """Unknown keys and wrong types are errors; nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
