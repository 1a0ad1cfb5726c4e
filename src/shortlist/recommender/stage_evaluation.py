"""A holdout's queries led through the funnel, and what each stage made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.data.interactions import Interactions
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Holdout, Split
from shortlist.errors import SettingsError
from shortlist.evaluation.background import Background
from shortlist.evaluation.candidates import candidates_of
from shortlist.evaluation.stages import Pages, stage_by_stage
from shortlist.recommender.item_facts import ItemFacts
from shortlist.recommender.passage import Passage
from shortlist.recommender.recommender import Recommender
from shortlist.recommender.rerankers import rerankers_of
from shortlist.reranking import Reranker
from shortlist.retrieval import ScoredItems
from shortlist.settings import FreshnessSettings, RerankSettings

MOST_QUERIES = 5_000  # a sample of these is enough for stages: a paired difference of .002 in ndcg shows
_QUERIES_AT_ONCE = 1_024


@dataclass(frozen=True, eq=False)
class StagedHoldout:
    """Queries of a holdout with what the retriever and the ranker make of them, found once.

    Re-rankers may then be tried on them as often as one likes. What these know of items (popularity, first interactions)
    is counted from what the models learned from, and not from what came later.

    Args:
        recommender: whose funnel it is.
        holdout: the queries, or a sample of them.
        log: what the models learned from.
        k: places of the page.
        passages: of blocks of queries, without re-rankers.
    """

    recommender: Recommender
    holdout: Holdout
    log: Interactions
    k: int
    passages: tuple[tuple[NDArray[np.int64], Passage], ...]

    @classmethod
    def of(cls, recommender: Recommender, holdout: Holdout, log: Interactions, k: int) -> StagedHoldout:
        """Retrieve, and rank where there is a ranker; arguments as of the class."""
        passages, allowed = [], candidates_of(holdout)
        for start in range(0, len(holdout), _QUERIES_AT_ONCE):
            rows = np.arange(start, min(start + _QUERIES_AT_ONCE, len(holdout)))
            k_of = np.full(len(rows), k, dtype=np.int64)
            passages.append((rows, recommender.funnel.found(holdout.queries.take(rows), allowed.take(rows), k_of)))
        return cls(recommender, holdout, log, k, tuple(passages))

    def rerankers(self, steps: Sequence[RerankSettings]) -> tuple[Reranker, ...]:
        """Of these steps, knowing only what the models learned from."""
        return rerankers_of(steps, self.recommender.dataset, lambda: self.recommender.similarity_vectors, self.log)

    def reshaped(self, steps: Sequence[RerankSettings]) -> list[Passage]:
        """All blocks led on through re-rankers."""
        rerankers, funnel = self.rerankers(steps), self.recommender.funnel
        return [funnel.reshape(self.holdout.queries.take(rows), passage, rerankers) for rows, passage in self.passages]

    def pages(self) -> Pages:
        """Measures what comes out."""
        dataset = self.recommender.dataset
        background = Background.of(dataset, self.log, self.holdout)
        return Pages(self.holdout, background, dataset.num_items, self._came())

    def candidates(self) -> NDArray[np.int32]:
        """[Q, C] what the retriever hands on."""
        return padded([one for _, passage in self.passages for one in passage.stages[0].lists])

    def _came(self) -> NDArray[np.float64] | None:
        """When items came, as the freshness step sees it, where anything says so."""
        steps = [one for one in self.recommender.settings.rerank if isinstance(one, FreshnessSettings)]
        try:
            return ItemFacts("rerank", self.recommender.dataset, self.log).times(steps[0].date if steps else None)
        except SettingsError:
            return None


def evaluate_stages(recommender: Recommender, holdout: Holdout, log: Interactions) -> dict[str, Any]:
    """The report's ``stages``; empty where the retriever is alone.

    Args:
        recommender: any.
        holdout: a sample of 5,000 of its queries is asked where there are more.
        log: what the models learned from.
    """
    if recommender.funnel.ranker is None and not recommender.settings.rerank:
        return {}
    k, seed = page_length(recommender), recommender.settings.seed
    staged = StagedHoldout.of(recommender, holdout.sample(MOST_QUERIES, seed), log, k)
    passages = staged.reshaped(recommender.settings.rerank)
    names = passages[0].names()
    stages = [
        (name, padded([one for passage in passages for one in passage.stages[place].lists], k))
        for place, name in enumerate(names)
    ]
    return stage_by_stage(staged.pages(), staged.candidates(), stages, k, seed)


def page_length(recommender: Recommender) -> int:
    """The page that stages are judged by: the shortest list of ``[evaluation] k``."""
    return min(*recommender.settings.evaluation.k, recommender.dataset.num_items)


def learned_from(parts: Split, *, refit: bool) -> Interactions:
    """What the models of an artifact were fitted on."""
    return parts.train_and_valid if refit else parts.train


def padded(lists: Sequence[ScoredItems], width: int | None = None) -> NDArray[np.int32]:
    """[Q, width] item indices, −1 behind the last; by default as wide as the longest."""
    rows = Ragged.from_rows([one.item_idx for one in lists])
    longest = max(1, int(rows.lengths.max(initial=1)))
    made: NDArray[np.int32] = rows.padded(longest if width is None else width, fill=-1)
    return made
