"""Outside id ⇄ row. The only place where an outside id becomes an index."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, MutableMapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shortlist.errors import DataError, UnknownIdError

OutsideId = int | str


class Vocabulary:
    """The known ids of one kind, in a fixed order; row ``i`` is the ``i``-th id.

    Ids are integers or strings. Where an id arrives as the other type (a number in a URL is a string)
    it is read as the vocabulary's own type.

    Args:
        ids: the distinct ids; preparation orders them by count (descending), then by id.
        kind: what they name, for messages: ``"user"`` or ``"item"``.

    Raises:
        DataError: an id is missing or stands there twice.

    >>> v = Vocabulary([10, 7, 3], kind="item")
    >>> v.rows(["7", 99, 10]).tolist(), v.id(2), len(v)
    ([1, -1, 0], 3, 3)
    """

    def __init__(self, ids: pa.Array | Sequence[OutsideId], kind: str = "item") -> None:
        array = ids if isinstance(ids, pa.Array) else pa.array(list(ids))
        integers = pa.types.is_integer(array.type)
        self.ids: pa.Array = array.cast(pa.int64() if integers else pa.string())
        self.kind = kind
        if self.ids.null_count:
            raise DataError(f"The {kind} vocabulary holds {self.ids.null_count} missing ids; every id needs a value.")
        if len(self.ids) != pc.count_distinct(self.ids).as_py():
            raise DataError(f"The {kind} vocabulary holds an id twice; ids have to be distinct.")

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, outside_id: object) -> bool:
        return self._normalise(outside_id) in self._row_of_id

    @property
    def is_integer(self) -> bool:
        """Whether the ids are integers (else strings)."""
        return bool(pa.types.is_integer(self.ids.type))

    @cached_property
    def _row_of_id(self) -> MutableMapping[Any, int]:
        return {outside_id: row for row, outside_id in enumerate(self.ids.to_pylist())}

    def _normalise(self, outside_id: object) -> OutsideId | None:
        if isinstance(outside_id, bool):
            return None
        if not self.is_integer:
            return str(outside_id) if isinstance(outside_id, (str, int)) else None
        try:
            number = int(outside_id) if isinstance(outside_id, (str, int, np.integer)) else None
        except ValueError:
            return None
        # "007" and " 7" are other strings than "7": they must not silently become item 7
        return number if not isinstance(outside_id, str) or str(number) == outside_id else None

    def typed(self, outside_id: OutsideId) -> OutsideId:
        """An id, known or not, in the vocabulary's own type where it can be.

        >>> Vocabulary([10]).typed("7"), Vocabulary([10]).typed("007"), Vocabulary(["a"]).typed(7)
        (7, '007', '7')
        """
        found = self._normalise(outside_id)
        return str(outside_id) if found is None else found

    def extended(self, ids: Sequence[OutsideId]) -> Vocabulary:
        """With further ids, of its own type and not in it, behind those it has; what it knows is not copied.

        >>> Vocabulary([10, 7]).extended([3]).rows([3, "7"]).tolist()
        [2, 1]
        """
        other = copy(self)
        other.ids = pa.concat_arrays([self.ids, pa.array(ids, self.ids.type)])
        further = {one: len(self) + place for place, one in enumerate(ids)}
        other.__dict__["_row_of_id"] = ChainMap(further, self._row_of_id)
        return other

    def rows(self, outside_ids: Iterable[object]) -> NDArray[np.int32]:
        """Rows of a few ids; -1 where unknown. For whole columns join tables instead."""
        table = self._row_of_id
        return np.array([table.get(self._normalise(one), -1) for one in outside_ids], dtype=np.int32)

    def rows_of_own(self, ids: Iterable[OutsideId]) -> list[int]:
        """``rows`` of ids that are of the vocabulary's own type already, as it gives them out; for hot paths.

        >>> Vocabulary([10, 7]).rows_of_own([7, 3])
        [1, -1]
        """
        row_of = self._row_of_id.get
        return [row_of(one, -1) for one in ids]

    def row(self, outside_id: object) -> int:
        """Row of one id.

        Raises:
            UnknownIdError: the id is not in the vocabulary.
        """
        row = self._row_of_id.get(self._normalise(outside_id), -1)
        if row < 0:
            example = self.ids[0].as_py() if len(self) else None
            raise UnknownIdError(
                f"There is no {self.kind} {outside_id!r} among the {len(self):,} known {self.kind}s "
                f"(ids look like {example!r})."
            )
        return row

    def id(self, row: int) -> OutsideId:
        """Outside id of one row."""
        outside_id: OutsideId = self.ids[int(row)].as_py()
        return outside_id

    def ids_of(self, rows: NDArray[Any]) -> list[OutsideId]:
        """Outside ids of many rows."""
        found: list[OutsideId] = self.ids.take(pa.array(np.asarray(rows, dtype=np.int64))).to_pylist()
        return found
