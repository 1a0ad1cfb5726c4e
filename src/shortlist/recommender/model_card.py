"""What a recommender is, what it was measured at, and what it is not good for (after Mitchell et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Group
from rich.text import Text

from shortlist.evaluation.report import Report
from shortlist.recommender.recommender import Recommender


@dataclass(frozen=True)
class ModelCard:
    """Facts about one artifact."""

    model: str
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    limits: tuple[str, ...]
    report: Report | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        report = None if self.report is None else self.report.to_dict()
        return {
            "model": self.model,
            "data": dict(self.data),
            "settings": dict(self.settings),
            "limits": list(self.limits),
            "report": report,
        }

    def text(self) -> Group:
        """For a terminal."""
        data = self.data
        lines = [
            Text(f"{self.model}\n", style="bold"),
            Text(
                f"data      {data['num_interactions']:,} interactions of {data['num_users']:,} users with "
                f"{data['num_items']:,} items (density {data['density']:.3%})"
            ),
        ]
        if data.get("first"):
            lines.append(Text(f"          from {data['first']} to {data['last']}"))
        for reason, count in data.get("dropped", {}).items():
            lines.append(Text(f"          dropped {count:,} rows: {reason}"))
        for section in ("retriever", "ranker", "training", "split"):
            if self.settings.get(section) is None:
                continue
            pairs = ", ".join(f"{key} = {value}" for key, value in self.settings[section].items() if value is not None)
            lines.append(Text(f"{section:<10}{pairs}"))
        for step in self.settings["rerank"]:
            pairs = ", ".join(f"{key} = {value}" for key, value in step.items() if key != "step" and value)
            lines.append(Text(f"{'rerank':<10}{step['step']}: {pairs}"))
        if self.report is not None:
            prints = f"split {self.report.split['fingerprint']}, data {data.get('fingerprint', 'not recorded')}"
            lines.append(Text(f"prints    {prints}"))
            if (parameters := self.report.cost.get("parameters", {}).get(self.model)) is not None:
                latency = self.report.cost["latency_ms"]
                one = f"one answer {latency['median']} ms (95 %: {latency['p95']} ms)"
                lines.append(Text(f"size      {parameters:,} parameters; {one}"))
            if index := self.report.cost.get("index"):
                lines.append(Text(f"index     {index['note'].removeprefix('Index: ')}"))
            seconds = ", ".join(f"{name} {value} s" for name, value in self.report.seconds.items())
            lines += [Text(f"cost      {seconds}; peak memory {self.report.peak_memory_mb:,.0f} MB\n")]
        limits = [Text("\nlimits", style="bold"), *(Text(f"· {limit}") for limit in self.limits)]
        table = [self.report.table()] if self.report is not None else []
        return Group(*lines, *table, *limits)


def model_card(recommender: Recommender) -> ModelCard:
    """Collect the facts."""
    return ModelCard(
        model=recommender.retriever.name,
        data={**recommender.dataset.summary.to_dict(), "fingerprint": recommender.dataset.fingerprint[:16]},
        settings=recommender.settings.to_dict(),
        limits=tuple(_limits(recommender)),
        report=recommender.report,
    )


def _limits(recommender: Recommender) -> list[str]:
    data, settings = recommender.dataset, recommender.settings
    rare = int((np.bincount(data.interactions.positives().values, minlength=data.num_items) < 5).sum())
    limits = [
        f"{rare:,} of {data.num_items:,} items have fewer than 5 positives: their vectors are little more than a guess.",
        "Items that were not in the training data cannot be recommended; `shortlist train --from` adds them.",
        "Figures come from what people took under whatever they were shown then; they are not the effect of showing these lists.",
    ]
    if recommender.retriever.name == "popularity":
        limits.append("It recommends the same to everybody, but for what each has seen.")
    if settings.data.feedback.disliked is None:
        limits.append("It learned nothing from dislikes: they only remove items ([data.feedback] disliked).")
    if not data.has_time:
        limits.append("The data has no time: the order of rows stood in for it.")
    if settings.ranker is not None:
        limits.append(
            f"The ranker {settings.ranker.model} knows people by their id: who is new gets the retriever's order until it is "
            "trained again."
        )
    return [*limits, *_weak_spots(recommender.report, () if settings.ranker is None else (settings.ranker.model,))]


def _weak_spots(report: Report | None, own: Sequence[str]) -> list[str]:
    """Baselines that are better, and parts of the people and items where popularity is, as surely as the test can tell."""
    if report is None:
        return []
    found, figure = [], report.comparisons.get("figure")
    for name, one in report.comparisons.get("against", {}).items():
        if name not in own and one["high"] is not None and one["high"] < 0:
            found.append(f"{name} is better: by {-one['difference']:.4f} {figure} on the same queries.")
    for part in report.slices:
        one = part["versus_popularity"]
        if one and one["high"] is not None and one["high"] < 0:
            where = f"{part['group']} = {part['name']} ({part['num_queries']:,} queries)"
            found.append(f"Popularity is better for {where}: by {-one['difference']:.4f} {figure}.")
    return found
