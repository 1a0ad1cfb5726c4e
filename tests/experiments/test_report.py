"""From exposures and events to what an experiment says: worlds whose rates are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from shortlist.cli.app import app
from shortlist.errors import DataError, EvaluationError
from shortlist.events import Event, EventStore
from shortlist.experiments import exposures as module
from shortlist.experiments.estimation import counterfactual
from shortlist.experiments.exposures import Exposure, ExposureLog
from shortlist.experiments.outcomes import Outcomes, outcomes
from shortlist.experiments.report import ExperimentReport, report
from shortlist.experiments.serving import RunningExperiment, recommenders
from shortlist.experiments.settings import ExperimentSettings
from shortlist.recommender import Query, Recommender
from shortlist.recommender.live import LiveRecommender
from shortlist.recommender.meanings import Meanings
from shortlist.settings import Settings

START = 1_700_000_000
HOUR = 3_600_000


def exposure(number: int, arm: str, user: str, second: int, items: list[str], share: float = 0.5) -> Exposure:
    return Exposure(f"r{number}", "e", arm, share, arm == "now", user, 1000 * (START + second), items, asked={"k": 2})


def write(store: EventStore, shown: list[Exposure], events: list[Event]) -> None:
    log = ExposureLog(store)
    for one in shown:
        log.add(one)
    log.close()
    if events:
        store.add(events)


def read(store: EventStore, **more: Any) -> Outcomes:
    return outcomes(store, Meanings(Settings()), **more)


def test_an_event_counts_for_the_last_answer_that_showed_the_item(store_url: str) -> None:
    shown = [
        exposure(1, "now", "ann", 0, ["1", "2"]),
        exposure(2, "now", "ann", 100, ["2", "3"]),
        exposure(3, "new", "bob", 50, ["1", "2"]),
    ]
    said = [
        ("ann", 1, "click", 10),
        ("ann", 2, "like", 150),  # shown twice: the second time counts
        ("ann", 3, "click", 99),  # before it was shown
        ("ann", 3, "scroll", 120),  # means nothing
        ("ann", 9, "click", 120),  # never shown
        ("bob", 2, "click", 50 + 3601),  # an hour later
        ("bob", 1, "click", 50 + 3600),
        ("cem", 1, "click", 60),
    ]
    events = [Event.of(user, item, word, START + second) for user, item, word, second in said]
    with EventStore(store_url) as store:
        with pytest.raises(DataError, match="holds no exposures"):
            read(store)
        write(store, shown, events)
        found = read(store, window_ms=HOUR)
        with pytest.raises(DataError, match=r"the experiments e; .* got 'f'"):
            read(store, experiment="f")
        later = read(store, window_ms=HOUR, since=1000 * (START + 50), until=1000 * (START + 100))
        assert [later.users[int(user)].as_py() for user in later.user] == ["bob"]
        with pytest.raises(DataError, match="nothing at that time"):
            read(store, until=1)
    assert found.arms == ("now", "new")
    assert [found.users[int(user)].as_py() for user in found.user] == ["ann", "bob", "ann"]  # by time
    places = list(zip(found.answer.tolist(), found.items.take(found.item).to_pylist(), strict=True))
    assert places == [(0, "1"), (0, "2"), (1, "1"), (1, "2"), (2, "2"), (2, "3")]
    assert found.place.tolist() == [0, 1] * 3
    assert found.clicked.tolist() == [True, False, True, False, False, False]
    assert found.liked.tolist() == [False, False, False, False, True, False]
    assert found.propensity.tolist() == [1.0] * 6


def world(store: EventStore, rates: dict[str, float], users: dict[str, int], seed: int = 0, each: int = 4) -> None:
    """Everybody gets four answers of two items; an item is clicked at the arm's rate, as far as the person clicks at all."""
    rng = np.random.default_rng(seed)
    shown, events = [], []
    for arm, rate in rates.items():
        for user in range(users[arm]):
            own = rate * rng.uniform(0, 2)
            for n in range(each):
                name, items = f"{arm}-{user}", [str(2 * n), str(2 * n + 1)]
                shown.append(exposure(len(shown), arm, name, 1000 * n, items))
                clicks = rng.random(2) < own
                events += [
                    Event.of(name, i, "click", START + 1000 * n + 5)
                    for i, hit in zip(items, clicks, strict=True)
                    if hit
                ]
    write(store, shown, events)


def test_rates_differences_and_the_smallest_that_would_show(tmp_path: Path) -> None:
    with EventStore(f"{tmp_path}/events.db") as store:
        world(store, {"now": 0.2, "new": 0.3}, {"now": 500, "new": 520})
        found = report(read(store), 24 * HOUR)
    assert (found.control, found.window_hours, found.warnings) == ("now", 24.0, ())
    now, new = found.arms["now"], found.arms["new"]
    assert (now.answers, now.users, new.answers) == (2000, 500, 2080)
    assert now.totals["likes"] == 0
    assert now.totals["clicks"] == now.totals["responses"] == round(now.per_answer["clicks"].value * 2000)
    assert now.per_user["clicks"].value == pytest.approx(4 * now.per_answer["clicks"].value)
    assert now.per_answer["clicks"].low < 0.4 < now.per_answer["clicks"].high
    against = new.against_control["clicks"]
    assert against.low < 0.2 < against.high
    assert against.low > 0
    assert against.minimum_detectable == pytest.approx(2.8 * (against.high - against.low) / 2 / 1.96, rel=0.1)
    assert now.against_control == {}
    assert found.mismatch == pytest.approx(0.53, abs=0.02)
    json.dumps(found.to_dict(), allow_nan=False)


