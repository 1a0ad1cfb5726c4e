"""The page of a service that asks for keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shortlist.recommender import Recommender
from shortlist.service.keys import Keyring, add_key
from tests.path.conftest import served
from tests.path.pages import Keys, errors, find, in_browser, listed, shot, wait

pytestmark = in_browser
FIELD = "[data-testid=key] input"


def test_the_page_asks_for_a_key_and_keeps_it(browser: Any, small: Recommender, tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    events, reads = (add_key(file, scope, [scope]) for scope in ("write", "read"))
    with served(small, keys=Keyring(file)) as address:
        browser.get(f"{address}/#/users/1")
        for wrong, said in (("schlüssel", "Unknown key"), (events, "Scope missing")):
            wait(browser, lambda: find(browser, FIELD), "the question")
            shot(browser, "key")
            find(browser, FIELD)[0].send_keys(wrong, Keys.ENTER)
            wait(browser, lambda said=said: said in _asked(browser), said)
        assert not listed(browser)
        find(browser, FIELD)[0].send_keys(f" {reads} ", Keys.ENTER)
        wait(browser, lambda: listed(browser), "the list")
        assert not find(browser, FIELD)
        assert reads not in browser.page_source + browser.current_url
        assert browser.execute_script("return JSON.stringify(localStorage)").find(reads) < 0
        assert all("401" in one or "403" in one for one in errors(browser)), "no other than what was refused"


def test_without_keys_nothing_is_asked(browser: Any, small: Recommender) -> None:
    with served(small) as address:
        browser.get(f"{address}/#/users/1")
        wait(browser, lambda: listed(browser), "the list")
        assert not find(browser, FIELD)


def _asked(browser: Any) -> str:
    return " ".join(form.text for form in find(browser, "[data-testid=key]"))
