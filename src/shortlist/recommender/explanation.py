"""What scores are the sum of: score(query) − score(nothing known) = Σ contributions, for every model.

**Exact where the query's vector is a sum over the history** (``history_shares``): EASE and item neighbours, Σ_i w_i; matrix
factorization, whose vector is A⁻¹ Σ_i v_i with A fixed by the history as a whole, so that item i adds ⟨A⁻¹ v_i, h⟩ (Hu,
Koren, Volinsky 2008, section 5).

**By occlusion elsewhere**, which asks nothing of a network but its answers. What is known of a query falls into groups: the
liked items, the disliked ones, each feature, the moment. A group gets the mean of what it adds when they come one after
the other, in order and in reverse, beginning with nothing: each order's differences add up to the whole. Within the liked
items, item i gets

    Δ_i + (φ − Σ_j Δ_j) / n         Δ_i = score − score without item i,   φ what the liked items add together

its own leave-one-out difference and an equal part of what no item brings alone (the egalitarian non-separable contribution;
Moulin 1985, Driessen and Funaki 1991). For a mean of history vectors it is nearly what the mean itself
says, x_i / n. It costs one
pass of the encoder over at most ``MAX_NAMED`` + 2 · groups + 1 queries. Shapley values by as many sampled orders are far
noisier: every order gives its first item the jump from nothing to something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.data.feature_spec import FeatureSpec
from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.models.base import Ranker, Retriever
from shortlist.models.boosted_trees import BoostedTrees
from shortlist.models.deep_cross import DeepCross
from shortlist.models.ncf import NCF
from shortlist.models.pair_features import standing
from shortlist.recommender.attribution import PartKind
from shortlist.recommender.occlusion import Known, Part, known_of
from shortlist.recommender.passage import places_of
from shortlist.retrieval import ScoredItems, dot

MAX_NAMED = 40  # liked items that are told apart; all others are one part
_NOTHING = 1e-6  # of the largest score: less is rounding

Values = NDArray[np.float64]
Scores = Callable[[QueryBatch, NDArray[np.bool_]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Explained:
    """The scores one model gave k items, taken apart.

    Args:
        model: its name.
        score: [k].
        baseline: [k].
        parts: P of them.
        contributions: [P, k]; with the baseline they add up to the score.
    """

    model: str
    score: Values
    baseline: Values
    parts: tuple[Part, ...]
    contributions: Values

    def tidy(self) -> Explained:
        """Without the parts that change nothing."""
        size = max(float(np.abs(self.score).max(initial=0)), float(np.abs(self.baseline).max(initial=0)))
        matters = np.abs(self.contributions).max(axis=1, initial=0) > _NOTHING * size
        parts = tuple(part for part, keep in zip(self.parts, matters, strict=True) if keep)
        return Explained(self.model, self.score, self.baseline, parts, self.contributions[matters])


def explain_retriever(
    retriever: Retriever, query: QueryBatch, item_idx: NDArray[np.int32], specs: Sequence[FeatureSpec]
) -> Explained:
    """What a retriever's scores are the sum of.

    Args:
        retriever: encodes the query; with ``history_shares`` its sum is taken apart as it is.
        query: one query.
        item_idx: [k] items.
        specs: the query's features.
    """
    items = retriever.encode_items()[item_idx]
    shares = getattr(retriever, "history_shares", None)
    if shares is not None:
        nobody = QueryBatch(Ragged.empty(1), Ragged.empty(1))
        baseline, score = (dot(retriever.encode_queries(one), items)[0].astype(np.float64) for one in (nobody, query))
        history, vectors = shares(query)
        added = dot(vectors, items).astype(np.float64) if len(history.values) else np.zeros((0, len(item_idx)))
        return Explained(retriever.name, score, baseline, *_gathered(history.values, added)).tidy()

    def scores(queries: QueryBatch, _: NDArray[np.bool_]) -> NDArray[np.float32]:
        return dot(retriever.encode_queries(queries), items)

    window = getattr(retriever, "max_history", None)
    known = known_of(
        query, specs, MAX_NAMED, window, time_counts=any(one.computed not in (None, "history_count") for one in specs)
    )
    return by_occlusion(retriever.name, known, scores)


def explain_ranker(
    ranker: Ranker, query: QueryBatch, found: ScoredItems, item_idx: NDArray[np.int32], specs: Sequence[FeatureSpec]
) -> Explained | None:
    """What a ranker's scores are the sum of; None where it had none to give, or is of a kind that cannot be asked.

    A feature ranker also looks at how the items came out of retrieval: a group of its own, which is taken away by the mean
    of the candidates.

    Args:
        ranker: as served.
        query: one query.
        found: what retrieval gave the ranker.
        item_idx: [k] items of it.
        specs: the query's features.
    """
    model = getattr(ranker, "ranker", ranker)
    if isinstance(model, NCF):
        return _of_ids(model, query, item_idx)
    if not isinstance(model, DeepCross | BoostedTrees):
        return None
    stood = standing(Ragged.from_rows([found.item_idx]), found.score)
    mean = np.array([0, stood[:, 1].mean()], dtype=np.float32)
    own = stood[places_of(found.item_idx, item_idx) - 1]

    def scores(queries: QueryBatch, retrieved: NDArray[np.bool_]) -> NDArray[np.float32]:
        candidates = Ragged.from_rows([item_idx] * len(queries))
        stands = np.where(retrieved[:, None, None], own, mean).reshape(-1, 2)
        return model.score_as(queries, candidates, stands).reshape(len(queries), -1)

    known = known_of(query, specs, MAX_NAMED, model.features.max_history, time_counts=True, retrieved=True)
    return by_occlusion(model.name, known, scores)


def by_occlusion(model: str, known: Known, scores: Scores) -> Explained:
    """Groups in both orders, liked items within theirs; see the module.

    Args:
        model: its name.
        known: what can be taken away from the query.
        scores: [E, k] of E variants of the query, and of each whether retrieval is known.
    """
    number, named = len(known.groups), len(known.liked)
    first = np.tri(number, dtype=bool)[:-1]  # row g: the groups 0 to g
    whole = np.ones((1, number), dtype=bool)
    on = np.concatenate([whole, ~whole, first, ~first, np.repeat(whole, named, axis=0)])
    lacks = np.concatenate([np.full(len(on) - named, -1), np.arange(named)])
    given = scores(known.variants(on, lacks), known.has("retrieval", on)).astype(np.float64)
    score, nothing = given[0], given[1]
    upward = np.concatenate([given[1:2], given[2 : 2 + len(first)], given[:1]])
    downward = np.concatenate([given[:1], given[2 + len(first) : 2 + 2 * len(first)], given[1:2]])
    of_group = (np.diff(upward, axis=0) - np.diff(downward, axis=0)) / 2 if number else np.zeros((0, len(score)))
    is_history = np.array([group.kind == "liked" for group in known.groups], dtype=bool)
    others = tuple(group for group in known.groups if group.kind != "liked")
    alone = score - given[len(given) - named :]
    left = of_group[is_history].sum(axis=0) - alone.sum(axis=0)
    of_liked = alone + known.weights[:, None] * left
    contributions = np.concatenate([of_liked, of_group[~is_history]])
    return Explained(model, score, nothing, (*known.liked, *others), contributions).tidy()


def _of_ids(ranker: NCF, query: QueryBatch, item_idx: NDArray[np.int32]) -> Explained | None:
    """Of a ranker that knows people by their id: what their own vector changes against the mean of all."""
    user = -1 if query.user_idx is None else int(query.user_idx[0])
    if not ranker.knows(np.array([user]))[0]:
        return None
    score = ranker.score_pairs(np.full(len(item_idx), user), item_idx).astype(np.float64)
    baseline = ranker.score_mean_user(item_idx).astype(np.float64)
    return Explained(ranker.name, score, baseline, (Part("user"),), (score - baseline)[None])


def _gathered(history: NDArray[np.int32], added: Values) -> tuple[tuple[Part, ...], Values]:
    """The liked items that matter most for any of the k items, and the others together."""
    kind: PartKind = "liked"
    order = np.argsort(-np.abs(added).max(axis=1, initial=0), kind="stable")
    kept, rest = np.sort(order[:MAX_NAMED]), order[MAX_NAMED:]
    parts = [Part(kind, item=int(item)) for item in history[kept]]
    if not len(rest):
        return tuple(parts), added[kept]
    return (*parts, Part(kind, count=len(rest))), np.concatenate([added[kept], added[rest].sum(axis=0)[None]])
