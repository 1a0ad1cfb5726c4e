"""A user's list stage by stage, and why an item is in it: in a real browser, with stages whose work is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from shortlist.data.queries import QueryBatch
from shortlist.data.ragged import Ragged
from shortlist.recommender import Query, Recommender
from shortlist.reranking import Slate
from tests.path.conftest import served
from tests.path.pages import Keys, errors, find, in_browser, listed, look, press, shot, wait
from tests.path.test_browser_access import CHECKS

pytestmark = in_browser
FIRST = "ol#recommendations > li:first-child .why"


class Backwards:
    """Ranks the retriever's last candidate first."""

    name = "backwards"

    def score(self, queries: QueryBatch, candidates: Ragged, retrieved: Any) -> np.ndarray:  # type: ignore[type-arg]
        return (np.arange(len(candidates.values)) - candidates.offsets[candidates.row_of_value]).astype(np.float32)


@dataclass
class LastFirst:
    """Puts the last item of the list in front."""

    name: str = "freshness"
    strength: float = 0.5

    def rerank(self, slate: Slate, k: int) -> Slate:
        return slate.ordered(np.append(len(slate) - 1, np.arange(len(slate) - 1)))


@pytest.fixture(scope="module")
def staged(demo: Recommender) -> Recommender:
    return Recommender(
        demo.dataset,
        demo.retriever,
        demo.settings,
        demo.report,
        demo.baselines,
        ranker=Backwards(),
        rerankers=[LastFirst()],
        candidates=50,
    )


@pytest.fixture(scope="module")
def staged_address(staged: Recommender) -> Iterator[str]:
    with served(staged) as address:
        yield address


def test_places_after_each_stage(browser: Any, staged_address: str, staged: Recommender) -> None:
    browser.get(f"{staged_address}/#/users/15")
    wait(browser, lambda: len(listed(browser)) == 12, "the list")
    names = [step.text.split("\n")[:2] for step in find(browser, "[data-testid=path] li")]
    assert names == [
        ["catalogue", "9,066"],
        ["candidates", "50"],
        ["ranked", "50"],
        ["freshness", "50"],
        ["shown", "12"],
    ]
    press(browser, "[data-choice=stages]")
    wait(browser, lambda: find(browser, "[data-testid=places] tbody tr"), "the stages")
    heads = [head.text for head in find(browser, "[data-testid=places] thead th")]
    assert heads == ["Item", "candidates", "ranked", "freshness"]
    rows = find(browser, "[data-testid=places] tbody tr")
    answer = staged.recommend(Query(user_id=15, k=12))
    assert [row.get_attribute("data-item-id") for row in rows] == [str(item.item_id) for item in answer.items]
    # the retriever's best is the ranker's last, and the re-ranker's first
    first = [cell.text.split() for cell in rows[0].find_elements("css selector", "td")]
    assert [cell[0] for cell in first] == ["1", "50", "1"]
    assert [cell[1:2] for cell in first] == [[], ["▼49"], ["▲49"]]
    dropped = [one.text for one in find(browser, ".dropped")]
    assert dropped[0].startswith("ranked put 12 items out of the first 12")
    assert dropped[1].startswith("freshness put 1 item out of the first 12")
    shot(browser, "stages")
    look(browser, "dark", 390)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    look(browser, "light", 1280)
    assert errors(browser) == []


def test_the_retriever_alone(browser: Any, address: str) -> None:
    browser.get(f"{address}/#/users/15")
    wait(browser, lambda: len(listed(browser)) == 12, "the list")
    assert find(browser, ".path-alone")
    assert not find(browser, "[data-choice=stages]")
    assert errors(browser) == []


def amounts(browser: Any, selector: str) -> list[float]:
    return [float(one.text.replace("−", "-").replace(",", "")) for one in find(browser, selector)]


def test_a_score_taken_apart(browser: Any, address: str, demo: Recommender) -> None:
    browser.get(f"{address}/#/users/15")
    wait(browser, lambda: len(listed(browser)) == 12, "the list")
    summary = f"{FIRST} summary"
    (item, *_) = demo.recommend(Query(user_id=15, k=12), explain="full").items
    assert not find(browser, f"{FIRST} .why-part"), "nothing is drawn before it is asked for"
    find(browser, summary)[0].send_keys(Keys.ENTER)
    wait(browser, lambda: find(browser, f"{FIRST} .why-part"), "the parts")
    (attribution,) = item.attributions
    (score,), (baseline,) = amounts(browser, f"{FIRST} .why-score"), amounts(browser, f"{FIRST} .why-baseline")
    parts = amounts(browser, f"{FIRST} .why-amount")
    assert score == pytest.approx(attribution.score, rel=0.01)
    places = len(find(browser, f"{FIRST} .why-score")[0].text.partition(".")[2])
    assert baseline + sum(parts) == pytest.approx(score, abs=0.5 * 10**-places * (len(parts) + 2))
    names = [one.text for one in find(browser, f"{FIRST} .why-name")]
    assert len(names) == 9
    assert names[-1].endswith("smaller parts together")
    assert not find(browser, f"{FIRST} .why-moves"), "the retriever alone moves nothing"
    named = find(browser, f"{FIRST} .why-name button")
    item_id = named[0].get_attribute("data-item-id")
    assert item_id in {str(part.item_id) for part in attribution.parts}
    shot(browser, "why")
    press(browser, f"{FIRST} .why-name button")
    wait(browser, lambda: find(browser, "dialog#item-drawer[open]"), "the drawer of the liked item")
    find(browser, "body")[0].send_keys(Keys.ESCAPE)
    wait(browser, lambda: not find(browser, "dialog#item-drawer[open]"), "the drawer closed")
    assert errors(browser) == []


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_it_can_be_read_by_everybody(browser: Any, staged_address: str, theme: str, width: int) -> None:
    look(browser, theme, width)
    browser.get(f"{staged_address}/?{theme}{width}#/users/15")
    wait(browser, lambda: len(listed(browser)) == 12, "the list")
    press(browser, f"{FIRST} summary")
    wait(browser, lambda: find(browser, f"{FIRST} .why-part"), "the parts")
    moves = find(browser, f"{FIRST} .why-moves")[0].text
    assert "ranked: lowered by 49 to place 50" in moves
    assert "freshness: lifted by 49 to place 1" in moves
    browser.execute_script(CHECKS)
    assert browser.execute_script("return [...checks.names(), ...checks.structure(), ...checks.contrast()]") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    shot(browser, f"why-{theme}-{width}")
    look(browser, "light", 1280)
    assert errors(browser) == []
