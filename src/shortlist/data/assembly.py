"""Prepared tables → the arrays of a ``Dataset``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shortlist.data.availability import WINDOW, Availability
from shortlist.data.dataset import Dataset
from shortlist.data.feature_spec import FeatureSpec, Schema, Side
from shortlist.data.features import Column
from shortlist.data.growth import grown
from shortlist.data.interactions import Interactions
from shortlist.data.plain_columns import plain_column
from shortlist.data.ragged import Ragged, distinct
from shortlist.data.summary import DataSummary
from shortlist.data.tables import ROW
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import DataError
from shortlist.settings import DataSettings, FeatureSettings, FeaturesSettings

PART = "_part"  # which of several interaction files a row came from
CONTEXT = "_context_"  # before the name of a context feature's column


def assemble(
    table: pa.Table,
    user_ids: pa.Array,
    item_ids: pa.Array,
    feature_tables: Mapping[str, pa.Table],
    settings: DataSettings,
    features: FeaturesSettings,
    rows_read: int,
    dropped: Mapping[str, int],
    negatives: pa.Table | None = None,
    known: Schema | None = None,
) -> Dataset:
    """Fit the features, encode them, and put everything into aligned arrays.

    Args:
        table: the cleaned interactions with ``user_idx`` and ``item_idx``, sorted.
        user_ids, item_ids: the vocabularies.
        feature_tables: ``user`` and ``item`` tables in plain form, one row an id.
        settings, features: of the run.
        rows_read, dropped: for the summary.
        negatives: pairs of ``user_id`` and ``item_id``.
        known: the features as an artifact encodes them, whose codes and scales are kept.
    """

    def numpy(name: str, dtype: Any) -> NDArray[Any]:
        return np.ascontiguousarray(table.column(name).to_numpy(), dtype=dtype)

    specs: list[FeatureSpec] = []

    def encode(side: Side, columns: Mapping[str, FeatureSettings], source: Mapping[str, pa.Array]) -> dict[str, Column]:
        encoded: dict[str, Column] = {}
        for name, one in columns.items():
            if one.computed:
                specs.append(FeatureSpec.of_moment(name, one.computed))
                continue
            spec = FeatureSpec.fit(name, side, one, source[name])
            spec = next((grown(old, spec) for old in known or () if (old.side, old.name) == (side, name)), spec)
            specs.append(spec)
            encoded[name] = spec.encode(source[name])
        return encoded

    sides: tuple[tuple[Side, Mapping[str, FeatureSettings]], ...] = (("user", features.user), ("item", features.item))
    context = {
        name: plain_column(
            table.column(CONTEXT + name),
            one.kind,
            one.separator,
            f"Column {one.column or name!r} of the interactions",
        )
        for name, one in features.context.items()
        if not one.computed
    }
    encoded = {
        side: encode(
            side, settings_of_side, {n: _chunk(feature_tables[side], n) for n in feature_tables[side].column_names}
        )
        for side, settings_of_side in sides
    }
    has_time = "timestamp" in table.column_names
    interactions = Interactions(
        user_idx=numpy("user_idx", np.int32),
        item_idx=numpy("item_idx", np.int32),
        timestamp=numpy("timestamp" if has_time else ROW, np.int64),
        liked=numpy("_liked", np.bool_),
        disliked=numpy("_disliked", np.bool_),
        num_users=len(user_ids),
        value=numpy("value", np.float32) if "value" in table.column_names else None,
        context=encode("context", features.context, context),
    )
    windows = {
        role: feature_tables["item"].column("_" + role)
        for role in WINDOW
        if "_" + role in feature_tables["item"].column_names
    }
    display = feature_tables["item"].drop_columns(["_idx", *("_" + role for role in windows)])
    if settings.columns.title:
        display = display.rename_columns(["title" if c == settings.columns.title else c for c in display.column_names])
    users, items = Vocabulary(user_ids, "user"), Vocabulary(item_ids, "item")
    return Dataset(
        users=users,
        items=items,
        interactions=interactions,
        schema=Schema(tuple(specs)),
        user_features=encoded["user"],
        item_features=encoded["item"],
        user_table=feature_tables["user"].drop_columns(["_idx"]),
        display=display,
        has_time=has_time,
        parts=numpy(PART, np.int8) if PART in table.column_names else None,
        summary=DataSummary.of(interactions, len(item_ids), has_time, rows_read, dropped),
        negatives=None if negatives is None else _by_user(negatives, users, items),
        availability=Availability.from_arrow(pa.table(windows)) if windows else None,
    )


def _by_user(pairs: pa.Table, users: Vocabulary, items: Vocabulary) -> Ragged:
    """Item indices of every user, each item once."""
    rows = []
    for name, vocabulary in (("user_id", users), ("item_id", items)):
        ids = pairs.column(name).combine_chunks()
        # as text, because ids of a text file become integers only after they are read
        found = pc.fill_null(pc.index_in(ids.cast(pa.string()), vocabulary.ids.cast(pa.string())), -1).to_numpy()
        unknown = np.flatnonzero(found < 0)
        if len(unknown):
            examples = ", ".join(f"{ids[int(i)].as_py()!r} (row {i})" for i in unknown[:3])
            raise DataError(
                f"negatives: {len(unknown):,} rows name {vocabulary.kind}s that stand in no interaction, such as {examples}. "
                "Give ids of the training or test part."
            )
        rows.append(found.astype(np.int64))
    keys = distinct(rows[0] * len(items) + rows[1])
    return Ragged.from_row_of_value((keys % len(items)).astype(np.int32), keys // len(items), len(users))


def _chunk(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
