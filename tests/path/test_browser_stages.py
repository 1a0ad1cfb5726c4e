"""A user's list stage by stage in a real browser, with a ranker and a re-ranker whose work is known."""

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
from tests.path.pages import errors, find, in_browser, listed, look, press, shot, wait

pytestmark = in_browser


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
