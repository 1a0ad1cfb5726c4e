"""Going on from an artifact: what it knows keeps its weights, what is new starts fresh, nothing asked for was learned."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from shortlist.data.features import take_rows
from shortlist.data.loading import load_dataset
from shortlist.data.splitting import split
from shortlist.data.storage import load_schema
from shortlist.errors import ArtifactError, DataError, SettingsError
from shortlist.models.mf import MatrixFactorization
from shortlist.recommender import artifact
from shortlist.retrieval import dot
from shortlist.settings import NetworkSettings, Settings, SplitSettings
from shortlist.training.continuation import Start, continued_settings
from shortlist.training.networks import untrained
from shortlist.training.retrievers import fit_retriever
from shortlist.training.run import train
from shortlist.training.start import start_from

MODELS: dict[str, dict[str, Any]] = {
    "softmax_dnn": {"model": "softmax_dnn", "embedding_dim": 8, "hidden_dims": [16]},
    "tied, by attention": {"model": "softmax_dnn", "embedding_dim": 8, "tied": True, "history": "attention"},
    "two_tower": {"model": "two_tower", "embedding_dim": 8, "item_hidden_dims": [8]},
    "two_tower by features": {"model": "two_tower", "embedding_dim": 8, "item_ids": False, "similarity": "cosine"},
    "mf": {"model": "mf", "embedding_dim": 4},
    "popularity": {"model": "popularity"},
}
NETWORKS = list(MODELS)[:4]


def write_world(folder: Path, people: int, items: int, length: int, towns: str, tags: int, first: int = 0) -> None:
    """Half take even items, half odd ones, one an hour; a longer world begins with the shorter ones."""
    folder.mkdir(exist_ok=True)
    rows: dict[str, list[Any]] = {"user_id": [], "item_id": [], "timestamp": [], "value": []}
    for user in range(people):
        rng = np.random.default_rng([7, user])
        taken = rng.permutation(np.arange(user % 2, 40, 2))
        for n in range(length):
            # later ones may be of the items that came later
            item = int(taken[n]) if n < 8 or items == 40 else 40 + (user + 7 * n) % (items - 40)
            rows["user_id"].append(f"u{user}")
            rows["item_id"].append(f"i{item + first}")
            rows["timestamp"].append(3600 * (n + 1))
            rows["value"].append(float(rng.integers(1, 6)))
    numbers = np.arange(items)
    catalogue = {
        "item_id": [f"i{n + first}" for n in numbers],
        "tags": [f"{'odd' if n % 2 else 'even'}|t{n % 3 if n < 40 else n % tags}" for n in numbers],
        "size": np.where(numbers < 40, numbers, 9 * numbers).astype(float),
    }
    own = ["ABC"[n % 3] if n < 40 else towns[n % len(towns)] for n in range(people)]
    users = {"user_id": [f"u{n}" for n in range(people)], "town": own}
    for name, table in (("log", rows), ("items", catalogue), ("users", users)):
        csv.write_csv(pa.table(table), folder / f"{name}.csv")


def settings_for(folder: Path, model: str, **more: Any) -> Settings:
    files = {
        name: str(folder / f"{file}.csv")
        for name, file in (("interactions", "log"), ("items", "items"), ("users", "users"))
    }
    given: dict[str, Any] = {
        "data": {
            **files,
            "columns": {"timestamp": "timestamp", "value": "value"},
            "feedback": {"disliked": "value <= 1"},
        },
        "features": {
            "user": {"town": {"kind": "category"}},
            "item": {"tags": {"kind": "tags"}, "size": {"kind": "number"}},
            "context": {"hour": {"kind": "hour"}},
        },
        "retriever": MODELS[model],
        "training": {"epochs": 4, "batch_size": 32, "learning_rate": 0.01},
        "evaluation": {"baselines": [], "k": [5]},
    }
    return Settings.from_dict({**given, **more})


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worlds")
    write_world(folder / "old", 40, 40, 8, "ABC", 3)
    write_world(folder / "grown", 60, 50, 11, "DBAC", 5)
    write_world(folder / "foreign", 40, 40, 8, "ABC", 3, first=100)
    return folder


@pytest.fixture(scope="module")
def artifacts(worlds: Path) -> dict[str, Path]:
    for number, name in enumerate(MODELS):
        train(settings_for(worlds / "old", name), worlds / f"a{number}")
    return {name: worlds / f"a{number}" for number, name in enumerate(MODELS)}


def grown_start(artifacts: dict[str, Path], worlds: Path, name: str) -> tuple[Settings, Start]:
    overrides = [
        f"data.{key}={worlds / 'grown' / key.replace('interactions', 'log')}.csv"
        for key in ("interactions", "items", "users")
    ]
    settings = continued_settings(artifacts[name], None, overrides)
    dataset = load_dataset(settings, load_schema(artifacts[name]))
    return settings, start_from(artifacts[name], dataset, split(dataset, settings.split))


@pytest.mark.parametrize("name", NETWORKS)
def test_it_starts_at_the_figure_it_ended_with(name: str, artifacts: dict[str, Path], worlds: Path) -> None:
    """On the same data: the selected weights are there to go on from, though what is served was fitted anew."""
    old = artifact.load(artifacts[name])
    assert old.report is not None
    settings = continued_settings(artifacts[name], None, ["training.epochs=1"])
    dataset = load_dataset(settings, load_schema(artifacts[name]))
    parts = split(dataset, settings.split)
    fitted = fit_retriever(dataset, parts, settings, start=start_from(artifacts[name], dataset, parts))
    course = fitted.course["selection"]
    assert course["start_validation"] == old.report.training["selection"]["best_validation"]
    assert course["best_validation"] >= course["start_validation"]
    assert len(course["epochs"]) == 1
    assert len(fitted.course["refit"]["epochs"]) == course["best_epoch"]
    if course["best_epoch"] == 0:  # no epoch was better: nothing changes
        np.testing.assert_array_equal(fitted.retriever.encode_items(), old.retriever.encode_items())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_grown_vocabulary_keeps_what_is_known(name: str, artifacts: dict[str, Path], worlds: Path) -> None:
    """Row by row, found by id and by value; new rows are as fresh as without an artifact."""
    settings, start = grown_start(artifacts, worlds, name)
    data, known = start.dataset, start.known
    assert (data.num_items, known.num_items) == (50, 40)
    assert data.items.ids.to_pylist()[:40] != known.items.ids.to_pylist()  # in another order
    assert isinstance(settings.retriever, NetworkSettings)
    torch.manual_seed(5)
    fresh = untrained(data, data.interactions, settings.retriever).state_dict()
    fresh = {key: value.clone() for key, value in fresh.items()}
    model = untrained(data, data.interactions, settings.retriever)
    model.load_state_dict(fresh)
    start.carry_over(model, selected=False)
    weights, old = dict(model.state_dict()), load_file(artifacts[name] / "retriever" / "weights.safetensors")
    for key in old.keys() & {"items.free", "history_items.free", "item_base.free", "item_bias"}:
        for item in range(50):
            row = data.items.row(f"i{item}")
            expected = old[key][known.items.row(f"i{item}")] if item < 40 else fresh[key][row]
            assert torch.equal(weights[key][row], expected), (key, item)
    for item in range(50):
        row = data.items.row(f"i{item}") + 1
        expected = (
            old["query.disliked_items"][known.items.row(f"i{item}") + 1]
            if item < 40
            else fresh["query.disliked_items"][row]
        )
        assert torch.equal(weights["query.disliked_items"][row], expected)
    towns, before = (next(one for one in d.schema if one.name == "town").values for d in (data, known))
    key = "query.features.tables.town.weight"
    assert set(before) == set("ABC")
    for town in "ABCD":
        row = 2 + towns.index(town)
        assert torch.equal(weights[key][row], fresh[key][row] if town == "D" else old[key][2 + before.index(town)])
    assert torch.equal(weights[key][:2], old[key][:2])  # missing and unseen
    tags, before = (next(one for one in d.schema if one.name == "tags").values for d in (data, known))
    for key in old.keys() & {"items.values", "history_items.values", "item_base.values"}:
        for tag in ("even", "odd", "t0", "t1", "t2", "t3", "t4"):
            row = 2 + tags.index(tag)
            assert torch.equal(weights[key][row], old[key][2 + before.index(tag)] if tag in before else fresh[key][row])
        assert torch.equal(weights[key][-2:], old[key][-2:])  # the number's, and of its being missing
    for key in old.keys() - {"item_counts"}:
        if "hidden" in key or "hour" in key:
            assert torch.equal(weights[key], old[key])


@pytest.mark.parametrize("name", NETWORKS)
def test_before_the_first_step_known_pairs_score_as_before(name: str, artifacts: dict[str, Path], worlds: Path) -> None:
    """The consequence: asked the same, in the new data set's indices, the carried network says what the artifact says."""
    settings, start = grown_start(artifacts, worlds, name)
    data, known, old = start.dataset, start.known, artifact.load(artifacts[name])
    assert isinstance(settings.retriever, NetworkSettings)
    model = untrained(data, data.interactions, settings.retriever)
    start.carry_over(model, selected=False)
    test = split(known, old.settings.split).test
    moved, users = data.items.rows(known.items.ids.to_pylist()), data.users.rows(known.users.ids_of(test.user_idx))
    asked = replace(
        test.queries,
        liked=replace(test.queries.liked, values=moved[test.queries.liked.values]),
        disliked=replace(test.queries.disliked, values=moved[test.queries.disliked.values]),
        features=take_rows(data.user_features, users),  # as the new data set encodes the same town
    )
    scores = (model.encode_queries(asked) @ model.encode_items().T)[:, moved]
    expected = dot(old.retriever.encode_queries(test.queries), old.retriever.encode_items())
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert np.ptp(expected) > 0.1


