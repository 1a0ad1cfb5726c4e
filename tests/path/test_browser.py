"""The page in a real browser: someone who was never in the training data clicks a few films."""

from __future__ import annotations

from typing import Any

from shortlist.recommender import Recommender
from tests.path.pages import By, Keys, errors, in_browser, listed, shot, wait

pytestmark = in_browser


def like(browser: Any, words: str, item_id: int) -> None:
    search = browser.find_element(By.CSS_SELECTOR, "#search")
    search.send_keys(Keys.CONTROL, "a")
    search.send_keys(words)
    button = f"#search-results [data-action=like][data-item-id='{item_id}']"
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, button), f"{words} among the results")
    browser.find_element(By.CSS_SELECTOR, button).click()
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, f"#taste li[data-item-id='{item_id}']"), "the taste")


def test_three_likes_change_the_list(browser: Any, address: str, demo: Recommender) -> None:
    browser.get(address)
    wait(
        browser, lambda: browser.find_elements(By.CSS_SELECTOR, "[data-testid=popular] [data-action=like]"), "the start"
    )
    shot(browser, "start")
    lists = []
    for words, item_id in (("toy story", 1), ("aladdin", 588), ("lion king", 364)):
        like(browser, words, item_id)
        known = lists[-1] if lists else []
        wait(browser, lambda known=known: listed(browser) and listed(browser) != known, "another list")
        lists.append(listed(browser))
    assert all(len(one) == 12 for one in lists)
    assert not {"1", "588", "364"} & set(lists[-1])
    shown = {str(item.item_id): item for item in demo.recommend(query([1, 588, 364])).items}
    assert lists[-1] == list(shown), "the page shows what the recommender says"
    text = browser.find_element(By.CSS_SELECTOR, "ol#recommendations").text
    assert "because you liked" in text.lower()
    browser.find_element(By.CSS_SELECTOR, "#search").send_keys(Keys.ESCAPE)
    shot(browser, "discover")
    assert errors(browser) == []


def query(history: list[int]) -> Any:
    from shortlist.recommender import Query

    return Query(history=history, k=12)


def test_a_dislike_removes_the_film_at_once(browser: Any, address: str) -> None:
    browser.get(f"{address}/#/discover")
    before = wait(browser, lambda: listed(browser), "the list, kept over a reload")
    victim = before[0]
    button = f"ol#recommendations [data-action=dislike][data-item-id='{victim}']"
    browser.execute_script("arguments[0].click()", browser.find_element(By.CSS_SELECTOR, button))
    wait(browser, lambda: listed(browser) and victim not in listed(browser), "the list without it")
    assert errors(browser) == []


def test_neighbours_of_a_film(browser: Any, address: str, demo: Recommender) -> None:
    browser.get(f"{address}/#/discover")
    wait(browser, lambda: listed(browser), "the list")
    button = browser.find_element(By.CSS_SELECTOR, "ol#recommendations [data-action=similar]")
    item_id = int(button.get_attribute("data-item-id"))
    browser.execute_script("arguments[0].click()", button)
    rows = "dialog#item-drawer[open] li[data-item-id]"
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, rows), "the drawer")
    shown = [row.get_attribute("data-item-id") for row in browser.find_elements(By.CSS_SELECTOR, rows)]
    assert shown == [str(one.item_id) for one in demo.similar(item_id, 10)]
    shot(browser, "similar")
    browser.find_element(By.CSS_SELECTOR, "body").send_keys(Keys.ESCAPE)
    wait(browser, lambda: not browser.find_elements(By.CSS_SELECTOR, "dialog#item-drawer[open]"), "the drawer closed")
    assert errors(browser) == []


def test_an_existing_user_and_the_report(browser: Any, address: str) -> None:
    browser.get(f"{address}/#/users/15")
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "ol#history li[data-item-id]"), "the history")
    wait(browser, lambda: listed(browser), "the list")
    shot(browser, "user")
    browser.get(f"{address}/#/report")
    wait(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "tr[data-model]")) == 7, "seven models")
    shot(browser, "report-tab")
    assert errors(browser) == []
    browser.get(f"{address}/report")
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "main section svg"), "the full report")
    assert errors(browser) == []


def test_a_known_users_dislike_is_kept_by_the_service(browser: Any, address: str) -> None:
    browser.get(f"{address}/#/users/20")
    victim = wait(browser, lambda: listed(browser), "the list")[0]
    button = f"ol#recommendations [data-action=dislike][data-item-id='{victim}']"
    browser.execute_script("arguments[0].click()", browser.find_element(By.CSS_SELECTOR, button))
    wait(browser, lambda: listed(browser) and victim not in listed(browser), "the list without it")
    entry = f"ol#history li[data-item-id='{victim}'][data-verdict=disliked]"
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, entry), "the dislike in the history")
    browser.refresh()
    assert victim not in wait(browser, lambda: listed(browser), "the list again")
    assert errors(browser) == []


def test_by_keyboard_on_a_phone_in_the_dark(browser: Any, address: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 375, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    )
    browser.get(f"{address}/#/discover")
    browser.execute_script("localStorage.clear()")
    browser.refresh()
    search = wait(browser, lambda: browser.find_element(By.CSS_SELECTOR, "#search"), "the search")
    search.send_keys("shining")
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#search-results li[data-item-id]"), "results")
    search.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#taste li[data-item-id='1258']"), "the liked film")
    wait(browser, lambda: listed(browser), "the list")
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    shot(browser, "phone")
    assert errors(browser) == []
