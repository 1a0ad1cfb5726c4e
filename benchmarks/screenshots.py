"""The pictures of the page in ``docs/images``: one artifact served, asked by some people, and every page of it in Chromium.

    python -m benchmarks.screenshots artifacts/demo --out docs/images

Needs chromium and chromedriver. The curves on Shape are measured here, and the artifact stays as it is.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import socket
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from shortlist.events import EventStore
from shortlist.recommender import Recommender
from shortlist.recommender.artifact import load
from shortlist.recommender.shaping import steps_from
from shortlist.recommender.tradeoff import tradeoff
from shortlist.service.app import create_app

LIKED = (1, 588, 364)
STEPS = [{"step": "calibration", "strength": 0.3}, {"step": "diversity", "strength": 0.5}]
EVENTS = ("like", "view", "view", "like", "hide", "add_to_cart", "dislike", "skip")


class Picture(NamedTuple):
    """A page, what shows that it is there, and what is done before it is taken."""

    name: str
    path: str
    sign: str
    theme: str = "light"
    size: tuple[int, int] = (1280, 900)
    script: str = ""
    taste: bool = False


VARIED = "document.querySelector(\"[data-choice='more varied']\").click()"
PICTURES = (
    Picture("start", "#/discover", "[data-testid=popular] li"),
    Picture("discover", "#/discover", "ol#recommendations li", taste=True),
    Picture("similar", "#/discover", "ol#recommendations li", script="similar", taste=True),
    Picture("items", "#/items", "[data-testid=items] li"),
    Picture("item", "#/items/588", "[data-testid=audience] li"),
    Picture("map", "#/map", "[data-testid=landing] li", size=(1280, 1010), taste=True),
    Picture("map-fit", "#/map", "[data-testid=landing] li", "dark", (1280, 1010), "fit", taste=True),
    Picture("users", "#/users", "[data-testid=users] li", size=(1280, 640)),
    Picture("user", "#/users/15", "ol#recommendations li"),
    Picture("shape", "#/shape/15", "ol#shaped li", script=VARIED),
    Picture("shape-cost", "#/shape/15", "ol#shaped li", "dark", (1280, 760), VARIED + ";cost"),
    Picture("report", "#/report", "tr[data-model]"),
    Picture("phone", "#/discover", "ol#recommendations li", "dark", (390, 844), taste=True),
    Picture("phone-shape", "#/shape/15", "ol#shaped li", "light", (390, 844), VARIED + ";list"),
)
LIVE = (
    Picture("live", "#/live", "[data-testid=events] li", size=(1280, 1000)),
    Picture("live-dark", "#/live", "[data-testid=events] li", "dark", (1280, 1000), "drift"),
)
SCRIPTS = {
    "similar": "document.querySelector('ol#recommendations [data-action=similar]').click()",
    "fit": "document.querySelector('[data-choice=fit]').click()",
    "cost": "document.querySelector('.shape-foot').scrollIntoView()",
    "list": "document.querySelector('[data-action=see]').click()",
    "drift": "document.querySelector('.live-drift').scrollIntoView({block: 'end'})",
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("artifact", type=Path)
    options.add_argument("--out", type=Path, default=Path("docs/images"))
    options.add_argument("--seconds", type=float, default=180, help="for which people ask before Live is taken")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    recommender = load(given.artifact)
    assert recommender.report is not None
    for step in ("diversity", "popularity"):
        recommender.report = recommender.report.with_tradeoff(step, tradeoff(recommender, step).to_dict())
    browser = chromium()
    with tempfile.TemporaryDirectory() as folder:
        store = EventStore(f"{folder}/events.db")
        with served(recommender, store) as address:
            for picture in PICTURES:
                take(browser, address, picture, given.out)
            people = threading.Thread(target=ask, args=(address, given.seconds))
            people.start()
            time.sleep(given.seconds / 2)
            for picture in LIVE:
                take(browser, address, picture, given.out, wait=given.seconds / 5)
            people.join()
        with served(recommender.reranked(steps_from(STEPS))) as address:
            stages = "document.querySelector('[data-choice=stages]').click()"
            take(browser, address, Picture("stages", "#/users/15", "ol#recommendations li", script=stages), given.out)
    browser.quit()


@contextmanager
def served(recommender: Recommender, store: EventStore | None = None) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(recommender, store), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def chromium() -> Any:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    flags = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--use-gl=angle", "--use-angle=swiftshader"]
    for flag in [*flags, "--enable-unsafe-swiftshader", f"--user-data-dir={tempfile.mkdtemp()}"]:
        options.add_argument(flag)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


def take(browser: Any, address: str, picture: Picture, folder: Path, wait: float = 2.0) -> None:
    features = [
        {"name": "prefers-color-scheme", "value": picture.theme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    width, height = picture.size
    screen = {"width": width, "height": height, "deviceScaleFactor": 2 if width < 500 else 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(f"{address}/#/users")
    taste = json.dumps({"liked": [fetch(f"{address}/v1/items/{one}")["item"] for one in LIKED], "disliked": []})
    browser.execute_script("localStorage.setItem('shortlist.taste', arguments[0])", taste if picture.taste else "null")
    browser.get("about:blank")
    browser.get(f"{address}/{picture.path}")
    until = time.monotonic() + 20
    while not browser.find_elements("css selector", picture.sign) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(wait)
    for script in filter(None, picture.script.split(";")):
        browser.execute_script(SCRIPTS.get(script, script))
        time.sleep(1.5)
    file = folder / f"{picture.name}.png"
    browser.save_screenshot(str(file))
    smaller(file)
    print(f"{file.name}: {file.stat().st_size // 1024} kB", flush=True)
    if wrong := [one["message"] for one in browser.get_log("browser") if one["level"] == "SEVERE"]:
        raise SystemExit(f"{picture.name}: {wrong}")


def smaller(file: Path) -> None:
    """256 colours are enough for a page."""
    from PIL import Image

    Image.open(file).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


def ask(address: str, seconds: float) -> None:
    """About ten lists a second, and what people do with them."""
    rng, until = random.Random(0), time.monotonic() + seconds
    users = [one["user_id"] for one in fetch(f"{address}/v1/users?limit=200")["users"]]
    while time.monotonic() < until:
        user = rng.choice(users)
        answer = post(f"{address}/v1/recommendations", {"k": 12, **({} if rng.random() < 0.1 else {"user_id": user})})
        if rng.random() < 0.3:
            item = rng.choice(answer["items"])["item_id"]
            post(f"{address}/v1/events", {"user_id": user, "item_id": item, "event": rng.choice(EVENTS)})
        time.sleep(rng.random() * 0.15)


def fetch(url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def post(url: str, body: dict[str, Any]) -> Any:
    return fetch(url, json.dumps(body).encode())


if __name__ == "__main__":
    main()
