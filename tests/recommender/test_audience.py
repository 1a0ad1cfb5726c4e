"""Who would like an item: those of its taste who have not taken it."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.errors import UnknownIdError
from shortlist.recommender import Query, Recommender
from shortlist.recommender.audience import Audience
from shortlist.settings import Settings
from shortlist.training.retrievers import fit_retriever, serve


@pytest.fixture(scope="module", params=["mf", "item_knn"])
def recommender(
    request: pytest.FixtureRequest, world: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Recommender:
    size = {"embedding_dim": 2} if request.param == "mf" else {}
    settings = Settings.from_dict({"retriever": {"model": request.param, **size}})
    fitted = fit_retriever(world, split(world, settings.split), settings).retriever
    return Recommender(world, serve(fitted, world, tmp_path_factory.mktemp("audience") / "r"), settings)


def takers(world: Dataset, item_id: int) -> set[int]:
    log = world.interactions
    users = log.user_idx[log.item_idx == world.items.row(item_id)]
    return set(world.users.ids_of(users))


@pytest.mark.parametrize("item_id", [100, 101, 117])
def test_people_of_its_taste_who_have_it_not(recommender: Recommender, item_id: int) -> None:
    fans = Audience(recommender).of(item_id, 6)
    assert len(fans) == 6
    assert all(fan.user_id % 2 == item_id % 2 for fan in fans), "taste is the parity of the user's id"  # type: ignore[operator]
    assert not {fan.user_id for fan in fans} & takers(recommender.dataset, item_id)
    assert [fan.lift for fan in fans] == sorted((fan.lift for fan in fans), reverse=True)


def test_score_and_place_are_those_of_their_lists(recommender: Recommender) -> None:
    for fan in Audience(recommender).of(104, 3):
        answer = recommender.recommend(Query(user_id=fan.user_id, k=28), explain=False)
        listed = {item.item_id: item for item in answer.items}
        assert listed[104].score == pytest.approx(fan.score, rel=1e-4)
        better = sum(item.score > listed[104].score for item in answer.items)
        assert fan.place == better + 1
        assert fan.history_length == 12


def test_bounds(recommender: Recommender) -> None:
    few = Audience(recommender, max_users=10)
    asked = set(recommender.dataset.users.ids_of(np.arange(10)))
    fans = few.of(100, 60)
    assert {fan.user_id for fan in fans} == asked - takers(recommender.dataset, 100)
    with pytest.raises(UnknownIdError):
        few.of(7)
