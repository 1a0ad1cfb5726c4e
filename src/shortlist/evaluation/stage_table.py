"""Figures of stages, or of strengths, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

_HEADINGS = {  # figure → heading and format
    "diversity": ("diver-\nsity", ".3f"),
    "miscalibration": ("calib.\nerror", ".3f"),
    "coverage": ("cover-\nage", ".3f"),
    "popularity": ("popu-\nlarity", ".3f"),
    "age": ("age\n(days)", ".0f"),
}


def stage_table(stages: Mapping[str, Any]) -> Table:
    """What each stage does to the page, and by how much it changes ndcg."""
    k, ceiling = stages["k"], stages["ceiling"]
    most = _shown(ceiling["recall"]["value"], ".4f")
    table = figure_table(f"stage by stage, the first {k}")
    table.caption = (
        f"The {ceiling['candidates']} candidates hold {most} of the targets: no order of them has "
        f"more recall. {stages['num_queries']:,} queries; change is against the stage before, ± half "
        "its 95 % interval. Every other figure of the report is of the models, before re-ranking."
    )
    names = [name for name in _HEADINGS if f"{name}@{k}" in stages["stages"][0]["figures"]]
    table.add_column("ndcg", justify="right", no_wrap=True)
    table.add_column("change", justify="right", no_wrap=True)
    add_columns(table, names)
    for row in stages["stages"]:
        own, change = row["figures"], row["difference"]
        delta = ""
        if change is not None and change["low"] is not None:
            delta = f"{change['difference']:+.4f}\n±{(change['high'] - change['low']) / 2:.4f}"
        values = {name: own[f"{name}@{k}"]["value"] for name in names}
        table.add_row(row["stage"], _shown(own[f"ndcg@{k}"]["value"], ".4f"), delta, *cells(values, names))
    return table


def figure_table(title: str) -> Table:
    """An empty one in the report's style, with a first column for names."""
    style: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "caption_justify": "left"}
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), **style)
    table.add_column("", style="cyan", no_wrap=True)
    return table


def add_columns(table: Table, names: Sequence[str]) -> None:
    """One a figure."""
    for name in names:
        table.add_column(_HEADINGS[name][0], justify="right", no_wrap=True)


def cells(values: Mapping[str, float | None], names: Sequence[str]) -> list[str]:
    """The figures' values as text."""
    return [_shown(values.get(name), _HEADINGS[name][1]) for name in names]


def shown_names(values: Mapping[str, Any]) -> list[str]:
    """Which of the figures there are, in the table's order."""
    return [name for name in _HEADINGS if name in values]


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None or value != value else format(value, form)
