"""Ids as sources write them → the ids of a vocabulary: integers where all are, else text."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from shortlist.errors import DataError

INTEGER = r"^(0|-?[1-9]\d{0,17})$"
"""How an id that is an integer is written: 7, not 007."""


def canonical_ids(ids: pa.Array, column: str) -> pa.Array:
    """Integers where every id is written as one, else text; never floating point."""
    if pa.types.is_integer(ids.type):
        return ids.cast(pa.int64())
    if pa.types.is_floating(ids.type):
        try:
            return ids.cast(pa.int64())
        except pa.ArrowInvalid:
            raise DataError(
                f"Column {column!r} holds fractions such as {ids[0].as_py()}; ids are integers or text."
            ) from None
    return ids.cast(pa.string())


def numbers_where_all_are(ids: pa.Array) -> pa.Array:
    """Ids of a text file become integers where every one of them is written as an integer is: 7, not 007."""
    plain = pc.match_substring_regex(ids, INTEGER)
    return ids.cast(pa.int64()) if pc.all(plain).as_py() else ids
