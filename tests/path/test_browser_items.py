"""The catalogue and an item's page in a real browser."""

from __future__ import annotations

from typing import Any

from shortlist.recommender import Recommender
from shortlist.recommender.audience import Audience
from tests.path.pages import Select, errors, find, in_browser, press, shot, wait

pytestmark = in_browser


def cards(browser: Any, of: str = "one.dataset.itemId") -> list[str]:
    """Of all cards at one moment."""
    script = "const all = document.querySelectorAll('[data-testid=items][aria-busy=false] > li');"
    found: list[str] = browser.execute_script(f"{script} return [...all].map((one) => {of})")
    return found


def test_search_filter_and_order(browser: Any, address: str) -> None:
    browser.get(f"{address}/#/items")
    first = wait(browser, lambda: cards(browser), "the catalogue")
    assert len(first) == 36
    press(browser, "[data-action=next]")
    wait(browser, lambda: cards(browser) and not set(cards(browser)) & set(first), "the next page")
    press(browser, "[data-action=previous]")
    wait(browser, lambda: cards(browser) == first, "the first page again")
    press(browser, "[data-action=all-tags]")
    press(browser, "[data-tag=Western]")
    wait(browser, lambda: cards(browser) and cards(browser)[0] != first[0], "westerns")
    genres = cards(browser, "one.querySelector('.card-genres').textContent")
    assert [one for one in genres if one.count("·") < 2 and "Western" not in one] == []
    Select(find(browser, "#browse-sort")[0]).select_by_visible_text("title")
    find(browser, "#browse-search")[0].send_keys("dollars")
    wait(browser, lambda: find(browser, "[data-testid=total]")[0].text == "2 items in Western for “dollars”", "two")
    found = cards(browser)
    shot(browser, "items")
    browser.get(f"{address}/#/items/{found[0]}")
    wait(browser, lambda: find(browser, ".item-head"), "its page")
    browser.back()
    wait(browser, lambda: cards(browser) == found, "the same list")
    assert errors(browser) == []


def test_the_page_of_an_item(browser: Any, address: str, demo: Recommender) -> None:
    browser.get(f"{address}/#/items/1258")
    wait(browser, lambda: find(browser, "[data-testid=audience] li"), "who would like it")
    shown = [row.get_attribute("data-user-id") for row in find(browser, "[data-testid=audience] li")]
    assert shown == [str(fan.user_id) for fan in Audience(demo).of(1258, 10)]
    assert find(browser, "h1")[0].text == "The Shining 1980"
    assert find(browser, ".sparkline svg")[0].get_attribute("aria-label").startswith("Taken 101 times from")
    neighbours = [row.get_attribute("data-item-id") for row in find(browser, "li.neighbour")]
    assert neighbours == [str(item.item_id) for item in demo.similar(1258, 10)]
    shot(browser, "item")
    find(browser, "[data-testid=audience] a")[0].click()
    wait(browser, lambda: find(browser, "ol#history li"), "a user")
    browser.get(f"{address}/#/items/nothing")
    wait(browser, lambda: find(browser, ".problem"), "a word about an unknown item")
    assert len([one for one in errors(browser) if "404" not in one]) == 0
