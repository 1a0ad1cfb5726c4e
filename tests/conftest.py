from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

import shortlist.training  # noqa: F401 - sets how PyTorch's threads wait, before anybody imports it
from shortlist.data.dataset import Dataset
from shortlist.recommender import Recommender
from shortlist.settings import Settings
from shortlist.testing import two_tastes
from tests.live_world import small_artifact
from tests.postgres import FOUND, Postgres

ROOT = Path(__file__).parent.parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[pytest.TestReport]:
    """Where everything must run (SHORTLIST_REQUIRE_ALL), a skip is a failure."""
    report = yield
    if os.environ.get("SHORTLIST_REQUIRE_ALL") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although SHORTLIST_REQUIRE_ALL is set: {report.longrepr}"
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """End before PyTorch and DuckDB are torn down: their bindings would print a page about leaks below the result."""
    status = getattr(config, "_shortlist_status", None)
    if status is not None and not os.environ.get("PYTEST_XDIST_WORKER"):  # a worker still has to say goodbye
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(status))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config._shortlist_status = exitstatus  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def world() -> Dataset:
    return two_tastes()


@pytest.fixture(scope="session")
def demo_settings() -> Settings:
    """The demo with fewer epochs: enough to know children's films from horror."""
    return Settings.from_toml(
        ROOT / "examples" / "demo.toml",
        ["training.epochs=12", "training.refit=false", "evaluation.baseline_trials=1"],
    )


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory, demo_settings: Settings) -> Path:
    """Trained once, also where the tests are spread over several processes; nobody may write into it."""
    from shortlist.training.run import train

    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    shared = tmp_path_factory.getbasetemp().parent if is_worker else tmp_path_factory.mktemp("artifacts")
    folder = shared / "demo"
    with FileLock(shared / "demo.lock"):
        if not folder.exists():
            train(demo_settings, folder)
    return folder


@pytest.fixture(scope="session")
def demo(demo_folder: Path) -> Recommender:
    from shortlist.recommender.artifact import load

    return load(demo_folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if not FOUND:
        pytest.skip(
            "needs PostgreSQL's initdb, in /usr/lib/postgresql/*/bin or on the PATH (apt-get install postgresql)"
        )
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'shortlist[postgres]'")
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/events.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database(f"test_{uuid.uuid4().hex}")


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of two tastes, quick to make and to load."""
    return small_artifact(tmp_path_factory.mktemp("artifacts") / "small")


@pytest.fixture(scope="session")
def small(small_folder: Path) -> Recommender:
    from shortlist.recommender.artifact import load

    return load(small_folder)
