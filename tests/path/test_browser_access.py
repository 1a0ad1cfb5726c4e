"""Every page for everybody: names, structure, contrast in both themes, the keyboard, a phone's width, and axe's rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.path.pages import Keys, errors, find, in_browser, look, shot, wait

pytestmark = in_browser
CHECKS = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
# whether a page has stayed the same for a moment
RESTS = """
const before = document.body.textContent;
setTimeout((done) => done(document.body.textContent === before), 400, arguments[0]);
"""
AXE_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
TASTE = {"liked": [{"item_id": 1, "title": "Toy Story (1995)", "genres": ["Animation", "Comedy"]}], "disliked": []}
PAGES = {
    "start": ("/#/discover", "[data-testid=popular] li", False),
    "discover": ("/#/discover", "ol#recommendations li", True),
    "items": ("/#/items", "[data-testid=items] li", False),
    "item": ("/#/items/1", "[data-testid=audience] li", True),
    "map": ("/#/map", "[data-testid=landing] li", True),
    "users": ("/#/users", "[data-testid=users] li", False),
    "user": ("/#/users/15", "ol#recommendations li", False),
    "shape": ("/#/shape/15", "ol#shaped li", False),
    "report": ("/#/report", "tr[data-model]", False),
    "live": ("/#/live", "[data-testid=tiles] li", False),
}


@pytest.fixture(params=PAGES, scope="module")
def page(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Any]:
    """Each page in turn, at 1280 pixels and in light colours, with the checks at hand."""
    path, sign, has_taste = PAGES[request.param]
    look(browser, "light", 1280)
    browser.get(f"{address}/#/users")
    taste = json.dumps(TASTE) if has_taste else "null"
    browser.execute_script("localStorage.clear(); localStorage.setItem('shortlist.taste', arguments[0])", taste)
    browser.get("about:blank")
    browser.get(address + path)
    wait(browser, lambda: find(browser, sign), "the page")
    wait(browser, lambda: browser.execute_async_script(RESTS), "everything to have come")
    browser.execute_script(CHECKS)
    browser.name_of_page = request.param
    yield browser
    look(browser, "light", 1280)


def test_names_structure_and_contrast(page: Any) -> None:
    assert page.execute_script("return [...checks.names(), ...checks.structure()]") == []
    for theme, width in (("light", 1280), ("dark", 1280), ("dark", 390), ("light", 390), ("light", 320)):
        look(page, theme, width)
        wait(page, lambda width=width: page.execute_script("return innerWidth") == width, "the width")
        assert page.execute_script("return checks.contrast()") == [], f"{theme}, {width} pixels"
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        shot(page, f"look-{page.name_of_page}-{theme}-{width}")
    assert errors(page) == []


def test_rules_of_axe(page: Any) -> None:
    """WCAG 2.2 at level AA, and best practice, as axe-core judges them."""
    axe = pytest.importorskip("selenium_axe_python", reason="selenium-axe-python is not installed").Axe(page)
    axe.inject()
    options = {"runOnly": [*AXE_RULES, "best-practice"], "resultTypes": ["violations"]}
    for theme, width in (("light", 1280), ("dark", 390)):
        look(page, theme, width)
        found = axe.run(options=options)["violations"]
        wrong = [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]
        assert wrong == [], f"{theme}, {width} pixels"


def test_nothing_comes_from_elsewhere(page: Any) -> None:
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(({name}) => name)")
    assert loaded
    assert [one for one in loaded if not one.startswith(page.execute_script("return location.origin"))] == []
    assert errors(page) == []


def test_by_keyboard_alone(page: Any) -> None:
    look(page, "light", 1280)
    stops = page.execute_script("return checks.walk()")
    find(page, "body")[0].send_keys(Keys.TAB * (stops + 5))
    assert page.execute_script("return checks.walked()") == []


def test_the_first_stop_skips_to_the_content(page: Any) -> None:
    page.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    page.refresh()
    wait(page, lambda: find(page, ".skip"), "the page")
    find(page, "body")[0].send_keys(Keys.TAB)
    focused = page.execute_script(
        "const one = document.activeElement; return [one.className, one.getClientRects()[0].top]"
    )
    assert focused[0] == "skip"
    assert focused[1] >= 0, "it is seen while it has the focus"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.execute_script("return document.activeElement.id") == "main"
    assert "Shortlist" in page.title