@pytest.mark.parametrize("name", ["softmax_dnn", "mf", "popularity"])
def test_a_grown_log_is_learned_and_served(name: str, artifacts: dict[str, Path], worlds: Path, tmp_path: Path) -> None:
    settings, _ = grown_start(artifacts, worlds, name)
    console = Console(record=True, width=200, file=io.StringIO())
    recommender = train(settings, tmp_path / "b", console, start=artifacts[name])
    assert recommender.dataset.num_items == 50
    assert recommender.report is not None
    assert recommender.report.notes[-1] == f"Training went on from {artifacts[name].name}: it knew 40 of the 50 items."
    said = console.export_text()
    assert ("popularity is computed from the data in one go: it is fitted anew" in said) == (name == "popularity")
    assert ("goes on from validation" in said) == (name == "softmax_dnn")
    again = train(continued_settings(tmp_path / "b", None), tmp_path / "b", start=tmp_path / "b")  # in its own place
    assert again.dataset.fingerprint == recommender.dataset.fingerprint


def test_matrix_factorization_alternates_from_the_known_vectors(artifacts: dict[str, Path], worlds: Path) -> None:
    _, start = grown_start(artifacts, worlds, "mf")
    initial, old = start.item_vectors(), artifact.load(artifacts["mf"]).retriever.encode_items()
    for item in range(50):
        row = start.dataset.items.row(f"i{item}")
        if item < 40:
            assert (initial[row] == old[start.known.items.row(f"i{item}")]).all()
        else:
            assert np.isnan(initial[row]).all()
    settings = continued_settings(artifacts["mf"], None, ["retriever.iterations=1"])
    log = split(start.known, settings.split).train_and_valid
    one = settings.retriever
    assert one.model == "mf"
    warm = MatrixFactorization.fit(log, 40, one, 3, initial=np.asarray(old).copy())
    cold = MatrixFactorization.fit(log, 40, one, 3)
    histories = log.positives()
    expected = MatrixFactorization(np.asarray(old), one).fold_in(histories) @ np.asarray(old).T
    errors = [np.abs(m.fold_in(histories) @ m.item_vectors.T - expected).mean() for m in (warm, cold)]
    assert errors[0] < errors[1] / 5


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["retriever.hidden_dims=[9]"],
            r"\[retriever\] hidden_dims: expected \[16\], as in the artifact, got \[9\]\. .*train anew",
        ),
        (["retriever.model=mf"], r'\[retriever\] model: expected "softmax_dnn", .* got "mf"'),
        (["retriever.history=none"], r'\[retriever\] history: expected "mean", .* got "none"'),
        (["features.user.town.kind=tags"], r'\[features.user.town\] kind: expected "category", .* got "tags"'),
        (["features.item.size.transform=log"], r'\[features.item.size\] transform: expected "standard", .* got "log"'),
        (["features.user.age.kind=number"], r"\[features.user.age\]: expected none, .* got one"),
        (["retriever.hiden_dims=[9]"], r"unknown setting 'retriever.hiden_dims'"),
    ],
)
def test_another_network_is_refused(overrides: list[str], message: str, artifacts: dict[str, Path]) -> None:
    with pytest.raises(SettingsError, match=message):
        continued_settings(artifacts["softmax_dnn"], None, overrides)


