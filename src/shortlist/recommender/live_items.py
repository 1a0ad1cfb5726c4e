"""Items that came, changed or went since the artifact was made, from their columns to a recommender that has them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shortlist.data.features import Column, take_rows
from shortlist.data.ragged import Ragged
from shortlist.errors import ItemError, PlacelessError
from shortlist.events.items import ItemChange
from shortlist.recommender.content_neighbours import ContentNeighbours, Near
from shortlist.recommender.extended import ExtendedRecommender
from shortlist.recommender.item_columns import ItemColumns
from shortlist.recommender.item_patch import ItemPatch
from shortlist.recommender.item_tower import ItemTower
from shortlist.recommender.recommender import Recommender

LOG = logging.getLogger("shortlist.recommender")
PlacedBy = Literal["training", "item_tower", "content_neighbours"]


@dataclass
class _Read:
    """A change of an item as an artifact takes it."""

    revision: int
    columns: dict[str, Any]
    is_possible: bool
    near: Near | None = None


class LiveItems:
    """Lays changes of items over one artifact.

    A new item gets its vector from the artifact's item tower, where it has one; else it is put among its nearest items by
    content (``ContentNeighbours``), with their direction and length. An item of the artifact keeps its learned vector when its
    columns change, unless a tower can tell it anew.

    Args:
        recommender: of the artifact.
    """

    def __init__(self, recommender: Recommender) -> None:
        self.recommender, dataset = recommender, recommender.dataset
        self.columns = ItemColumns(dataset, recommender.settings)
        self.tower = ItemTower.found(recommender.retriever.folder, dataset.schema)
        self._read: dict[str, _Read] = {}

    def check(self, item_id: str, given: Any) -> dict[str, Any]:
        """Columns that somebody wrote, checked, of an item that the artifact can have.

        Raises:
            ItemError: the id or a column cannot be used; names it.
            PlacelessError: the artifact knows nothing of items by which a new one could be placed.
        """
        items = self.recommender.dataset.items
        columns = self.columns.check(given)
        if not self._fits(item_id):
            raise ItemError(
                f"item_id: the items of this artifact have whole numbers of 64 bits as ids (as {items.id(0)}), got "
                f"{item_id[:80]!r}."
            )
        if item_id in items or self.columns.place(columns):
            return columns
        if not self.columns.features:
            raise PlacelessError(
                "This artifact knows no features of items, so that nothing says where a new one belongs. Name some under "
                "[features.item] and train anew; until then only items it was trained with can be changed."
            )
        raise ItemError(
            f"{', '.join(self.columns.features)}: all are missing. A new item needs one at least, which says where it belongs."
        )

    def placed_by(self, item_id: str) -> PlacedBy:
        """What an item's vector comes from."""
        is_known = item_id in self.recommender.dataset.items
        if self.tower is not None and not (is_known and self.tower.smoothed):
            return "item_tower"
        return "training" if is_known else "content_neighbours"

    def over(self, changes: Sequence[ItemChange]) -> Recommender:
        """The recommender with the last word on each item; the artifact's own where there is none.

        What the artifact cannot have (an id of another type, nothing to place it by) is left out, and said in the log.

        Args:
            changes: one an item, in the order of their revisions.
        """
        rows = self.recommender.dataset.items.rows([one.item_id for one in changes]).tolist()
        gone = [row for row, one in zip(rows, changes, strict=True) if row >= 0 and one.columns is None]
        there = [(row, one) for row, one in zip(rows, changes, strict=True) if one.columns is not None]
        self._read = {one.item_id: self._as_read(one) for _, one in there}
        changed = sorted(((row, one) for row, one in there if row >= 0), key=lambda pair: pair[0])
        new = [one for row, one in there if row < 0 and self._read[one.item_id].is_possible]
        if not (gone or changed or new):
            return self.recommender
        patch = self._patch(np.array([row for row, _ in changed], np.int64), [one for _, one in changed], new, gone)
        return ExtendedRecommender(self.recommender, patch)

    def _as_read(self, one: ItemChange) -> _Read:
        """A change as this artifact takes it; one that was read before is remembered."""
        known = self._read.get(one.item_id)
        if known is not None and known.revision == one.revision:
            return known
        columns, fits = self.columns.fitting(one.columns or {}), self._fits(one.item_id)
        is_possible = fits and self.columns.place(columns)
        if not is_possible and one.item_id not in self.recommender.dataset.items:
            reason = "none of its features is known here" if fits else "ids are whole numbers here"
            LOG.warning("an item that was put does not fit this artifact and is left out: %s", reason)
        return _Read(one.revision, columns, is_possible)

    def _fits(self, item_id: str) -> bool:
        """Whether it can be an id here."""
        items = self.recommender.dataset.items
        typed = items.typed(item_id)
        return not items.is_integer or (isinstance(typed, int) and -(2**63) <= typed < 2**63)

    def _patch(
        self, changed: NDArray[np.int64], others: Sequence[ItemChange], new: Sequence[ItemChange], gone: Sequence[int]
    ) -> ItemPatch:
        dataset = self.recommender.dataset
        columns = [self._read[one.item_id].columns for one in (*others, *new)]
        shown, features = self.columns.encoded(columns)
        of_new = take_rows(features, len(others) + np.arange(len(new)))
        tells_known = self.tower is not None and not self.tower.smoothed
        placed, telling = (changed, features) if tells_known else (changed[:0], of_new)
        told = np.append(placed, np.full(len(new), -1))
        near = self._neighbours(new, of_new)
        return ItemPatch(
            artifact=dataset,
            changed=changed,
            new_ids=tuple(dataset.items.typed(one.item_id) for one in new),
            shown=shown,
            features=features,
            windows=self.columns.windows(columns),
            arrived=np.array([one.changed_at for one in new], dtype=np.float64),
            withdrawn=np.array(gone, dtype=np.int64),
            neighbours=Ragged.from_rows([one.rows for one in near]),
            weights=np.concatenate([np.empty(0, np.float32), *(one.weights for one in near)]),
            ordinary=self._content.rows if new else np.empty(0, np.int64),
            placed=placed,
            towered=None if self.tower is None or not len(told) else self.tower.encode(telling, told),
        )

    def _neighbours(self, new: Sequence[ItemChange], features: Mapping[str, Column]) -> list[Near]:
        """Of the new items; those that were found before are remembered."""
        read = [self._read[one.item_id] for one in new]
        missing = [n for n, one in enumerate(read) if one.near is None]
        if missing:
            found = self._content.of(take_rows(features, np.array(missing)), len(missing))
            for n, near in zip(missing, found, strict=True):
                read[n].near = near
        return [one.near for one in read if one.near is not None]

    @cached_property
    def _content(self) -> ContentNeighbours:
        return ContentNeighbours(self.recommender.dataset)
