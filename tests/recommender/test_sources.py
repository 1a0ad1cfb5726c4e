"""Candidates from several models: shares, no repeats, and who gave what."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.data.dataset import Dataset
from shortlist.data.splitting import split
from shortlist.errors import SettingsError
from shortlist.models.base import Retriever
from shortlist.recommender import Query, Recommender, artifact
from shortlist.recommender.served_retriever import ServedRetriever
from shortlist.recommender.sources import SimilarToLast, merged
from shortlist.retrieval import ExactIndex, ScoredItems
from shortlist.retrieval.torch_exact import TorchIndex
from shortlist.settings import Settings
from shortlist.training.baselines import check_sources, fit_baselines
from shortlist.training.retrievers import fit_retriever, serve

FITTED = Settings.from_dict(
    {
        "retriever": {"model": "mf", "embedding_dim": 8},
        "evaluation": {"baselines": ["popularity", "ease"], "baseline_trials": 1},
    }
)


def found(items: list[int]) -> ScoredItems:
    return ScoredItems(np.array(items, np.int32), np.zeros(len(items), np.float32))


def with_sources(*sources: dict[str, Any]) -> Settings:
    return Settings.from_dict({**FITTED.to_dict(), "source": list(sources)})


@given(
    lists=st.lists(st.lists(st.integers(0, 30), unique=True, max_size=25), min_size=2, max_size=4),
    quotas=st.lists(st.integers(1, 9), min_size=4, max_size=4),
    wanted=st.integers(1, 40),
)
def test_merging_keeps_order_shares_and_no_repeats(lists: list[list[int]], quotas: list[int], wanted: int) -> None:
    """Against a loop that takes the item due next, and drops it where it was taken before."""
    quotas = quotas[: len(lists)]
    due = sorted(
        ((r + 0.5) / q, s, item)
        for s, (one, q) in enumerate(zip(lists, quotas, strict=True))
        for r, item in enumerate(one)
    )
    expected = list(dict.fromkeys(item for _, _, item in due))[:wanted]
    others = [[found([5, 6])]] * len(lists)
    answers = merged(
        [[found(one), *two] for one, two in zip(lists, others, strict=True)], quotas, np.array([wanted, 1])
    )
    assert answers[0].item_idx.tolist() == expected
    assert answers[1].item_idx.tolist() == [5], "queries do not mix"
    assert (np.diff(answers[0].score) < 0).all()


def test_every_beginning_of_the_list_has_its_shares() -> None:
    lists = [[found(list(range(100)))], [found(list(range(100, 200)))]]
    items = merged(lists, [3, 1], np.array([80]))[0].item_idx
    for n in range(1, 81):
        assert abs(np.count_nonzero(items[:n] < 100) - 0.75 * n) <= 1


@pytest.fixture(scope="module")
def fitted(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ServedRetriever]:
    parts, folder = split(world, FITTED.split), tmp_path_factory.mktemp("served")
    models: dict[str, Retriever] = dict(fit_baselines(world, parts, FITTED).retrievers)
    models["mf"] = fit_retriever(world, parts, FITTED).retriever
    return {name: serve(one, world, folder / name) for name, one in models.items()}


def recommender(world: Dataset, fitted: dict[str, ServedRetriever], *sources: dict[str, Any]) -> Recommender:
    others = {name: one for name, one in fitted.items() if name != "mf"}
    return Recommender(world, fitted["mf"], with_sources(*sources), None, others)


def test_answers_come_from_all_sources(world: Dataset, fitted: dict[str, ServedRetriever]) -> None:
    alone = recommender(world, fitted)
    several = recommender(world, fitted, {"model": "ease", "quota": 50}, {"model": "similar_to_last", "quota": 50})
    query = Query(user_id=3, k=8)
    answer = several.recommend(query)
    assert [item.places["retrieval"] for item in answer.items] == list(range(1, 9))
    own = [item.places["mf"] for item in answer.items]
    gave = {name: np.array([item.places[name] for item in answer.items]) for name in ("mf", "ease", "similar_to_last")}
    assert answer.stages["retrieve"]["sources"] == {name: int((one > 0).sum()) for name, one in gave.items()}
    assert (np.stack(list(gave.values())) > 0).any(axis=0).all(), "somebody gave it"
    first = {item.item_id: item.rank for item in alone.recommend(query).items}
    assert own == [first.get(item.item_id, 0) for item in answer.items], "places are those of the source alone"
    together = several.recommend_many([Query(user_id=5, k=3), query])[1]
    assert [(one.item_id, one.score) for one in together.items] == [(one.item_id, one.score) for one in answer.items]


def test_filters_hold_for_every_source(world: Dataset, fitted: dict[str, ServedRetriever]) -> None:
    several = recommender(
        world, fitted, {"model": "popularity", "quota": 99}, {"model": "similar_to_last", "quota": 99}
    )
    user = world.users.id(2)
    seen = {world.items.id(int(row)) for row in world.interactions.item_idx[several.history_rows(user)]}
    best = several.recommend(Query(user_id=user, k=5)).items[0].item_id
    answer = several.recommend(Query(user_id=user, k=world.num_items, exclude=[best]))
    assert {item.item_id for item in answer.items} == set(world.items.ids.to_pylist()) - seen - {best}


def test_similar_to_last_asks_with_the_newest_item(world: Dataset, fitted: dict[str, ServedRetriever]) -> None:
    several = recommender(world, fitted, {"model": "similar_to_last", "quota": 100})
    liked = world.items.ids.to_pylist()[:3]
    answer = several.recommend(Query(history=liked, k=4))
    similar = [one.item_id for one in several.similar(liked[-1], 9) if one.item_id not in liked]
    places = {item.item_id: item.places["similar_to_last"] for item in answer.items}
    assert [places[item] for item in similar if item in places][:2] == [1, 2]
    nobody = SimilarToLast(several.similarity_vectors).encode_queries(several.asking.batch([Query()], np.array([-1])))
    assert not nobody.any()


def test_a_source_is_added_without_training(world: Dataset, fitted: dict[str, ServedRetriever], tmp_path: Path) -> None:
    artifact.save(recommender(world, fitted, {"model": "ease"}), tmp_path / "a")
    loaded = artifact.load(tmp_path / "a")
    assert [source.name for source in loaded.funnel.sources] == ["ease"]
    with pytest.raises(SettingsError, match=r'"mf" is the \[retriever\] itself'):
        with_sources({"model": "mf"})
    with pytest.raises(SettingsError, match=r'"item_knn" is fitted as a baseline; add it to \[evaluation\] baselines'):
        with_sources({"model": "item_knn"})
    with pytest.raises(SettingsError, match="stands there twice"):
        with_sources({"model": "ease"}, {"model": "ease"})
    with pytest.raises(SettingsError, match="sum to 200 of 200 candidates"):
        with_sources({"model": "ease", "quota": 200})
    with pytest.raises(SettingsError, match=r"unknown setting 'source.0.quotas'; did you mean 'quota'"):
        with_sources({"model": "ease", "quotas": 1})
    with pytest.raises(SettingsError, match=r'"ease" is not in this artifact, which has popularity'):
        recommender(world, {name: one for name, one in fitted.items() if name != "ease"}, {"model": "ease"})
    too_small = FITTED.evaluation.model_copy(update={"baseline_max_items": 3})
    with pytest.raises(SettingsError, match=r'"ease" cannot be fitted: .* items by as many weights'):
        check_sources(world, with_sources({"model": "ease"}).model_copy(update={"evaluation": too_small}))


def test_other_indexes_search_all_sources(world: Dataset, fitted: dict[str, ServedRetriever]) -> None:
    sources = (
        {"model": "ease", "quota": 5},
        {"model": "popularity", "quota": 5},
        {"model": "similar_to_last", "quota": 5},
    )
    usual = recommender(world, fitted, *sources)
    other = usual.searched_in(partial(TorchIndex, device="cpu"))
    indexes = [other.index, other.funnel.index, other.similarity_index, *(one.index for one in other.funnel.sources)]
    assert [type(one) for one in indexes] == [TorchIndex] * 6
    assert isinstance(usual.similarity_index, ExactIndex), "what was copied stays as it was"
    queries = [Query(user_id=user, k=6) for user in range(10)]
    for one, same in zip(usual.search(queries), other.search(queries), strict=True):
        assert one.item_idx.tolist() == same.item_idx.tolist()
