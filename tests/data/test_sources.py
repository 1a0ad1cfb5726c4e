from __future__ import annotations

from pathlib import Path

import pytest

from shortlist.data.loading import load_dataset
from shortlist.data.sources import KNOWN, folder_of
from shortlist.errors import DataError, SettingsError
from shortlist.settings import Settings


def test_the_shipped_set_is_whole() -> None:
    data = load_dataset(Settings.from_dict({"data": {"dataset": "ml-latest-small"}}))
    summary = data.summary
    assert (summary.num_interactions, summary.num_users, summary.num_items) == (100_004, 671, 9_066)
    assert (summary.first, summary.last) == ("1995-01-09", "2016-10-16")
    row = data.items.row(1)
    assert data.display.slice(row, 1).to_pylist()[0] == {
        "genres": ["Adventure", "Animation", "Children", "Comedy", "Fantasy"],
        "year": 1995.0,
        "title": "Toy Story (1995)",
    }
    assert (folder_of("ml-latest-small") / "README.txt").read_text().startswith("Summary")


def test_user_settings_win_over_what_is_known() -> None:
    given = {
        "data": {"dataset": "ml-latest-small", "columns": {"title": None}},
        "features": {"item": {"year": {"kind": "category"}}},
    }
    settings = Settings.from_dict(given)
    assert settings.data.columns.title is None
    assert settings.features.item["year"].kind == "category"
    assert set(settings.features.item) == {"year"}  # the features of a side are given or known as a whole


def test_a_set_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHORTLIST_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"files of ml-1m .* are not there.*SHORTLIST_DATA"):
        folder_of("ml-1m")
    with pytest.raises(DataError, match="no known data set 'ml-1k'; did you mean"):
        folder_of("ml-1k")
    with pytest.raises(SettingsError, match="needs either interactions"):
        load_dataset(Settings.from_dict({}))


def test_every_set_states_its_licence() -> None:
    assert all(known.licence and known.files for known in KNOWN.values())
