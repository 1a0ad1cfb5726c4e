from __future__ import annotations

from pathlib import Path

import pytest

from shortlist.errors import SettingsError
from shortlist.settings import Settings, SoftmaxDNNSettings
from shortlist.settings.help import documentation


def test_there_and_back_is_the_identity() -> None:
    given = Settings.from_dict(
        {
            "retriever": {"hidden_dims": [64], "dropout": 0},
            "features": {"item": {"genres": {"kind": "tags"}}},
            "seed": 4,
        }
    )
    assert Settings.from_dict(given.to_dict()) == given


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"training": {"epoch": 3}}, r"unknown setting 'training.epoch'; did you mean 'epochs'\?"),
        ({"trianing": {}}, r"unknown setting 'trianing'; did you mean 'training'\?"),
        (
            {"retriever": {"model": "mf", "embeding_dim": 3}},
            r"unknown setting 'retriever.embeding_dim'; did you mean 'embedding_dim'",
        ),
        (
            {"retriever": {"model": "two_towers"}},
            r"'two_towers' is not available; allowed: ease, item_knn, mf, popularity, recent_popularity, sequential_rules, "
            r"softmax_dnn",
        ),
        (
            {"retriever": {"history": "transformer", "embedding_dim": 10, "history_heads": 4}},
            r"retriever: value error, history_heads = 4 cannot share embedding_dim = 10 in even parts; give a multiple of 8",
        ),
        (
            {"retriever": {"history": "transformer", "target": "multi_hot"}},
            r'retriever: value error, history = "transformer" reads items in their order, .*; set target = "next"',
        ),
        (
            {"retriever": {"loss": "bpr", "num_negatives": 0}},
            r'retriever: value error, num_negatives = 0 leaves loss = "bpr" nothing to compare with; set num_negatives = 1',
        ),
        (
            {"retriever": {"hard_negatives": "pool"}},
            r'retriever: value error, hard_negatives = "pool" are of each query, and loss = "auto" has none of',
        ),
        (
            {"retriever": {"loss": "bpr", "calibration": 0.5}},
            r"retriever: value error, calibration = 0.5 undoes what uniform negatives do to the logistic loss; set loss = ",
        ),
        ({"training": {"epochs": "3"}}, r"training.epochs: input should be a valid integer, got '3'"),
        ({"training": {"epochs": 0}}, r"training.epochs: input should be greater than 0, got 0"),
        ({"split": {"method": "last"}}, r"split.method: input should be 'last_out', .* got 'last'"),
        ({"features": {"item": {"g": {"kind": "tag"}}}}, r"features.item.g.kind: .* got 'tag'"),
        (
            {"features": {"item": {"g": {"kind": "tags", "sep": "|"}}}},
            r"unknown setting 'features.item.g.sep'; allowed: .*separator",
        ),
        ({"data": 3}, r"data: .* got 3"),
    ],
)
def test_errors_name_the_key_and_the_nearest(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_dict(values)


def test_a_transformer_brings_its_defaults() -> None:
    """Beneath what is given; everything else keeps its own."""
    given = Settings.from_dict({"retriever": {"history": "transformer", "dropout": 0.4}, "training": {"epochs": 3}})
    assert isinstance(given.retriever, SoftmaxDNNSettings)
    assert (given.retriever.dropout, given.retriever.history_windows, given.retriever.tied) == (0.4, (200,), True)
    assert (given.training.epochs, given.training.batch_size, given.training.warmup_steps) == (3, 2048, 200)
    assert Settings.from_dict(given.to_dict()) == given
    two_tower = Settings.from_dict({"retriever": {"model": "two_tower", "history": "transformer"}})
    assert two_tower.training.batch_size == 2048
    assert Settings().training.batch_size is None


def test_toml_paths_and_overrides(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[data]\ninteractions = "log.csv"\n[training]\nepochs = 3\n')
    settings = Settings.from_toml(
        file, ["training.epochs=5", "retriever.model=mf", "evaluation.k=[5]", "data.users=u.csv"]
    )
    assert settings.data.interactions == str(tmp_path / "log.csv")
    assert settings.data.users == str(tmp_path / "u.csv")
    assert (settings.training.epochs, settings.retriever.model, settings.evaluation.k) == (5, "mf", (5,))


def test_unusable_files_and_overrides(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Cannot read the settings file .*none.toml"):
        Settings.from_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = [")
    with pytest.raises(SettingsError, match=r"bad.toml is not valid TOML"):
        Settings.from_toml(tmp_path / "bad.toml")
    (tmp_path / "ok.toml").write_text("seed = 1")
    with pytest.raises(SettingsError, match=r"takes section.key=value, got 'seed'"):
        Settings.from_toml(tmp_path / "ok.toml", ["seed"])
    with pytest.raises(SettingsError, match="'seed' is a value, not a table"):
        Settings.from_toml(tmp_path / "ok.toml", ["seed.x=1"])


def test_every_setting_is_documented() -> None:
    rows = list(documentation())
    assert all(meaning for *_, meaning in rows)
    assert {"epochs", "embedding_dim", "liked", "method"} <= {key for _, key, _, _ in rows}


def test_re_ranking_steps_in_order() -> None:
    steps = [{"step": "freshness", "half_life": "12h"}, {"step": "diversity", "strength": 1}, {"step": "freshness"}]
    settings = Settings.from_dict({"rerank": steps})
    assert [one.step for one in settings.rerank] == ["freshness", "diversity", "freshness"]
    assert settings.rerank[1].strength == 1.0
    assert Settings.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"step": "freshnes"}, "rerank.0.step: 'freshnes' is not available; allowed: boost, calibration"),
        ({"strength": 0.3}, "rerank.0.step: is missing; allowed: boost"),
        ({"step": "freshness", "half_lif": "3d"}, "unknown setting 'rerank.0.half_lif'; did you mean 'half_life'"),
        ({"step": "freshness", "half_life": "soon"}, 'rerank.0.half_life: .*such as "30d" or "12h".*soon'),
        ({"step": "diversity", "strength": 1.5}, "rerank.0.strength: .*less than or equal to 1"),
        ({"step": "boost"}, "rerank.0: .*boost needs to know what"),
        ({"step": "rules", "at_most": 3}, "at_most needs groups"),
        ({"step": "exposure", "protected": ["x"]}, "groups and protected together"),
    ],
)
def test_re_ranking_errors_name_the_step_and_the_key(step: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_dict({"rerank": [step]})
