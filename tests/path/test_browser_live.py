"""Live in a real browser: events as they come, figures that are the service's, a pause that asks nothing."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shortlist.events import Event, EventStore
from shortlist.recommender import Recommender
from shortlist.service.keys import Keyring, add_key
from tests.path.conftest import served
from tests.path.pages import errors, find, in_browser, press, shot, wait

pytestmark = in_browser


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    return EventStore(f"{tmp_path}/events.db")


@pytest.fixture
def live_address(browser: Any, small: Recommender, store: EventStore) -> Iterator[str]:
    with served(small, store) as address:
        yield address
        browser.get("about:blank")  # else it goes on asking who is no more


def events(browser: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = browser.execute_script(
        "return [...document.querySelectorAll('[data-testid=events] li')]"
        ".map((row) => [row.querySelector('a').textContent, row.querySelector('.event-word').textContent])"
    )
    return found


def test_what_happens_is_seen(browser: Any, live_address: str, store: EventStore) -> None:
    for user in (3, 4, 5):
        urllib.request.urlopen(f"{live_address}/v1/recommendations/{user}").read()
    store.add([Event.of(3, 100, "like")])
    browser.get(f"{live_address}/#/live")
    wait(browser, lambda: events(browser) == [["user 3", "like"]], "the first event")
    assert "3 warm" in find(browser, "[data-testid=counts]")[0].text
    store.add([Event.of(4, 101, "hide")])
    wait(browser, lambda: events(browser)[:1] == [["user 4", "hide"]], "the next one, by itself")
    assert find(browser, "[data-sequence][data-new=true]"), "it is marked as new"
    table = find(browser, ".live-side")[0].text
    assert "encode the query" in table
    assert "/v1/recommendations/{user_id}" in table
    assert "/v1/live" not in table, "what the page asks itself is not counted"
    shot(browser, "live-test")
    assert errors(browser) == []


def test_a_pause_asks_nothing(browser: Any, live_address: str, store: EventStore) -> None:
    browser.get(f"{live_address}/#/live")
    wait(browser, lambda: find(browser, "[data-testid=tiles]"), "the page")
    press(browser, "[data-action=pause]")
    time.sleep(0.3)  # a question that is under way
    asked = _asked(live_address)
    store.add([Event.of(5, 102, "like")])
    time.sleep(2.3)
    assert _asked(live_address) == asked + 1, "by this test alone"
    assert events(browser) == []
    press(browser, "[data-action=pause]")
    wait(browser, lambda: events(browser) == [["user 5", "like"]], "what came meanwhile")
    assert errors(browser) == []


FIGURES = """
const done = arguments[0];
import('/static/livefigures.js').then(({ quantile, withSample }) => {
  const sample = (instance, time, count) => ({ instance, time, model: 'mf', latest: [time], events_store: 'ok',
    requests: [{ route: '/v1/users', status: '200', count }] });
  const told = (...all) => all.reduce(withSample, []).map((one) => [one.instance, one.time, one.latest[0], one.machines.length]);
  done({
    quantiles: [0.25, 0.5, 1].map((share) => quantile({ count: 4, buckets: [2, 0, 2, 0] }, [1, 2, 4], share)),
    grown: told(sample('a', 0, 5), sample('a', 2, 6)),
    restarted: told(sample('a', 0, 5), sample('a', 2, 1)),
    two: told(sample('a', 0, 5), sample('b', 2, 90), sample('a', 4, 6)),
    gone: told(sample('a', 0, 5), sample('b', 2, 90), sample('b', 40, 91)),
  });
});
"""


def test_figures_from_samples(browser: Any, live_address: str) -> None:
    browser.get(f"{live_address}/#/users")
    found = browser.execute_async_script(FIGURES)
    assert found == {
        "quantiles": [0.5, 1, 4],
        "grown": [["a", 0, 0, 1], ["a", 2, 2, 1]],
        "restarted": [["a", 2, 2, 1]],
        "two": [["a", 0, 2, 2], ["a", 4, 4, 2]],
        "gone": [["b", 40, 40, 1]],
    }


def _asked(address: str) -> int:
    live = json.loads(urllib.request.urlopen(f"{address}/v1/live").read())
    return sum(one["count"] for one in live["requests"] if one["route"] == "/v1/live")


def test_it_is_for_those_who_run_it(browser: Any, small: Recommender, tmp_path: Path) -> None:
    reads = add_key(tmp_path / "keys.toml", "shop", ["read"])
    with served(small, keys=Keyring(tmp_path / "keys.toml")) as address:
        browser.get(f"{address}/healthz")
        browser.execute_script("sessionStorage.setItem('shortlist.key', arguments[0])", reads)
        browser.get(f"{address}/#/live")
        wait(
            browser,
            lambda: "Scope missing" in " ".join(one.text for one in find(browser, "[data-testid=key]")),
            "why not",
        )
        browser.execute_script("sessionStorage.clear()")
        assert all("401" in one or "403" in one for one in errors(browser)), "no other than what was refused"
