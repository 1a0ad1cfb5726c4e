"""The report: models beside each other under one definition, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Report:
    """Figures of several models on one test.

    Args:
        split: the split's description.
        num_queries: asked.
        definition: figure → what it means.
        models: model → figure → value, low, high; the model itself first, baselines after it.
        seconds: by part of the run.
        peak_memory_mb: of the whole process.
        seed: of the run.
        data: the data summary.
        notes: sentences a reader needs beside the figures.
        settings: model → settings selected for it on validation.
    """

    split: Mapping[str, Any]
    num_queries: int
    definition: Mapping[str, str]
    models: Mapping[str, Mapping[str, Mapping[str, float]]]
    seconds: Mapping[str, float]
    peak_memory_mb: float
    seed: int
    data: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As ``train --json`` prints it."""
        return {
            "split": dict(self.split),
            "num_queries": self.num_queries,
            "definition": dict(self.definition),
            "models": {
                model: {name: dict(figure) for name, figure in figures.items()}
                for model, figures in self.models.items()
            },
            "seconds": dict(self.seconds),
            "peak_memory_mb": self.peak_memory_mb,
            "seed": self.seed,
            "data": dict(self.data),
            "notes": list(self.notes),
            "settings": {model: dict(one) for model, one in self.settings.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """Read ``to_dict``'s values back."""
        return cls(**{**values, "notes": tuple(values["notes"])})

    def table(self) -> Group:
        """For a terminal: one row a model, the best value of each column bold."""
        names = _columns([name for name in next(iter(self.models.values())) if not name.startswith("top_k_accuracy")])
        table = Table(
            box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left", title_style="bold"
        )
        table.title = (
            f"{self.num_queries:,} test queries, {self.split.get('method')}, every item of the corpus competes"
        )
        table.add_column("", style="cyan", no_wrap=True)
        for name in names:
            table.add_column(name.replace("@", "\n@"), justify="right", no_wrap=True)
        best = {name: max(figures[name]["value"] for figures in self.models.values()) for name in names}
        for model, figures in self.models.items():
            table.add_row(model, *(_cell(figures[name], best[name]) for name in names))
        seen = "kept" if self.split.get("seen") == "keep" else "removed"
        lines = [
            Text(
                f"± is half a 95 % bootstrap interval; seen items are {seen}; ties never help.",
                style="dim",
            )
        ]
        lines += [Text(note) for note in self.notes]
        return Group(table, *lines)


def _columns(names: list[str]) -> list[str]:
    """Enough to judge by and narrow enough for a terminal: all metrics at the first k, recall at the others."""
    first = names[0].partition("@")[2]
    return [n for n in names if n.endswith(f"@{first}") or n.startswith("recall@")]


def _cell(figure: Mapping[str, float], best: float) -> Text:
    half = (figure["high"] - figure["low"]) / 2
    cell = Text(f"{figure['value']:.4f}", style="bold" if figure["value"] >= best else "")
    return cell.append(f"\n±{half:.3f}" if half > 0 else "", style="dim")
