"""GMF, MLP and NeuMF answer without PyTorch as their modules do, and learn a planted answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.splitting import Split, split
from shortlist.models.base import Ranker
from shortlist.models.ncf import NCF
from shortlist.models.ncf_network import NCFNetwork, join
from shortlist.recommender.served_ranker import load_ranker, save_ncf
from shortlist.settings import NCFSettings, SplitSettings
from shortlist.testing import check_ranker
from shortlist.training.ncf_training import fit_ncf

SHAPES = [("gmf", 2), ("mlp", 1), ("mlp", 2), ("mlp", 3), ("neumf", 1), ("neumf", 2), ("neumf", 3)]
LEARNED = {
    "gmf": {"model": "gmf"},
    "mlp": {"model": "mlp"},
    "neumf": {"model": "neumf"},
    "neumf, pre-trained": {"model": "neumf", "pretrained": True},
}


def network(model: str, layers: int = 2, users: int = 7, items: int = 9) -> NCFNetwork:
    """With weights as large as trained ones."""
    torch.manual_seed(0)
    made = NCFNetwork(users, items, NCFSettings(model=model, embedding_dim=4, tower_layers=layers))  # type: ignore[arg-type]
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    return made


@pytest.fixture(scope="module")
def parts(world: Dataset) -> Split:
    return split(world, SplitSettings())


@pytest.fixture(scope="module")
def fitted(world: Dataset, parts: Split) -> dict[str, NCF]:
    shared = {"embedding_dim": 8, "batch_size": 64, "learning_rate": 0.03, "epochs": 15, "average": 0.9}
    return {
        name: fit_ncf(parts.train, world.num_items, NCFSettings(**shared, **given), None, seed=0)[0]  # type: ignore[arg-type]
        for name, given in LEARNED.items()
    }


@pytest.mark.parametrize(("model", "layers"), SHAPES)
def test_answers_as_the_module_without_torch(model: str, layers: int) -> None:
    made = network(model, layers)
    user, item = np.repeat(np.arange(7), 9), np.tile(np.arange(9), 7)
    with torch.no_grad():
        expected = made(torch.from_numpy(user), torch.from_numpy(item)).numpy()
    ncf = NCF(model, made.folded())
    np.testing.assert_allclose(ncf.score_pairs(user, item), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.stack(list(ncf.score_corpus(np.arange(7)))).ravel(), expected, rtol=1e-4, atol=1e-5)


def test_scores_in_parts_as_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    ncf = NCF("neumf", network("neumf", 3).folded())
    user, item = np.repeat(np.arange(7), 9), np.tile(np.arange(9), 7)
    whole, corpus = ncf.score_pairs(user, item), np.stack(list(ncf.score_corpus(np.arange(7))))
    monkeypatch.setattr("shortlist.models.ncf._PAIRS_AT_ONCE", 4)
    np.testing.assert_allclose(ncf.score_pairs(user, item), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.stack(list(ncf.score_corpus(np.arange(7)))), corpus, rtol=1e-5, atol=1e-6)


def test_the_tower_halves() -> None:
    made = NCFNetwork(3, 5, NCFSettings(model="neumf", embedding_dim=64, tower_layers=3))
    assert [tuple(one.weight.shape) for one in made.tower] == [(256, 512), (128, 256), (64, 128)]  # type: ignore[union-attr]
    assert made.mlp_users.shape == (3, 256)
    assert made.gmf_users.shape == (3, 64)


def test_joined_halves_answer_their_mean() -> None:
    gmf, mlp, joined = network("gmf"), network("mlp"), network("neumf")
    pairs = torch.tensor([0, 3, 6]), torch.tensor([8, 1, 4])
    with torch.no_grad():
        join(gmf, mlp, joined, 0.5)
        torch.testing.assert_close(joined(*pairs), (gmf(*pairs) + mlp(*pairs)) / 2)
        join(gmf, mlp, joined, 0.25)
        torch.testing.assert_close(joined(*pairs), 0.25 * gmf(*pairs) + 0.75 * mlp(*pairs))


@pytest.mark.parametrize("name", LEARNED)
def test_keeps_the_contract(name: str, world: Dataset, parts: Split, fitted: dict[str, NCF]) -> None:
    assert isinstance(fitted[name], Ranker)
    check_ranker(fitted[name], parts.test.queries, world.num_items)


@pytest.mark.parametrize("name", LEARNED)
def test_learns_the_planted_taste(name: str, world: Dataset, fitted: dict[str, NCF]) -> None:
    """People of the world take even items only, or odd ones only; so do their ten best."""
    parity = np.array([int(i) % 2 for i in world.items.ids.to_pylist()])
    taste = np.array([parity[row[0]] for row in map(world.interactions.positives().row, range(world.num_users))])
    best = np.argsort(-np.stack(list(fitted[name].score_corpus(np.arange(world.num_users)))), axis=1)[:, :10]
    assert (parity[best] == taste[:, None]).mean() > 0.99


def test_a_stranger_keeps_the_order_of_the_candidates(parts: Split, fitted: dict[str, NCF]) -> None:
    queries = parts.test.queries.take(np.array([0, 1, 2]))
    candidates = Ragged.from_rows([[5, 3, 8], [5, 3, 8], [2, 9]])
    assert queries.user_idx is not None
    strangers = replace(queries, user_idx=np.array([-1, queries.user_idx[1], 10_000]))
    scores = Ragged(fitted["neumf"].score(strangers, candidates), candidates.offsets)
    assert scores.row(0).tolist() == [-1, -2, -3]
    assert scores.row(2).tolist() == [-1, -2]
    assert scores.row(1).tolist() != [-1, -2, -3]


def test_who_was_not_trained_with_is_a_stranger(world: Dataset, parts: Split) -> None:
    train = parts.train.take(parts.train.user_idx != 4)
    chosen = NCFSettings(embedding_dim=4, epochs=1)
    ncf, _ = fit_ncf(train, world.num_items, chosen, None, seed=0)
    assert np.flatnonzero(~ncf.known).tolist() == [4]


@pytest.mark.parametrize("name", LEARNED)
def test_loaded_equals_saved(name: str, world: Dataset, parts: Split, fitted: dict[str, NCF], tmp_path: Path) -> None:
    save_ncf(fitted[name], tmp_path / "ranker", {})
    loaded = load_ranker(tmp_path / "ranker", world)
    candidates = Ragged.from_rows([[5, 3, 8]] * len(parts.test))
    assert loaded.name == fitted[name].name
    np.testing.assert_array_equal(
        loaded.score(parts.test.queries, candidates), fitted[name].score(parts.test.queries, candidates)
    )
