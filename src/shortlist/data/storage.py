"""A ``Dataset`` as a folder of Parquet and JSON, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shortlist.data.availability import Availability
from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import Schema, Side
from shortlist.data.features import CategoryColumn, Column, NumberColumn, TagsColumn, VectorColumn
from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged
from shortlist.data.summary import DataSummary
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import ArtifactError

_CONTEXT = "context."
_AVAILABILITY = "availability.parquet"
_NOT_ASKED = "not_asked.parquet"


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Write ``users.parquet``, ``items.parquet``, ``interactions.parquet`` and ``schema.json``.

    Where there are any, also ``negatives.parquet``, ``availability.parquet`` and ``not_asked.parquet``.
    """
    _write_ids(dataset.users, dataset.user_table, folder / "users.parquet")
    _write_ids(dataset.items, dataset.display, folder / "items.parquet")
    log = dataset.interactions
    columns: dict[str, Any] = {
        "user_idx": log.user_idx,
        "item_idx": log.item_idx,
        "timestamp": log.timestamp,
        "liked": log.liked,
        "disliked": log.disliked,
    }
    columns |= {} if log.value is None else {"value": log.value}
    columns |= {} if dataset.parts is None else {"part": dataset.parts}
    columns |= {_CONTEXT + name: _to_arrow(column) for name, column in log.context.items()}
    pq.write_table(pa.table(columns), folder / "interactions.parquet")
    if dataset.negatives is not None:
        pq.write_table(pa.table({"item_idx": _to_arrow_lists(dataset.negatives)}), folder / "negatives.parquet")
    if dataset.availability is not None:
        pq.write_table(dataset.availability.to_arrow(), folder / _AVAILABILITY)
    if dataset.not_asked is not None:
        pq.write_table(pa.table({"user_idx": np.flatnonzero(dataset.not_asked)}), folder / _NOT_ASKED)
    schema = {**dataset.schema.to_dict(), "has_time": dataset.has_time, "summary": dataset.summary.to_dict()}
    (folder / "schema.json").write_text(json.dumps(schema, indent=1, ensure_ascii=False), encoding="utf-8")


def load_schema(folder: Path) -> Schema:
    """The features alone of what ``save_dataset`` wrote.

    Raises:
        ArtifactError: they cannot be read.
    """
    try:
        return Schema.from_dict(json.loads((folder / "schema.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"The features of {folder} cannot be read ({error}). Copy the whole folder again."
        ) from None


def load_saved_dataset(folder: Path) -> Dataset:
    """Read what ``save_dataset`` wrote."""
    values = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
    schema = Schema.from_dict(values)
    user_table, item_table = pq.read_table(folder / "users.parquet"), pq.read_table(folder / "items.parquet")
    users = Vocabulary(user_table.column("id").combine_chunks(), "user")
    items = Vocabulary(item_table.column("id").combine_chunks(), "item")
    table = pq.read_table(folder / "interactions.parquet")
    columns = {name: table.column(name) for name in table.column_names}
    stored = [spec for spec in schema.side("context") if not spec.computed]
    context = {spec.name: _from_arrow(columns[_CONTEXT + spec.name], spec.kind) for spec in stored}
    interactions = Interactions(
        user_idx=columns["user_idx"].to_numpy(),
        item_idx=columns["item_idx"].to_numpy(),
        timestamp=columns["timestamp"].to_numpy(),
        liked=columns["liked"].to_numpy(),
        disliked=columns["disliked"].to_numpy(),
        num_users=len(users),
        value=columns["value"].to_numpy() if "value" in columns else None,
        context=context,
    )
    negatives = None
    if (folder / "negatives.parquet").is_file():
        negatives = _from_arrow_lists(pq.read_table(folder / "negatives.parquet").column("item_idx"))
    availability = None
    if (folder / _AVAILABILITY).is_file():
        availability = Availability.from_arrow(pq.read_table(folder / _AVAILABILITY))
    not_asked = None
    if (folder / _NOT_ASKED).is_file():
        not_asked = np.zeros(len(users), dtype=bool)
        not_asked[pq.read_table(folder / _NOT_ASKED).column("user_idx").to_numpy()] = True
    # in one piece: to take a few rows of several pieces, Arrow passes over all of them
    user_table, item_table = user_table.drop_columns(["id"]), item_table.drop_columns(["id"]).combine_chunks()

    def encoded(side: Side, source: pa.Table) -> dict[str, Column]:
        return {spec.name: spec.encode(source.column(spec.name).combine_chunks()) for spec in schema.side(side)}

    return Dataset(
        users=users,
        items=items,
        interactions=interactions,
        schema=schema,
        user_features=encoded("user", user_table),
        item_features=encoded("item", item_table),
        user_table=user_table,
        display=item_table,
        has_time=values["has_time"],
        parts=columns["part"].to_numpy() if "part" in columns else None,
        summary=DataSummary(**values["summary"]),
        negatives=negatives,
        availability=availability,
        not_asked=not_asked,
    )


def _write_ids(vocabulary: Vocabulary, table: pa.Table, path: Path) -> None:
    columns = {"id": vocabulary.ids, **{name: table.column(name) for name in table.column_names}}
    pq.write_table(pa.table(columns), path)


def _to_arrow(column: Column) -> pa.Array:
    if isinstance(column, NumberColumn):
        return pa.array(column.values)
    if isinstance(column, CategoryColumn):
        return pa.array(column.codes)
    if isinstance(column, VectorColumn):
        width = column.values.shape[1]
        return pa.FixedSizeListArray.from_arrays(pa.array(column.values.ravel()), width)
    return _to_arrow_lists(column.codes)


def _from_arrow(array: pa.ChunkedArray, kind: str) -> Column:
    if kind == "number":
        return NumberColumn(array.to_numpy())
    if kind == "category":
        return CategoryColumn(array.to_numpy())
    if kind == "vector":
        lists = array.combine_chunks()
        return VectorColumn(lists.flatten().to_numpy().reshape(len(lists), -1))
    return TagsColumn(_from_arrow_lists(array))


def _to_arrow_lists(rows: Ragged) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array(rows.offsets), pa.array(rows.values))


def _from_arrow_lists(array: pa.ChunkedArray) -> Ragged:
    lists = array.combine_chunks()
    return Ragged.from_lengths(lists.flatten().to_numpy(), np.diff(lists.offsets.to_numpy()))
