"""What every re-ranker promises, over random lists."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.reranking import Diversity, Freshness, Reranker, Rules, Slate
from shortlist.testing import check_reranker
from tests.reranking.worlds import MAKERS, World, worlds


@pytest.mark.parametrize("name", MAKERS)
@settings(deadline=None, max_examples=60)
@given(world=worlds(), strength=st.sampled_from([0.0, 0.01, 0.3, 0.7, 1.0]))
def test_every_re_ranker_keeps_the_contract(name: str, world: World, strength: float) -> None:
    reranker = MAKERS[name](world, strength)
    assert isinstance(reranker, Reranker)
    is_rules = name == "rules" and strength > 0
    forbidden = np.concatenate([world.slate.disliked, [3, 4]]).astype(np.int32) if is_rules else None
    check_reranker(reranker, world.slate, world.k, forbidden)
    allowed = len(world.slate) if forbidden is None else int((~np.isin(world.slate.item_idx, forbidden)).sum())
    assert len(reranker.rerank(world.slate, world.k).first(world.k)) == min(world.k, allowed)


@settings(deadline=None, max_examples=60)
@given(world=worlds(), names=st.lists(st.sampled_from(list(MAKERS)), max_size=4))
def test_steps_follow_one_another(world: World, names: list[str]) -> None:
    """Whatever comes first, what comes after it keeps the contract; without the rules nothing is lost."""
    slate = world.slate
    for name in names:
        slate = MAKERS[name](world, 0.5).rerank(slate, world.k)
        assert (np.diff(slate.relevance) <= 0).all()
    if "rules" not in names:
        assert sorted(slate.item_idx.tolist()) == sorted(world.slate.item_idx.tolist())
    else:
        assert not set(slate.item_idx.tolist()) & {*world.slate.disliked.tolist(), 3, 4}


@settings(deadline=None, max_examples=30)
@given(world=worlds(), name=st.sampled_from([one for one in MAKERS if one not in ("rules", "exploration")]))
def test_the_scale_of_scores_does_not_matter(world: World, name: str) -> None:
    reranker = MAKERS[name](world, 0.4)
    whole = np.round(world.slate.score * 8) / 8  # so that scaling is exact
    asker = {"liked": world.slate.liked, "disliked": world.slate.disliked, "time": world.slate.time}
    one = Slate.of(world.slate.item_idx, whole.astype(np.float32), **asker)
    other = Slate.of(world.slate.item_idx, (whole * 16 - 128).astype(np.float32), **asker)
    assert reranker.rerank(one, world.k).item_idx.tolist() == reranker.rerank(other, world.k).item_idx.tolist()


class _Loses:
    name, strength = "loses", 1.0

    def rerank(self, slate: Slate, k: int) -> Slate:
        return slate.first(k)


class _Repeats(_Loses):
    def rerank(self, slate: Slate, k: int) -> Slate:
        return slate.ordered(np.zeros(len(slate), dtype=np.int64))


@pytest.mark.parametrize(("broken", "message"), [(_Loses(), "left out"), (_Repeats(), "twice")])
def test_the_contract_can_fail(broken: Reranker, message: str) -> None:
    slate = Slate.of(np.arange(5, dtype=np.int32), -np.arange(5, dtype=np.float32))
    with pytest.raises(AssertionError, match=message):
        check_reranker(broken, slate, 3)


def test_an_empty_list_stays_empty() -> None:
    nothing = Slate.of(np.empty(0, np.int32), np.empty(0, np.float32))
    made: list[Callable[[], Reranker]] = [
        Rules,
        lambda: Freshness(np.empty(0)),
        lambda: Diversity(vectors=np.ones((3, 2))),
    ]
    assert all(len(make().rerank(nothing, 3)) == 0 for make in made)
