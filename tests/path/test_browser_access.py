"""Every page for everybody: names, structure, contrast in both themes, the keyboard, a phone's width."""

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


@pytest.fixture(params=PAGES)
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
    for theme, width in (("light", 1280), ("dark", 1280), ("dark", 390), ("light", 390)):
        look(page, theme, width)
        wait(page, lambda width=width: page.execute_script("return innerWidth") == width, "the width")
        assert page.execute_script("return checks.contrast()") == [], f"{theme}, {width} pixels"
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        shot(page, f"look-{page.name_of_page}-{theme}-{width}")
    assert errors(page) == []


def test_by_keyboard_alone(page: Any) -> None:
    stops = page.execute_script("return checks.walk()")
    find(page, "body")[0].send_keys(Keys.TAB * (stops + 5))
    assert page.execute_script("return checks.walked()") == []
