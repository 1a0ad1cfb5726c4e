"""Shape in a real browser: a slider changes the list at once, as the recommender would, and says what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

import pytest

from shortlist.recommender import Query, Recommender
from shortlist.recommender.shaping import steps_from
from tests.path.conftest import served
from tests.path.pages import Keys, errors, find, in_browser, shot, wait

pytestmark = in_browser
POINTS = [
    {
        "strength": n / 4,
        "figures": {"ndcg": 0.2 - n * 0.01, "diversity": 0.5 + n * 0.1},
        "loss": n * 0.05,
        "loss_high": n * 0.06,
        "microseconds": 100.0,
    }
    for n in range(5)
]
CURVE = {"step": "diversity", "k": 10, "selected_on": "the validation part", "num_queries": 300, "points": POINTS}
DAMPED = {"step": "popularity", "strength": 0.4}


@pytest.fixture(scope="module")
def shaped(demo: Recommender) -> Recommender:
    """The demo with a step of its own and a measured curve of another."""
    recommender = copy(demo.reranked(steps_from([DAMPED])))
    assert recommender.report is not None
    recommender.report = recommender.report.with_tradeoff("diversity", CURVE)
    return recommender


@pytest.fixture(scope="module")
def shaped_address(shaped: Recommender) -> Iterator[str]:
    with served(shaped) as address:
        yield address


def rows(browser: Any) -> list[str]:
    script = (
        "return [...document.querySelectorAll('ol#shaped:not([aria-busy=true]) > li')].map((row) => row.dataset.itemId)"
    )
    found: list[str] = browser.execute_script(script)
    return found


def under(recommender: Recommender, *steps: dict[str, Any]) -> list[str]:
    answer = recommender.reranked(steps_from(list(steps))).recommend(Query(user_id=15, k=12))
    return [str(item.item_id) for item in answer.items]


def slide(browser: Any, step: str, *keys: str) -> None:
    slider = find(browser, f"[data-step={step}] .slider")[0]
    browser.execute_script("arguments[0].focus()", slider)
    slider.send_keys(*keys)


def test_a_slider_changes_the_list_at_once(browser: Any, shaped_address: str, shaped: Recommender) -> None:
    browser.get(f"{shaped_address}/#/shape/15")
    wait(browser, lambda: rows(browser) == under(shaped, DAMPED), "the list as it is served")
    slide(browser, "diversity", *[Keys.ARROW_RIGHT] * 11)
    wanted = under(shaped, DAMPED, {"step": "diversity", "strength": 0.55})
    wait(browser, lambda: rows(browser) == wanted, "the list under both steps")
    assert wanted != under(shaped, DAMPED)
    assert find(browser, ".badge-move")
    cost = find(browser, "[data-step=diversity] [data-testid=cost]")[0].text
    assert cost == "measured: 11.0 % of ndcg lost, surely no more than 13.2 %", "between 10 % at .5 and 15 % at .75"
    text = find(browser, "[data-testid=toml]")[0].text
    assert steps_from_toml(text) == steps_from([DAMPED, {"step": "diversity", "strength": 0.55}])
    shot(browser, "shape-test")
    assert errors(browser) == []


def steps_from_toml(text: str) -> Any:
    import tomllib

    return steps_from(tomllib.loads(text)["rerank"])


def test_the_curve_follows_the_slider_and_what_was_not_measured_says_how(browser: Any, shaped_address: str) -> None:
    browser.get("about:blank")
    browser.get(f"{shaped_address}/#/shape/15")
    wait(browser, lambda: find(browser, ".curve-point"), "the curve")
    assert len(find(browser, ".curve-point")) == 5
    slide(browser, "diversity", Keys.END)
    said = "At strength 1: ndcg 0.2 → 0.16, diversity 0.5 → 0.9."
    wait(browser, lambda: find(browser, ".curve-box figcaption")[0].text == said, "what it costs at 1")
    slide(browser, "exploration", Keys.ARROW_RIGHT)
    wait(browser, lambda: "--step exploration --keep" in find(browser, "[data-testid=tradeoff]")[0].text, "how to")
    assert errors(browser) == []


def test_a_combination_and_back(browser: Any, shaped_address: str, shaped: Recommender) -> None:
    browser.get("about:blank")
    browser.get(f"{shaped_address}/#/shape/15")
    wait(browser, lambda: rows(browser) == under(shaped, DAMPED), "the list as it is served")
    browser.execute_script("arguments[0].click()", find(browser, "[data-choice='more varied']")[0])
    varied = [{"step": "calibration", "strength": 0.3}, {"step": "diversity", "strength": 0.5}]
    wait(browser, lambda: rows(browser) == under(shaped, *varied), "the varied list")
    left = set(under(shaped)) - set(under(shaped, *varied))
    assert len(find(browser, "[data-testid=left] button")) == len(left)
    browser.execute_script("arguments[0].click()", find(browser, "[data-choice='as served']")[0])
    wait(browser, lambda: rows(browser) == under(shaped, DAMPED), "the list as it is served again")
    assert errors(browser) == []


def test_what_the_data_do_not_allow_is_said(browser: Any, small: Recommender) -> None:
    with served(small) as address:
        browser.get(f"{address}/#/shape/3")
        wait(browser, lambda: rows(browser), "the list")
        before = rows(browser)
        slide(browser, "diversity", Keys.END)
        wait(browser, lambda: find(browser, "[data-step=diversity] .step-missing"), "why not")
        assert "no vectors" in find(browser, ".step-missing")[0].text
        assert rows(browser) == before
        slide(browser, "boost", Keys.END)
        field = find(browser, "[data-step=boost] input[type=text]")[0]
        field.send_keys("size >", Keys.TAB)
        wait(browser, lambda: "Invalid condition" in find(browser, ".shape .list")[0].text, "what is wrong")
        find(browser, "[data-step=boost] input[type=text]")[0].send_keys(" 5", Keys.TAB)
        wait(browser, lambda: rows(browser) and not find(browser, ".problem"), "the boosted list")
        assert all("400" in one for one in errors(browser)), "the browser notes what was refused"
