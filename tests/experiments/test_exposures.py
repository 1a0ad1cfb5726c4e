"""What the arms showed is kept with how likely it was: over HTTP, on SQLite and PostgreSQL, across restarts and workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from shortlist.errors import SettingsError
from shortlist.events import EventStore
from shortlist.events.tables import exposures
from shortlist.experiments import exposures as module
from shortlist.experiments.buckets import arm_of
from shortlist.experiments.exposures import Exposure, ExposureLog, count, prune
from shortlist.experiments.settings import ExperimentSettings
from shortlist.recommender import Query, Recommender
from shortlist.recommender.passage import Draw
from shortlist.service import schemas
from shortlist.service.app import create_app
from tests.live_world import small_artifact
from tests.service.test_events_http import free_port, items

TWO = ExperimentSettings.from_dict(
    {
        "name": "colours",
        "arms": {
            "now": {"share": 0.4},
            "drawn": {"share": 0.4, "rerank": [{"step": "exploration", "temperature": 0.3, "period": "1s"}]},
        },
    }
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GATHER_SECONDS", 0.01)


def rows(store: EventStore) -> list[Any]:
    return list(store.engines.reading(lambda c: c.execute(select(exposures).order_by(exposures.c.sequence)).all()))


def test_two_arms_over_http(small: Recommender, store_url: str) -> None:
    """Restarted and on two workers, everybody is where they were; what was shown is what is kept."""
    shown: dict[str, dict[str, Any]] = {}
    arms: list[dict[int, str | None]] = []
    for _ in range(2):
        store = EventStore(store_url)
        with TestClient(create_app(small, store, experiment=TWO)) as client:
            mine = {}
            for user in range(20):
                answer = client.get(f"/v1/recommendations/{user}", params={"k": 5}).json()
                schemas.RecommendationResponse.model_validate(answer)
                about = answer.get("experiment")
                mine[user] = None if about is None else about["arm"]
                if about is not None:
                    shown[about["request_id"]] = answer
            arms.append(mine)
            hidden = client.get("/v1/recommendations/1", params={"expose": False}).json()
            assert "request_id" not in hidden.get("experiment", {})
            anonymous = client.post("/v1/recommendations", json={"history": [100], "expose": True}).json()
            assert "experiment" not in anonymous
            assert "shortlist_experiment_answers_total" in client.get("/metrics").text
    shares = {name: arm.share for name, arm in TWO.arms.items()}
    assert arms[0] == arms[1] == {user: arm_of("colours", user, shares) for user in range(20)}
    assert set(arms[0].values()) == {"now", "drawn", None}
    with EventStore(store_url) as store:
        kept = rows(store)
        assert {one.request_id for one in kept} == set(shown)
        for one in kept:
            answer = shown[one.request_id]
            assert (one.experiment, one.arm) == ("colours", answer["experiment"]["arm"])
            assert (one.user_id, one.share) == (str(answer["user_id"]), 0.4)
            assert one.is_control == (one.arm == "now")
            assert json.loads(one.items) == [str(item["item_id"]) for item in answer["items"]]
            assert json.loads(one.asked) == {"k": 5}
            chances, above = json.loads(one.propensity), json.loads(one.given_above)
            if one.arm == "now":
                assert chances == above == [1] * 5
            else:
                assert all(0 < chance < 1 for chance in [*chances, *above])
                assert chances[0] == pytest.approx(above[0], rel=1e-6)


def test_the_draws_are_as_likely_as_they_say(small: Recommender) -> None:
    """Of what one person is shown over many periods, items stand first as often as their propensity says."""
    drawn = small.reranked(TWO.arms["drawn"].rerank or ())
    draws = 400
    answers = drawn.recommend_many([Query(user_id=3, k=3, time=1_700_000_000 + n) for n in range(draws)])
    first = [answer.items[0].item_id for answer in answers]
    chances: dict[Any, float] = {}
    for answer in answers:
        row = Exposure("r", "e", "a", 1.0, True, "3", 0, [str(i.item_id) for i in answer.items], answer.draw).row()
        chances[answer.items[0].item_id] = json.loads(row["propensity"])[0]
    assert len(chances) > 3
    for item, chance in chances.items():
        assert first.count(item) / draws == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / draws))
    assert small.recommend(Query(user_id=3)).draw is None


def exposure(number: int, user: str, second: int, **more: Any) -> Exposure:
    return Exposure(f"r{number}", "e", "a", 1.0, True, user, 1000 * second, ["1", "2"], **more)


def test_once_pruned_and_deleted(store_url: str) -> None:
    with EventStore(store_url) as store:
        log = ExposureLog(store)
        draw = Draw(np.arange(3, dtype=np.int32), np.zeros(3), np.array([2, 0]))
        for one in (exposure(1, "ann", 1), exposure(1, "ann", 1), exposure(2, "bob", 2, draw=draw)):
            log.add(one)
        log.add(exposure(3, "cem", 3, is_known=False, asked={"where": "x" * 5000}))
        log.add(exposure(4, "dan", 9_999_999_999_999))
        log.flush()
        kept = rows(store)
        assert [one.request_id for one in kept] == ["r1", "r2", "r3", "r4"]
        assert json.loads(kept[1].propensity) == pytest.approx([1 / 3, 1 / 3], rel=1e-6)
        assert json.loads(kept[1].given_above) == pytest.approx([1 / 3, 1 / 2])
        assert kept[2].propensity is None
        assert kept[2].asked is None
        lost: list[int] = []
        log.on_lost = lost.append
        log.add(exposure(6, "eve\x00", 6) if store.engines.file is None else exposure(6, 2**70, 6))  # type: ignore[arg-type]
        log.add(exposure(7, "fay", 7, asked={"where": "\ud800"}))
        log.flush()
        assert (lost, count(store)) == ([1], 5), "one that cannot be written takes no other with it"
        store.delete_user("ann")
        log.add(exposure(5, "ann", 1))  # it waited while she was deleted
        log.flush()
        assert count(store) == 4
        assert prune(store, 3_000) == 1
        assert [one.user_id for one in rows(store)] == ["cem", "dan", "fay"]
        log.close()


def test_a_store_that_is_gone_loses_exposures_and_no_answer(
    small: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.05)
    everybody = ExperimentSettings.from_dict({"name": "all", "arms": {"now": {"share": 1.0}}})
    file = tmp_path / "events.db"
    with TestClient(create_app(small, EventStore(str(file)), experiment=everybody)) as client:
        aside = file.rename(tmp_path / "aside.db")
        assert client.get("/v1/recommendations/1").status_code == 200
        aside.rename(file)  # the exposure waited for it
    with EventStore(str(file)) as store:
        assert count(store) == 1
        lost: list[int] = []
        log = ExposureLog(store, lost.append)
        file.rename(aside)
        log.add(exposure(1, "ann", 1))
        log.close()
        assert lost == [1]


def test_artifacts_that_draw_before_the_end_cannot_be_an_arm(small: Recommender, tmp_path: Path) -> None:
    from shortlist.settings import Settings

    steps = Settings.from_dict({"rerank": [{"step": "exploration"}, {"step": "popularity"}]}).rerank
    everybody = ExperimentSettings.from_dict({"name": "all", "arms": {"now": {"share": 1.0}}})
    with EventStore(f"{tmp_path}/events.db") as store, pytest.raises(SettingsError, match=r"arms\.now.*last step"):
        create_app(small.reranked(steps), store, experiment=everybody)


def test_an_item_that_only_an_arms_artifact_has_goes_there_too(small: Recommender, tmp_path: Path) -> None:
    larger = small_artifact(tmp_path / "larger", num_items=60)
    both = {"now": {"share": 0.5}, "larger": {"share": 0.5, "artifact": str(larger)}}
    experiment = ExperimentSettings.from_dict({"name": "sizes", "arms": both})
    shares = {name: arm.share for name, arm in experiment.arms.items()}
    user = next(one for one in range(0, 60, 2) if arm_of("sizes", one, shares) == "larger")
    with TestClient(create_app(small, EventStore(f"{tmp_path}/events.db"), experiment=experiment)) as client:
        item = next(one for one in items(client, user) if one >= 140)
        assert client.put(f"/v1/items/{item}", json={"title": "Other", "tags": ["even"], "size": 1}).status_code == 201
        assert items(client, user, where='title = "Other"') == [item]
        assert client.delete(f"/v1/items/{item}").status_code == 200
        left = items(client, user)
        assert item not in left
        assert any(one >= 140 for one in left)


def test_an_experiment_needs_a_store_and_a_file(small_folder: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from shortlist.cli.app import app

    command = ["serve", str(small_folder), "--port", str(free_port()), "--experiment", str(tmp_path / "no.toml")]
    without = CliRunner().invoke(app, [*command, "--events", "none"])
    assert without.exit_code == 2
    assert "--events" in without.output
    missing = CliRunner().invoke(app, [*command, "--events", f"{tmp_path}/events.db"])
    assert isinstance(missing.exception, SettingsError)
    assert "Cannot read the experiment" in str(missing.exception)