def test_settings_lie_over_the_artifacts(artifacts: dict[str, Path], worlds: Path, tmp_path: Path) -> None:
    folder = artifacts["softmax_dnn"]
    (tmp_path / "more.toml").write_text('[data]\ninteractions = "log.csv"\n[training]\nepochs = 2\nbatch_size = 9\n')
    settings = continued_settings(folder, tmp_path / "more.toml", ["training.batch_size=10"])
    old = artifact.load(folder).settings
    assert settings.data.interactions == str(tmp_path / "log.csv")
    assert settings.data.items == old.data.items
    assert (settings.training.epochs, settings.training.batch_size) == (2, 10)
    assert settings.training.learning_rate == old.training.learning_rate
    assert settings.retriever == old.retriever
    other = old.overlaid(None, ["data.dataset=ml-latest-small"])
    assert (other.data.interactions, other.data.columns.value) == (None, "rating")
    with pytest.raises(ArtifactError, match="no artifact in"):
        continued_settings(worlds, None)


def test_foreign_items_are_refused(artifacts: dict[str, Path], worlds: Path) -> None:
    settings = settings_for(worlds / "foreign", "softmax_dnn")
    data = load_dataset(settings)
    with pytest.raises(
        DataError, match=r"none of the 40 items .* expected ids such as 'i\d+', got ids such as 'i1\d\d'"
    ):
        start_from(artifacts["softmax_dnn"], data, split(data, settings.split))


