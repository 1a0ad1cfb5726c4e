"""What a search for settings has come to: its trials, as plain records and for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Args:
        number: counts from 1.
        state: ``complete``; ``pruned`` (ended early, hopeless); ``failed``, see ``error``; ``interrupted`` (by Ctrl-C
            or a kill: its parameters are tried again under another number).
        parameters: the searched settings, by ``section.key``.
        validation: the figure selected on; of a pruned trial the best until then.
        epochs: that a network was trained for.
        seconds: fitting and measuring.
        error: why it failed.
        as_given: whether these are the settings the search was started with.
    """

    number: int
    state: str
    parameters: dict[str, Any]
    validation: float | None
    epochs: int | None
    seconds: float | None
    error: str | None
    as_given: bool


@dataclass(frozen=True)
class TuningResult:
    """All trials so far, and what they say.

    Args:
        model: name of the tuned model.
        select_on: name of the validation figure.
        trials: in the order they began.
        importance: share of each parameter in reaching the good trials; empty with fewer than 10 complete ones.
        out: folder with ``best.toml``, ``trials.json`` and the study.
    """

    model: str
    select_on: str
    trials: tuple[TrialRecord, ...]
    importance: Mapping[str, float]
    out: Path

    @property
    def ranking(self) -> list[TrialRecord]:
        """Complete trials, best first; of equals the earlier one."""
        complete = [one for one in self.trials if one.state == "complete"]
        return sorted(complete, key=lambda one: -figure_of(one))

    @property
    def best(self) -> TrialRecord:
        """The complete trial with the highest validation figure."""
        return self.ranking[0]

    @property
    def given(self) -> TrialRecord | None:
        """The trial of the settings as given, where it is complete."""
        return next((one for one in self.ranking if one.as_given), None)

    @property
    def num_finished(self) -> int:
        """Trials that ended by themselves: complete, pruned or failed."""
        return sum(one.state != "interrupted" for one in self.trials)

    def to_dict(self) -> dict[str, Any]:
        """As in ``trials.json``."""
        return {
            "model": self.model,
            "select_on": self.select_on,
            "num_finished": self.num_finished,
            "best": asdict(self.best) if self.ranking else None,
            "importance": {name: round(share, 4) for name, share in self.importance.items()},
            "out": str(self.out),
            "trials": [asdict(one) for one in self.trials],
        }

    def table(self, rows: int = 10) -> Table:
        """The best trials, for people."""
        shown = self.ranking[:rows]
        table = Table(
            title=f"{self.model}: best {len(shown)} of {self.num_finished} trials, on validation",
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            padding=(0, 1 if len(self.best.parameters) < 6 else 0, 0, 0),  # a network's fit into 80 columns
        )
        table.add_column("#", justify="right", style="dim")
        table.add_column(self.select_on, justify="right", style="bold")
        for name in self.best.parameters:  # history_dropout may break into two lines
            table.add_column(name.split(".")[-1].replace("_", " "), justify="right", overflow="fold")
        for one in shown:
            table.add_row(str(one.number), f"{figure_of(one):.4f}", *map(short, one.parameters.values()))
        return table

    def summary(self) -> str:
        """Best against given in one line."""
        best, given = self.best, self.given
        text = f"best: trial {best.number}, validation {self.select_on} {figure_of(best):.4f}"
        if given is best:
            return f"{text}, the settings as given"
        return (
            text if given is None else f"{text}; the settings as given: {figure_of(given):.4f} (trial {given.number})"
        )


def figure_of(one: TrialRecord) -> float:
    """Its validation figure; NaN where it has none."""
    return math.nan if one.validation is None else one.validation


def listed(parameters: Mapping[str, Any]) -> str:
    """Parameters in one line, without their sections."""
    return ", ".join(f"{name.split('.')[-1]} {short(value)}" for name, value in parameters.items())


def short(value: Any) -> str:
    """A value in few characters.

    >>> short([256, 128]), short(0.00123456)
    ('256,128', '0.00123')
    """
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
