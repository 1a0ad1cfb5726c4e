from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shortlist.data.loading import load_dataset
from shortlist.data.sources import KNOWN, folder_of, globo, published_splits
from shortlist.data.splitting import split
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


def zipped(path: Path, text: str) -> None:
    with gzip.open(path, "wt") as file:
        file.write(text)


def test_the_ncf_split_is_read_as_published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user's own test item among the negatives is taken out, and the published number of them is held."""
    folder = tmp_path / "ncf-ml-1m"
    folder.mkdir()
    train = {
        "u": [0, 0, 1, 1],
        "i": [5, 6, 5, 7],
        "rating": [3, 4, 5, 1],
        "timestamp": [10, None, 12, 13],
        "chron_pos": [0, 1, 0, 1],
    }
    pq.write_table(
        pa.table({**train, "timestamp_lo": [10, 11, 12, 13], "timestamp_hi": [10, 12, 12, 13]}),
        folder / "ml-1m.train.parquet",
    )
    zipped(folder / "ml-1m.test.rating.gz", "0\t7\t5\t20\n1\t8\t2\t21\n")
    zipped(folder / "ml-1m.test.negative.gz", "(0,7)\t8\t7\n(1,8)\t6\n")
    monkeypatch.setenv("SHORTLIST_DATA", str(tmp_path))
    settings = Settings.from_dict({"data": {"dataset": "ncf-ml-1m"}})
    with pytest.raises(AssertionError, match="1 negatives are their user's own test item, 156 expected"):
        load_dataset(settings)
    monkeypatch.setattr(published_splits, "_OWN_ITEM_AMONG_NEGATIVES", 1)
    data = load_dataset(settings)
    parts = split(data, settings.split)
    assert parts.test.negatives is not None
    ids = data.items.ids_of
    asked = {
        data.users.id(u): (
            ids(parts.test.targets.row(q)),
            ids(parts.test.negatives.row(q)),
            ids(parts.test.seen.row(q)),
        )
        for q, u in enumerate(parts.test.user_idx)
    }
    assert asked == {0: ([7], [8], [5, 6]), 1: ([8], [6], [5, 7])}
    assert ids(parts.valid.targets.values) == [6, 7], "validation is each user's last of train"


def test_gowalla_is_read_as_published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "gowalla-lightgcn"
    folder.mkdir()
    zipped(folder / "train.txt.gz", "0 0 1 2 3\n1 2 3 4 0\n")
    zipped(folder / "test.txt.gz", "0 4\n1 1\n")
    monkeypatch.setenv("SHORTLIST_DATA", str(tmp_path))
    data = load_dataset(Settings.from_dict({"data": {"dataset": "gowalla-lightgcn"}}))
    assert data.parts is not None
    assert (data.num_users, data.num_items, data.parts.tolist().count(1)) == (2, 5, 2)


def test_a_single_table_has_no_files() -> None:
    with pytest.raises(SettingsError, match=r'method = "files": ml-latest-small is one table, without parts'):
        load_dataset(Settings.from_dict({"data": {"dataset": "ml-latest-small"}, "split": {"method": "files"}}))


def test_globo_clicks_are_read_as_published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rows stand in the file session by session; the test is what came after one moment of the global clock."""
    folder = tmp_path / "globo-clicks"
    folder.mkdir()
    start = 1_506_825_423_271
    hour = 3_600_000
    clicks = {
        "user_id": [7, 7, 7, 9, 9, 9],
        "session_id": [1, 1, 2, 3, 3, 3],
        "session_start": [start] * 6,
        "session_size": [2, 2, 1, 3, 3, 3],
        "click_article_id": [4096, 511, 8300, 511, 4096, 3],
        "click_timestamp": [start + hour * hours for hours in (0, 1, 40, 2, 20, 41)],
        "click_environment": [4] * 6,
        "click_deviceGroup": [1, 1, 3, 1, 1, 1],
        "click_os": [17, 17, 2, 17, 17, 17],
        "click_country": [1] * 6,
        "click_region": [20, 20, 25, 8, 8, 8],
        "click_referrer_type": [2, 2, 1, 2, 2, 2],
        "hour_file": [0, 0, 0, 0, 0, 0],
    }
    pq.write_table(pa.table(clicks), folder / "clicks.parquet")
    monkeypatch.setenv("SHORTLIST_DATA", str(tmp_path))
    given = {"data": {"dataset": "globo-clicks"}, "split": {"valid_fraction": 0.3, "test_fraction": 0.2}}
    settings = Settings.from_dict({**given, "features": {"item": {"first_click": {"kind": "number"}}}})
    assert settings.split.method == "by_time", "what is known stands beneath what is given"
    assert set(settings.features.context) == {"environment", "device", "os", "country", "region", "referrer"}
    data = load_dataset(settings)
    assert data.interactions.timestamp.min() == start, "milliseconds stay milliseconds"
    first = dict(zip(data.items.ids.to_pylist(), data.display["first_click"].to_pylist(), strict=True))
    assert first == {4096: start, 511: start + hour, 8300: start + 40 * hour, 3: start + 41 * hour}
    parts = split(data, settings.split)
    asked = {
        data.users.id(user): (
            data.items.ids_of(parts.test.queries.liked.row(query)),
            data.items.ids_of(parts.test.targets.row(query)),
        )
        for query, user in enumerate(parts.test.user_idx)
    }
    assert asked == {7: ([4096, 511], [8300]), 9: ([511, 4096], [3])}
    regions = next(spec for spec in data.schema if spec.name == "region")
    codes = parts.test.queries.features["region"].codes
    assert [regions.values[code - 2] for code in codes] == ["25", "8"], (
        "the moment of the first click that is asked for"
    )


def test_an_articles_id_says_its_range(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    columns = ("environment", "deviceGroup", "os", "country", "region", "referrer_type")
    clicks = {"user_id": [1, 1, 2], "click_article_id": [511, 4096, 512], "click_timestamp": [3, 2, 1]}
    pq.write_table(
        pa.table({**clicks, **{f"click_{name}": [1, 1, 1] for name in columns}}), tmp_path / "clicks.parquet"
    )
    tables = globo.globo_clicks(tmp_path)
    assert tables.interactions["timestamp"].to_pylist() == [1, 2, 3]
    assert tables.items.to_pylist() == [
        {"item_id": 511, "id_range": 0, "id_subrange": 0, "first_click": 3},
        {"item_id": 512, "id_range": 0, "id_subrange": 1, "first_click": 1},
        {"item_id": 4096, "id_range": 1, "id_subrange": 8, "first_click": 2},
    ]