def test_intervals_know_that_answers_to_one_person_belong_together(tmp_path: Path) -> None:
    """People differ in how much they click: more answers of the same people say little more."""
    widths = []
    for each in (2, 20):
        with EventStore(f"{tmp_path}/{each}.db") as store:
            world(store, {"now": 0.4}, {"now": 100}, each=each)
            figure = report(read(store), 24 * HOUR).arms["now"].per_answer["clicks"]
            widths.append(figure.high - figure.low)
    assert widths[1] > 0.6 * widths[0]


def test_users_lost_by_one_arm_are_noticed(tmp_path: Path) -> None:
    with EventStore(f"{tmp_path}/events.db") as store:
        world(store, {"now": 0.2, "new": 0.2}, {"now": 300, "new": 200}, each=1)
        write(store, [exposure(10_000 + n, "new", f"now-{n}", 9000, ["1"]) for n in range(3)], [])
        found: ExperimentReport = report(read(store), HOUR)
    assert found.mismatch is not None
    assert found.mismatch < 0.001
    assert "Sample ratio mismatch: users by arm are now: 297, new: 200" in found.warnings[1]
    assert "3 users got answers of several arms" in found.warnings[0]
    with EventStore(f"{tmp_path}/shares.db") as store:
        write(store, [exposure(n, "now", f"u{n}", n, ["1"], share=0.1 + 0.1 * n) for n in range(2)], [])
        changed = report(read(store), HOUR)
    assert changed.mismatch is None
    assert "shares changed" in changed.warnings[0]


DRAWN = {"step": "exploration", "temperature": 0.6, "period": "1s"}
EXPLORES = ExperimentSettings.from_dict(
    {
        "name": "try",
        "arms": {"now": {"share": 0.2}, "drawn": {"share": 0.8, "rerank": [DRAWN]}},
    }
)
ALLOWED = list(range(100, 140, 3))


def likes_it(item: Any) -> float:
    return 0.7 if int(item) >= 120 else 0.1


@pytest.fixture(scope="module")
def explored(small: Recommender, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """A store of what an exploring arm showed, and what a target that shows large items first would have earned there."""
    url = f"{tmp_path_factory.mktemp('explored')}/events.db"
    rng = np.random.default_rng(0)
    steps = Settings.from_dict({"rerank": [{"step": "boost", "where": "size >= 20", "strength": 0.9}]}).rerank
    truth = []
    with EventStore(url) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_GATHER_SECONDS", 0.01)
        arms = {name: LiveRecommender(one, store) for name, one in recommenders(EXPLORES, small).items()}
        target, running = LiveRecommender(small.reranked(steps), store), RunningExperiment(EXPLORES, store)
        for second in range(10):
            hits = []
            for user in range(60):
                arm = running.arm_of(user)
                assert arm is not None
                query = Query(user_id=user, k=3, allow=ALLOWED, time=START + second, seen="keep")
                answer = arms[arm].recommend(query, explain=False)
                running.answered(arm, query, answer, exposed=True)
                if arm == "drawn":
                    truth.append(sum(likes_it(one.item_id) for one in target.recommend(query, explain=False).items))
                clicked = [one.item_id for one in answer.items if rng.random() < likes_it(one.item_id)]
                hits += [Event.of(user, item, "view") for item in clicked]
            store.add(hits)
        running.close()
    return url, float(np.mean(truth))


def test_what_drew_is_worth_what_it_earned(explored: tuple[str, float], small: Recommender) -> None:
    """Asked again as of each moment, the arm's own policy is as likely as it was logged, to the last place."""
    with EventStore(explored[0]) as store:
        same = LiveRecommender(recommenders(EXPLORES, small)["drawn"], store)
        found = outcomes(store, same.meanings)
        for sequential in (False, True):
            done = counterfactual(found, same, sequential=sequential)
            assert done.estimate.ips.value == pytest.approx(done.estimate.logged.value, rel=1e-6)
            assert done.estimate.max_weight == pytest.approx(1, rel=1e-5)
            assert (done.arms, done.left_out) == (("drawn",), {})


def test_another_policy_is_worth_what_it_would_have_earned(
    explored: tuple[str, float], tmp_path: Path, small_folder: Path
) -> None:
    """By the command, in figures; and what it cannot estimate it says."""
    url, truth = explored
    config = tmp_path / "boost.toml"
    config.write_text('[[rerank]]\nstep = "boost"\nwhere = "size >= 20"\nstrength = 0.9\n')
    command = ["experiment", "estimate", str(small_folder), "--events", url, "--reward", "clicks", "--json"]
    done = json.loads(CliRunner().invoke(app, [*command, "--rerank", str(config)]).stdout)
    for name in ("ips", "snips", "dr"):
        assert done[name]["low"] < truth < done[name]["high"], name
    assert done["logged"]["high"] < truth, "as it was, it earned less"
    assert done["dr"]["high"] - done["dr"]["low"] < done["ips"]["high"] - done["ips"]["low"]
    assert done["mean_weight"]["low"] < 1 < done["mean_weight"]["high"]
    table = CliRunner().invoke(app, [*command[:-1], "--rerank", str(config)]).stdout
    assert "doubly robust" in table
    refused = CliRunner().invoke(app, [*command, "--arm", "now"])
    assert isinstance(refused.exception, EvaluationError)
    assert "always shows the same" in str(refused.exception)
    shown = CliRunner().invoke(app, ["experiment", "report", "--events", url, "--window", "2h"])
    assert all(word in shown.stdout for word in ("now", "drawn", "answers", "responses", "difference"))
    assert max(map(len, shown.stdout.splitlines())) <= 80
    both = json.loads(CliRunner().invoke(app, ["experiment", "report", "--events", url, "--json"]).stdout)
    assert set(both["arms"]) == {"now", "drawn"}
