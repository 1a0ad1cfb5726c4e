"""Running the application, in one process or in several."""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from shortlist.errors import SettingsError, ShortlistError
from shortlist.events import EventStore
from shortlist.experiments.serving import recommenders
from shortlist.experiments.settings import ExperimentSettings
from shortlist.recommender import Recommender, artifact
from shortlist.recommender.reshaping import steps_of
from shortlist.service.app import create_app
from shortlist.service.keys import Keyring
from shortlist.service.memory import settle
from shortlist.service.metrics import MULTIPROCESS
from shortlist.service.peers import Peers

_DRAIN_SECONDS = 30
_WORKER = "SHORTLIST_WORKER"  # what a worker is told: it may hold a password, so it travels in the environment


@dataclass(frozen=True)
class Service:
    """What is served.

    Args:
        folder: of the artifact.
        events: URL of the event store; None: no events are kept.
        workers: processes that answer.
        access_log: whether each request becomes a line of JSON on standard error.
        timeout: seconds the model may take before what is popular answers.
        keys: file of API keys; None: anybody may ask.
        rate: requests a second each key may ask of one worker.
        rerank: settings file whose ``[[rerank]]`` counts in place of the artifact's.
        experiment: settings file of an experiment.
        peers: folder that several workers share.
    """

    folder: str
    events: str | None
    workers: int = 1
    access_log: bool = False
    timeout: float | None = None
    rerank: str | None = None
    keys: str | None = None
    rate: float | None = None
    experiment: str | None = None
    peers: str | None = None

    def load(self) -> Recommender:
        """The artifact, as it is to answer."""
        recommender = artifact.load(self.folder)
        return recommender if self.rerank is None else recommender.reranked(steps_of(Path(self.rerank)))

    def experiment_settings(self) -> ExperimentSettings | None:
        """Of the experiment that runs."""
        return None if self.experiment is None else ExperimentSettings.from_toml(self.experiment)

    def app(self) -> FastAPI:
        """Load the artifact, open the store."""
        recommender = self.load()
        app = create_app(
            recommender,
            None if self.events is None else EventStore(self.events),
            load=self.load,
            peers=None if self.peers is None else Peers(Path(self.peers), self.workers),
            access_log=self.access_log,
            timeout=self.timeout,
            keys=None if self.keys is None else Keyring(Path(self.keys)),
            rate=self.rate,
            experiment=self.experiment_settings(),
        )
        settle()
        return app


def default_store(folder: Path) -> str:
    """Beside the artifact, so that it outlives a new one: ``artifacts/demo`` → ``artifacts/demo.events.db``."""
    whole = folder.resolve()
    return str(whole.with_name(f"{whole.name}.events.db"))


def check_port(host: str, port: int) -> None:
    """Find out before anything is loaded whether the port can be had.

    Raises:
        ShortlistError: it is in use, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ShortlistError(
                f"Cannot listen on {host}:{port}: {error.strerror}. Another program may use it; choose another with --port."
            ) from None


def check_exposure(host: str, keys: str | None, insecure: bool) -> None:
    """Refuse to be open to a network without keys.

    Raises:
        SettingsError: others could reach it, and nothing would ask who they are.
    """
    if keys is not None:
        Keyring(Path(keys))  # what is wrong is said here, before anything is loaded
    elif not insecure and not _is_loopback(host):
        raise SettingsError(
            f"{host or 'an empty host'} can be reached from other machines, and whoever reaches the service may read, write, "
            "delete and reload. Make keys (shortlist keys add keys.toml --name NAME --scopes read,write) and serve with "
            "--keys keys.toml; or stay on --host 127.0.0.1. Where something before it asks who they are: --insecure."
        )


def _is_loopback(host: str) -> bool:
    if not host:
        return False  # all addresses
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(one[4][0]).partition("%")[0]).is_loopback for one in found)


def run(service: Service, host: str, port: int, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until Ctrl-C or SIGTERM; requests under way are finished.

    Args:
        service: what is served.
        host, port: where.
        on_ready: called when all is loaded and well.

    Raises:
        ArtifactError, StoreError: before anything is served.
    """
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "http": "shortlist.service.wire:Prompt",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": _DRAIN_SECONDS,
    }
    _log_to_stderr()
    if service.workers == 1:
        app = service.app()
        on_ready()
        uvicorn.run(app, **options)
        return
    recommender, experiment = service.load(), service.experiment_settings()  # what is wrong is said here, once
    if experiment is not None:
        recommenders(experiment, recommender)
    if service.events is not None:
        EventStore(service.events).close()
    on_ready()
    with tempfile.TemporaryDirectory(prefix="shortlist-serve-") as shared:
        figures, peers = Path(shared, "figures"), Path(shared, "peers")
        figures.mkdir()
        peers.mkdir()
        os.environ[MULTIPROCESS] = str(figures)
        os.environ[_WORKER] = json.dumps({**asdict(service), "peers": str(peers)})
        uvicorn.run("shortlist.service.server:worker", factory=True, workers=service.workers, **options)


def worker() -> FastAPI:
    """The application of one of several processes."""
    _log_to_stderr()
    return Service(**json.loads(os.environ[_WORKER])).app()


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("shortlist")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
