"""The page of a service that asks for keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shortlist.recommender import Recommender
from shortlist.recommender.artifact import PAGE
from shortlist.service.keys import READ, Keyring, add_key
from tests.path.conftest import served
from tests.path.pages import Keys, errors, find, in_browser, listed, look, shot, wait

pytestmark = in_browser
CHECKS = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
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


def test_the_question_is_for_everybody(browser: Any, small: Recommender, tmp_path: Path) -> None:
    add_key(tmp_path / "keys.toml", "me", [READ])
    with served(small, keys=Keyring(tmp_path / "keys.toml")) as address:
        browser.get(f"{address}/#/users/1")
        wait(browser, lambda: find(browser, FIELD), "the question")
        browser.execute_script(CHECKS)
        assert browser.execute_script("return [...checks.names(), ...checks.structure()]") == []
        for theme, width in (("light", 1280), ("dark", 390)):
            look(browser, theme, width)
            assert browser.execute_script("return checks.contrast()") == [], theme
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            shot(browser, f"key-{theme}-{width}")
        look(browser, "light", 1280)
        errors(browser)  # refused, as it should be


def test_the_report_is_saved_with_a_key(browser: Any, small: Recommender, small_folder: Path, tmp_path: Path) -> None:
    """A link bears no key, so a click fetches the page and saves it."""
    key = add_key(tmp_path / "keys.toml", "me", [READ])
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path / "saved")}
    )
    with served(small, keys=Keyring(tmp_path / "keys.toml")) as address:
        browser.get(f"{address}/healthz")
        browser.execute_script("sessionStorage.setItem('shortlist.key', arguments[0])", key)
        save = "const done = arguments[0]; import('/static/api.js').then((api) => done(api.saveWithKey('/report', 'r.html')))"
        assert browser.execute_async_script(save) is True
        wait(browser, (tmp_path / "saved" / "r.html").exists, "the file")
        assert (tmp_path / "saved" / "r.html").read_bytes() == (small_folder / PAGE).read_bytes()
        browser.execute_script("sessionStorage.clear()")
        assert browser.execute_async_script(save) is False, "an ordinary link"


def test_without_keys_nothing_is_asked(browser: Any, small: Recommender) -> None:
    with served(small) as address:
        browser.get(f"{address}/#/users/1")
        wait(browser, lambda: listed(browser), "the list")
        assert not find(browser, FIELD)


def _asked(browser: Any) -> str:
    return " ".join(form.text for form in find(browser, "[data-testid=key]"))
