"""The map in a real browser: it is painted, moves by pointer and keys, and shows where a query lands."""

from __future__ import annotations

from typing import Any

import pytest

from shortlist.recommender import Query, Recommender
from tests.path.pages import Keys, errors, find, in_browser, press, shot, wait

pytestmark = in_browser
CANVAS = "canvas[data-testid=map]"
# the share of the canvas that is painted; where there is WebGL its picture is drawn into another canvas first
PAINTED = """
const map = document.querySelector("canvas[data-testid=map]");
const copy = Object.assign(document.createElement("canvas"), {width: map.width, height: map.height});
const context = copy.getContext("2d");
return new Promise((done) => {
  dispatchEvent(new Event("resize"));
  map.dispatchEvent(new WheelEvent("wheel", {deltaY: 0, cancelable: true}));
  requestAnimationFrame(() => {
    context.drawImage(map, 0, 0);
    const {data} = context.getImageData(0, 0, copy.width, copy.height);
    let painted = 0;
    for (let i = 3; i < data.length; i += 4) painted += data[i] > 0;
    done(painted / (copy.width * copy.height));
  });
});
"""


def rows(browser: Any, testid: str) -> list[str]:
    script = f"return [...document.querySelectorAll('[data-testid={testid}] li')].map((row) => row.dataset.itemId)"
    found: list[str] = browser.execute_script(script)
    return found


@pytest.fixture(autouse=True)
def _fresh(browser: Any, address: str) -> None:
    browser.get(f"{address}/#/report")
    browser.execute_script("localStorage.clear()")
    browser.get("about:blank")  # the page then starts anew


def test_all_items_are_painted_and_can_be_walked(browser: Any, address: str, demo: Recommender) -> None:
    browser.get(f"{address}/#/map")
    canvas = wait(browser, lambda: find(browser, CANVAS), "the map")[0]
    assert canvas.get_attribute("data-items") == str(demo.dataset.num_items)
    wait(browser, lambda: rows(browser, "centre"), "the items in the middle")
    wait(browser, lambda: find(browser, ".map-label"), "titles on the map")
    assert browser.execute_script(PAINTED) > 0.02
    shot(browser, "map")
    before = rows(browser, "centre")
    canvas.send_keys("+++++", Keys.ARROW_RIGHT, Keys.ARROW_UP)
    wait(browser, lambda: rows(browser, "centre") not in ([], before), "other items in the middle")
    middle = rows(browser, "centre")[0]
    canvas.send_keys(Keys.ENTER)
    wait(browser, lambda: find(browser, "dialog#item-drawer[open]"), "the drawer")
    title = find(browser, "#drawer-title")[0].text
    assert find(browser, f"[data-testid=centre] li[data-item-id='{middle}'] button")[0].text.startswith(title[:10])
    assert errors(browser) == []


def test_a_search_flies_to_a_film(browser: Any, address: str) -> None:
    browser.get(f"{address}/#/map")
    search = wait(browser, lambda: find(browser, "#map-search"), "the search")[0]
    search.send_keys("toy story")
    wait(browser, lambda: find(browser, "#map-results li[data-item-id='1']"), "the film")
    search.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    wait(browser, lambda: rows(browser, "centre")[:1] == ["1"], "the film in the middle")
    assert find(browser, ".map-found")[0].text == "Toy Story"
    find(browser, "[data-action=lit]")[0].click()
    assert find(browser, "[data-action=lit][aria-pressed=true]")
    find(browser, "[data-choice=popularity]")[0].click()
    wait(browser, lambda: find(browser, ".legend-ramp"), "the other legend")
    assert errors(browser) == []


def test_where_a_user_lands(browser: Any, address: str, demo: Recommender) -> None:
    browser.get(f"{address}/#/map/user/15")
    wait(browser, lambda: len(rows(browser, "landing")) == 10, "the recommended items")
    answer = demo.recommend(Query(user_id=15, k=10))
    assert rows(browser, "landing") == [str(item.item_id) for item in answer.items]
    assert find(browser, ".map-query")[0].text == "User 15"
    assert len(find(browser, ".map-next")) == len(find(browser, ".map-lines line")) == 10
    press(browser, "[data-choice=fit]")
    wait(browser, lambda: find(browser, ".legend-ramp"), "how everything fits")
    shot(browser, "map-user")
    find(browser, "[data-choice=nobody]")[0].click()
    wait(browser, lambda: not find(browser, ".map-query"), "nobody")
    assert errors(browser) == []


def test_by_webgl(browser: Any, address: str) -> None:
    """Which the page leaves alone where it is emulated, as here: painting by hand is faster then."""
    script = """
    const original = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, options) {
      if (kind === "webgl2") window.asked = true;
      return original.call(this, kind, {...options, failIfMajorPerformanceCaveat: false});
    };
    const parameter = WebGL2RenderingContext.prototype.getParameter;
    WebGL2RenderingContext.prototype.getParameter = function (name) {
      return name === 37446 ? "a GPU, it says" : parameter.call(this, name);
    };"""
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        browser.get(f"{address}/#/map")
        wait(browser, lambda: find(browser, ".map-label"), "titles on the map")
        assert browser.execute_script("return asked && document.querySelector('canvas').getContext('2d') === null")
        assert browser.execute_script(PAINTED) > 0.02
        find(browser, "[data-action=lit]")[0].click()
        assert errors(browser) == []
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": added["identifier"]})
