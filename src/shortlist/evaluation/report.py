"""The report: models beside each other under one definition, as JSON and as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from shortlist.evaluation.sampled import PREFIX
from shortlist.evaluation.stage_table import stage_table

_ACCURACY = ("ndcg", "hit_rate", "recall", "mrr")
_LISTS = {  # figure → heading of the terminal's second table
    "coverage": "cover-\nage",
    "gini": "\ngini",
    "popularity": "popu-\nlarity",
    "popularity_lift": "\nlift",
    "novelty": "nov-\nelty",
    "diversity": "diver-\nsity",
    "miscalibration": "calib.\nerror",
    "serendipity": "seren-\ndipity",
}


@dataclass(frozen=True)
class Report:
    """Figures of several models on one test.

    Args:
        split: the split's description.
        num_queries: asked.
        definition: figure → what it means.
        models: model → figure → value, low, high (None where it does not apply); the model itself first, baselines
            after it.
        seconds: by part of the run.
        peak_memory_mb: of the whole process.
        seed: of the run.
        data: the data summary and its fingerprint.
        notes: sentences a reader needs beside the figures.
        settings: model → settings selected for it on validation, and how much was tried.
        comparisons: the model against each baseline on the same queries.
        slices: the figure that selects on parts of the queries and targets.
        curves: figures against k.
        training: the course of the training.
        cost: parameters by model, latency of one answer.
        seeds: figures of further training seeds.
        stages: see ``evaluation.stages.stage_by_stage``; empty where the retriever answers alone.
        tradeoffs: re-ranking step → its curve by strength, where one was kept (``recommender.tradeoff``).
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
    comparisons: Mapping[str, Any] = field(default_factory=dict)
    slices: Sequence[Mapping[str, Any]] = ()
    curves: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, Any] = field(default_factory=dict)
    tradeoffs: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As ``train --json`` prints it; what is not a number is null."""
        return {one.name: plain(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """Read ``to_dict``'s values back."""
        return cls(**{**values, "notes": tuple(values["notes"]), "slices": tuple(values.get("slices", ()))})

    def with_stages(self, stages: Mapping[str, Any]) -> Report:
        """The same report about another path: what it says of the models stays."""
        return replace(self, stages=plain(stages), tradeoffs={})

    def with_tradeoff(self, step: str, curve: Mapping[str, Any]) -> Report:
        """With the curve of one step, in place of an older one."""
        return replace(self, tradeoffs={**self.tradeoffs, step: plain(curve)})

    def table(self) -> Group:
        """For a terminal: accuracy with intervals, what the lists are like, who is better how surely, where it loses."""
        parts: list[Table | Text] = [self._accuracy(), self._lists(), *self._sampled(), *self._verdicts()]
        if self.stages:
            parts.append(stage_table(self.stages))
        return Group(*parts, *(Text(note) for note in self.notes))

    def _accuracy(self) -> Table:
        first, *further = self._ks()
        names = [f"{metric}@{first}" for metric in _ACCURACY] + [f"recall@{k}" for k in further]
        title = f"{self.num_queries:,} test queries, {self.split.get('method')}, every item of the corpus competes"
        table = _table(title)
        seen = "kept" if self.split.get("seen") == "keep" else "removed"
        table.caption = (
            f"± is half a 95 % bootstrap interval over queries; seen items are {seen}; equal scores are ordered by lot."
        )
        self._fill(table, {name: name.replace("@", "\n@") for name in names}, with_interval=True)
        return table

    def _lists(self) -> Table:
        k, first = self._ks()[0], next(iter(self.models.values()))
        names = {f"{name}@{k}": heading for name, heading in _LISTS.items() if f"{name}@{k}" in first}
        table = _table(f"what the first {k} are like")
        self._fill(table, names, with_interval=False)
        return table

    def _sampled(self) -> list[Table]:
        names = [name for name in next(iter(self.models.values())) if name.startswith(PREFIX)]
        if not names:
            return []
        k = min(int(name.partition("@")[2]) for name in names)
        table = _table("among the given negatives only (does not keep the order of models)")
        shown = {f"{PREFIX}{metric}@{k}": f"{metric}\n@{k}" for metric in ("hit_rate", "ndcg", "mrr")}
        self._fill(table, shown, with_interval=True)
        return [table]

    def _verdicts(self) -> list[Table | Text]:
        against = {name: one for name, one in self.comparisons.get("against", {}).items() if one["low"] is not None}
        if not against:
            return []
        model, figure = self.comparisons["model"], self.comparisons["figure"]
        table = _table(f"{model} against each, {figure} on the same queries")
        for heading in ("difference", "95 % interval", "better with\nprobability"):
            table.add_column(heading, justify="right", no_wrap=True)
        for name, one in against.items():
            table.add_row(name, f"{one['difference']:+.4f}", _between(one), f"{one['probability']:.3f}")
        smallest = max(one["minimum_detectable"] or 0 for one in against.values())
        table.caption = f"So many queries show true differences from {smallest:.4f} on (5 % level, 80 % power)."
        parts: list[Table | Text] = [table]
        losing = [one for one in self.slices if one["versus_popularity"] and one["versus_popularity"]["difference"] < 0]
        for one in sorted(losing, key=lambda one: one["versus_popularity"]["difference"])[:5]:
            found = one["versus_popularity"]
            part = f"{one['group']} = {one['name']} ({one['num_queries']:,} queries)"
            parts.append(Text(f"below popularity where {part}: {found['difference']:+.4f} {_between(found)}"))
        return parts

    def _ks(self) -> list[int]:
        names = next(iter(self.models.values()))
        return sorted({int(name.partition("@")[2]) for name in names if name.startswith("ndcg@")})

    def _fill(self, table: Table, names: Mapping[str, str], *, with_interval: bool) -> None:
        for heading in names.values():
            table.add_column(heading, justify="right", no_wrap=True)
        for model, figures in self.models.items():
            table.add_row(model, *(_cell(figures.get(name), self._best(name), with_interval) for name in names))

    def _best(self, name: str) -> float:
        """The best value of an accuracy figure; of what lists are like none is best."""
        if name.partition("@")[0] in _LISTS:
            return math.inf
        return max(
            (figures[name]["value"] or 0 for figures in self.models.values() if name in figures), default=math.inf
        )


def _between(found: Mapping[str, float]) -> str:
    return f"[{found['low']:+.4f}, {found['high']:+.4f}]"


def _table(title: str) -> Table:
    style: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "caption_justify": "left"}
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), **style)
    table.add_column("", style="cyan", no_wrap=True)
    return table


def _cell(figure: Mapping[str, float | None] | None, best: float, with_interval: bool) -> Text:
    value = None if figure is None else figure["value"]
    if figure is None or value is None:
        return Text("–", style="dim")
    cell = Text(f"{value:.4f}" if with_interval else f"{value:.3f}", style="bold" if value >= best else "")
    low, high = figure["low"], figure["high"]
    if with_interval and low is not None and high is not None and high > low:
        cell.append(f"\n±{(high - low) / 2:.3f}", style="dim")
    return cell


def plain(value: Any) -> Any:
    """What JSON can say, all the way down: keys are text; NaN and infinities, for which it has no word, are None."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
