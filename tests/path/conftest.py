"""A server and a browser for the tests of the page."""

from __future__ import annotations

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
from tests.chromium import started


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
    driver = started(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()
