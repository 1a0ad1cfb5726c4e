from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.ragged import Ragged
from shortlist.reranking import Boost, Rules, Slate
from shortlist.reranking.rules import pin, quota
from tests.reranking.worlds import World, worlds


def slate_of(n: int, **asker: object) -> Slate:
    return Slate.of(np.arange(n, dtype=np.int32), -np.arange(n, dtype=np.float32), **asker)


@settings(deadline=None)
@given(world=worlds(), strength=st.sampled_from([0.01, 0.5, 1.0]))
def test_what_is_disliked_or_blocked_never_appears(world: World, strength: float) -> None:
    blocked = np.array([1, 2, 8])
    got = Rules(strength, blocked, pinned=np.array([2, 9])).rerank(world.slate, world.k).item_idx.tolist()
    assert not set(got) & {*world.slate.disliked.tolist(), *blocked.tolist()}


@settings(deadline=None)
@given(world=worlds(), at_most=st.integers(1, 4))
def test_quotas_hold_where_they_can(world: World, at_most: int) -> None:
    slate, k = replace(world.slate, disliked=np.empty(0, np.int32)), world.k
    page = Rules(groups=world.tags, at_most=at_most).rerank(slate, k).item_idx[:k]
    chosen = quota(world.tags.take(slate.item_idx), at_most, k)
    counts = np.bincount(world.tags.take(page[: len(chosen)]).values, minlength=4)
    assert (counts <= at_most).all()
    assert len(page) == min(k, len(slate))  # filled with what is beyond the quota
    assert page[: len(chosen)].tolist() == slate.item_idx[chosen].tolist()


def test_strength_loosens_a_quota() -> None:
    groups = Ragged.from_rows([[0]] * 6 + [[1]] * 3 + [[2]] * 3)

    def of_first_group(strength: float) -> int:
        page = Rules(strength, groups=groups, at_most=2).rerank(slate_of(12), 6).item_idx[:6]
        return int((page < 6).sum())

    assert [of_first_group(s) for s in (1.0, 0.5, 0.25, 0.0)] == [2, 4, 5, 6]


def test_pins_stand_first_in_their_order() -> None:
    got = Rules(pinned=np.array([4, 99, 2])).rerank(slate_of(6), 3).item_idx
    assert got.tolist() == [4, 2, 0, 1, 3, 5]
    assert pin(np.arange(10), np.array([8]), 0.5).tolist().index(8) == 4  # half the way up


def test_a_pin_comes_before_a_quota() -> None:
    groups = Ragged.from_rows([[0], [0], [0], [1]])
    got = Rules(pinned=np.array([2]), groups=groups, at_most=1).rerank(slate_of(4), 2).item_idx
    assert got[:2].tolist() == [2, 3]


def test_disliked_is_out_even_where_it_is_pinned() -> None:
    got = Rules(pinned=np.array([4])).rerank(slate_of(5, disliked=np.array([4], np.int32)), 3).item_idx
    assert got.tolist() == [0, 1, 2, 3]


def test_boost() -> None:
    boosted = np.array([False, False, False, True, True])
    assert Boost(boosted, 1.0).rerank(slate_of(5), 5).item_idx.tolist() == [3, 4, 0, 1, 2]
    # relevance is 1, .75, .5, .25, 0: at 0.2 the fourth has .2 + .2 and the third .4
    assert Boost(boosted, 0.2).rerank(slate_of(5), 5).item_idx.tolist() == [0, 1, 2, 3, 4]
    assert Boost(boosted, 0.25).rerank(slate_of(5), 5).item_idx.tolist() == [0, 1, 3, 2, 4]
