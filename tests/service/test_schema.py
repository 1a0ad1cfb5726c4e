"""The service keeps to its own OpenAPI description, whatever it is sent: schemathesis makes the requests.

A longer run: ``SHORTLIST_FUZZ_EXAMPLES=2000 python -m pytest tests/service/test_schema.py``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from shortlist.events import EventStore
from shortlist.recommender import Recommender
from shortlist.service.app import create_app
from shortlist.service.keys import Keyring, add_key
from tests.live_world import ITEMS

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed: make test installs it")

EXAMPLES = int(os.environ.get("SHORTLIST_FUZZ_EXAMPLES", "10"))
KNOWN = {"user_id": st.sampled_from(["0", "1", "59"]), "item_id": st.sampled_from([str(one) for one in ITEMS])}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"{tmp_path}/events.db") as store:
        yield store


def test_what_comes_is_what_is_described(small: Recommender, store: EventStore, subtests: pytest.Subtests) -> None:
    app = create_app(small, store, load=lambda: small)
    statuses = ask_all(app, EXAMPLES, subtests)
    assert statuses[200] > 40, "questions that are answered are asked, too"
    assert statuses[422] > 40


def test_a_key_that_may_only_write(
    small: Recommender, store: EventStore, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """Refusals are described as well, and nothing answers without its key (schemathesis leaves it out, and breaks it)."""
    token = add_key(tmp_path / "keys.toml", "shop", ["write"])
    app = create_app(small, store, keys=Keyring(tmp_path / "keys.toml"), rate=1e6)
    statuses = ask_all(app, max(2, EXAMPLES // 5), subtests, {"Authorization": f"Bearer {token}"})
    assert statuses[403] > 10


def ask_all(app: Any, examples: int, subtests: pytest.Subtests, headers: dict[str, str] | None = None) -> Counter[int]:
    """Valid and invalid requests to every operation; statuses that came."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    # no schema can say which ids there are, how many items, or which columns: what fits it may still be refused
    schema.config.checks.positive_data_acceptance.enabled = False
    statuses: Counter[int] = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:
            with subtests.test(operation.label, mode=mode.value):
                ask(operation.as_strategy(generation_mode=mode), examples, headers, statuses)
    return statuses


def ask(cases: st.SearchStrategy[Any], examples: int, headers: dict[str, str] | None, statuses: Counter[int]) -> None:
    @given(case=cases, known=st.none() | st.fixed_dictionaries(KNOWN))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def asked(case: Any, known: dict[str, str] | None) -> None:
        if known is not None:
            case.path_parameters |= {name: known[name] for name in case.path_parameters or () if name in known}
        answer = case.call(headers=headers)
        statuses[answer.status_code] += 1
        case.validate_response(answer, headers=headers)

    with suppress(Unsatisfiable):  # an operation that takes nothing can be asked nothing invalid
        asked()
