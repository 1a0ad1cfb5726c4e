"""Where a model is good and where it is not: the same figure on parts of the queries and of the targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.features import FIRST_VALUE, Column, NumberColumn, TagsColumn, VectorColumn
from shortlist.data.queries import column
from shortlist.data.splitting import Holdout
from shortlist.evaluation.background import Background
from shortlist.evaluation.evaluator import Evaluation
from shortlist.evaluation.metrics import METRICS
from shortlist.evaluation.statistics import figures, resampled_means

_COLD = 5  # a history of fewer items is cold
_MOST_VALUES = 8  # of a feature, the most frequent ones
_REFERENCE = "popularity"


@dataclass(frozen=True, eq=False)
class Slice:
    """A part of the (query, target) records.

    Args:
        group: what it is cut by.
        name: which part.
        records: [T] bool, aligned with the holdout's targets.
    """

    group: str
    name: str
    records: NDArray[np.bool_]


def slices(dataset: Dataset, holdout: Holdout, background: Background) -> list[Slice]:
    """Users by history, targets by popularity, and both by every feature; parts without a record are left out."""
    query = holdout.targets.row_of_value
    found = [Slice("person: history", name, mask[query]) for name, mask in _by_history(holdout)]
    found += [
        Slice("item: popularity", name, mask[holdout.targets.values]) for name, mask in _by_popularity(background)
    ]
    for spec in dataset.schema:
        if spec.side == "item":
            parts, at, kind = _values(spec, dataset.item_features[spec.name]), holdout.targets.values, "item"
        else:
            parts, at, kind = _values(spec, column(holdout.queries, spec)), query, "person"
            kind = "moment" if spec.side == "context" else kind
        found += [Slice(f"{kind}: {spec.name}", name, mask[at]) for name, mask in parts]
    return [one for one in found if one.records.any()]


def sliced(
    evaluations: Mapping[str, Evaluation], parts: list[Slice], figure: str, seed: int = 0
) -> list[dict[str, Any]]:
    """One figure on every slice for every model, and the first model's difference from popularity.

    On a slice of targets a query counts by its targets within the slice alone, at the ranks they have in the whole
    corpus.

    Args:
        evaluations: by model, the model itself first.
        parts: of the same holdout.
        figure: such as ``ndcg@10``.
        seed: of the bootstrap.

    Returns:
        Per slice: group, name, num_queries, num_targets, models → value, low, high, and ``versus_popularity`` with
            difference, low, high and
        the probability that the model is better there (None where popularity is not among the models).
    """
    metric, k = figure.split("@")
    model, rows = next(iter(evaluations)), []
    columns = {
        name: np.stack([METRICS[metric](one.ranks.where(part.records), int(k)) for part in parts], axis=1)
        for name, one in evaluations.items()
    }
    found = {name: figures(values, seed=seed) for name, values in columns.items()}
    differences, resampled = None, None
    if _REFERENCE in columns and model != _REFERENCE:
        differences = columns[model] - columns[_REFERENCE]
        resampled = resampled_means(differences, seed=seed)
    for i, part in enumerate(parts):
        num_queries = int(np.isfinite(columns[model][:, i]).sum())
        row: dict[str, Any] = {"group": part.group, "name": part.name, "num_queries": num_queries}
        row["num_targets"] = int(part.records.sum())
        row["models"] = {name: found[name][i].to_dict() for name in columns}
        row["versus_popularity"] = None
        if differences is not None and resampled is not None:
            draws = resampled[np.isfinite(resampled[:, i]), i]
            low, high = np.quantile(draws, [0.025, 0.975])
            row["versus_popularity"] = {
                "difference": float(np.nanmean(differences[:, i])),
                "low": float(low),
                "high": float(high),
                "probability": float((draws > 0).mean() + (draws == 0).mean() / 2),
            }
        rows.append(row)
    return rows


def _by_history(holdout: Holdout) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Cold, warm and hot people; the border of the latter two is the median of those who are not cold."""
    lengths = holdout.queries.liked.lengths
    rest = lengths[lengths >= _COLD]
    middle = int(np.median(rest)) if len(rest) else _COLD
    yield f"cold: fewer than {_COLD} items", lengths < _COLD
    yield f"warm: {_COLD} to {middle}", (lengths >= _COLD) & (lengths <= middle)
    yield f"hot: more than {middle}", lengths > max(middle, _COLD - 1)


def _by_popularity(background: Background) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Head, middle and tail take a third of the training positives each; new items have none."""
    counts = background.counts
    order = np.argsort(-counts, kind="stable")
    before = np.empty(len(counts))
    before[order] = (np.cumsum(counts[order]) - counts[order]) / max(counts.sum(), 1)
    known = counts > 0
    third = np.minimum((before * 3).astype(int), 2)
    for number, name in enumerate(("head", "middle", "tail")):
        mask = known & (third == number)
        yield f"{name}: {int(mask.sum()):,} items take a third of all positives", mask
    yield "new: not in the training part", ~known


def _values(spec: FeatureSpec, column: Column) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The most frequent values of a feature; of a number the halves."""
    if isinstance(column, NumberColumn):
        present = column.values[np.isfinite(column.values)]
        middle = float(np.median(present)) if len(present) else 0.0
        plain = f"{spec.plain_numbers(np.array(middle)):g}"
        yield f"up to {plain}", column.values <= middle
        yield f"above {plain}", column.values > middle
        yield "missing", ~np.isfinite(column.values)
        return
    if isinstance(column, VectorColumn) or spec.buckets or spec.kind == "id":
        return  # has no values a person could read, or one person for each
    if isinstance(column, TagsColumn):
        codes, rows, size = column.codes.values, column.codes.row_of_value, len(column.codes)
    else:
        codes, rows, size = column.codes, np.arange(len(column.codes)), len(column.codes)
    for value in range(min(_MOST_VALUES, len(spec.values))):
        mask = np.zeros(size, dtype=bool)
        mask[rows[codes == FIRST_VALUE + value]] = True
        yield spec.values[value], mask
