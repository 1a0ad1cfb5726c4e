"""What the browser tests have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

selenium = pytest.importorskip("selenium", reason="selenium is not installed")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

from tests.chromium import CHROMIUM, DRIVER  # noqa: E402

__all__ = [
    "By",
    "Keys",
    "Select",
    "errors",
    "find",
    "in_browser",
    "listed",
    "press",
    "shot",
    "wait",
]

in_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the PATH"),
]


def press(browser: Any, selector: str) -> None:
    """Click what the driver would think visible below the header, too."""
    element = find(browser, selector)[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def find(browser: Any, selector: str) -> list[Any]:
    found: list[Any] = browser.find_elements(By.CSS_SELECTOR, selector)
    return found


def wait(browser: Any, condition: Any, what: str) -> Any:
    return WebDriverWait(browser, 15).until(lambda _: condition(), f"waited for {what}")


def listed(browser: Any) -> list[str]:
    """Ids of the recommended items, read at one moment; nothing while another list loads."""
    script = "return [...document.querySelectorAll('ol#recommendations:not([aria-busy=true]) > li[data-item-id]')]"
    found: list[str] = browser.execute_script(f"{script}.map((row) => row.dataset.itemId)")
    return found


def shot(browser: Any, name: str) -> None:
    """Keep a screenshot where SHORTLIST_SCREENSHOTS names a folder."""
    if folder := os.environ.get("SHORTLIST_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def errors(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def look(browser: Any, theme: str, width: int) -> None:
    """A theme, and a width in pixels; nothing glides."""
    features = [{"name": "prefers-color-scheme", "value": theme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
