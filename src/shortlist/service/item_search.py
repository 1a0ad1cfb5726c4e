"""Items as people look for them: by words of the title and the columns, by a tag, sorted, page by page."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shortlist.data.features import FIRST_VALUE
from shortlist.errors import QueryError, did_you_mean
from shortlist.recommender import Recommender
from shortlist.recommender.extended import ExtendedRecommender
from shortlist.recommender.item_map import colours

Sort = Literal["relevance", "popularity", "rarity", "title"]


class ItemSearch:
    """Search over one recommender's items.

    An item matches when its title, its id and its columns of words together hold every word of the search, whatever the
    case and the accents; where a word of the title begins counts more, then popularity. It scans all items.

    Args:
        recommender: whose items.
        artifact: search over the recommender before its items changed: its texts are taken over.
    """

    def __init__(self, recommender: Recommender, artifact: ItemSearch | None = None) -> None:
        self.recommender, log = recommender, recommender.dataset.interactions
        self._artifact = artifact
        self.popularity = np.bincount(log.item_idx[log.liked], minlength=recommender.dataset.num_items)
        self.feature, self._values, self._codes = colours(recommender)
        order = np.argsort(-self.popularity, kind="stable")
        self._by_popularity = order[~np.isin(order, list(recommender.withdrawn))] if recommender.withdrawn else order

    def find(
        self, search: str = "", tag: str | None = None, sort: Sort = "relevance", limit: int = 20, offset: int = 0
    ) -> tuple[list[dict[str, Any]], int]:
        """One page of the matches, and how many there are.

        Raises:
            QueryError: no item has such a tag.
        """
        words = plain(search).split()
        rows = self._by_popularity
        if tag is not None:
            rows = rows[self._tagged(tag)[rows]]
        if words:
            rows = self._matching(rows, words, ranked=sort == "relevance")
        if sort == "title":
            rows = rows[np.argsort(self._alphabetical[rows], kind="stable")]
        elif sort == "rarity":
            rows = rows[::-1]
        return self.shown(rows[offset : offset + limit]), len(rows)

    def shown(self, rows: NDArray[Any]) -> list[dict[str, Any]]:
        """Items as the page shows them."""
        ids, columns = self.recommender.dataset.items.ids_of(rows), self.recommender.display(rows)
        return [
            {"item_id": ids[n], **columns[n], "popularity": int(self.popularity[row])} for n, row in enumerate(rows)
        ]

    def tags(self, limit: int) -> list[dict[str, Any]]:
        """Values of the feature that filters, the most frequent first."""
        codes = self._codes.take(np.sort(self._by_popularity)).values  # of items that are not deleted
        counts = np.bincount(codes, minlength=len(self._values) + FIRST_VALUE)[FIRST_VALUE:]
        order = np.argsort(-counts, kind="stable")[:limit]
        return [{"value": self._values[one], "count": int(counts[one])} for one in order.tolist() if counts[one]]

    def _tagged(self, tag: str) -> NDArray[np.bool_]:
        if tag not in self._values:
            raise QueryError(
                f"tag: no item has {tag!r} in {self.feature or 'any tags'}; {did_you_mean(tag, self._values)}."
            )
        code = self._values.index(tag) + FIRST_VALUE
        has = np.zeros(len(self.popularity), dtype=bool)
        has[self._codes.row_of_value[self._codes.values == code]] = True
        return has

    def _matching(self, rows: NDArray[np.int64], words: list[str], *, ranked: bool) -> NDArray[np.int64]:
        begun = np.zeros(len(self.popularity), dtype=np.int64)
        matches = np.ones(len(self.popularity), dtype=bool)
        for word in words:
            begins, within = _holds(self._titles, f" {word}"), _holds(self._titles, word)
            matches &= within | _holds(self._columns, word)
            begun += 2 * begins + within
        rows = rows[matches[rows]]
        return rows[np.argsort(-begun[rows], kind="stable")] if ranked else rows

    @cached_property
    def _titles(self) -> pa.Array:
        """Each title and id in plain letters."""
        return self._patched("_titles", self._titles_of)

    @cached_property
    def _columns(self) -> pa.Array:
        """The words of each item's other columns in plain letters."""
        return self._patched("_columns", self._columns_of)

    def _patched(self, name: str, make: Callable[[pa.Table, list[Any]], pa.Array]) -> pa.Array:
        """Texts of all items, of which only those are made that the artifact has not."""
        recommender, dataset = self.recommender, self.recommender.dataset
        if self._artifact is None or not isinstance(recommender, ExtendedRecommender):
            return make(dataset.display, dataset.items.ids.to_pylist())
        patch = recommender.patch
        made = make(patch.shown, dataset.items.ids_of(np.append(patch.changed, patch.new)))
        return pa.concat_arrays([getattr(self._artifact, name), made]).take(pa.array(patch.source))

    def _titles_of(self, table: pa.Table, ids: list[Any]) -> pa.Array:
        titles = [f" {plain(title)} {one}" for title, one in zip(_written(table, ids), ids, strict=True)]
        return pa.array(titles, pa.string())  # of no title Arrow would make another type

    def _columns_of(self, table: pa.Table, ids: list[Any]) -> pa.Array:
        texts = [""] * len(ids)
        for name in table.column_names:
            column = table.column(name)
            if name == "title" or not _has_words(column.type):
                continue
            for row, value in enumerate(column.to_pylist()):
                texts[row] += f" {plain(' '.join(map(str, value)) if isinstance(value, list) else str(value or ''))}"
        return pa.array(texts, pa.string())

    @cached_property
    def _alphabetical(self) -> NDArray[np.int64]:
        """[N] place of each item by its title."""
        dataset = self.recommender.dataset
        titles = [plain(one).lstrip() for one in _written(dataset.display, dataset.items.ids.to_pylist())]
        order = np.argsort(np.array(titles, dtype=object), kind="stable")
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        return place


def _written(table: pa.Table, ids: list[Any]) -> list[str]:
    """Titles, or ids where there are none."""
    titles = table.column("title").to_pylist() if "title" in table.column_names else ids
    return [str(one if title is None else title) for title, one in zip(titles, ids, strict=True)]


def plain(text: str) -> str:
    """Letters and digits without case and accents; everything else is a space.

    >>> plain("Amélie (2001)")
    'amelie  2001 '
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c if c.isalnum() else " " for c in decomposed if not unicodedata.combining(c))


def _holds(texts: pa.Array, part: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.match_substring(texts, part).to_numpy(zero_copy_only=False)
    return found


def _has_words(kind: pa.DataType) -> bool:
    words = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return words or (pa.types.is_list(kind) and _has_words(kind.value_type))
