"""Several artifacts beside each other: which is better on the same queries, where they were asked the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from shortlist.data.ragged import Ragged
from shortlist.errors import ArtifactError
from shortlist.evaluation.html import render
from shortlist.evaluation.metrics import METRICS
from shortlist.evaluation.statistics import compare as compare_figures
from shortlist.recommender.artifact import RANKS, load
from shortlist.recommender.model_card import ModelCard, model_card

_FIGURES = ("ndcg@10", "hit_rate@10", "mrr@10", "recall@20", "recall@100")


@dataclass(frozen=True)
class ArtifactComparison:
    """Model cards by name, and every pair of artifacts.

    Args:
        cards: by the folder's name.
        pairs: ``first``, ``second``, ``comparable``, ``why_not``, and by figure the paired difference of the two models.
    """

    cards: dict[str, ModelCard]
    pairs: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "artifacts": {name: card.to_dict() for name, card in self.cards.items()},
            "comparisons": list(self.pairs),
        }

    def page(self) -> str:
        """One self-contained HTML page."""
        return render([(name, card.to_dict()) for name, card in self.cards.items()], self.pairs)

    def text(self) -> Group:
        """For a terminal: the figures, then the differences."""
        style: dict[str, Any] = {
            "box": box.SIMPLE_HEAD,
            "title_justify": "left",
            "title_style": "bold",
            "pad_edge": False,
        }
        figures = Table(title="each on its own test", **style)
        for heading in ("", "model", "queries", *_FIGURES):
            figures.add_column(heading, justify="left" if heading in ("", "model") else "right", no_wrap=True)
        for name, card in self.cards.items():
            report = card.report
            own = {} if report is None else report.models[card.model]
            values = [own[one]["value"] if one in own else None for one in _FIGURES]
            asked = "–" if report is None else f"{report.num_queries:,}"
            figures.add_row(name, card.model, asked, *("–" if one is None else f"{one:.4f}" for one in values))
        parts: list[Table | Text] = [figures]
        for pair in self.pairs:
            if not pair["comparable"]:
                parts.append(Text(f"{pair['first']} and {pair['second']} cannot be compared: {pair['why_not']}"))
                continue
            table = Table(title=f"{pair['first']} − {pair['second']}, the same queries", **style)
            for heading in ("", "difference", "95 % interval", "better with\nprobability", "smallest\ndetectable"):
                table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
            for figure, one in pair["figures"].items():
                between = f"[{one['low']:+.4f}, {one['high']:+.4f}]"
                sure, smallest = f"{one['probability']:.3f}", f"{one['minimum_detectable']:.4f}"
                table.add_row(figure, f"{one['difference']:+.4f}", between, sure, smallest)
            parts.append(table)
        return Group(*parts)


def compare(folders: Sequence[str | Path]) -> ArtifactComparison:
    """Put artifacts beside each other; paired figures where data and split are the same.

    Args:
        folders: at least two, of different names.

    Raises:
        ArtifactError: fewer than two, two of one name, or one that cannot be loaded.
    """
    paths = [Path(one) for one in folders]
    if len(paths) < 2:
        raise ArtifactError(f"Comparing takes at least two artifacts, got {len(paths)}.")
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise ArtifactError(f"An artifact is named twice: {', '.join(names)}. Give each once.")
    cards = {name: model_card(load(path)) for name, path in zip(names, paths, strict=True)}
    places = dict(zip(names, paths, strict=True))
    pairs = tuple(_pair(first, second, cards, places) for first, second in combinations(names, 2))
    return ArtifactComparison(cards, pairs)


def _pair(first: str, second: str, cards: dict[str, ModelCard], places: dict[str, Path]) -> dict[str, Any]:
    pair: dict[str, Any] = {"first": first, "second": second, "comparable": False, "why_not": "", "figures": {}}
    if why_not := _why_not([cards[name] for name in (first, second)], [places[name] for name in (first, second)]):
        return {**pair, "why_not": why_not}
    ranks = []
    for name in (first, second):
        table = pq.read_table(places[name] / RANKS)
        ranks.append(_by_query(table, f"rank.{cards[name].model}"))
    figures = {}
    for figure in _FIGURES:
        metric, k = figure.split("@")
        values = [METRICS[metric](one, int(k)) for one in ranks]
        figures[figure] = compare_figures(values[0], values[1]).to_dict()
    return {**pair, "comparable": True, "figures": figures}


def _why_not(cards: list[ModelCard], places: list[Path]) -> str:
    """Why two artifacts' figures must not be compared; nothing where they may."""
    reports = [card.report for card in cards]
    if None in reports or not all((place / RANKS).is_file() for place in places):
        return "one of them keeps no ranks of its test. Train it anew."
    splits = [report.split for report in reports if report is not None]
    if splits[0]["fingerprint"] != splits[1]["fingerprint"]:
        return "they were trained or tested on different data or splits (the split fingerprints differ)."
    if splits[0]["seen"] != splits[1]["seen"]:
        return "one was tested with seen items removed and the other with seen items kept."
    return ""


def _by_query(table: pa.Table, column: str) -> Ragged:
    users = table.column("user_id").combine_chunks()
    codes = users.dictionary_encode().indices.to_numpy()  # records of a query stand together
    return Ragged.from_row_of_value(table.column(column).to_numpy(), codes, len(users.unique()))
