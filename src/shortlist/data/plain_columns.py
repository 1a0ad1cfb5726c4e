"""Columns as they are read, and values as they are asked with, in the one plain form that a feature is encoded from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shortlist.data.ragged import Ragged
from shortlist.errors import DataError


def plain_column(array: pa.Array | pa.ChunkedArray, kind: str, separator: str, where: str) -> pa.Array:
    """Bring a column into plain form: float64, text (or true and false), lists of text, or lists of float32.

    Args:
        array: as read.
        kind: the feature's kind.
        separator: between tags, where they are text.
        where: the column's name and table, for messages.

    Raises:
        DataError: a number that is none, also within a vector.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if kind == "number":
        return _numbers(array, where)
    if kind == "category" and pa.types.is_boolean(array.type):
        return array
    if kind in ("category", "text"):
        return array.cast(pa.string())
    if kind == "vector":
        return _number_lists(array, separator, where)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return array.cast(pa.list_(pa.string()))
    split = pc.split_pattern(array.cast(pa.string()), separator)
    return _without_empty(split)


def _numbers(array: pa.Array, where: str) -> pa.Array:
    try:
        numbers = array.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"{where}: expected numbers, got {array.type} ({str(error).splitlines()[0]}). "
            'Use kind = "category" for words, or correct the value.'
        ) from None
    # NaN and null are one thing here: missing
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)


def _without_empty(lists: pa.Array) -> pa.Array:
    filled = pc.fill_null(lists, pa.scalar([], lists.type))
    values, lengths = pc.list_flatten(filled), pc.list_value_length(filled).to_numpy(zero_copy_only=False)
    keep = pc.not_equal(values, "").to_numpy(zero_copy_only=False).astype(bool)
    kept = Ragged.from_lengths(keep, lengths).where(keep)
    return pa.ListArray.from_arrays(pa.array(kept.offsets.astype(np.int32)), values.filter(pa.array(keep)))


def _number_lists(array: pa.Array, separator: str, where: str) -> pa.Array:
    """Lists of float32; a list without a number, or with one that is NaN, is missing."""
    if not (
        pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or pa.types.is_fixed_size_list(array.type)
    ):
        array = pc.split_pattern(array.cast(pa.string()), separator)
    try:
        lists = array.cast(pa.list_(pa.float32()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"{where}: expected vectors, lists of numbers or text such as 0.1{separator}0.2, got {array.type} "
            f"({str(error).splitlines()[0]})."
        ) from None
    filled = pc.fill_null(lists, pa.scalar([], lists.type))
    lengths = pc.list_value_length(filled).to_numpy(zero_copy_only=False)
    values = pc.list_flatten(filled).to_numpy(zero_copy_only=False)
    bad = np.bincount(np.repeat(np.arange(len(lengths)), lengths), weights=~np.isfinite(values), minlength=len(lengths))
    missing = (bad > 0) | (lengths == 0)
    return pc.if_else(pa.array(missing), pa.scalar(None, lists.type), lists)


def plain_values(values: list[Any], kind: str, separator: str, where: str) -> pa.Array:
    """Values of Python in plain form; None is missing.

    Raises:
        DataError: a value that does not fit the kind.
    """
    try:
        if kind == "number":
            return _numbers(pa.array([None if v is None else float(v) for v in values], pa.float64()), where)
        if kind == "vector":
            split = [v.split(separator) if isinstance(v, str) else v for v in values]
            plain = [None if v is None else [float(number) for number in v] for v in split]
            return _number_lists(pa.array(plain, pa.list_(pa.float32())), separator, where)
        if kind in ("category", "text", "id"):
            return pa.array([None if v is None else _text(v) for v in values], pa.string())
        lists = [v.split(separator) if isinstance(v, str) else [str(tag) for tag in v or ()] for v in values]
        return _without_empty(pa.array(lists, pa.list_(pa.string())))
    except (TypeError, ValueError):
        raise DataError(f"{where}: expected a {kind}, got {values!r}.") from None


def _text(value: Any) -> str:
    """True is written as in a table: ``true``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
