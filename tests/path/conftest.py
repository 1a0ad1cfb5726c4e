"""A server and a browser for the tests of the page."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from shortlist.events import EventStore
from shortlist.recommender import Recommender
from shortlist.service.app import create_app
from shortlist.service.keys import Keyring


@contextmanager
def served(recommender: Recommender, store: EventStore | None = None, keys: Keyring | None = None) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(recommender, store, keys=keys), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def address(demo: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(demo, EventStore(f"{tmp_path_factory.mktemp('events')}/events.db")) as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    from tests.path.pages import CHROMIUM, DRIVER

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    arguments = ["--headless=new", "--disable-quic", "--no-first-run", "--window-size=1280,900"]
    arguments += ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL without a GPU
    arguments += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    arguments += [f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    yield driver
    driver.quit()
