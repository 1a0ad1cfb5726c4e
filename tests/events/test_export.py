"""Exported events are a log that ``shortlist train`` learns from."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shortlist.errors import DataError, StoreError
from shortlist.events import Event, EventStore
from shortlist.events import export as module
from shortlist.events.export import export
from shortlist.recommender import Query
from shortlist.settings import Settings
from shortlist.training.run import train


def test_what_was_kept_is_what_is_written(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 3)
    file = tmp_path / "events.parquet"
    with EventStore(store_url) as store:
        assert export(store, file) == 0
        assert pq.read_table(file).num_rows == 0
        store.add([Event(str(n), f"0{n}" if n == 6 else str(n), "like", 1000 * n, f"e{n}", n / 2) for n in range(8)])
        assert export(store, file) == 8
        rows = pq.read_table(file).to_pylist()
        assert [row["user_id"] for row in rows] == list(range(8))
        assert [row["item_id"] for row in rows] == ["0", "1", "2", "3", "4", "5", "06", "7"], "06 is another id than 6"
        assert rows[3] == {"user_id": 3, "item_id": "3", "event": "like", "timestamp": 3000, "value": 1.5}
        assert export(store, file, since=2000, until=5000) == 3
        assert pq.read_table(file)["timestamp"].to_pylist() == [2000, 3000, 4000]
        with pytest.raises(DataError, match="Cannot write"):
            export(store, tmp_path / "none" / "events.parquet")
    assert [one.name for one in tmp_path.iterdir() if "parquet" in one.name] == ["events.parquet"]


def test_training_on_an_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Even people and odd ones; what they disliked is not recommended."""
    from typer.testing import CliRunner

    from shortlist.cli.app import app

    store, file = f"sqlite:///{tmp_path}/events.db", tmp_path / "events.parquet"
    with EventStore(store) as events:
        for user in range(30):
            items = [2 * ((user + 7 * n) % 12) + user % 2 for n in range(8)]
            new = [Event.of(user, item, "like", 1_700_000_000 + 60 * n) for n, item in enumerate(items)]
            new += [Event.of(user, items[0], "dislike", 1_700_009_000), Event.of(user, 900 + user, "scroll")]
            events.add(new)
    run = CliRunner().invoke(app, ["events", "export", "--events", store, "--out", str(file), "--json"])
    assert json.loads(run.stdout) == {"file": str(file), "events": 300}
    settings = Settings.from_dict(
        {
            "data": {
                "interactions": str(file),
                "columns": {"timestamp": "timestamp", "value": "value"},
                "feedback": {"liked": 'event = "like"', "disliked": 'event in ("dislike", "hide")'},
                "repeats": "last",
            },
            "retriever": {"model": "item_knn"},
            "evaluation": {"baselines": []},
        }
    )
    recommender = train(settings, tmp_path / "artifact")
    assert recommender.dataset.users.is_integer
    for user in range(4):
        found = [one.item_id for one in recommender.recommend(Query(user_id=user, k=4)).items]
        assert {item % 2 for item in found} == {user % 2}  # type: ignore[operator]
        assert 2 * (user % 12) + user % 2 not in found


def test_prune_by_age(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from shortlist.cli.app import app

    store = f"{tmp_path}/events.db"
    with EventStore(store) as events:
        events.add([Event.of(1, 2, "like", "2020-01-01"), Event.of(1, 3, "like")])
    command = ["events", "prune", "--events", store, "--json", "--older-than"]
    assert json.loads(CliRunner().invoke(app, [*command, "52w"]).stdout) == {
        "deleted": 1,
        "left": 1,
        "deleted_exposures": 0,
    }
    wrong = CliRunner().invoke(app, [*command, "soon"])
    assert wrong.exit_code == 2
    missing = CliRunner().invoke(app, ["events", "prune", "--events", f"{tmp_path}/no.db", "--older-than", "1d"])
    assert isinstance(missing.exception, StoreError)
    assert not (tmp_path / "no.db").exists()
