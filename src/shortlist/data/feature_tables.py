"""The tables that say what users and items are, lined up with the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from shortlist.data.plain_columns import plain_column
from shortlist.data.tables import ROW, Source, TableReader, milliseconds_of, require_columns
from shortlist.errors import DataError
from shortlist.settings import FeatureSettings


def read_feature_table(
    reader: TableReader,
    source: Source | None,
    id_column: str,
    ids: pa.Array,
    features: Mapping[str, FeatureSettings],
    name: str,
    extra: Sequence[str] = (),
    times: Mapping[str, str] = MappingProxyType({}),
) -> pa.Table:
    """The asked-for columns in plain form, one row an id of the vocabulary, in its order.

    Args:
        reader: of the table.
        source: where it is; None: nowhere.
        id_column: in it.
        ids: the vocabulary.
        features: columns in the plain form of their kind.
        name: what the table is, for messages.
        extra: columns to keep as text.
        times: what they are → columns to keep as milliseconds, under ``_`` and what they are.

    Raises:
        DataError: a table or column is missing, or holds something else.
    """
    wanted = {feature: spec.column or feature for feature, spec in features.items() if spec.kind != "id"}
    own_ids = {feature: ids.cast(pa.string()) for feature in features if feature not in wanted}
    if source is None:
        if wanted or times:
            what = [*(f"feature {feature}" for feature in wanted), *(f"[data.columns] {role}" for role in times)]
            raise DataError(f"For {name} are set: {', '.join(what)}; but there is no table: set [data] {name}.")
        return pa.table({"_idx": pa.array(np.arange(len(ids))), **own_ids})
    frame = reader.open(source, name, (id_column,))
    require_columns(frame, [id_column, *wanted.values(), *extra, *times.values()], name)
    chosen = {"_id": id_column, **wanted, **{f"_extra_{column}": column for column in extra}}
    chosen |= {f"_{role}": column for role, column in times.items()}
    frame = frame.select(*(nw.col(c).alias(a) for a, c in chosen.items()), ROW).unique(
        "_id", keep="first", order_by=[ROW]
    )
    frame = frame.with_columns(milliseconds_of(frame, f"_{role}", role, column) for role, column in times.items())
    text_ids = not pa.types.is_integer(ids.type)
    frame = frame.with_columns(nw.col("_id").cast(nw.String if text_ids else nw.Int64))
    rows = pa.table({"_id": ids, "_idx": pa.array(np.arange(len(ids), dtype=np.int64))})
    vocabulary: nw.LazyFrame[Any] = nw.from_native(reader.connection.from_arrow(rows)).lazy()
    joined = vocabulary.join(frame, on="_id", how="left").sort("_idx").collect(backend="pyarrow").to_arrow()
    columns: dict[str, Any] = {"_idx": joined.column("_idx")}
    for feature, column in wanted.items():
        kind, separator = features[feature].kind, features[feature].separator
        columns[feature] = plain_column(joined.column(feature), kind, separator, f"Column {column!r} of the {name}")
    columns |= own_ids
    columns |= {column: joined.column(f"_extra_{column}").cast(pa.string()) for column in extra}
    return pa.table(columns | {f"_{role}": joined.column(f"_{role}") for role in times})
