"""A recommender whose catalogue changed: it shares everything with the artifact's but what the change touches."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.base import Ranker
from shortlist.recommender.item_patch import ItemPatch
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.sources import SIMILAR_TO_LAST, SimilarToLast, Source
from shortlist.retrieval import Index, PatchedVectors, Vectors, directions, patched_index


class ExtendedRecommender(Recommender):
    """Answers as the artifact's recommender does, over the items as they are now; immutable like it.

    Args:
        base: the artifact's.
        patch: what changed.
        towered: whether the patch's vectors by the item tower are those of the base's retriever.
    """

    def __init__(self, base: Recommender, patch: ItemPatch, *, towered: bool = True) -> None:
        self.base, self.patch, self.withdrawn = base, patch, frozenset(patch.withdrawn.tolist())
        ranker = base.funnel.ranker
        if ranker is not None and patch.new_ids:
            ranker = RankerOfKnown(ranker, patch)
        retriever: Any = patch.retriever(base.retriever, towered=towered)
        vectors = retriever.encode_items()
        super().__init__(
            patch.dataset,
            retriever,
            base.settings,
            base.report,
            base.baselines,
            ranker=ranker,
            candidates=base.candidates,
            index=patched_index(base.index, vectors) if isinstance(vectors, PatchedVectors) else base.index,
        )

    @property
    def artifact(self) -> Recommender:
        """The recommender without the changes."""
        return self.base

    @cached_property
    def _directions(self) -> Vectors:
        """Rows of the artifact's directions, and of those that are other or new."""
        vectors = self.retriever.encode_items()
        if not isinstance(vectors, PatchedVectors):
            return self.base.similarity_vectors
        own = vectors.vectors[:, :-1] if self.retriever.has_item_bias else vectors.vectors
        return PatchedVectors(self.base.similarity_vectors, vectors.rows, directions(own))

    @cached_property
    def similarity_index(self) -> Index:
        """By cosine."""
        vectors = self._directions
        base = self.base.similarity_index
        return patched_index(base, vectors) if isinstance(vectors, PatchedVectors) else base

    def directions_of(self, item_idx: NDArray[Any]) -> Vectors:
        """Rows of ``similarity_vectors``."""
        return self._directions[item_idx]

    def _sources(self) -> list[Source]:
        sources = []
        for one in self.base.funnel.sources:
            if one.name == SIMILAR_TO_LAST:
                sources.append(Source(one.name, SimilarToLast(self._directions), self.similarity_index, one.quota))
                continue
            retriever = self.patch.retriever(one.retriever, towered=False)
            vectors = retriever.encode_items()
            index = patched_index(one.index, vectors) if isinstance(vectors, PatchedVectors) else one.index
            sources.append(Source(one.name, retriever, index, one.quota))
        return sources


class RankerOfKnown:
    """A ranker that knows the artifact's items alone: new ones keep the place among the others that the retriever gave them.

    It learned from what people took, and has seen nobody take these. Their score is between those of the items around them.

    Args:
        ranker: of the artifact.
        patch: with the new items.
    """

    def __init__(self, ranker: Ranker, patch: ItemPatch) -> None:
        self.ranker, self.patch, self.name = ranker, patch, ranker.name

    def score(
        self, queries: QueryBatch, candidates: Ragged, retrieved: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """See ``Ranker``; each query's candidates come best first."""
        queries = self.patch.known(queries)
        is_known = candidates.values < self.patch.num_known
        known = candidates.where(is_known)
        given = self.ranker.score(queries, known, None if retrieved is None else retrieved[is_known])
        if is_known.all():
            return given
        scores = np.empty(len(is_known), dtype=np.float32)
        scores[is_known] = given
        for row in np.unique(candidates.row_of_value[~is_known]).tolist():
            mine = slice(candidates.offsets[row], candidates.offsets[row + 1])
            scores[mine] = _between(scores[mine], is_known[mine])
        return scores


def _between(scores: NDArray[np.float32], is_known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Scores [n] by which, sorted, what is not known stands at its place in the list as given.

    >>> _between(np.float32([1, 0, 3, 0]), np.array([True, False, True, False])).tolist()
    [1.0, 2.0, 3.0, 0.5]
    """
    ranked = np.sort(scores[is_known])[::-1]
    places = np.flatnonzero(~is_known)
    if not len(ranked):
        return (-np.arange(len(scores))).astype(np.float32)
    ahead = places - np.arange(len(places))  # of the known ones
    upper = np.append(ranked[:1] + 1, ranked)[ahead]
    lower = np.append(ranked, ranked[-1] - 1)[ahead]
    out = scores.copy()
    out[places] = (upper + lower) / 2
    return out