def test_what_was_learned_is_no_question(artifacts: dict[str, Path], worlds: Path) -> None:
    """A random split of a grown log asks for what the artifact was trained on."""
    fitted_anew = load_dataset(settings_for(worlds / "grown", "popularity", split={"method": "random"}))
    start_from(artifacts["popularity"], fitted_anew, split(fitted_anew, SplitSettings(method="random")))
    settings = settings_for(worlds / "grown", "softmax_dnn", split={"method": "random"})
    data = load_dataset(settings, load_schema(artifacts["softmax_dnn"]))
    with pytest.raises(
        DataError, match=r"has learned \d+ of the \d+ targets of the validation part, such as user 'u\d+' item"
    ):
        start_from(artifacts["softmax_dnn"], data, split(data, settings.split))


def test_the_selected_weights_are_kept_where_the_served_ones_are_others(
    artifacts: dict[str, Path], worlds: Path
) -> None:
    folder = artifacts["softmax_dnn"] / "retriever"
    served, selected = (load_file(folder / f"{name}.safetensors") for name in ("weights", "selected"))
    assert any(not torch.equal(served[name], selected[name]) for name in served)
    training = {"epochs": 1, "refit": False}
    train(settings_for(worlds / "old", "softmax_dnn", training=training), worlds / "once")
    assert not (worlds / "once" / "retriever" / "selected.safetensors").exists()
