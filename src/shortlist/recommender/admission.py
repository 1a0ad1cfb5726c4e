"""Everything that keeps items from a query's list, compiled to one value of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import narwhals as nw
import numpy as np
import pyarrow as pa
from narwhals.exceptions import NarwhalsError
from numpy.typing import NDArray

from shortlist.data.conditions import parse, to_expression
from shortlist.data.dataset import Dataset
from shortlist.data.moments import Times
from shortlist.data.ragged import Ragged
from shortlist.data.vocabulary import OutsideId
from shortlist.errors import ConditionError, QueryError
from shortlist.recommender.filters import Filter
from shortlist.recommender.query import Query
from shortlist.retrieval import BitmapCache, Candidates
from shortlist.retrieval.filters import ALL, NONE, open_at


class Admission:
    """Compiles the filters of queries over one data set; conditions, lists and periods it has met come from a cache.

    Args:
        dataset: whose items are asked for.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.bitmaps = BitmapCache()
        self._columns = nw.from_native(dataset.display, eager_only=True)

    def candidates(
        self, queries: Sequence[Query], times: Times, seen: Ragged, disliked: Ragged, *, keep_seen: bool
    ) -> Candidates:
        """What may come back to each of B queries.

        Args:
            queries: what they exclude, allow and ask for.
            times: [B] when they are asked, milliseconds since 1970.
            seen, disliked: items of each query's user and history.
            keep_seen: whether seen items may come back to all of them.

        Raises:
            QueryError: an unknown item, or a condition that no item meets.
            ConditionError: a condition that cannot be read or does not fit the columns.
        """
        keeps = np.array([keep_seen or query.seen == "keep" for query in queries])
        excluded = Ragged.from_rows([self.rows(query.exclude, "exclude") for query in queries])
        removed = seen.where(~keeps[seen.row_of_value])
        candidates = Candidates(excluded.concat_rows(removed).concat_rows(disliked))
        if self.dataset.availability is not None:
            candidates &= self.available(times)
        if any(query.allow is not None for query in queries):
            candidates &= self._allowed(queries)
        if any(query.where for query in queries):
            candidates &= self._met(queries, seen)
        return candidates

    def available(self, times: Times) -> Candidates:
        """What is available at the time [B] of each query."""
        availability = self.dataset.availability
        return (
            Candidates(Ragged.empty(len(times))) if availability is None else open_at(availability, times, self.bitmaps)
        )

    def rows(self, item_ids: Sequence[OutsideId], field: str) -> NDArray[np.int32]:
        """Indices of items.

        Raises:
            QueryError: names the field and the unknown ids.
        """
        rows = self.dataset.items.rows(item_ids)
        unknown = [str(one) for one, row in zip(item_ids, rows, strict=True) if row < 0]
        if unknown:
            example = ", ".join(
                str(one) for one in self.dataset.items.ids_of(np.arange(min(3, self.dataset.num_items)))
            )
            raise QueryError(
                f"{field}: {len(unknown)} of {len(item_ids)} items are not known ({', '.join(unknown[:5])}). Expected ids of the "
                f"{self.dataset.num_items:,} items of this recommender, such as {example}. Leave the others out."
            )
        return rows

    def _allowed(self, queries: Sequence[Query]) -> Candidates:
        lists = Ragged.from_rows([self.rows(query.allow or (), "allow") for query in queries])
        has_list = np.array([query.allow is not None for query in queries])
        return Candidates(lists, bitmap=np.where(has_list, NONE, ALL))

    def _met(self, queries: Sequence[Query], seen: Ragged) -> Candidates:
        """What meets each query's condition; queries with the same one are answered together."""
        queries_of: dict[Filter | None, list[int]] = {}
        for number, query in enumerate(queries):
            where = Filter.where(query.where) if query.where and isinstance(query.where, str) else query.where
            queries_of.setdefault(where or None, []).append(number)
        parts = []
        for where, numbers in queries_of.items():
            if where is None:
                parts.append(Candidates(Ragged.empty(len(numbers))))
                continue
            part = self._compiled(where, seen.take(np.array(numbers)))
            if not where.asks_who and not self._is_met(part):
                raise QueryError(f"where: no item of {self.dataset.num_items:,} meets '{where}'. Widen the condition.")
            parts.append(part)
        place = np.argsort(np.concatenate([np.array(numbers) for numbers in queries_of.values()]))
        return Candidates.concatenated(parts).take(place)

    def _is_met(self, same: Candidates) -> bool:
        """Whether any item is in the set that all queries have; bits beyond the corpus mean nothing."""
        one = same.take(np.array([0]))
        return bool(one.bitmaps[:, :-1].any() or one.mask(self.dataset.num_items).any())

    def _compiled(self, where: Filter, seen: Ragged) -> Candidates:
        if where.kind == "seen":
            return Candidates.only(seen)
        if not where.parts:
            bitmap = self.bitmaps.get(where, lambda: self._mask(where))
            return Candidates(Ragged.empty(len(seen)), bitmaps=bitmap[None], bitmap=np.zeros(len(seen), np.int64))
        parts = [self._compiled(part, seen) for part in where.parts]
        if where.kind == "not":
            return ~parts[0]
        return parts[0] & parts[1] if where.kind == "and" else parts[0] | parts[1]

    def _mask(self, where: Filter) -> NDArray[np.bool_]:
        """[N] what a condition or a list of ids admits."""
        mask = np.zeros(self.dataset.num_items, dtype=bool)
        if where.kind == "items":
            mask[self.rows(where.ids, "where items")] = True
        else:
            expression = to_expression(parse(where.text), self._columns.schema, where.text)
            try:
                mask[:] = self._columns.select(expression.alias("met"))["met"].to_numpy()
            except (pa.ArrowException, NarwhalsError) as error:
                raise ConditionError(f"The condition does not fit its columns ({error}): {where.text}") from None
        return mask
